#include "../closest_point.h"

#include "arrays.h"

void bind_closest_point(nb::module_& m) {
  nb::class_<onet::TriangleTree>(m, "TriangleTree")
      .def(
          "__init__",
          [](onet::TriangleTree* self, Rows<double> vertices, Rows<int64_t> faces) {
            check_faces(faces, vertices.shape(0));
            if (faces.shape(0) == 0) throw nb::value_error("the mesh has no faces");
            check_coordinates(vertices, "vertices");
            nb::gil_scoped_release release;
            new (self) onet::TriangleTree(vertices.data(), faces.data(), faces.shape(0));
          },
          "vertices"_a.noconvert(), "faces"_a.noconvert())
      .def(
          "closest",
          [](const onet::TriangleTree& tree, Rows<double> points, int threads) {
            check_coordinates(points, "points");
            const size_t n = points.shape(0);
            std::vector<double> closest(3 * n), distance(n);
            std::vector<int64_t> face(n);
            {
              nb::gil_scoped_release release;
              tree.closest(points.data(), n, closest.data(), distance.data(), face.data(), threads);
            }
            return nb::make_tuple(to_numpy(std::move(closest), {n, 3}),
                                  to_numpy(std::move(distance), {n}),
                                  to_numpy(std::move(face), {n}));
          },
          "points"_a.noconvert(), "threads"_a = 0);
}
