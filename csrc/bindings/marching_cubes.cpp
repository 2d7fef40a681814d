#include "../marching_cubes.h"

#include "arrays.h"

void bind_marching_cubes(nb::module_& m) {
  m.def(
      "marching_cubes",
      [](const onet::Octree& tree) {
        onet::TriangleMesh mesh;
        {
          nb::gil_scoped_release release;
          mesh = onet::marching_cubes(tree);
        }
        const size_t v = mesh.vertices.size() / 3, f = mesh.faces.size() / 3;
        return nb::make_tuple(to_numpy(std::move(mesh.vertices), {v, 3}),
                              to_numpy(std::move(mesh.faces), {f, 3}));
      },
      "octree"_a);

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
