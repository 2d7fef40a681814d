#include "backend.cuh"
#include "octree_impl.h"

namespace onet {

template class OctreeT<CudaBackend>;

}  // namespace onet
