#include "../nearest.h"

#include "arrays.h"

void bind_nearest(nb::module_& m) {
  nb::class_<onet::NearestNeighbors>(m, "NearestNeighbors")
      .def(
          "__init__",
          [](onet::NearestNeighbors* self, Rows<double> points, int threads) {
            if (points.shape(0) == 0)
              throw nb::value_error("points: there are none; give at least 1");
            check_coordinates(points, "points");
            nb::gil_scoped_release release;
            new (self) onet::NearestNeighbors(points.data(), points.shape(0), threads);
          },
          "points"_a.noconvert(), "threads"_a = 0)
      .def(
          "query",
          [](const onet::NearestNeighbors& self, Rows<double> queries, int threads) {
            check_coordinates(queries, "queries");
            const size_t n = queries.shape(0);
            std::vector<double> distance(n);
            std::vector<int64_t> index(n);
            {
              nb::gil_scoped_release release;
              self.query(queries.data(), n, distance.data(), index.data(), threads);
            }
            return nb::make_tuple(to_numpy(std::move(distance), {n}),
                                  to_numpy(std::move(index), {n}));
          },
          "queries"_a.noconvert(), "threads"_a = 0);
}
