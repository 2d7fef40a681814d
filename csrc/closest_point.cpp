#include "closest_point.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "parallel.h"

namespace onet {
namespace {

constexpr int kLeafSize = 4;

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

double distance2_to_box(const Vec3& p, const double* low, const double* high) {
  double sum = 0;
  for (int axis = 0; axis < 3; ++axis) {
    const double d = std::max({low[axis] - p[axis], 0.0, p[axis] - high[axis]});
    sum += d * d;
  }
  return sum;
}

}  // namespace

TriangleTree::TriangleTree(const double* vertices, const int64_t* faces, int64_t face_count) {
  triangles_.resize(face_count);
  for (int64_t i = 0; i < face_count; ++i)
    triangles_[i] = {load(vertices + 3 * faces[3 * i]), load(vertices + 3 * faces[3 * i + 1]),
                     load(vertices + 3 * faces[3 * i + 2])};
  face_.resize(face_count);
  std::iota(face_.begin(), face_.end(), int64_t{0});
  nodes_.reserve(2 * face_count / kLeafSize + 1);
  build(0, static_cast<int32_t>(face_count));
  std::vector<Triangle> ordered(face_count);
  for (int64_t i = 0; i < face_count; ++i) ordered[i] = triangles_[face_[i]];
  triangles_.swap(ordered);
}

int32_t TriangleTree::build(int32_t begin, int32_t end) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  const int32_t index = static_cast<int32_t>(nodes_.size());
  Node node{{inf, inf, inf}, {-inf, -inf, -inf}, begin, end - begin};
  double low[3] = {inf, inf, inf}, high[3] = {-inf, -inf, -inf};  // of the centroids, times 3
  for (int32_t i = begin; i < end; ++i) {
    const Triangle& t = triangles_[face_[i]];
    for (int axis = 0; axis < 3; ++axis) {
      const auto [a, b] = std::minmax({t.a[axis], t.b[axis], t.c[axis]});
      node.low[axis] = std::min(node.low[axis], a);
      node.high[axis] = std::max(node.high[axis], b);
      const double centre = t.a[axis] + t.b[axis] + t.c[axis];
      low[axis] = std::min(low[axis], centre);
      high[axis] = std::max(high[axis], centre);
    }
  }
  nodes_.push_back(node);
  int axis = 0;
  for (int i = 1; i < 3; ++i)
    if (high[i] - low[i] > high[axis] - low[axis]) axis = i;
  if (end - begin <= kLeafSize) return index;
  const int32_t middle = begin + (end - begin) / 2;
  std::nth_element(face_.begin() + begin, face_.begin() + middle, face_.begin() + end,
                   [&](int64_t a, int64_t b) {
                     const Triangle &s = triangles_[a], &t = triangles_[b];
                     return s.a[axis] + s.b[axis] + s.c[axis] < t.a[axis] + t.b[axis] + t.c[axis];
                   });
  build(begin, middle);
  const int32_t right = build(middle, end);
  nodes_[index].first = right;
  nodes_[index].count = 0;
  return index;
}

void TriangleTree::closest(const double* points, int64_t point_count, double* closest,
                           double* distance, int64_t* face, int threads) const {
  parallel_for(point_count, threads, 256, [&](int64_t begin, int64_t end) {
    int32_t nearest = 0;  // neighbouring queries tend to have neighbouring answers: a good first bound
    for (int64_t i = begin; i < end; ++i) {
      const Vec3 p = load(points + 3 * i);
      const Triangle& guess = triangles_[nearest];
      Vec3 best = closest_on_triangle(p, guess.a, guess.b, guess.c);
      double best2 = dot(p - best, p - best);
      struct Entry {
        int32_t node;
        double distance2;
      } stack[96];
      int depth = 0;
      stack[depth++] = {0, distance2_to_box(p, nodes_[0].low, nodes_[0].high)};
      while (depth) {
        const Entry entry = stack[--depth];
        if (entry.distance2 >= best2) continue;
        const Node& node = nodes_[entry.node];
        if (node.count) {
          for (int32_t t = node.first; t < node.first + node.count; ++t) {
            const Vec3 q = closest_on_triangle(p, triangles_[t].a, triangles_[t].b, triangles_[t].c);
            const double d2 = dot(p - q, p - q);
            if (d2 < best2) best2 = d2, best = q, nearest = t;
          }
          continue;
        }
        const int32_t left = entry.node + 1, right = node.first;
        const double l = distance2_to_box(p, nodes_[left].low, nodes_[left].high);
        const double r = distance2_to_box(p, nodes_[right].low, nodes_[right].high);
        if (l < r) {
          stack[depth++] = {right, r};
          stack[depth++] = {left, l};
        } else {
          stack[depth++] = {left, l};
          stack[depth++] = {right, r};
        }
      }
      closest[3 * i] = best.x;
      closest[3 * i + 1] = best.y;
      closest[3 * i + 2] = best.z;
      distance[i] = std::sqrt(best2);
      face[i] = face_[nearest];
    }
  });
}

}  // namespace onet
