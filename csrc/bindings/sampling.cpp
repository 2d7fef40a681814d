#include "../sampling.h"

#include "arrays.h"

void bind_sampling(nb::module_& m) {
  m.def(
      "surface_area",
      [](Rows<double> vertices, Rows<int64_t> faces) {
        check_faces(faces, vertices.shape(0));
        return onet::surface_area(vertices.data(), faces.data(), faces.shape(0));
      },
      "vertices"_a.noconvert(), "faces"_a.noconvert());
  m.def(
      "sample_surface",
      [](Rows<double> vertices, Rows<int64_t> faces, Vector<double> pick, Vector<double> within,
         int threads) {
        check_faces(faces, vertices.shape(0));
        const size_t n = pick.shape(0);
        if (faces.shape(0) == 0) throw nb::value_error("the mesh has no faces");
        if (within.shape(0) != 2 * n) throw nb::value_error("within: 2 numbers for each pick");
        std::vector<double> points(3 * n), normals(3 * n);
        std::vector<int64_t> face(n);
        {
          nb::gil_scoped_release release;
          onet::sample_surface(vertices.data(), faces.data(), faces.shape(0), pick.data(),
                               within.data(), n, points.data(), normals.data(), face.data(),
                               threads);
        }
        return nb::make_tuple(to_numpy(std::move(points), {n, 3}),
                              to_numpy(std::move(normals), {n, 3}), to_numpy(std::move(face), {n}));
      },
      "vertices"_a.noconvert(), "faces"_a.noconvert(), "pick"_a.noconvert(), "within"_a.noconvert(),
      "threads"_a = 0);
}
