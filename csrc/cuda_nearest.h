// Exact nearest neighbours on a CUDA device: the answers of nearest.h, bit for bit.
#pragma once

#include <cstdint>

#include "cuda_backend.h"
#include "nearest.h"

namespace onet {

class CudaNearestNeighbors {
 public:
  // Copies the hierarchy to the device.
  CudaNearestNeighbors(const CudaBackend& backend, const NearestNeighbors& host);

  const CudaBackend& backend() const { return backend_; }

  // For q (n, 3): distance (n) and index (n), all in the memory of the device. Throws
  // std::invalid_argument when a row is NaN, infinite or beyond 1e70.
  void query(const double* q, int64_t n, double* distance, int64_t* index) const;

 private:
  CudaBackend backend_;
  CudaBackend::Buffer<BoxNode> nodes_;
  CudaBackend::Buffer<PointBlock> blocks_;
  NearestView view_;
  double low_[3], scale_[3];  // of the points: to 1024 steps along each axis
};

}  // namespace onet
