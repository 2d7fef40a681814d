#include "depth_map.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "parallel.h"

namespace onet {

void rasterize(const double* vertices, const int64_t* faces, int64_t face_count, int64_t width,
               int64_t height, float* depth, int32_t* face) {
  std::fill(depth, depth + width * height, std::numeric_limits<float>::infinity());
  if (face) std::fill(face, face + width * height, -1);
  for (int64_t f = 0; f < face_count; ++f) {
    const Vec3 a = load(vertices + 3 * faces[3 * f]);
    const Vec3 b = load(vertices + 3 * faces[3 * f + 1]);
    const Vec3 c = load(vertices + 3 * faces[3 * f + 2]);
    const double area = (b.x - a.x) * (c.y - a.y) - (c.x - a.x) * (b.y - a.y);
    if (area == 0 || !std::isfinite(area)) continue;
    const auto [left, right] = std::minmax({a.x, b.x, c.x});
    const auto [top, bottom] = std::minmax({a.y, b.y, c.y});
    if (right < 0 || bottom < 0 || left > width || top > height) continue;
    const auto first = [](double v) { return int64_t(std::ceil(std::max(v, 0.0) - 0.5)); };
    const auto last = [](double v, int64_t n) {
      return std::min(n - 1, int64_t(std::floor(std::min(v, double(n)) - 0.5)));
    };
    for (int64_t y = std::max<int64_t>(0, first(top)); y <= last(bottom, height); ++y) {
      const double py = y + 0.5;
      for (int64_t x = std::max<int64_t>(0, first(left)); x <= last(right, width); ++x) {
        const double px = x + 0.5;
        const double v = ((px - a.x) * (c.y - a.y) - (c.x - a.x) * (py - a.y)) / area;
        const double w = ((b.x - a.x) * (py - a.y) - (px - a.x) * (b.y - a.y)) / area;
        if (v < 0 || w < 0 || v + w > 1) continue;
        const float z = static_cast<float>(a.z + v * (b.z - a.z) + w * (c.z - a.z));
        const int64_t pixel = y * width + x;
        if (z < depth[pixel]) {
          depth[pixel] = z;
          if (face) face[pixel] = static_cast<int32_t>(f);
        }
      }
    }
  }
}

Views::Views(const double* vertices, int64_t vertex_count, const int64_t* faces, int64_t face_count,
             const double* directions, int64_t direction_count, int64_t size, double radius,
             int threads)
    : size_(size), radius_(radius), views_(direction_count) {
  parallel_for(direction_count, threads, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> projected(3 * vertex_count);
    std::vector<float> raw(size * size), rows(size * size);
    for (int64_t i = begin; i < end; ++i) {
      View& view = views_[i];
      view.towards = load(directions + 3 * i);
      const Vec3 t = view.towards;
      const Vec3 other = std::abs(t.y) < 0.9 ? Vec3{0, 1, 0} : Vec3{1, 0, 0};
      const Vec3 side = cross(other, t);
      view.right = (1 / std::sqrt(dot(side, side))) * side;
      view.down = cross(view.right, t);
      const double scale = size / (2 * radius);
      for (int64_t v = 0; v < vertex_count; ++v) {
        const Vec3 p = load(vertices + 3 * v);
        projected[3 * v] = (dot(p, view.right) + radius) * scale;
        projected[3 * v + 1] = (dot(p, view.down) + radius) * scale;
        projected[3 * v + 2] = -dot(p, t);
      }
      rasterize(projected.data(), faces, face_count, size, size, raw.data(), nullptr);
      for (int64_t y = 0; y < size; ++y)
        for (int64_t x = 0; x < size; ++x) {
          const float* row = raw.data() + y * size;
          rows[y * size + x] =
              std::min({row[std::max<int64_t>(x - 1, 0)], row[x], row[std::min(x + 1, size - 1)]});
        }
      view.depth.resize(size * size);
      for (int64_t y = 0; y < size; ++y)
        for (int64_t x = 0; x < size; ++x)
          view.depth[y * size + x] =
              std::min({rows[std::max<int64_t>(y - 1, 0) * size + x], rows[y * size + x],
                        rows[std::min(y + 1, size - 1) * size + x]});
    }
  });
}

bool Views::shows(const View& view, const Vec3& point) const {
  const double scale = size_ / (2 * radius_);
  const double x = (dot(point, view.right) + radius_) * scale;
  const double y = (dot(point, view.down) + radius_) * scale;
  const bool on_map = x >= 0 && y >= 0 && x < size_ && y < size_;
  return !on_map || -dot(point, view.towards) < view.depth[int64_t(y) * size_ + int64_t(x)];
}

void Views::visible(const double* points, int64_t point_count, uint8_t* visible,
                    int threads) const {
  parallel_for(point_count, threads, 1024, [&](int64_t begin, int64_t end) {
    size_t likely = 0;  // neighbouring points tend to be seen by the same view
    for (int64_t i = begin; i < end; ++i) {
      const Vec3 p = load(points + 3 * i);
      visible[i] = 0;
      for (size_t k = 0; k < views_.size(); ++k) {
        const size_t index = (likely + k) % views_.size();
        if (shows(views_[index], p)) {
          visible[i] = 1;
          likely = index;
          break;
        }
      }
    }
  });
}

void Views::count(const double* points, int64_t point_count, int32_t* counts, int threads) const {
  parallel_for(point_count, threads, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Vec3 p = load(points + 3 * i);
      counts[i] = 0;
      for (const View& view : views_) counts[i] += shows(view, p);
    }
  });
}

}  // namespace onet
