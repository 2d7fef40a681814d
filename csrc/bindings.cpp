// Python bindings. Arrays are checked here and handed on as plain pointers; the interpreter lock is
// released during the work. `.noconvert()` everywhere: a silent copy would hide a wrong dtype.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>

#include <memory>
#include <string>

#include "closest_point.h"
#include "depth_map.h"
#include "inside.h"
#include "marching_cubes.h"
#include "octree.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

template <class T>
using Rows = nb::ndarray<const T, nb::shape<-1, 3>, nb::c_contig, nb::device::cpu>;
template <class T>
using Vector = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// NumPy array that owns the buffer of a vector.
template <class T>
nb::ndarray<nb::numpy, T> to_numpy(std::vector<T> data, std::initializer_list<size_t> shape) {
  auto owned = std::make_unique<std::vector<T>>(std::move(data));
  T* pointer = owned->data();
  nb::capsule owner(owned.release(),
                    [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return nb::ndarray<nb::numpy, T>(pointer, shape, owner);
}

void check_faces(const Rows<int64_t>& faces, size_t vertex_count) {
  const int64_t* index = faces.data();
  for (size_t i = 0; i < 3 * faces.shape(0); ++i)
    if (index[i] < 0 || index[i] >= static_cast<int64_t>(vertex_count))
      throw nb::index_error(("face " + std::to_string(i / 3) + " names vertex " +
                             std::to_string(index[i]) + " of " + std::to_string(vertex_count))
                                .c_str());
  if (faces.shape(0) >= (size_t{1} << 31)) throw nb::value_error("over 2^31 faces");
}

}  // namespace

NB_MODULE(_C, m) {
  m.doc() = "Compiled geometry of onet; see csrc/*.h for the contracts.";

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

  m.def(
      "marching_cubes",
      [](const onet::Octree& tree) {
        onet::TriangleMesh mesh;
        {
          nb::gil_scoped_release release;
          mesh = onet::marching_cubes(tree);
        }
        const size_t v = mesh.vertices.size() / 3, f = mesh.faces.size() / 3;
        return nb::make_tuple(to_numpy(std::move(mesh.vertices), {v, 3}),
                              to_numpy(std::move(mesh.faces), {f, 3}));
      },
      "octree"_a);

  m.def(
      "cube_triangles",
      [](int corners) {
        std::vector<int32_t> out;
        for (const auto& triangle : onet::cube_triangles(corners))
          out.insert(out.end(), triangle.begin(), triangle.end());
        const size_t n = out.size() / 3;
        return to_numpy(std::move(out), {n, 3});
      },
      "corners"_a);

  m.def(
      "contains",
      [](Rows<double> vertices, Rows<int64_t> faces, Rows<double> points, int threads) {
        check_faces(faces, vertices.shape(0));
        std::vector<uint8_t> inside(points.shape(0));
        {
          nb::gil_scoped_release release;
          onet::contains(vertices.data(), vertices.shape(0), faces.data(), faces.shape(0),
                         points.data(), points.shape(0), inside.data(), threads);
        }
        return to_numpy(std::move(inside), {points.shape(0)});
      },
      "vertices"_a.noconvert(), "faces"_a.noconvert(), "points"_a.noconvert(), "threads"_a = 0);

  nb::class_<onet::TriangleTree>(m, "TriangleTree")
      .def(
          "__init__",
          [](onet::TriangleTree* self, Rows<double> vertices, Rows<int64_t> faces) {
            check_faces(faces, vertices.shape(0));
            if (faces.shape(0) == 0) throw nb::value_error("the mesh has no faces");
            new (self) onet::TriangleTree(vertices.data(), faces.data(), faces.shape(0));
          },
          "vertices"_a.noconvert(), "faces"_a.noconvert())
      .def(
          "closest",
          [](const onet::TriangleTree& tree, Rows<double> points, int threads) {
            const size_t n = points.shape(0);
            std::vector<double> closest(3 * n), distance(n);
            std::vector<int64_t> face(n);
            {
              nb::gil_scoped_release release;
              tree.closest(points.data(), n, closest.data(), distance.data(), face.data(), threads);
            }
            return nb::make_tuple(to_numpy(std::move(closest), {n, 3}),
                                  to_numpy(std::move(distance), {n}),
                                  to_numpy(std::move(face), {n}));
          },
          "points"_a.noconvert(), "threads"_a = 0);

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
            new (self) onet::Views(vertices.data(), vertices.shape(0), faces.data(),
                                   faces.shape(0), directions.data(), directions.shape(0), size,
                                   radius, threads);
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
          "points"_a.noconvert(), "threads"_a = 0);
}
