#include "../cell_maxima.h"

#include <nanobind/stl/vector.h>

#include "arrays.h"
#include "bfloat16.h"

namespace {

template <class T>
using Items = nb::ndarray<T, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
template <class T>
using Matrix = nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Numbers = std::vector<Matrix<const int32_t>>;
template <class T>
using Maxima = std::vector<Matrix<T>>;

// Cells of an item lie behind those of the items before, so that items can be worked on at once.
void check_numbers(const int32_t* cells, onet::FeatureRows rows, int64_t count) {
  int32_t before = -1;
  for (int64_t item = 0; item < rows.items; ++item, cells += rows.points) {
    int32_t last = before;
    for (int64_t p = 0; p < rows.points; ++p) {
      if (cells[p] <= before || cells[p] >= count)
        throw nb::value_error("cells: numbers must be below count, and ascend with the items");
      last = std::max(last, cells[p]);
    }
    before = last;
  }
}

template <class T, class M>
onet::FeatureRows check(const Items<const T>& x, const Numbers& cells, const Maxima<M>& maxima,
                        const Items<T>& out, std::vector<onet::CellNumbers>& maps) {
  const onet::FeatureRows rows{static_cast<int64_t>(x.shape(0)), static_cast<int64_t>(x.shape(1)),
                               static_cast<int64_t>(x.shape(2))};
  if (cells.size() != maxima.size()) throw nb::value_error("cells, maxima: one for each map");
  for (size_t axis = 0; axis < 3; ++axis)
    if (out.shape(axis) != x.shape(axis)) throw nb::value_error("x and out must be (B, N, F)");
  for (size_t m = 0; m < cells.size(); ++m) {
    if (cells[m].shape(0) != x.shape(0) || cells[m].shape(1) != x.shape(1) ||
        maxima[m].shape(1) != x.shape(2))
      throw nb::value_error("cells must be (B, N), and maxima (cells, F)");
    const int64_t count = static_cast<int64_t>(maxima[m].shape(0));
    check_numbers(cells[m].data(), rows, count);
    maps.push_back({cells[m].data(), count});
  }
  return rows;
}

// T: float, or int16_t for the bits of bfloat16.
template <class T>
void bind(nb::module_& m) {
  m.def(
      "sum_of_maxima",
      [](Items<const T> x, const Numbers& cells, const Maxima<float>& maxima, Items<T> out,
         int threads) {
        std::vector<onet::CellNumbers> maps;
        const auto rows = check(x, cells, maxima, out, maps);
        std::vector<float*> tables;
        for (const auto& table : maxima) tables.push_back(table.data());
        nb::gil_scoped_release release;
        onet::sum_of_maxima(values(x.data()), rows, maps, tables, values(out.data()), threads);
      },
      "x"_a.noconvert(), "cells"_a.noconvert(), "maxima"_a.noconvert(), "out"_a.noconvert(),
      "threads"_a = 0);
  m.def(
      "sum_of_maxima_gradient",
      [](Items<const T> x, const Numbers& cells, const Maxima<const float>& maxima,
         Items<const T> gradient, Items<T> out, int threads) {
        std::vector<onet::CellNumbers> maps;
        const auto rows = check(x, cells, maxima, out, maps);
        for (size_t axis = 0; axis < 3; ++axis)
          if (gradient.shape(axis) != x.shape(axis))
            throw nb::value_error("x and gradient must be (B, N, F)");
        std::vector<const float*> tables;
        for (const auto& table : maxima) tables.push_back(table.data());
        nb::gil_scoped_release release;
        onet::sum_of_maxima_gradient(values(x.data()), rows, maps, tables, values(gradient.data()),
                                     values(out.data()), threads);
      },
      "x"_a.noconvert(), "cells"_a.noconvert(), "maxima"_a.noconvert(), "gradient"_a.noconvert(),
      "out"_a.noconvert(), "threads"_a = 0);
}

}  // namespace

void bind_cell_maxima(nb::module_& m) {
  bind<float>(m);
  bind<int16_t>(m);
}
