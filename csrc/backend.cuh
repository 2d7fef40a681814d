// What nvcc adds to cuda_backend.h: bodies run as kernels.
#pragma once

#include <cuda_runtime.h>

#include "cuda_backend.h"

namespace onet {
namespace detail {

template <class Body>
__global__ void each_kernel(int64_t n, Body body) {
  const int64_t step = int64_t{blockDim.x} * gridDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) body(i);
}

}  // namespace detail

template <class Body>
void CudaBackend::each(int64_t n, const Body& body) const {
  static_assert(std::is_trivially_copyable_v<Body>, "a body is copied to the device as bytes");
  if (n <= 0) return;
  constexpr int64_t kBlock = 256;
  const DeviceScope scope(memory_->device);
  cudaLaunchConfig_t config = {};
  const int64_t threads = std::min(n, kConcurrency);
  config.gridDim = dim3(static_cast<unsigned>((threads + kBlock - 1) / kBlock));
  config.blockDim = dim3(kBlock);
  config.stream = memory_->stream;
  check_cuda(cudaLaunchKernelEx(&config, detail::each_kernel<Body>, n, body), "starting a kernel");
}

}  // namespace onet
