#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_scan.cuh>

#include <stdexcept>
#include <string>

#include "backend.cuh"

namespace onet {

void check_cuda(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // reported here: must not come up again in somebody else's call
  throw std::runtime_error(std::string("CUDA failed in ") + what + ": " +
                           cudaGetErrorString(status) + " (" + cudaGetErrorName(status) + ")");
}

int cuda_device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  cudaGetLastError();
  return 0;
}

DeviceScope::DeviceScope(int device) : device_(device) {
  check_cuda(cudaGetDevice(&before_), "asking for the current device");
  if (before_ != device_) check_cuda(cudaSetDevice(device_), "choosing the device");
}

DeviceScope::~DeviceScope() {
  if (before_ != device_) cudaSetDevice(before_);
}

CudaBackend::CudaBackend(int device, cudaStream_t stream)
    : memory_(std::make_shared<Memory>(device, stream)) {}

CudaBackend::Memory::Memory(int device, cudaStream_t stream) : device(device), stream(stream) {
  const DeviceScope scope(device);
  cudaMemPoolProps properties = {};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.location.type = cudaMemLocationTypeDevice;
  properties.location.id = device;
  check_cuda(cudaMemPoolCreate(&pool, &properties), "making a memory pool");
  uint64_t keep = UINT64_MAX;
  cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep);
}

CudaBackend::Memory::~Memory() {
  cudaStreamSynchronize(
      stream);  // a pool that is destroyed before what is queued was freed crashes
  cudaMemPoolDestroy(pool);
}

void* CudaBackend::Memory::allocate(size_t bytes) {
  if (bytes == 0) return nullptr;
  const DeviceScope scope(device);
  void* data = nullptr;
  const cudaError_t status = cudaMallocFromPoolAsync(&data, bytes, pool, stream);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw std::runtime_error("CUDA device " + std::to_string(device) +
                             " is out of memory: no room for " + std::to_string(bytes) +
                             " bytes more");
  }
  check_cuda(status, "allocating memory");
  return data;
}

void CudaBackend::Memory::release(void* data) noexcept {
  if (data == nullptr) return;
  try {
    const DeviceScope scope(device);
    cudaFreeAsync(data, stream);
  } catch (const std::exception&) {
    // The device failed before, which was reported there; its memory is lost with it.
  }
}

void CudaBackend::Memory::copy(void* out, const void* in, size_t bytes, cudaMemcpyKind kind) {
  if (bytes == 0) return;
  const DeviceScope scope(device);
  check_cuda(cudaMemcpyAsync(out, in, bytes, kind, stream), "copying memory");
}

void CudaBackend::Memory::fill(void* data, int byte, size_t bytes) {
  if (bytes == 0) return;
  const DeviceScope scope(device);
  check_cuda(cudaMemsetAsync(data, byte, bytes, stream), "filling memory");
}

void CudaBackend::Memory::wait() {
  const DeviceScope scope(device);
  check_cuda(cudaStreamSynchronize(stream), "a kernel");
}

template <class Key>
void CudaBackend::radix_sort(Key* keys, Key* scratch, int64_t n) const {
  if (n <= 0) return;
  const DeviceScope scope(memory_->device);
  cub::DoubleBuffer<Key> buffers(keys, scratch);
  size_t bytes = 0;
  // Called with no room it says how much it needs.
  check_cuda(cub::DeviceRadixSort::SortKeys(nullptr, bytes, buffers, n, 0, 8 * sizeof(Key),
                                            memory_->stream),
             "planning a sort");
  Buffer<uint8_t> room(*this);
  room.resize(std::max<int64_t>(bytes, 1));
  check_cuda(cub::DeviceRadixSort::SortKeys(room.data(), bytes, buffers, n, 0, 8 * sizeof(Key),
                                            memory_->stream),
             "sorting");
  if (buffers.Current() != keys) copy(keys, buffers.Current(), n);
}

void CudaBackend::sort(uint64_t* keys, uint64_t* scratch, int64_t n) const {
  radix_sort(keys, scratch, n);
}

void CudaBackend::sort(int32_t* keys, int32_t* scratch, int64_t n) const {
  radix_sort(keys, scratch, n);
}

template <class T>
void CudaBackend::exclusive_scan(const T* counts, T* out, int64_t n) const {
  // In place over n + 1 counts: what the last one is does not matter, what comes before it is the
  // total.
  if (counts != out) copy(out, counts, n);
  const DeviceScope scope(memory_->device);
  size_t bytes = 0;
  check_cuda(cub::DeviceScan::ExclusiveSum(nullptr, bytes, out, out, n + 1, memory_->stream),
             "planning a sum");
  Buffer<uint8_t> room(*this);
  room.resize(std::max<int64_t>(bytes, 1));
  check_cuda(cub::DeviceScan::ExclusiveSum(room.data(), bytes, out, out, n + 1, memory_->stream),
             "summing");
}

template void CudaBackend::exclusive_scan(const int32_t*, int32_t*, int64_t) const;
template void CudaBackend::exclusive_scan(const int64_t*, int64_t*, int64_t) const;

}  // namespace onet
