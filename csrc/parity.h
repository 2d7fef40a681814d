// The point-in-mesh test of one triangle and one point, for the CPU and CUDA versions.
#pragma once

#include <cstdint>

#include "portable.h"
#include "vec3.h"

namespace onet {

// A triangle with its bounding box.
struct ParityTriangle {
  Vec3 corner[3];
  Vec3 low, high;
};

// face (3) names rows of vertices (V, 3).
ONET_HD inline ParityTriangle parity_triangle(const double* vertices, const int64_t* face) {
  ParityTriangle t;
  for (int k = 0; k < 3; ++k) t.corner[k] = load(vertices + 3 * face[k]);
  t.low = t.high = t.corner[0];
  for (int k = 1; k < 3; ++k) {
    const Vec3& c = t.corner[k];
    if (c.x < t.low.x) t.low.x = c.x;
    if (c.y < t.low.y) t.low.y = c.y;
    if (c.z < t.low.z) t.low.z = c.z;
    if (c.x > t.high.x) t.high.x = c.x;
    if (c.y > t.high.y) t.high.y = c.y;
    if (c.z > t.high.z) t.high.z = c.z;
  }
  return t;
}

// Whether the ray in +x from (x, y), shifted upwards by an infinitesimal amount, crosses the edge
// a-b in the xy plane. Both orders of a and b give the same answer, and so do equal edges of
// different triangles. Beside the edge's range of x the answer is not computed but known, so that
// rounding cannot contradict a test of bounding boxes.
ONET_HD inline bool crosses_edge(const Vec3& a, const Vec3& b, double x, double y) {
  if ((a.y > y) == (b.y > y)) return false;
  if (x < a.x && x < b.x) return true;
  if (x >= a.x && x >= b.x) return false;
  const Vec3 &low = a.y < b.y ? a : b, &high = a.y < b.y ? b : a;
  return (high.x - low.x) * (y - low.y) > (x - low.x) * (high.y - low.y);
}

// Whether the ray from p towards +z meets the triangle: xor of this over the triangles of a closed
// mesh, in any order, tells whether p is inside. Triangles whose box, seen along z, does not hold p
// answer false and may be left out: those with p.x outside [low.x, high.x) or p.y outside
// [low.y, high.y). NaN in p answers false. The results are the same everywhere only if the compiler
// does not fuse multiplications and additions (-ffp-contract=off, nvcc -fmad=false).
ONET_HD inline bool ray_meets(const ParityTriangle& t, const Vec3& p) {
  if (!(p.z < t.high.z && p.x >= t.low.x && p.x < t.high.x && p.y >= t.low.y && p.y < t.high.y))
    return false;
  const Vec3 &a = t.corner[0], &b = t.corner[1], &c = t.corner[2];
  if (!(crosses_edge(a, b, p.x, p.y) ^ crosses_edge(b, c, p.x, p.y) ^ crosses_edge(c, a, p.x, p.y)))
    return false;
  if (t.low.z > p.z) return true;
  const Vec3 normal = cross(b - a, c - a);
  if (normal.z == 0) return t.low.z + t.high.z > 2 * p.z;  // edge-on, kept only by rounding
  return dot(normal, p - a) * normal.z < 0;
}

}  // namespace onet
