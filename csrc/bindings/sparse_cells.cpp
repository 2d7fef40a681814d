#include "../sparse_cells.h"

#include <nanobind/stl/vector.h>

#include "arrays.h"

namespace {

using Features = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

void check_keys(const Vector<int64_t>& keys) {
  if (keys.shape(0) >= (size_t{1} << 31)) throw nb::value_error("over 2^31 cells");
  for (size_t i = 1; i < keys.shape(0); ++i)
    if (keys.data()[i - 1] >= keys.data()[i]) throw nb::value_error("keys: must ascend");
}

// A pyramid with its features, which are kept alive.
class SparseCells {
 public:
  SparseCells(const std::vector<Vector<int64_t>>& keys, std::vector<Features> features,
              int64_t step_x, int64_t step_y)
      : features_(std::move(features)), steps_{step_x, step_y} {
    if (keys.empty() || keys.size() != features_.size())
      throw nb::value_error("keys, features: one for each level");
    for (size_t l = 0; l < keys.size(); ++l) {
      check_keys(keys[l]);
      if (features_[l].shape(0) < keys[l].shape(0) || features_[l].shape(1) != width())
        throw nb::value_error("features: a row for each cell, of one width");
      levels_.emplace_back(keys[l].data(), keys[l].shape(0));
      levels_.back().features = features_[l].data();
    }
  }

  auto blend(Rows<float> queries, Vector<int64_t> key_starts, int threads) {
    const size_t count = queries.shape(0);
    if (key_starts.shape(0) != count) throw nb::value_error("key_starts: one for each query");
    std::vector<float> out(count * width());
    {
      nb::gil_scoped_release release;
      std::vector<onet::CellLevel*> levels;
      for (onet::CellLevel& level : levels_) levels.push_back(&level);
      onet::blend_levels(levels, static_cast<int64_t>(width()), steps_, queries.data(),
                         key_starts.data(), static_cast<int64_t>(count), out.data(), threads);
    }
    return to_numpy(std::move(out), {count, width()});
  }

 private:
  size_t width() const { return features_.front().shape(1); }

  std::vector<Features> features_;
  onet::CellSteps steps_;
  std::vector<onet::CellLevel> levels_;
};

}  // namespace

void bind_sparse_cells(nb::module_& m) {
  m.def(
      "cell_neighbours",
      [](Vector<int64_t> keys, int64_t step_x, int64_t step_y, int threads) {
        check_keys(keys);
        const size_t count = keys.shape(0);
        std::vector<int32_t> rows(27 * count);
        {
          nb::gil_scoped_release release;
          onet::cell_neighbours(keys.data(), static_cast<int64_t>(count), {step_x, step_y},
                                rows.data(), threads);
        }
        return to_numpy(std::move(rows), {count, 27});
      },
      "keys"_a.noconvert(), "step_x"_a, "step_y"_a, "threads"_a = 0);
  nb::class_<SparseCells>(m, "SparseCells")
      .def(nb::init<const std::vector<Vector<int64_t>>&, std::vector<Features>, int64_t, int64_t>(),
           "keys"_a, "features"_a, "step_x"_a, "step_y"_a)
      .def("blend", &SparseCells::blend, "queries"_a.noconvert(), "key_starts"_a.noconvert(),
           "threads"_a = 0);
}
