#include "inside.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "parallel.h"
#include "parity.h"

namespace onet {
namespace {

// Triangles sorted into the columns of a regular grid over the xy plane.
class Columns {
 public:
  Columns(const std::vector<ParityTriangle>& triangles) : triangles_(triangles) {
    constexpr double inf = std::numeric_limits<double>::infinity();
    double low[2] = {inf, inf}, high[2] = {-inf, -inf};
    for (const auto& t : triangles)
      for (const auto& corner : t.corner)
        for (int axis = 0; axis < 2; ++axis) {
          low[axis] = std::min(low[axis], corner[axis]);
          high[axis] = std::max(high[axis], corner[axis]);
        }
    const double side = std::sqrt(static_cast<double>(triangles.size()));
    for (int axis = 0; axis < 2; ++axis) {
      count_[axis] = std::clamp<int64_t>(static_cast<int64_t>(1.5 * side), 1, 2048);
      low_[axis] = low[axis];
      high_[axis] = high[axis];
      scale_[axis] = high[axis] > low[axis] ? count_[axis] / (high[axis] - low[axis]) : 0.0;
    }
    start_.assign(count_[0] * count_[1] + 1, 0);
    for (int pass = 0; pass < 2; ++pass) {
      for (size_t i = 0; i < triangles.size(); ++i)
        for_columns(triangles[i], [&](int64_t c) {
          if (pass == 0) ++start_[c + 1];
          else items_[start_[c]++] = static_cast<int32_t>(i);
        });
      if (pass == 0) {
        for (size_t c = 1; c < start_.size(); ++c) start_[c] += start_[c - 1];
        items_.resize(start_.back());
      } else {  // filling moved every start to its end
        std::rotate(start_.begin(), start_.end() - 1, start_.end());
        start_[0] = 0;
      }
    }
  }

  bool parity(const Vec3& p) const {
    for (int axis = 0; axis < 2; ++axis)
      if (!(p[axis] >= low_[axis] && p[axis] <= high_[axis])) return false;
    const int64_t c = column(0, p.x) * count_[1] + column(1, p.y);
    bool inside = false;
    for (int32_t i = start_[c]; i < start_[c + 1]; ++i)
      inside ^= ray_meets(triangles_[items_[i]], p);
    return inside;
  }

 private:
  int64_t column(int axis, double v) const {
    return std::clamp<int64_t>(static_cast<int64_t>((v - low_[axis]) * scale_[axis]), 0,
                               count_[axis] - 1);
  }

  template <class Visit>
  void for_columns(const ParityTriangle& t, Visit visit) const {
    int64_t from[2], to[2];
    for (int axis = 0; axis < 2; ++axis) {
      const auto [a, b] =
          std::minmax({t.corner[0][axis], t.corner[1][axis], t.corner[2][axis]});
      from[axis] = column(axis, a);
      to[axis] = column(axis, b);
    }
    for (int64_t i = from[0]; i <= to[0]; ++i)
      for (int64_t j = from[1]; j <= to[1]; ++j) visit(i * count_[1] + j);
  }

  const std::vector<ParityTriangle>& triangles_;
  int64_t count_[2];
  double low_[2], high_[2], scale_[2];
  std::vector<int32_t> start_, items_;
};

}  // namespace

void contains(const double* vertices, int64_t, const int64_t* faces, int64_t face_count,
              const double* points, int64_t point_count, uint8_t* inside, int threads) {
  std::fill(inside, inside + point_count, uint8_t{0});
  if (face_count == 0) return;
  std::vector<ParityTriangle> triangles(face_count);
  for (int64_t i = 0; i < face_count; ++i) triangles[i] = parity_triangle(vertices, faces + 3 * i);
  const Columns columns(triangles);
  parallel_for(point_count, threads, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) inside[i] = columns.parity(load(points + 3 * i));
  });
}

}  // namespace onet
