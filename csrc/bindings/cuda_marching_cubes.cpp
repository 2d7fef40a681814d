#include <nanobind/stl/array.h>

#include "../cuda_octree.h"
#include "cuda_arrays.h"

namespace {

// A mesh on the device, until the caller knows its size and has made arrays for it.
struct Surface {
  onet::CudaBackend backend;
  onet::CudaSurface arrays;
};

}  // namespace

void bind_cuda_marching_cubes(nb::module_& m) {
  nb::class_<Surface>(m, "Surface")
      .def_prop_ro("vertex_count", [](const Surface& s) { return s.arrays.vertices.size() / 3; })
      .def_prop_ro("face_count", [](const Surface& s) { return s.arrays.faces.size() / 3; })
      .def(
          "copy",
          [](const Surface& s, CudaRows<double> vertices, CudaRows<int64_t> faces) {
            const int device = s.backend.device();
            check_place(vertices, device, s.arrays.vertices.size() / 3, "vertices");
            check_place(faces, device, s.arrays.faces.size() / 3, "faces");
            nb::gil_scoped_release release;
            s.backend.copy(vertices.data(), s.arrays.vertices.data(), s.arrays.vertices.size());
            s.backend.copy(faces.data(), s.arrays.faces.data(), s.arrays.faces.size());
          },
          "vertices"_a.noconvert(), "faces"_a.noconvert());

  m.def(
      "marching_cubes",
      [](const onet::CudaOctree& tree, std::array<double, 3> origin, double cell) {
        nb::gil_scoped_release release;
        return Surface{tree.backend(), onet::marching_cubes(tree, origin, cell)};
      },
      "octree"_a, "origin"_a = std::array<double, 3>{0, 0, 0}, "cell"_a = 1.0);
}
