#include "../crossings.h"

#include <optional>

#include <nanobind/stl/optional.h>

#include "arrays.h"

void bind_crossings(nb::module_& m) {
  m.def(
      "crossings",
      [](Rows<double> vertices, Rows<int64_t> faces, std::optional<Vector<uint8_t>> wanted,
         int threads) {
        check_faces(faces, vertices.shape(0));
        check_coordinates(vertices, "vertices");
        if (wanted && wanted->shape(0) != faces.shape(0))
          throw nb::value_error("wanted: one value a face");
        std::vector<int64_t> flat;
        {
          nb::gil_scoped_release release;
          const auto pairs = onet::crossings(vertices.data(), faces.data(), faces.shape(0),
                                             wanted ? wanted->data() : nullptr, threads);
          flat.reserve(2 * pairs.size());
          for (const auto& pair : pairs) flat.push_back(pair.first), flat.push_back(pair.second);
        }
        const size_t count = flat.size() / 2;
        return to_numpy(std::move(flat), {count, 2});
      },
      "vertices"_a.noconvert(), "faces"_a.noconvert(), "wanted"_a = nb::none(), "threads"_a = 0);
}
