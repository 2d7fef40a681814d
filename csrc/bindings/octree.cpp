#include "../octree.h"

#include <nanobind/stl/array.h>
#include <nanobind/stl/vector.h>

#include "arrays.h"

namespace {

using onet::Octree;

nb::tuple points(const Octree& tree) {
  const size_t n = tree.points();
  std::vector<int32_t> coordinates(3 * n);
  std::vector<float> values(n);
  std::vector<uint8_t> evaluated(n);
  tree.read_points(coordinates.data(), values.data(), evaluated.data());
  return nb::make_tuple(to_numpy(std::move(coordinates), {n, 3}), to_numpy(std::move(values), {n}),
                        to_numpy(std::move(evaluated), {n}));
}

}  // namespace

void bind_octree(nb::module_& m) {
  nb::class_<Octree>(m, "Octree")
      .def(
          "__init__",
          [](Octree* self, std::array<int32_t, 3> base, int levels, bool predict, float margin,
             int threads) {
            new (self) Octree(base, levels, predict, margin, onet::CpuBackend(threads));
          },
          "base"_a, "levels"_a, "predict"_a = false, "margin"_a = 0.0f, "threads"_a = 0)
      .def_prop_ro("levels", &Octree::levels)
      .def_prop_ro("resolution", &Octree::resolution)
      .def_prop_ro("pending", &Octree::pending)
      .def_prop_ro("evaluated", &Octree::evaluated)
      .def_prop_ro("box_contacts", &Octree::box_contacts)
      .def_prop_ro("bytes", &Octree::bytes)
      .def_prop_ro("peak_bytes", &Octree::peak_bytes)
      .def(
          "refine",
          [](Octree& tree, Rows<int32_t> cells) {
            nb::gil_scoped_release release;
            tree.refine(cells.data(), cells.shape(0));
          },
          "cells"_a.noconvert())
      .def("pending_points",
           [](const Octree& tree) {
             std::vector<int32_t> out(3 * tree.pending());
             tree.pending_points(0, tree.pending(), out.data());
             return to_numpy(std::move(out), {static_cast<size_t>(tree.pending()), 3});
           })
      .def(
          "pending_positions",
          [](const Octree& tree, std::array<double, 3> origin, double cell, int64_t first,
             int64_t count) {
            if (first < 0 || count < 0 || first + count > tree.pending())
              throw nb::index_error("not that many points are pending");
            std::vector<float> out(3 * count);
            {
              nb::gil_scoped_release release;
              tree.pending_positions(origin, cell, first, count, out.data());
            }
            return to_numpy(std::move(out), {static_cast<size_t>(count), 3});
          },
          "origin"_a, "cell"_a, "first"_a, "count"_a)
      .def("points", &points)
      .def("evaluations_per_level", &Octree::evaluations_per_level)
      .def(
          "update",
          [](Octree& tree, Vector<float> values) {
            nb::gil_scoped_release release;
            tree.update(values.data(), values.shape(0));
          },
          "values"_a.noconvert())
      .def(
          "interpolate",
          [](const Octree& tree, Rows<double> positions) {
            std::vector<float> out(positions.shape(0));
            tree.interpolate(positions.data(), positions.shape(0), out.data());
            return to_numpy(std::move(out), {positions.shape(0)});
          },
          "positions"_a.noconvert())
      .def(
          "values_at",
          [](const Octree& tree, Rows<int32_t> coordinates) {
            std::vector<float> out(coordinates.shape(0));
            {
              nb::gil_scoped_release release;
              tree.values_at(coordinates.data(), coordinates.shape(0), out.data());
            }
            return to_numpy(std::move(out), {coordinates.shape(0)});
          },
          "coordinates"_a.noconvert());
}
