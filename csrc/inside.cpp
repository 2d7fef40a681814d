#include "inside.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "corners.h"
#include "parallel.h"
#include "parity.h"

namespace onet {
namespace {

struct Box {
  double low[3], high[3];
};

Box bounds(const double* vertices, const int64_t* faces, int64_t face_count) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  Box box{{inf, inf, inf}, {-inf, -inf, -inf}};
  bool valid = true;
  for (int64_t i = 0; i < 3 * face_count; ++i) {
    const double* v = vertices + 3 * faces[i];
    for (int axis = 0; axis < 3; ++axis) {
      valid &= std::abs(v[axis]) <= kLargestCoordinate;
      box.low[axis] = std::min(box.low[axis], v[axis]);
      box.high[axis] = std::max(box.high[axis], v[axis]);
    }
  }
  if (!valid) check_corners(vertices, faces, face_count);
  return box;
}

// The points that a mesh may hold, sorted into the columns of a regular grid over the xy plane,
// along y first. Sorting the points, not the triangles, leaves nothing to store of the mesh: its
// triangles are read once, in their order, and find the points below them in one run for each x.
class Columns {
 public:
  Columns(const Box& box, const double* points, int64_t count) {
    side_ = std::clamp<int64_t>(static_cast<int64_t>(std::sqrt(0.5 * count)), 1, 4096);
    for (int axis = 0; axis < 2; ++axis) {
      low_[axis] = box.low[axis];
      const double scale = side_ / (box.high[axis] - box.low[axis]);
      scale_[axis] = std::isfinite(scale) ? scale : 0.0;
    }
    const auto covers = [&](const double* p) {  // NaN is outside
      return p[0] >= box.low[0] && p[0] < box.high[0] && p[1] >= box.low[1] && p[1] < box.high[1] &&
             p[2] < box.high[2];
    };
    std::vector<int32_t> where(count, -1);
    start_.assign(side_ * side_ + 2, 0);  // one more: filling moves every start to its end
    for (int64_t i = 0; i < count; ++i) {
      const double* p = points + 3 * i;
      if (!covers(p)) continue;
      where[i] = static_cast<int32_t>(column(0, p[0]) * side_ + column(1, p[1]));
      ++start_[where[i] + 2];
    }
    for (size_t c = 1; c < start_.size(); ++c) start_[c] += start_[c - 1];
    points_.resize(start_.back());
    index_.resize(start_.back());
    for (int64_t i = 0; i < count; ++i) {
      if (where[i] < 0) continue;
      const int64_t at = start_[where[i] + 1]++;
      points_[at] = load(points + 3 * i);
      index_[at] = i;
    }
  }

  int64_t size() const { return points_.size(); }
  int64_t index(int64_t k) const { return index_[k]; }  // of sorted point k in the input

  // The first x whose columns start at sorted point k or later.
  int64_t cut(int64_t k) const {
    int64_t x = 0;
    while (x < side_ && start_[x * side_] < k) ++x;
    return x;
  }

  // Turns the parity of the points at `from` <= x < `to` whose ray meets the triangle.
  void add(const ParityTriangle& t, int64_t from, int64_t to, uint8_t* parity) const {
    const int64_t x0 = column(0, t.low.x), x1 = column(0, t.high.x);
    if (x1 < from || x0 >= to) return;
    const int64_t y0 = column(1, t.low.y), y1 = column(1, t.high.y);
    const bool large = x1 - x0 > 3 && y1 - y0 > 3;
    for (int64_t x = std::max(x0, from); x <= std::min(x1, to - 1); ++x) {
      const auto [first, last] = large ? run(t, x) : std::pair(y0, y1);
      const int32_t begin = start_[x * side_ + first], end = start_[x * side_ + last + 1];
      for (int32_t k = begin; k < end; ++k) parity[k] ^= ray_meets(t, points_[k]);
    }
  }

 private:
  double grid(int axis, double v) const { return (v - low_[axis]) * scale_[axis]; }
  int64_t column(int axis, double v) const {
    return std::min(static_cast<int64_t>(grid(axis, v)), side_ - 1);
  }

  // The columns at x that the triangle, thin and slanted perhaps, passes, and some more: the
  // margins are far above rounding, so a point left out is one whose ray misses the triangle.
  std::pair<int64_t, int64_t> run(const ParityTriangle& t, int64_t x) const {
    const double left = x - 0.01, right = x + 1.01;
    double low = static_cast<double>(side_), high = 0;
    for (int k = 0; k < 3; ++k) {
      const Vec3 &a = t.corner[k], &b = t.corner[(k + 1) % 3];
      const double ax = grid(0, a.x), ay = grid(1, a.y), bx = grid(0, b.x), by = grid(1, b.y);
      if (std::max(ax, bx) < left || std::min(ax, bx) > right) continue;
      const auto y_at = [&](double x, double otherwise) {
        return ax == bx ? otherwise : ay + (by - ay) * ((x - ax) / (bx - ax));
      };
      const double y0 = y_at(std::clamp(ax, left, right), ay);
      const double y1 = y_at(std::clamp(bx, left, right), by);
      low = std::min({low, y0, y1});
      high = std::max({high, y0, y1});
    }
    return {std::max<int64_t>(static_cast<int64_t>(low) - 1, 0),
            std::min(static_cast<int64_t>(high) + 1, side_ - 1)};
  }

  int64_t side_;
  double low_[2], scale_[2];
  std::vector<int32_t> start_;
  std::vector<Vec3> points_;
  std::vector<int64_t> index_;
};

}  // namespace

void contains(const double* vertices, const int64_t* faces, int64_t face_count,
              const double* points, int64_t point_count, uint8_t* inside, int threads) {
  std::fill(inside, inside + point_count, uint8_t{0});
  if (face_count == 0) return;
  const Columns columns(bounds(vertices, faces, face_count), points, point_count);
  std::vector<uint8_t> parity(columns.size());
  // Every thread has its own points, about equally many, and reads all triangles.
  const int slabs = threads > 0 ? threads : default_threads();
  parallel_for(slabs, slabs, 1, [&](int64_t begin, int64_t end) {
    const int64_t from = columns.cut(begin * columns.size() / slabs);
    const int64_t to = columns.cut(end * columns.size() / slabs);
    for (int64_t i = 0; i < face_count; ++i)
      columns.add(parity_triangle(vertices, faces + 3 * i), from, to, parity.data());
  });
  for (int64_t k = 0; k < columns.size(); ++k) inside[columns.index(k)] = parity[k];
}

}  // namespace onet
