#include "../cuda_octree.h"

#include <nanobind/stl/array.h>
#include <nanobind/stl/vector.h>

#include "cuda_arrays.h"

using onet::CudaOctree;

void bind_cuda_octree(nb::module_& m) {
  nb::class_<CudaOctree>(m, "Octree")
      .def(
          "__init__",
          [](CudaOctree* self, std::array<int32_t, 3> base, int levels, bool predict, float margin,
             int device, uintptr_t stream) {
            nb::gil_scoped_release release;
            new (self) CudaOctree(base, levels, predict, margin,
                                  onet::CudaBackend(device, to_stream(stream)));
          },
          "base"_a, "levels"_a, "predict"_a = false, "margin"_a = 0.0f, "device"_a = 0,
          "stream"_a = 0)
      .def_prop_ro("levels", &CudaOctree::levels)
      .def_prop_ro("resolution", &CudaOctree::resolution)
      .def_prop_ro("pending", &CudaOctree::pending)
      .def_prop_ro("evaluated", &CudaOctree::evaluated)
      .def_prop_ro("box_contacts", &CudaOctree::box_contacts)
      .def_prop_ro("bytes", &CudaOctree::bytes)
      .def_prop_ro("peak_bytes", &CudaOctree::peak_bytes)
      .def("evaluations_per_level", &CudaOctree::evaluations_per_level)
      .def(
          "refine",
          [](CudaOctree& tree, Rows<int32_t> cells) {
            nb::gil_scoped_release release;
            tree.refine(cells.data(), cells.shape(0));
          },
          "cells"_a.noconvert())
      .def(
          "pending_points",
          [](const CudaOctree& tree, CudaRows<int32_t> out) {
            check_place(out, tree.backend().device(), tree.pending(), "out");
            nb::gil_scoped_release release;
            tree.pending_points(0, tree.pending(), out.data());
          },
          "out"_a.noconvert())
      .def(
          "pending_positions",
          [](const CudaOctree& tree, std::array<double, 3> origin, double cell, int64_t first,
             CudaRows<float> out) {
            check_place(out, tree.backend().device(), -1, "out");
            const int64_t count = out.shape(0);
            if (first < 0 || first + count > tree.pending())
              throw nb::index_error("not that many points are pending");
            nb::gil_scoped_release release;
            tree.pending_positions(origin, cell, first, count, out.data());
          },
          "origin"_a, "cell"_a, "first"_a, "out"_a.noconvert())
      .def("points",
           [](const CudaOctree& tree) {
             const size_t n = tree.points();
             std::vector<int32_t> coordinates(3 * n);
             std::vector<float> values(n);
             std::vector<uint8_t> evaluated(n);
             {
               nb::gil_scoped_release release;
               tree.read_points(coordinates.data(), values.data(), evaluated.data());
             }
             return nb::make_tuple(to_numpy(std::move(coordinates), {n, 3}),
                                   to_numpy(std::move(values), {n}),
                                   to_numpy(std::move(evaluated), {n}));
           })
      .def(
          "update",
          [](CudaOctree& tree, CudaVector<const float> values) {
            check_place(values, tree.backend().device(), -1, "values");
            nb::gil_scoped_release release;
            tree.update(values.data(), values.shape(0));
          },
          "values"_a.noconvert())
      .def(
          "interpolate",
          [](const CudaOctree& tree, CudaRows<const double> positions, CudaVector<float> out) {
            check_place(positions, tree.backend().device(), -1, "positions");
            check_place(out, tree.backend().device(), positions.shape(0), "out");
            nb::gil_scoped_release release;
            tree.interpolate(positions.data(), positions.shape(0), out.data());
          },
          "positions"_a.noconvert(), "out"_a.noconvert());
}
