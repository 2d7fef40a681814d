// Where a data-parallel algorithm runs. Algorithms that exist on the CPU and on a GPU are templates
// over a backend: they keep their arrays in Backend::Buffer and run bodies, structs with
// `ONET_HD void operator()(int64_t i) const`, for i in [0, n). This is the one for the CPU; the one
// for CUDA devices (backend.cuh) has the same members.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

#include "parallel.h"
#include "portable.h"

namespace onet {

class CpuBackend {
 public:
  // At least as many as bodies run at the same time.
  static constexpr int64_t kConcurrency = 1024;

  // threads: 0 for default_threads().
  explicit CpuBackend(int threads = 0) : threads_(threads > 0 ? threads : default_threads()) {}

  // Plain memory that grows without a second copy where the allocator can (realloc). New elements
  // are not initialised.
  template <class T>
  class Buffer {
    static_assert(std::is_trivially_copyable_v<T>);

   public:
    explicit Buffer(const CpuBackend&) {}
    Buffer(Buffer&& other) noexcept { swap(other); }
    Buffer& operator=(Buffer&& other) noexcept {
      swap(other);
      return *this;
    }
    ~Buffer() { std::free(data_); }

    T* data() { return data_; }
    const T* data() const { return data_; }
    int64_t size() const { return size_; }
    size_t bytes() const { return size_ * sizeof(T); }

    // Keeps the first min(size(), n) elements.
    void resize(int64_t n) {
      if (n == size_) return;
      void* moved = std::realloc(data_, std::max<int64_t>(n, 1) * sizeof(T));
      if (moved == nullptr) throw std::bad_alloc();
      data_ = static_cast<T*>(moved);
      size_ = n;
    }
    void swap(Buffer& other) noexcept {
      std::swap(data_, other.data_);
      std::swap(size_, other.size_);
    }

   private:
    T* data_ = nullptr;
    int64_t size_ = 0;
  };

  template <class Body>
  void each(int64_t n, const Body& body) const {
    parallel_for(n, threads_, kChunk, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) body(i);
    });
  }

  // Every byte of the n elements becomes `byte`.
  template <class T>
  void fill_bytes(T* data, int64_t n, int byte) const {
    if (n > 0) std::memset(static_cast<void*>(data), byte, n * sizeof(T));
  }
  template <class T>
  void copy(T* to, const T* from, int64_t n) const {
    if (n > 0) std::memcpy(static_cast<void*>(to), from, n * sizeof(T));
  }
  // One element, or several, to and from the memory of this process.
  template <class T>
  void read(T* out, const T* data, int64_t n) const {
    if (n > 0) std::memcpy(static_cast<void*>(out), data, n * sizeof(T));
  }
  template <class T>
  void write(T* data, const T* in, int64_t n) const {
    if (n > 0) std::memcpy(static_cast<void*>(data), in, n * sizeof(T));
  }

  // Ascending order, in place; `scratch` has room for n more.
  void sort(uint64_t* keys, uint64_t* scratch, int64_t n) const;
  void sort(int32_t* keys, int32_t* scratch, int64_t n) const;
  // out[i] = sum of counts[0..i), for i in 0..n; `out` has n + 1 elements and may be `counts`.
  template <class T>
  void exclusive_scan(const T* counts, T* out, int64_t n) const;

 private:
  static constexpr int64_t kChunk = 2048;
  int threads_;
};

namespace detail {

// Least significant digit first, 11 bits at a time, leaving out digits that all keys share.
template <class Key>
void radix_sort(Key* keys, Key* scratch, int64_t n) {
  constexpr int kBits = 11, kDigits = 1 << kBits;
  using Unsigned = std::make_unsigned_t<Key>;
  Unsigned varying = 0;
  for (int64_t i = 1; i < n; ++i) varying |= Unsigned(keys[i] ^ keys[0]);
  Key *from = keys, *to = scratch;
  for (unsigned shift = 0; shift < 8 * sizeof(Key); shift += kBits) {
    if ((varying >> shift & (kDigits - 1)) == 0) continue;
    int64_t start[kDigits] = {};
    for (int64_t i = 0; i < n; ++i) ++start[Unsigned(from[i]) >> shift & (kDigits - 1)];
    int64_t sum = 0;
    for (int64_t& s : start) sum += std::exchange(s, sum);
    for (int64_t i = 0; i < n; ++i)
      to[start[Unsigned(from[i]) >> shift & (kDigits - 1)]++] = from[i];
    std::swap(from, to);
  }
  if (from != keys && n > 0) std::memcpy(static_cast<void*>(keys), from, n * sizeof(Key));
}

}  // namespace detail

inline void CpuBackend::sort(uint64_t* keys, uint64_t* scratch, int64_t n) const {
  detail::radix_sort(keys, scratch, n);
}

inline void CpuBackend::sort(int32_t* keys, int32_t* scratch, int64_t n) const {
  detail::radix_sort(keys, scratch, n);  // keys are not negative
}

template <class T>
void CpuBackend::exclusive_scan(const T* counts, T* out, int64_t n) const {
  T sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    const T count = counts[i];
    out[i] = sum;
    sum += count;
  }
  out[n] = sum;
}

}  // namespace onet
