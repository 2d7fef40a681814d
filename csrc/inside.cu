#include <algorithm>
#include <cmath>
#include <limits>

#include "backend.cuh"
#include "corners.h"
#include "cuda_inside.h"
#include "parity.h"

namespace onet {
namespace {

// A regular grid of columns over the xy plane. The column of a coordinate is monotonic in it, so a
// triangle that a ray meets is in the column of the ray, whatever the rounding.
struct Grid {
  double low[2], high[2], scale[2];
  int32_t side;

  ONET_HD int32_t column(int axis, double v) const {
    const auto c = static_cast<int32_t>((v - low[axis]) * scale[axis]);
    return c < side ? c : side - 1;
  }
  // Calls visit(c) for the columns under the triangle's bounding box.
  template <class Visit>
  ONET_HD void for_columns(const ParityTriangle& t, const Visit& visit) const {
    const int32_t y0 = column(1, t.low.y), y1 = column(1, t.high.y), x1 = column(0, t.high.x);
    for (int32_t x = column(0, t.low.x); x <= x1; ++x)
      for (int32_t y = y0; y <= y1; ++y) visit(x * side + y);
  }
};

// The finest grid of about two columns a triangle in which the triangles have few entries: where
// many are large, fewer and larger columns serve.
Grid make_grid(const double* vertices, const int64_t* faces, int64_t face_count) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  Grid grid = {{inf, inf}, {-inf, -inf}, {}, 0};
  for (int64_t i = 0; i < 3 * face_count; ++i)
    for (int axis = 0; axis < 2; ++axis) {
      const double v = vertices[3 * faces[i] + axis];
      grid.low[axis] = std::min(grid.low[axis], v);
      grid.high[axis] = std::max(grid.high[axis], v);
    }
  const int64_t most_entries = std::min<int64_t>(32 * face_count, INT32_MAX);
  grid.side = std::clamp(static_cast<int32_t>(1.5 * std::sqrt(face_count)), 1, 4096);
  for (;; grid.side = (grid.side + 1) / 2) {
    for (int axis = 0; axis < 2; ++axis) {
      const double scale = grid.side / (grid.high[axis] - grid.low[axis]);
      grid.scale[axis] = std::isfinite(scale) ? scale : 0.0;
    }
    if (grid.side == 1) return grid;
    int64_t entries = 0;
    for (int64_t i = 0; i < face_count; ++i) {
      const ParityTriangle t = parity_triangle(vertices, faces + 3 * i);
      entries += int64_t{grid.column(0, t.high.x) - grid.column(0, t.low.x) + 1} *
                 (grid.column(1, t.high.y) - grid.column(1, t.low.y) + 1);
    }
    if (entries <= most_entries) return grid;
  }
}

struct MakeTriangle {
  Grid grid;
  const double* vertices;
  const int64_t* faces;
  ParityTriangle* triangles;
  int32_t* counts;
  ONET_HD void operator()(int64_t i) const {
    triangles[i] = parity_triangle(vertices, faces + 3 * i);
    int32_t* const into = counts;
    grid.for_columns(triangles[i], [into](int32_t c) { atomic_add(into + c, 1); });
  }
};

struct EnterTriangle {
  Grid grid;
  const ParityTriangle* triangles;
  const int32_t* start;
  int32_t *counts, *entries;  // counts: what is left to enter in each column
  ONET_HD void operator()(int64_t i) const {
    const EnterTriangle& self = *this;
    grid.for_columns(triangles[i], [&self, i](int32_t c) {
      self.entries[self.start[c] + atomic_add(self.counts + c, -1) - 1] = static_cast<int32_t>(i);
    });
  }
};

struct TestPoint {
  Grid grid;
  const ParityTriangle* triangles;
  const int32_t *start, *entries;
  const double* points;
  uint8_t* inside;
  ONET_HD void operator()(int64_t i) const {
    const Vec3 p = load(points + 3 * i);
    bool odd = false;
    // False for NaN as well.
    if (p.x >= grid.low[0] && p.x < grid.high[0] && p.y >= grid.low[1] && p.y < grid.high[1]) {
      const int32_t c = grid.column(0, p.x) * grid.side + grid.column(1, p.y);
      for (int32_t k = start[c]; k < start[c + 1]; ++k) odd ^= ray_meets(triangles[entries[k]], p);
    }
    inside[i] = odd;
  }
};

}  // namespace

void contains(const CudaBackend& backend, const double* vertices, int64_t vertex_count,
              const int64_t* faces, int64_t face_count, const double* points, int64_t point_count,
              uint8_t* inside) {
  check_corners(vertices, faces, face_count);
  if (face_count == 0 || point_count == 0) return backend.fill_bytes(inside, point_count, 0);
  const Grid grid = make_grid(vertices, faces, face_count);
  const int64_t columns = int64_t{grid.side} * grid.side;

  CudaBackend::Buffer<double> corners(backend);
  CudaBackend::Buffer<int64_t> indices(backend);
  CudaBackend::Buffer<ParityTriangle> triangles(backend);
  CudaBackend::Buffer<int32_t> counts(backend), start(backend), entries(backend);
  corners.resize(3 * vertex_count);
  indices.resize(3 * face_count);
  triangles.resize(face_count);
  counts.resize(columns);
  start.resize(columns + 1);
  backend.write(corners.data(), vertices, 3 * vertex_count);
  backend.write(indices.data(), faces, 3 * face_count);
  backend.fill_bytes(counts.data(), columns, 0);

  backend.each(face_count,
               MakeTriangle{grid, corners.data(), indices.data(), triangles.data(), counts.data()});
  backend.exclusive_scan(counts.data(), start.data(), columns);
  int32_t entry_count = 0;
  backend.read(&entry_count, start.data() + columns, 1);
  entries.resize(entry_count);
  backend.each(face_count,
               EnterTriangle{grid, triangles.data(), start.data(), counts.data(), entries.data()});
  backend.each(point_count,
               TestPoint{grid, triangles.data(), start.data(), entries.data(), points, inside});
}

}  // namespace onet
