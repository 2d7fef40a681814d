// Stands in for CUDA's header of this name: a .cu file compiled by a C++ compiler with this folder
// first on its include path executes its kernels on the CPU. It shows errors of logic and of
// bounds, host code that touches device memory and, with the thread sanitizer, data races; it does
// not show a GPU's memory model.
//
// - Device memory is readable and writable only while a kernel, a copy or a fill runs. It ends at a
//   page that never is, and begins as rubbish. Under the address sanitizer it is plain `malloc`
//   instead, which that sanitizer watches.
// - CUDA threads are run by several threads at once, in an order that differs from launch to
//   launch, each from its beginning to its end. Barriers and shared memory are missing: the
//   kernels here have none.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <numeric>
#include <thread>
#include <tuple>
#include <vector>

#define __global__ static
#define __device__
#define __host__

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
inline thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidDevice = 101
};
enum cudaMemcpyKind {
  cudaMemcpyHostToDevice = 1,
  cudaMemcpyDeviceToHost,
  cudaMemcpyDeviceToDevice
};
enum cudaMemAllocationType { cudaMemAllocationTypePinned = 1 };
enum cudaMemLocationType { cudaMemLocationTypeDevice = 1 };
enum cudaMemPoolAttr { cudaMemPoolAttrReleaseThreshold = 4 };
using cudaStream_t = struct CUstream_st*;
using cudaMemPool_t = struct CUmemPoolHandle_st*;
struct cudaMemPoolProps {
  cudaMemAllocationType allocType;
  struct {
    cudaMemLocationType type;
    int id;
  } location;
};
struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  size_t dynamicSmemBytes;
  cudaStream_t stream;
};

