#include "marching_cubes_impl.h"

namespace onet {

template SurfaceT<CpuBackend> marching_cubes(const OctreeT<CpuBackend>&,
                                             const std::array<double, 3>&, double);

}  // namespace onet
