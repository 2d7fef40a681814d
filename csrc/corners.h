// What the tests of points against a mesh accept as corners of its triangles.
#pragma once

#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace onet {

constexpr double kLargestCoordinate = 1e100;  // products of a few of them stay finite

// Throws std::invalid_argument naming the first face with a corner that is NaN or beyond that.
// vertices (V, 3), faces (F, 3) with indices in [0, V); vertices that no face names do not matter.
inline void check_corners(const double* vertices, const int64_t* faces, int64_t face_count) {
  for (int64_t i = 0; i < 3 * face_count; ++i)
    for (int axis = 0; axis < 3; ++axis)
      if (!(std::abs(vertices[3 * faces[i] + axis]) <= kLargestCoordinate))
        throw std::invalid_argument("face " + std::to_string(i / 3) + ": vertex " +
                                    std::to_string(faces[i]) +
                                    " is not finite or beyond 1e100; remove such faces first");
}

}  // namespace onet
