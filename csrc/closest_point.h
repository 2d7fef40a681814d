// Closest points on a triangle mesh, by a bounding volume hierarchy.
#pragma once

#include <cstdint>
#include <vector>

#include "box_tree.h"
#include "vec3.h"

namespace onet {

class TriangleTree {
 public:
  // vertices (V, 3), faces (F, 3) with indices in [0, V), finite; F >= 1. Keeps a copy.
  TriangleTree(const double* vertices, const int64_t* faces, int64_t face_count);

  // For finite points (P, 3): closest (P, 3), distance (P) and face (P), the index of the triangle:
  // the smallest one where several are equally near. Degenerate triangles count as the segments or
  // points that they are.
  void closest(const double* points, int64_t point_count, double* closest, double* distance,
               int64_t* face, int threads) const;

  struct Triangle {
    Vec3 a, b, c;
    int32_t face;
  };

 private:
  std::vector<Triangle> triangles_;  // along a Hilbert curve through their centres
  BoxTree tree_;                     // a block is one triangle
};

}  // namespace onet