namespace emulated {

inline constexpr int kDevices = 2;
inline constexpr size_t kThreads = 3, kWarp = 32;
inline thread_local int current_device = 0;

// Device memory: where each piece begins, with the pages that hold it.
struct Piece {
  char* pages;
  size_t page_bytes, bytes;
};
struct State {
  std::mutex mutex;
  std::map<char*, Piece> pieces;
  size_t used = 0, launches = 0;
};
inline State& state() {
  static State* state = new State;  // never destroyed: buffers may be freed at exit
  return *state;
}

inline size_t capacity() {
  const char* text = std::getenv("ONET_EMULATED_BYTES");
  return text ? std::strtoull(text, nullptr, 10) : SIZE_MAX;
}

// Runs work() as the device does, with its memory in reach.
template <class Work>
void on_device(Work work) {
  std::lock_guard<std::mutex> lock(state().mutex);
#ifndef __SANITIZE_ADDRESS__
  for (auto& [data, piece] : state().pieces)
    mprotect(piece.pages, piece.page_bytes, PROT_READ | PROT_WRITE);
#endif
  work();
#ifndef __SANITIZE_ADDRESS__
  for (auto& [data, piece] : state().pieces) mprotect(piece.pages, piece.page_bytes, PROT_NONE);
#endif
}

inline cudaError_t allocate(void** out, size_t bytes) {
  std::lock_guard<std::mutex> lock(state().mutex);
  if (bytes > capacity() - std::min(capacity(), state().used)) return cudaErrorMemoryAllocation;
#ifdef __SANITIZE_ADDRESS__
  char* pages = static_cast<char*>(std::malloc(bytes));
  const size_t page_bytes = bytes;
  char* data = pages;
#else
  const size_t page = sysconf(_SC_PAGESIZE), page_bytes = (bytes + page - 1) / page * page;
  char* pages = static_cast<char*>(
      mmap(nullptr, page_bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (pages == MAP_FAILED) return cudaErrorMemoryAllocation;
  char* data = pages + (page_bytes - bytes) / 16 * 16;
#endif
  std::memset(pages, 0xA5, page_bytes);
#ifndef __SANITIZE_ADDRESS__
  mprotect(pages, page_bytes + page, PROT_NONE);
#endif
  state().pieces[data] = {pages, page_bytes, bytes};
  state().used += bytes;
  *out = data;
  return cudaSuccess;
}

inline cudaError_t release(void* data) {
  std::lock_guard<std::mutex> lock(state().mutex);
  const auto found = state().pieces.find(static_cast<char*>(data));
  if (found == state().pieces.end()) return cudaErrorInvalidValue;
#ifdef __SANITIZE_ADDRESS__
  std::free(data);
#else
  munmap(found->second.pages, found->second.page_bytes + sysconf(_SC_PAGESIZE));
#endif
  state().used -= found->second.bytes;
  state().pieces.erase(found);
  return cudaSuccess;
}

// Whether an address lies in memory allocated here. Arrays of the caller count as either kind.
inline bool is_device(const void* address) {
  std::lock_guard<std::mutex> lock(state().mutex);
  const char* p = static_cast<const char*>(address);
  auto after = state().pieces.upper_bound(const_cast<char*>(p));
  return after != state().pieces.begin() && p < (--after)->first + after->second.bytes;
}

}  // namespace emulated

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               const Arguments&... arguments) {
  const std::tuple<Parameters...> copied(arguments...);
  const dim3 grid = config->gridDim, block = config->blockDim;
  if (grid.x == 0 || block.x == 0 || block.x > 1024 || grid.y * grid.z * block.y * block.z != 1)
    return cudaErrorInvalidValue;
  emulated::on_device([&] {
    const size_t launch = emulated::state().launches++, all = size_t{grid.x} * block.x;
    size_t stride = 2 * launch + 1;  // of the order in which CUDA threads are run
    while (std::gcd(stride, all) != 1) stride += 2;
    std::atomic<size_t> next{0};
    auto work = [&] {
      blockDim = block;
      gridDim = grid;
      for (size_t first; (first = next.fetch_add(emulated::kWarp)) < all;)
        for (size_t i = first; i < std::min(first + emulated::kWarp, all); ++i) {
          const size_t thread = (i * stride + launch) % all;
          blockIdx = dim3(static_cast<unsigned>(thread / block.x), 0, 0);
          threadIdx = dim3(static_cast<unsigned>(thread % block.x), 0, 0);
          std::apply(kernel, copied);
        }
    };
    std::vector<std::thread> threads;
    for (size_t i = 1; i < emulated::kThreads; ++i) threads.emplace_back(work);
    work();
    for (auto& thread : threads) thread.join();
  });
  return cudaSuccess;
}

inline cudaError_t cudaMemcpyAsync(void* out, const void* in, size_t bytes, cudaMemcpyKind kind,
                                   cudaStream_t) {
  if ((kind == cudaMemcpyHostToDevice && emulated::is_device(in)) ||
      (kind == cudaMemcpyDeviceToHost && emulated::is_device(out)))
    return cudaErrorInvalidValue;
  emulated::on_device([&] { std::memcpy(out, in, bytes); });
  return cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* data, int byte, size_t bytes, cudaStream_t) {
  emulated::on_device([&] { std::memset(data, byte, bytes); });
  return cudaSuccess;
}
inline cudaError_t cudaMallocFromPoolAsync(void** data, size_t bytes, cudaMemPool_t, cudaStream_t) {
  return emulated::allocate(data, bytes);
}
inline cudaError_t cudaFreeAsync(void* data, cudaStream_t) { return emulated::release(data); }
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaMemPoolCreate(cudaMemPool_t*, const cudaMemPoolProps*) {
  return cudaSuccess;
}
inline cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) {
  return cudaSuccess;
}
inline cudaError_t cudaMemPoolDestroy(cudaMemPool_t) { return cudaSuccess; }
inline cudaError_t cudaGetDeviceCount(int* count) {
  *count = emulated::kDevices;
  return cudaSuccess;
}
inline cudaError_t cudaGetDevice(int* device) {
  *device = emulated::current_device;
  return cudaSuccess;
}
inline cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= emulated::kDevices) return cudaErrorInvalidDevice;
  emulated::current_device = device;
  return cudaSuccess;
}
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline const char* cudaGetErrorName(cudaError_t) { return "emulated"; }
inline const char* cudaGetErrorString(cudaError_t status) {
  return status == cudaErrorInvalidDevice ? "invalid device ordinal" : "invalid argument";
}
