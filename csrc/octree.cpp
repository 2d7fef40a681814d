#include "octree_impl.h"

namespace onet {

template class OctreeT<CpuBackend>;

}  // namespace onet
