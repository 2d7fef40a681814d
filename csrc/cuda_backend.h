// The backend for CUDA devices: the members of CpuBackend (backend.h), working on one stream of one
// device. This header is for any C++ compiler; code that calls `each` is compiled by nvcc and
// includes backend.cuh.
//
// Everything is queued on the stream; only `read` waits. Failures throw std::runtime_error with the
// message of CUDA; a failure inside a kernel is seen by the next call that waits.
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

namespace onet {

// Throws unless `status` is cudaSuccess; `what` names the operation.
void check_cuda(cudaError_t status, const char* what);

// Devices that can be used; 0 where there is no driver.
int cuda_device_count();

// Makes a device current until the end of the scope.
class DeviceScope {
 public:
  explicit DeviceScope(int device);
  ~DeviceScope();
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

 private:
  int device_, before_ = 0;
};

class CudaBackend {
  struct Memory;

 public:
  // Threads that `each` starts at most; a device of 256 processors runs as many at the same time.
  static constexpr int64_t kConcurrency = 1 << 19;

  // stream: one of that device, null for its default stream. It must outlive what is made with it.
  explicit CudaBackend(int device = 0, cudaStream_t stream = nullptr);

  int device() const { return memory_->device; }

  // Device memory. data() must not be dereferenced on the host. New elements are not initialised.
  template <class T>
  class Buffer {
    static_assert(std::is_trivially_copyable_v<T>);

   public:
    explicit Buffer(const CudaBackend& backend) : memory_(backend.memory_) {}
    Buffer(Buffer&& other) noexcept : memory_(other.memory_) { swap(other); }
    Buffer& operator=(Buffer&& other) noexcept {
      swap(other);
      return *this;
    }
    ~Buffer() { memory_->release(data_); }

    T* data() { return data_; }
    const T* data() const { return data_; }
    int64_t size() const { return size_; }
    size_t bytes() const { return size_ * sizeof(T); }

    // Keeps the first min(size(), n) elements.
    void resize(int64_t n) {
      if (n == size_) return;
      T* moved = static_cast<T*>(memory_->allocate(n * sizeof(T)));
      try {
        memory_->copy(moved, data_, std::min(n, size_) * sizeof(T), cudaMemcpyDeviceToDevice);
      } catch (...) {
        memory_->release(moved);
        throw;
      }
      memory_->release(data_);
      data_ = moved;
      size_ = n;
    }
    void swap(Buffer& other) noexcept {
      std::swap(memory_, other.memory_);
      std::swap(data_, other.data_);
      std::swap(size_, other.size_);
    }

   private:
    std::shared_ptr<Memory> memory_;
    T* data_ = nullptr;
    int64_t size_ = 0;
  };

  // Runs body(i) for i in [0, n), one thread an index, in no order. Defined in backend.cuh.
  template <class Body>
  void each(int64_t n, const Body& body) const;

  // Every byte of the n elements becomes `byte`.
  template <class T>
  void fill_bytes(T* data, int64_t n, int byte) const {
    memory_->fill(data, byte, n * sizeof(T));
  }
  template <class T>
  void copy(T* to, const T* from, int64_t n) const {
    memory_->copy(to, from, n * sizeof(T), cudaMemcpyDeviceToDevice);
  }
  // Elements to and from the memory of this process. `in` may be changed once `write` returns.
  template <class T>
  void read(T* out, const T* data, int64_t n) const {
    memory_->copy(out, data, n * sizeof(T), cudaMemcpyDeviceToHost);
    memory_->wait();
  }
  template <class T>
  void write(T* data, const T* in, int64_t n) const {
    memory_->copy(data, in, n * sizeof(T), cudaMemcpyHostToDevice);
  }

  // Ascending order, in place; `scratch` has room for n more.
  void sort(uint64_t* keys, uint64_t* scratch, int64_t n) const;
  void sort(int32_t* keys, int32_t* scratch, int64_t n) const;
  // out[i] = sum of counts[0..i), for i in 0..n; `out` has n + 1 elements and may be `counts`.
  // For int32_t and int64_t.
  template <class T>
  void exclusive_scan(const T* counts, T* out, int64_t n) const;

 private:
  // A pool of memory that keeps what is freed until its last user is gone, so that growing a buffer
  // does not ask the driver every time.
  struct Memory {
    Memory(int device, cudaStream_t stream);
    ~Memory();
    void* allocate(size_t bytes);
    void release(void* data) noexcept;
    void copy(void* out, const void* in, size_t bytes, cudaMemcpyKind kind);
    void fill(void* data, int byte, size_t bytes);
    void wait();

    int device;
    cudaStream_t stream;
    cudaMemPool_t pool = nullptr;
  };

  template <class Key>
  void radix_sort(Key* keys, Key* scratch, int64_t n) const;

  std::shared_ptr<Memory> memory_;
};

}  // namespace onet
