#include "rays.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "box_tree.h"
#include "vec3.h"

namespace onet {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Ray {
  Vec3 origin, direction;
  double nearest;
};

struct Corners {
  Vec3 a, b, c;
  int64_t face;
};

// Moeller and Trumbore, Fast, Minimum Storage Ray/Triangle Intersection, 1997.
double meets(const Ray& ray, const Corners& t) {
  const Vec3 ab = t.b - t.a, ac = t.c - t.a, p = cross(ray.direction, ac);
  const double det = dot(ab, p);
  if (det == 0) return kInfinity;
  const Vec3 s = ray.origin - t.a;
  const double u = dot(s, p) / det;
  if (!(u >= 0 && u <= 1)) return kInfinity;
  const Vec3 q = cross(s, ab);
  const double v = dot(ray.direction, q) / det;
  if (!(v >= 0 && u + v <= 1)) return kInfinity;
  const double along = dot(ac, q) / det;
  return along > ray.nearest ? along : kInfinity;
}

// Where the ray enters a box, infinity if it does not before `limit`. Boxes are widened by a
// rounding error, so that flat ones are met.
double enters(const Ray& ray, const BoxNode& node, int k, double limit) {
  double low = ray.nearest, high = limit;
  for (int axis = 0; axis < 3; ++axis) {
    const double from = node.low[axis][k], to = node.high[axis][k];
    if (!(from <= to)) return kInfinity;  // an absent child
    const double o = ray.origin[axis], d = ray.direction[axis];
    const double slack = 1e-12 * (std::abs(from) + std::abs(to) + std::abs(o));
    if (d == 0) {
      if (o < from - slack || o > to + slack) return kInfinity;
      continue;
    }
    const double s = (from - slack - o) / d, t = (to + slack - o) / d;
    low = std::max(low, std::min(s, t));
    high = std::min(high, std::max(s, t));
  }
  return low <= high ? low : kInfinity;
}

void search(const BoxTreeView& tree, const std::vector<Corners>& triangles, const Ray& ray,
            double& best, int64_t& face) {
  struct Entry {
    double enters;
    int32_t node, level;
  } stack[(kChildren - 1) * kMaxLevels + 1];
  int depth = 0;
  stack[depth++] = {0, 0, tree.levels - 1};
  while (depth) {
    const Entry entry = stack[--depth];
    if (entry.enters > best) continue;
    const BoxNode& node = tree.nodes[tree.start[entry.level] + entry.node];
    const int base = depth;
    for (int k = 0; k < kChildren; ++k) {
      const double at = enters(ray, node, k, best);
      if (at == kInfinity) continue;
      const int32_t child = entry.node * kChildren + k;
      if (entry.level == 0) {
        const double hit = meets(ray, triangles[child]);
        if (hit < best || (hit == best && hit < kInfinity && triangles[child].face < face))
          best = hit, face = triangles[child].face;
        continue;
      }
      int place = depth++;
      for (; place > base && stack[place - 1].enters < at; --place) stack[place] = stack[place - 1];
      stack[place] = {at, child, entry.level - 1};
    }
  }
}

}  // namespace

void first_hits(const double* vertices, const int64_t* faces, int64_t face_count,
                const double* origins, const double* directions, int64_t ray_count, double nearest,
                double* distance, int64_t* face, int threads) {
  std::fill_n(distance, ray_count, kInfinity);
  std::fill_n(face, ray_count, -1);
  if (face_count == 0) return;
  std::vector<double> centres(3 * face_count);
  for (int64_t i = 0; i < face_count; ++i)
    for (int axis = 0; axis < 3; ++axis)
      centres[3 * i + axis] = vertices[3 * faces[3 * i] + axis] / 3 +
                              vertices[3 * faces[3 * i + 1] + axis] / 3 +
                              vertices[3 * faces[3 * i + 2] + axis] / 3;
  std::vector<Corners> triangles;
  triangles.reserve(face_count);
  for (const int32_t i : hilbert_order(centres.data(), face_count, 1)) {
    const int64_t* f = faces + 3 * int64_t{i};
    triangles.push_back(
        {load(vertices + 3 * f[0]), load(vertices + 3 * f[1]), load(vertices + 3 * f[2]), i});
  }
  const BoxTree boxes(face_count, [&](int64_t i, double* low, double* high) {
    const Corners& t = triangles[i];
    for (int axis = 0; axis < 3; ++axis) {
      low[axis] = std::min({t.a[axis], t.b[axis], t.c[axis]});
      high[axis] = std::max({t.a[axis], t.b[axis], t.c[axis]});
    }
    return static_cast<int32_t>(t.face);
  });
  const BoxTreeView tree = boxes.view();
  parallel_for(ray_count, threads, 256, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      search(tree, triangles, {load(origins + 3 * i), load(directions + 3 * i), nearest},
             distance[i], face[i]);
  });
}

}  // namespace onet
