#include "closest_point.h"

#include <algorithm>
#include <cmath>

namespace onet {
namespace {

struct ClosestPoint {
  double distance2;
  int32_t index;  // of the face
  int32_t block;
  Vec3 point;
};

Vec3 closest_on_segment(Vec3 p, Vec3 a, Vec3 b) {
  const Vec3 ab = b - a;
  const double length2 = dot(ab, ab);
  const double t = length2 > 0 ? std::clamp(dot(p - a, ab) / length2, 0.0, 1.0) : 0.0;
  return a + t * ab;
}

// Ericson, Real-Time Collision Detection, section 5.1.5: Voronoi regions of a triangle. The regions
// of a sliver drown in rounding: there the edges are asked as well, and the nearest answer counts.
Vec3 closest_on_triangle(Vec3 p, Vec3 a, Vec3 b, Vec3 c) {
  const Vec3 ab = b - a, ac = c - a, bc = c - b, ap = p - a;
  const Vec3 normal = cross(ab, ac);
  const double longest2 = std::max({dot(ab, ab), dot(ac, ac), dot(bc, bc)});
  const bool sliver = dot(normal, normal) <= 1e-8 * longest2 * longest2;
  const double d1 = dot(ab, ap), d2 = dot(ac, ap);
  const Vec3 bp = p - b, cp = p - c;
  const double d3 = dot(ab, bp), d4 = dot(ac, bp), d5 = dot(ab, cp), d6 = dot(ac, cp);
  const double va = d3 * d6 - d5 * d4, vb = d5 * d2 - d1 * d6, vc = d1 * d4 - d3 * d2;
  const double sum = va + vb + vc;
  if (sliver) {
    Vec3 best = closest_on_segment(p, a, b);
    auto consider = [&](Vec3 q) {
      if (dot(p - q, p - q) < dot(p - best, p - best)) best = q;
    };
    consider(closest_on_segment(p, b, c));
    consider(closest_on_segment(p, a, c));
    if (va > 0 && vb > 0 && vc > 0) consider(a + (vb / sum) * ab + (vc / sum) * ac);
    return best;
  }
  if (d1 <= 0 && d2 <= 0) return a;
  if (d3 >= 0 && d4 <= d3) return b;
  if (d6 >= 0 && d5 <= d6) return c;
  if (vc <= 0 && d1 >= 0 && d3 <= 0) return closest_on_segment(p, a, b);
  if (vb <= 0 && d2 >= 0 && d6 <= 0) return closest_on_segment(p, a, c);
  if (va <= 0 && d4 >= d3 && d5 >= d6) return closest_on_segment(p, b, c);
  return a + (vb / sum) * ab + (vc / sum) * ac;
}

// Rounding may carry a closest point past the corners; back in their box, it is nowhere nearer to p
// than the box is, which is what the search relies on.
double into_range(double v, double a, double b, double c) {
  return std::clamp(v, std::min({a, b, c}), std::max({a, b, c}));
}

struct ClosestInBlock {
  const TriangleTree::Triangle* triangles;

  void operator()(const double* q, int32_t block, ClosestPoint& best) const {
    const TriangleTree::Triangle& t = triangles[block];
    const Vec3 p = load(q);
    Vec3 c = closest_on_triangle(p, t.a, t.b, t.c);
    c = {into_range(c.x, t.a.x, t.b.x, t.c.x), into_range(c.y, t.a.y, t.b.y, t.c.y),
         into_range(c.z, t.a.z, t.b.z, t.c.z)};
    const double distance2 = dot(p - c, p - c);
    if (distance2 < best.distance2 || (distance2 == best.distance2 && t.face < best.index))
      best = {distance2, t.face, block, c};
  }
};

std::vector<TriangleTree::Triangle> along_curve(const double* vertices, const int64_t* faces,
                                                int64_t face_count) {
  std::vector<double> centres(3 * face_count);  // times 3
  for (int64_t i = 0; i < face_count; ++i)
    for (int axis = 0; axis < 3; ++axis)
      centres[3 * i + axis] = vertices[3 * faces[3 * i] + axis] +
                              vertices[3 * faces[3 * i + 1] + axis] +
                              vertices[3 * faces[3 * i + 2] + axis];
  std::vector<TriangleTree::Triangle> triangles;
  triangles.reserve(face_count);
  for (const int32_t i : hilbert_order(centres.data(), face_count, 1))
    triangles.push_back({load(vertices + 3 * faces[3 * i]), load(vertices + 3 * faces[3 * i + 1]),
                         load(vertices + 3 * faces[3 * i + 2]), i});
  return triangles;
}

}  // namespace

TriangleTree::TriangleTree(const double* vertices, const int64_t* faces, int64_t face_count)
    : triangles_(along_curve(vertices, faces, face_count)),
      tree_(face_count, [&](int64_t i, double* low, double* high) {
        const Triangle& t = triangles_[i];
        for (int axis = 0; axis < 3; ++axis) {
          low[axis] = std::min({t.a[axis], t.b[axis], t.c[axis]});
          high[axis] = std::max({t.a[axis], t.b[axis], t.c[axis]});
        }
        return t.face;
      }) {}

void TriangleTree::closest(const double* points, int64_t point_count, double* closest,
                           double* distance, int64_t* face, int threads) const {
  tree_.search<ClosestPoint>(points, point_count, threads, ClosestInBlock{triangles_.data()},
                             [=](int64_t i, const ClosestPoint& best) {
                               closest[3 * i] = best.point.x;
                               closest[3 * i + 1] = best.point.y;
                               closest[3 * i + 2] = best.point.z;
                               distance[i] = std::sqrt(best.distance2);
                               face[i] = best.index;
                             });
}

}  // namespace onet
