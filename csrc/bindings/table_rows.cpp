#include "../table_rows.h"

#include "arrays.h"

namespace {

template <class T>
using Items = nb::ndarray<T, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

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
}
