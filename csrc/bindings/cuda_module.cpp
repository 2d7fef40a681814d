// The module `onet._cuda`: one binding file an operation.
#include "cuda_arrays.h"

void bind_cuda_octree(nb::module_& m);
void bind_cuda_marching_cubes(nb::module_& m);
void bind_cuda_inside(nb::module_& m);
void bind_cuda_nearest(nb::module_& m);

NB_MODULE(_cuda, m) {
  m.doc() = "The operations of onet._C for arrays on CUDA devices; see csrc/cuda_*.h.";
  m.def("device_count", &onet::cuda_device_count);
  bind_cuda_octree(m);
  bind_cuda_marching_cubes(m);
  bind_cuda_inside(m);
  bind_cuda_nearest(m);
}
