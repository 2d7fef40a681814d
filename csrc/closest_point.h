// Closest points on a triangle mesh, by a bounding volume hierarchy.
#pragma once

#include <cstdint>
#include <vector>

#include "vec3.h"

namespace onet {

class TriangleTree {
 public:
  // vertices (V, 3), faces (F, 3) with indices in [0, V); F >= 1. Keeps a copy of the triangles.
  TriangleTree(const double* vertices, const int64_t* faces, int64_t face_count);

  // For points (P, 3): closest (P, 3), distance (P) and face (P), the index of a closest triangle.
  // Degenerate triangles count as the segments or points that they are.
  void closest(const double* points, int64_t point_count, double* closest, double* distance,
               int64_t* face, int threads) const;

 private:
  struct Node {
    double low[3], high[3];
    int32_t first;  // leaf: first triangle; inner node: right child (the left one follows it)
    int32_t count;  // triangles of a leaf, 0 for an inner node
  };
  struct Triangle {
    Vec3 a, b, c;
  };

  int32_t build(int32_t begin, int32_t end);

  std::vector<Triangle> triangles_;  // in tree order
  std::vector<int64_t> face_;        // their indices in the input
  std::vector<Node> nodes_;
};

}  // namespace onet
