#include "../depth_map.h"

#include "arrays.h"

void bind_depth_map(nb::module_& m) {
  m.def(
      "rasterize",
      [](Rows<double> vertices, Rows<int64_t> faces, size_t width, size_t height) {
        check_faces(faces, vertices.shape(0));
        std::vector<float> depth(width * height);
        std::vector<int32_t> face(width * height);
        {
          nb::gil_scoped_release release;
          onet::rasterize(vertices.data(), faces.data(), faces.shape(0), width, height,
                          depth.data(), face.data());
        }
        return nb::make_tuple(to_numpy(std::move(depth), {height, width}),
                              to_numpy(std::move(face), {height, width}));
      },
      "vertices"_a.noconvert(), "faces"_a.noconvert(), "width"_a, "height"_a);

  nb::class_<onet::Views>(m, "Views")
      .def(
          "__init__",
          [](onet::Views* self, Rows<double> vertices, Rows<int64_t> faces, Rows<double> directions,
             size_t size, double radius, int threads) {
            check_faces(faces, vertices.shape(0));
            nb::gil_scoped_release release;
            new (self) onet::Views(vertices.data(), vertices.shape(0), faces.data(), faces.shape(0),
                                   directions.data(), directions.shape(0), size, radius, threads);
          },
          "vertices"_a.noconvert(), "faces"_a.noconvert(), "directions"_a.noconvert(), "size"_a,
          "radius"_a, "threads"_a = 0)
      .def(
          "visible",
          [](const onet::Views& views, Rows<double> points, int threads) {
            std::vector<uint8_t> visible(points.shape(0));
            {
              nb::gil_scoped_release release;
              views.visible(points.data(), points.shape(0), visible.data(), threads);
            }
            return to_numpy(std::move(visible), {points.shape(0)});
          },
          "points"_a.noconvert(), "threads"_a = 0)
      .def(
          "count",
          [](const onet::Views& views, Rows<double> points, int threads) {
            std::vector<int32_t> counts(points.shape(0));
            {
              nb::gil_scoped_release release;
              views.count(points.data(), points.shape(0), counts.data(), threads);
            }
            return to_numpy(std::move(counts), {points.shape(0)});
          },
          "points"_a.noconvert(), "threads"_a = 0);
}
