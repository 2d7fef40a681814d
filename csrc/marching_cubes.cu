#include "backend.cuh"
#include "marching_cubes_impl.h"

namespace onet {

template SurfaceT<CudaBackend> marching_cubes(const OctreeT<CudaBackend>&,
                                              const std::array<double, 3>&, double);

}  // namespace onet
