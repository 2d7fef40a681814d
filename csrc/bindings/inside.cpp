#include "../inside.h"

#include "arrays.h"

void bind_inside(nb::module_& m) {
  m.def(
      "contains",
      [](Rows<double> vertices, Rows<int64_t> faces, Rows<double> points, int threads) {
        check_faces(faces, vertices.shape(0));
        if (points.shape(0) >= (size_t{1} << 31)) throw nb::value_error("over 2^31 points");
        std::vector<uint8_t> inside(points.shape(0));
        {
          nb::gil_scoped_release release;
          onet::contains(vertices.data(), faces.data(), faces.shape(0), points.data(),
                         points.shape(0), inside.data(), threads);
        }
        return to_numpy(std::move(inside), {points.shape(0)});
      },
      "vertices"_a.noconvert(), "faces"_a.noconvert(), "points"_a.noconvert(), "threads"_a = 0);
}
