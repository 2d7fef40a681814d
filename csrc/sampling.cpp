#include "sampling.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "parallel.h"
#include "vec3.h"

namespace onet {
namespace {

struct Corners {
  Vec3 a, b, c;
  Vec3 normal() const { return cross(b - a, c - a); }  // twice the area long
};

Corners corners(const double* vertices, const int64_t* face) {
  return {load(vertices + 3 * face[0]), load(vertices + 3 * face[1]), load(vertices + 3 * face[2])};
}

double length(Vec3 v) { return std::sqrt(dot(v, v)); }

}  // namespace

double surface_area(const double* vertices, const int64_t* faces, int64_t face_count) {
  double sum = 0;
  for (int64_t i = 0; i < face_count; ++i)
    sum += length(corners(vertices, faces + 3 * i).normal()) / 2;
  return sum;
}

void sample_surface(const double* vertices, const int64_t* faces, int64_t face_count,
                    const double* pick, const double* within, int64_t n, double* points,
                    double* normals, int64_t* index, int threads) {
  std::vector<double> area(face_count);  // of the triangles up to this one
  double total = 0;
  for (int64_t i = 0; i < face_count; ++i)
    area[i] = total += length(corners(vertices, faces + 3 * i).normal()) / 2;
  // Where to begin the search for the first triangle whose sum is above the number picked: its
  // expected length is constant, however different the triangles are.
  std::vector<int64_t> first(face_count);
  for (int64_t i = 0, bucket = 0; bucket < face_count; ++bucket) {
    while (i + 1 < face_count && area[i] <= total * (double(bucket) / face_count)) ++i;
    first[bucket] = i;
  }
  const int64_t last = std::lower_bound(area.begin(), area.end(), total) - area.begin();
  parallel_for(n, threads, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      const double wanted = pick[k] * total;
      int64_t i = first[std::min(static_cast<int64_t>(pick[k] * face_count), face_count - 1)];
      while (i > 0 && area[i - 1] > wanted) --i;
      while (i < last && area[i] <= wanted) ++i;
      const Corners t = corners(vertices, faces + 3 * i);
      double u = within[2 * k], v = within[2 * k + 1];
      if (u + v > 1) u = 1 - u, v = 1 - v;  // the other half of the parallelogram
      const Vec3 point = t.a + (u * (t.b - t.a) + v * (t.c - t.a)), normal = t.normal();
      const double scale = 1 / length(normal);
      for (int axis = 0; axis < 3; ++axis) {
        points[3 * k + axis] = point[axis];
        normals[3 * k + axis] = scale * normal[axis];
      }
      index[k] = i;
    }
  });
}

}  // namespace onet
