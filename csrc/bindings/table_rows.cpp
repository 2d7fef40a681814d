#include "../table_rows.h"

#include <nanobind/stl/vector.h>

#include <vector>

#include "arrays.h"

namespace {

template <class T>
using Items = nb::ndarray<T, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

onet::MapRows map_rows(const std::vector<int>& axes, int64_t resolution, int64_t first,
                       int64_t cells) {
  const int dimensions = static_cast<int>(axes.size());
  if (dimensions < 2 || dimensions > 3) throw nb::value_error("axes: a map has 2 or 3");
  onet::MapRows map{{0, 0, 0}, dimensions, resolution, first};
  int64_t own = 1;
  for (int d = 0; d < dimensions; ++d) {
    if (axes[d] < 0 || axes[d] > 2) throw nb::value_error("axes are 0 to 2");
    map.axes[d] = axes[d];
    own *= resolution;
  }
  if (resolution < 2 || resolution > 100000 || first < 0 || first > cells || own > cells - first)
    throw nb::value_error("a map of 2 to 100000 cells an edge has to lie in the table");
  return map;
}

}  // namespace

void bind_table_rows(nb::module_& m) {
  m.def(
      "add_to_rows",
      [](Items<const float> gradient, Items<const int64_t> rows, Items<const float> weights,
         Items<float> table, int threads) {
        const onet::TableRows sizes{
            static_cast<int64_t>(gradient.shape(0)), static_cast<int64_t>(gradient.shape(1)),
            static_cast<int64_t>(rows.shape(2)), static_cast<int64_t>(gradient.shape(2)),
            static_cast<int64_t>(table.shape(1))};
        for (size_t axis = 0; axis < 3; ++axis)
          if (rows.shape(axis) != weights.shape(axis) ||
              (axis < 2 && rows.shape(axis) != gradient.shape(axis)))
            throw nb::value_error("gradient must be (B, T, F), rows and weights (B, T, K)");
        if (table.shape(0) != gradient.shape(0) || table.shape(2) != gradient.shape(2))
          throw nb::value_error("table must be (B, cells, F)");
        const int64_t own = sizes.queries * sizes.corners;
        for (int64_t k = 0; k < sizes.items * own; ++k) {
          const int64_t first = k / own * sizes.cells;
          if (rows.data()[k] < first || rows.data()[k] >= first + sizes.cells)
            throw nb::index_error("rows: of another item, or beyond the table");
        }
        nb::gil_scoped_release release;
        onet::add_to_rows(gradient.data(), rows.data(), weights.data(), sizes, table.data(),
                          threads);
      },
      "gradient"_a.noconvert(), "rows"_a.noconvert(), "weights"_a.noconvert(),
      "table"_a.noconvert(), "threads"_a = 0);
  m.def(
      "add_corners",
      [](Items<const float> places, Items<const float> table, const std::vector<int>& axes,
         int64_t resolution, int64_t first, Items<float> out, int threads) {
        const onet::TableRows sizes{
            static_cast<int64_t>(out.shape(0)), static_cast<int64_t>(out.shape(1)), 0,
            static_cast<int64_t>(out.shape(2)), static_cast<int64_t>(table.shape(1))};
        if (places.shape(0) != 3 || places.shape(1) != out.shape(0) ||
            places.shape(2) != out.shape(1))
          throw nb::value_error("places must be (3, B, T), out (B, T, F)");
        if (table.shape(0) != out.shape(0) || table.shape(2) != out.shape(2))
          throw nb::value_error("table must be (B, cells, F)");
        const onet::MapRows map = map_rows(axes, resolution, first, sizes.cells);
        nb::gil_scoped_release release;
        onet::add_corners(places.data(), table.data(), sizes, map, out.data(), threads);
      },
      "places"_a.noconvert(), "table"_a.noconvert(), "axes"_a, "resolution"_a, "first"_a,
      "out"_a.noconvert(), "threads"_a = 0);
}
