#include "../marching_cubes.h"

#include <nanobind/stl/array.h>

#include "arrays.h"

void bind_marching_cubes(nb::module_& m) {
  m.def(
      "marching_cubes",
      [](const onet::Octree& tree, std::array<double, 3> origin, double cell) {
        auto surface = std::make_unique<onet::SurfaceT<onet::CpuBackend>>(tree.backend());
        {
          nb::gil_scoped_release release;
          *surface = onet::marching_cubes(tree, origin, cell);
        }
        const size_t v = surface->vertices.size() / 3, f = surface->faces.size() / 3;
        double* vertices = surface->vertices.data();
        int64_t* faces = surface->faces.data();
        nb::capsule owner(surface.release(), [](void* p) noexcept {
          delete static_cast<onet::SurfaceT<onet::CpuBackend>*>(p);
        });
        return nb::make_tuple(nb::ndarray<nb::numpy, double>(vertices, {v, 3}, owner),
                              nb::ndarray<nb::numpy, int64_t>(faces, {f, 3}, owner));
      },
      "octree"_a, "origin"_a = std::array<double, 3>{0, 0, 0}, "cell"_a = 1.0);

  m.def(
      "cube_triangles",
      [](int corners) {
        std::vector<int32_t> out;
        for (const auto& triangle : onet::cube_triangles(corners))
          out.insert(out.end(), triangle.begin(), triangle.end());
        const size_t n = out.size() / 3;
        return to_numpy(std::move(out), {n, 3});
      },
      "corners"_a);
}
