#include "../octree.h"

#include "arrays.h"
#include <nanobind/stl/array.h>

void bind_octree(nb::module_& m) {
  nb::class_<onet::Octree>(m, "Octree")
      .def(nb::init<std::array<int32_t, 3>, int>(), "base"_a, "levels"_a)
      .def_prop_ro("levels", &onet::Octree::levels)
      .def_prop_ro("resolution", &onet::Octree::resolution)
      .def_prop_ro("pending", &onet::Octree::pending)
      .def_prop_ro("evaluated", &onet::Octree::evaluated)
      .def_prop_ro("box_contacts", &onet::Octree::box_contacts)
      .def_prop_ro("bytes", &onet::Octree::bytes)
      .def(
          "refine",
          [](onet::Octree& tree, Rows<int32_t> cells) {
            nb::gil_scoped_release release;
            tree.refine(cells.data(), cells.shape(0));
          },
          "cells"_a.noconvert())
      .def("pending_points",
           [](const onet::Octree& tree) {
             std::vector<int32_t> out(3 * tree.pending());
             tree.pending_points(out.data());
             return to_numpy(std::move(out), {static_cast<size_t>(tree.pending()), 3});
           })
      .def("points",
           [](const onet::Octree& tree) {
             std::vector<int32_t> out(3 * tree.evaluated());
             tree.points(out.data());
             return to_numpy(std::move(out), {static_cast<size_t>(tree.evaluated()), 3});
           })
      .def("values",
           [](const onet::Octree& tree) {
             return to_numpy(std::vector<float>(tree.values()), {tree.values().size()});
           })
      .def(
          "update",
          [](onet::Octree& tree, Vector<float> values) {
            nb::gil_scoped_release release;
            tree.update(values.data(), values.shape(0));
          },
          "values"_a.noconvert());
}
