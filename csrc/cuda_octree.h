// The octree and marching cubes on a CUDA device: octree.h and marching_cubes.h, where the memory
// of the backend is that of the device.
#pragma once

#include "cuda_backend.h"
#include "marching_cubes.h"

namespace onet {

using CudaOctree = OctreeT<CudaBackend>;
using CudaSurface = SurfaceT<CudaBackend>;

extern template class OctreeT<CudaBackend>;
extern template CudaSurface marching_cubes(const CudaOctree&, const std::array<double, 3>&, double);

}  // namespace onet
