// Depth maps of random triangles.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "../../csrc/depth_map.h"
#include "checks.h"
#include "inputs.h"
#include "queries.h"

namespace fuzz {
namespace {

// Where a vertical line meets a triangle: the smallest barycentric coordinate, and z.
struct Shadow {
  long double clearance = -1, depth = kInf;
};

Shadow shadow_of(const Mesh& mesh, int64_t face, const double* p) {
  using Real = long double;
  const auto twice_area = [](const double* a, const double* b, const double* c) {
    return (Real(b[0]) - a[0]) * (Real(c[1]) - a[1]) - (Real(c[0]) - a[0]) * (Real(b[1]) - a[1]);
  };
  const double *a = mesh.corner(face, 0), *b = mesh.corner(face, 1), *c = mesh.corner(face, 2);
  const Real whole = twice_area(a, b, c);
  if (std::abs(whole) < 1e-9) return {0, kInf};  // too thin to tell
  const Real u = twice_area(p, b, c) / whole, v = twice_area(a, p, c) / whole, w = 1 - u - v;
  return {std::min({u, v, w}), u * a[2] + v * b[2] + w * c[2]};
}

void rasterize(Random& random, int) {
  const int64_t width = random.whole(0, 40), height = random.whole(0, 40);
  Mesh mesh = soup(random, random.whole(1, 40), random.pick({1.0, 10.0, 50.0, 1e6}));
  for (double& c : mesh.vertices) c += random.pick({0.0, 10.0, 20.5});
  const bool finite = random.chance(0.8);
  if (!finite) spoil(random, mesh.vertices);
  std::vector<float> depth(width * height, -7), again(width * height, -7);
  std::vector<int32_t> face(width * height, -7);
  onet::rasterize(mesh.vertices.data(), mesh.faces.data(), mesh.face_count(), width, height,
                  depth.data(), face.data());
  Mesh reversed = mesh;
  for (int64_t f = 0; f < mesh.face_count(); ++f)
    std::copy_n(&mesh.faces[3 * f], 3, &reversed.faces[3 * (mesh.face_count() - 1 - f)]);
  onet::rasterize(reversed.vertices.data(), reversed.faces.data(), reversed.face_count(), width,
                  height, again.data(), nullptr);
  require(depth == again, "the picture depends on the order of the triangles");
  for (int64_t i = 0; i < width * height; ++i) {
    require(face[i] >= -1 && face[i] < mesh.face_count(), "a pixel shows no face that exists");
    require((face[i] >= 0) == (depth[i] < std::numeric_limits<float>::infinity()),
            "a pixel has a depth without a face or a face without a depth");
    if (!finite || i % 7 != 0) continue;
    // Seen from the front, the depth is that of the nearest triangle over the centre of the pixel.
    const double centre[3] = {double(i % width) + 0.5, double(i / width) + 0.5, 0};
    long double nearest = kInf;
    for (int64_t f = 0; f < mesh.face_count(); ++f) {
      const Shadow shadow = shadow_of(mesh, f, centre);
      if (shadow.clearance > 1e-9) nearest = std::min(nearest, shadow.depth);
      if (f == face[i]) require(shadow.clearance > -1e-9, "a pixel shows a face that is elsewhere");
    }
    require(depth[i] <= nearest + 1e-5L * (1 + std::abs(nearest)), "a nearer face is not shown");
  }
}

void visibility(Random& random, int threads) {
  Query query = random_query(random);
  Mesh& mesh = query.mesh;
  if (mesh.vertices.empty()) add_vertex(mesh, 0, 0, 0);
  double radius = 0;
  for (const double c : mesh.vertices)
    if (std::isfinite(c)) radius = std::max(radius, std::abs(c));
  radius = random.pick({1.0, 0.5, 1.8}) * (radius > 0 ? radius : 1);
  std::vector<double> directions;
  for (int i = random.whole(0, 5); i > 0; --i) {
    double d[3] = {random.uniform(-1, 1), random.uniform(-1, 1), random.uniform(-1, 1)};
    if (random.chance(0.3)) d[0] = d[1] = 0, d[2] = 1;
    const double length = std::hypot(d[0], d[1], d[2]);
    for (const double c : d) directions.push_back(c / length);
  }
  const int64_t count = static_cast<int64_t>(directions.size() / 3);
  const int64_t size = random.whole(1, 24);
  const std::vector<double>& points = query.points;
  const int64_t point_count = query.count();
  const auto visible = with_threads<std::vector<uint8_t>>(threads, [&](int n) {
    const onet::Views views(mesh.vertices.data(), mesh.vertex_count(), mesh.faces.data(),
                            mesh.face_count(), directions.data(), count, size, radius, n);
    std::vector<uint8_t> out(point_count, 2);
    views.visible(points.data(), point_count, out.data(), n);
    return out;
  });
  for (int64_t i = 0; i < point_count; ++i) {
    require(visible[i] <= 1 && (count > 0 || !visible[i]), "a point is seen by nobody");
    if (!query.finite || i >= 100) continue;
    for (int64_t d = 0; d < count; ++d) {
      const auto height = [&](const double* p) {
        const double* t = &directions[3 * d];
        return p[0] * t[0] + p[1] * t[1] + p[2] * t[2];
      };
      double top = -kInf;
      for (int64_t v = 0; v < mesh.vertex_count(); ++v)
        top = std::max(top, height(&mesh.vertices[3 * v]));
      require(visible[i] || height(&points[3 * i]) <= top + 1e-5 * radius,
              "a point in front of everything is not seen");
    }
  }
}

}  // namespace
}  // namespace fuzz
