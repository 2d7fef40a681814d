#include "../winding.h"

#include "arrays.h"

void bind_winding(nb::module_& m) {
  nb::class_<onet::WindingTree>(m, "WindingTree")
      .def(
          "__init__",
          [](onet::WindingTree* self, Rows<double> vertices, Rows<int64_t> faces) {
            check_faces(faces, vertices.shape(0));
            nb::gil_scoped_release release;
            new (self) onet::WindingTree(vertices.data(), faces.data(), faces.shape(0));
          },
          "vertices"_a.noconvert(), "faces"_a.noconvert())
      .def(
          "winding_number",
          [](const onet::WindingTree& tree, Rows<double> points, double beta, int threads) {
            std::vector<double> result(points.shape(0));
            {
              nb::gil_scoped_release release;
              tree.winding_number(points.data(), points.shape(0), beta, result.data(), threads);
            }
            return to_numpy(std::move(result), {points.shape(0)});
          },
          "points"_a.noconvert(), "beta"_a = 2.0, "threads"_a = 0);
}
