#include "../simplify.h"

#include <optional>

#include <nanobind/stl/optional.h>

#include "arrays.h"

void bind_simplify(nb::module_& m) {
  m.def(
      "simplify",
      [](Rows<double> vertices, Rows<int64_t> faces, int64_t target,
         std::optional<Vector<uint8_t>> fixed) {
        check_faces(faces, vertices.shape(0));
        if (fixed && fixed->shape(0) != vertices.shape(0))
          throw nb::value_error("fixed: one value a vertex");
        onet::SimplifiedMesh mesh;
        {
          nb::gil_scoped_release release;
          mesh = onet::simplify(vertices.data(), vertices.shape(0), faces.data(), faces.shape(0),
                                target, fixed ? fixed->data() : nullptr);
        }
        const size_t vertex_count = mesh.vertices.size() / 3, face_count = mesh.faces.size() / 3;
        return nb::make_tuple(to_numpy(std::move(mesh.vertices), {vertex_count, 3}),
                              to_numpy(std::move(mesh.faces), {face_count, 3}));
      },
      "vertices"_a.noconvert(), "faces"_a.noconvert(), "target"_a, "fixed"_a = nb::none());
}
