#include "../components.h"

#include "arrays.h"

void bind_components(nb::module_& m) {
  m.def(
      "face_components",
      [](Rows<int64_t> faces, int64_t vertex_count) {
        check_faces(faces, vertex_count);
        int32_t count = 0;
        std::vector<int32_t> component;
        {
          nb::gil_scoped_release release;
          component = onet::face_components(faces.data(), faces.shape(0), vertex_count, count);
        }
        return nb::make_tuple(to_numpy(std::move(component), {faces.shape(0)}), count);
      },
      "faces"_a.noconvert(), "vertex_count"_a);
}
