#include "../rays.h"

#include "arrays.h"

void bind_rays(nb::module_& m) {
  m.def(
      "first_hits",
      [](Rows<double> vertices, Rows<int64_t> faces, Rows<double> origins, Rows<double> directions,
         double nearest, int threads) {
        check_faces(faces, vertices.shape(0));
        check_coordinates(vertices, "vertices");
        check_coordinates(origins, "origins");
        check_coordinates(directions, "directions");
        const size_t n = origins.shape(0);
        if (directions.shape(0) != n) throw nb::value_error("directions: one for each origin");
        std::vector<double> distance(n);
        std::vector<int64_t> face(n);
        {
          nb::gil_scoped_release release;
          onet::first_hits(vertices.data(), faces.data(), faces.shape(0), origins.data(),
                           directions.data(), n, nearest, distance.data(), face.data(), threads);
        }
        return nb::make_tuple(to_numpy(std::move(distance), {n}), to_numpy(std::move(face), {n}));
      },
      "vertices"_a.noconvert(), "faces"_a.noconvert(), "origins"_a.noconvert(),
      "directions"_a.noconvert(), "nearest"_a = 0.0, "threads"_a = 0);
}
