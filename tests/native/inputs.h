// Random inputs of the fuzzing driver: fields on a lattice, triangle meshes, query points.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

namespace fuzz {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// splitmix64: the same numbers with every standard library, unlike the distributions of <random>.
inline uint64_t mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15ull;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ x >> 27) * 0x94D049BB133111EBull;
  return x ^ x >> 31;
}

class Random {
 public:
  explicit Random(uint64_t seed) : state_(mix(seed)) {}

  uint64_t bits() { return mix(state_++); }
  // Whole number in [low, high].
  int32_t whole(int32_t low, int32_t high) {
    return low + static_cast<int32_t>(bits() % (static_cast<uint64_t>(high - low) + 1));
  }
  double uniform(double low = 0, double high = 1) {
    return low + (high - low) * static_cast<double>(bits() >> 11) * 0x1p-53;
  }
  bool chance(double p) { return uniform() < p; }
  template <class T>
  T pick(std::initializer_list<T> from) {
    return from.begin()[whole(0, static_cast<int32_t>(from.size()) - 1)];
  }

 private:
  uint64_t state_;
};

// ---- fields ------------------------------------------------------------------------------------

struct Field {
  std::function<float(int32_t, int32_t, int32_t)> value;
  bool has_nan = false;  // or values beyond 1e30
};

struct Lattice {
  std::array<int32_t, 3> base;
  int levels;
  int32_t size(int axis) const { return base[axis] << levels; }
};

// Single cells, rods, plates and cubes; at most `most` cells at the finest level.
inline Lattice random_lattice(Random& random, int64_t most) {
  for (;;) {
    Lattice lattice{{1, 1, 1}, random.whole(0, 4)};
    for (int32_t& n : lattice.base) n = random.chance(0.2) ? 1 : random.whole(1, 9);
    int64_t cells = 1;
    for (int axis = 0; axis < 3; ++axis) cells *= lattice.size(axis);
    if (cells <= most) return lattice;
  }
}

inline Field random_field(Random& random, const Lattice& lattice) {
  const uint64_t seed = random.bits();
  const auto noise = [seed](int32_t x, int32_t y, int32_t z) {  // in [-1, 1)
    const uint64_t at =
        static_cast<uint64_t>(x) << 42 ^ static_cast<uint64_t>(y) << 21 ^ static_cast<uint64_t>(z);
    return static_cast<double>(mix(seed ^ at) >> 11) * 0x1p-52 - 1;
  };
  const double longest = std::max({lattice.size(0), lattice.size(1), lattice.size(2)});
  std::array<std::array<double, 4>, 4> wave;
  for (auto& w : wave)
    w = {random.uniform(-9, 9) / longest, random.uniform(-9, 9) / longest,
         random.uniform(-9, 9) / longest, random.uniform(0, 6.3)};
  const double bias = random.uniform(-2, 2);
  const auto waves = [=](int32_t x, int32_t y, int32_t z) {
    double sum = bias;
    for (const auto& w : wave) sum += std::sin(w[0] * x + w[1] * y + w[2] * z + w[3]);
    return sum;
  };
  const auto random_point = [&] {
    std::array<int32_t, 3> p;
    for (int axis = 0; axis < 3; ++axis)  // often on the box
      p[axis] = random.chance(0.2) ? lattice.size(axis) * random.whole(0, 1)
                                   : random.whole(0, lattice.size(axis));
    return p;
  };

  switch (random.whole(0, 8)) {
    case 0: {  // white noise, from nearly nothing to nearly everything inside
      const double level = random.uniform(-1, 1);
      return {[=](auto... p) { return static_cast<float>(noise(p...) - level); }};
    }
    case 1:  // smooth, crosses the box
      return {[=](auto... p) { return static_cast<float>(waves(p...)); }};
    case 2: {  // smooth with noise
      const double scale = random.pick({0.01, 0.1, 0.5});
      return {[=](auto... p) { return static_cast<float>(waves(p...) + scale * noise(p...)); }};
    }
    case 3: {  // single points, inside or outside, alone or beside each other
      std::vector<std::array<int32_t, 3>> points(random.whole(0, 6));
      for (auto& p : points) p = random_point();
      const float sign = random.pick({-1.0f, 1.0f});
      return {[=](int32_t x, int32_t y, int32_t z) {
        const std::array<int32_t, 3> p = {x, y, z};
        return std::find(points.begin(), points.end(), p) == points.end() ? -sign : sign;
      }};
    }
    case 4: {  // one value everywhere: at the threshold, or as far from it as can be
      const float value = random.pick({0.0f, -0.0f, 1.0f, -1.0f, 1e-45f, -1e-45f, 1e30f, -1e30f});
      return {[=](auto...) { return value; }};
    }
    case 5: {  // neighbours of very different size, and exact zeros
      static constexpr float kValues[] = {0.0f,   -0.0f,   1.0f,  -1.0f,  1e-45f, -1e-45f,
                                          1e-30f, -1e-30f, 1e30f, -1e30f, 1e-7f,  -1e-7f};
      return {[=](auto... p) { return kValues[static_cast<int>((noise(p...) + 1) * 5.99999)]; }};
    }
    case 6: {  // slanted rods and plates, thinner than a cell or thicker, through the whole box
      const auto centre = random_point();
      std::array<double, 3> along = {random.uniform(-1, 1), random.uniform(-1, 1), 1};
      if (random.chance(0.3)) along = {0, 0, 1};
      const double length = std::hypot(along[0], along[1], along[2]);
      const double radius = random.uniform(0.1, 2);
      const bool plate = random.chance(0.5);
      return {[=](int32_t x, int32_t y, int32_t z) {
        const std::array<double, 3> d = {double(x - centre[0]), double(y - centre[1]),
                                         double(z - centre[2])};
        const double t = (d[0] * along[0] + d[1] * along[1] + d[2] * along[2]) / length;
        const double square = d[0] * d[0] + d[1] * d[1] + d[2] * d[2];
        const double off = plate ? std::abs(t) : std::sqrt(std::max(0.0, square - t * t));
        return static_cast<float>(radius - off);
      }};
    }
    case 7: {  // a ball, whole or cut by the box, or everything around it
      const auto centre = random_point();
      const double radius = random.uniform(0, longest), sign = random.pick({-1.0, 1.0});
      return {[=](int32_t x, int32_t y, int32_t z) {
        return static_cast<float>(
            sign * (radius - std::hypot(x - centre[0], y - centre[1], z - centre[2])));
      }};
    }
    default: {  // blocks of NaN, infinities and sizes that callers refuse or clip before
      const int32_t block = random.whole(1, 5);
      return {[=](int32_t x, int32_t y, int32_t z) {
                const double kind = noise(x / block, y / block, z / block);
                const double value = kind < -0.8   ? kNan
                                     : kind < -0.6 ? kInf
                                     : kind < -0.4 ? -kInf
                                     : kind < -0.2 ? 3e38
                                                   : waves(x, y, z);
                return static_cast<float>(value);
              },
              true};
    }
  }
}

// ---- meshes ------------------------------------------------------------------------------------

struct Mesh {
  std::vector<double> vertices;  // (V, 3)
  std::vector<int64_t> faces;    // (F, 3)
  int64_t vertex_count() const { return static_cast<int64_t>(vertices.size() / 3); }
  int64_t face_count() const { return static_cast<int64_t>(faces.size() / 3); }
  const double* corner(int64_t face, int k) const { return &vertices[3 * faces[3 * face + k]]; }
};

inline int64_t add_vertex(Mesh& mesh, double x, double y, double z) {
  mesh.vertices.insert(mesh.vertices.end(), {x, y, z});
  return mesh.vertex_count() - 1;
}

// Boundaries of tetrahedra with whole coordinates in [0, size], flat ones included: closed.
inline Mesh tetrahedra(Random& random, int count, int32_t size) {
  Mesh mesh;
  for (int i = 0; i < count; ++i) {
    const int64_t first = mesh.vertex_count();
    for (int k = 0; k < 4; ++k)
      add_vertex(mesh, random.whole(0, size), random.whole(0, size), random.whole(0, size));
    for (const int k : {0, 2, 1, 0, 1, 3, 0, 3, 2, 1, 2, 3}) mesh.faces.push_back(first + k);
  }
  return mesh;
}

// Boundary of random unit cubes, each square cut along a random diagonal: closed, outward, but with
// edges and vertices where cubes only touch. Every triangle has vertices of its own.
inline Mesh cubes(Random& random, int32_t size) {
  const int32_t n = size + 2;
  std::vector<uint8_t> filled(n * n * n);
  const double density = random.uniform();
  for (int32_t x = 1; x <= size; ++x)
    for (int32_t y = 1; y <= size; ++y)
      for (int32_t z = 1; z <= size; ++z) filled[(x * n + y) * n + z] = random.chance(density);
  Mesh mesh;
  for (int axis = 0; axis < 3; ++axis)
    for (int32_t x = 1; x < n; ++x)
      for (int32_t y = 1; y < n; ++y)
        for (int32_t z = 1; z < n; ++z) {
          const int32_t p[3] = {x, y, z};
          const int32_t step = axis == 0 ? n * n : axis == 1 ? n : 1;
          const int32_t here = (x * n + y) * n + z;
          if (filled[here] == filled[here - step]) continue;
          double ring[4][3];
          for (int k = 0; k < 4; ++k) {
            for (int a = 0; a < 3; ++a) ring[k][a] = p[a];
            ring[k][(axis + 1) % 3] += k == 1 || k == 2;
            ring[k][(axis + 2) % 3] += k >= 2;
          }
          const int turn = random.whole(0, 3);
          for (const int k : {0, 1, 2, 0, 2, 3}) {
            const double* c = ring[((filled[here] ? 4 - k : k) + turn) % 4];
            mesh.faces.push_back(add_vertex(mesh, c[0], c[1], c[2]));
          }
        }
  return mesh;
}

// Triangles without any order: repeated vertices, collinear corners, slivers, duplicates.
inline Mesh soup(Random& random, int count, double scale) {
  Mesh mesh;
  const int vertices = random.whole(1, 3 * count);
  for (int i = 0; i < vertices; ++i) {
    double p[3];
    for (double& c : p)
      c = random.chance(0.3) ? scale * random.whole(-2, 2) : random.uniform(-scale, scale);
    if (i > 2 && random.chance(0.2)) {  // on the line through two others, or almost
      const double t = random.uniform(-1, 2), off = random.pick({0.0, 1e-17, 1e-9}) * scale;
      for (int a = 0; a < 3; ++a)
        p[a] = mesh.vertices[3 * (i - 1) + a] * (1 - t) + mesh.vertices[3 * (i - 2) + a] * t + off;
    }
    add_vertex(mesh, p[0], p[1], p[2]);
  }
  for (int i = 0; i < 3 * count; ++i) mesh.faces.push_back(random.whole(0, vertices - 1));
  return mesh;
}

// Coordinates that no caller should pass but some will: NaN, infinite, overflowing when squared.
inline void spoil(Random& random, std::vector<double>& coordinates) {
  if (coordinates.empty()) return;
  for (int i = random.whole(1, 5); i > 0; --i)
    coordinates[random.bits() % coordinates.size()] =
        random.pick({kNan, kInf, -kInf, 1e300, -1e300, 1e160, 5e-324, 1e19, -1e19});
}

// Points in and around the mesh, many of them on its vertices and edges and in their planes.
inline std::vector<double> random_points(Random& random, const Mesh& mesh, int64_t count) {
  double low[3] = {kInf, kInf, kInf}, high[3] = {-kInf, -kInf, -kInf};
  for (size_t i = 0; i < mesh.vertices.size(); ++i) {
    low[i % 3] = std::min(low[i % 3], mesh.vertices[i]);
    high[i % 3] = std::max(high[i % 3], mesh.vertices[i]);
  }
  std::vector<double> points;
  for (int64_t i = 0; i < count; ++i) {
    const bool near_mesh = !mesh.faces.empty() && random.chance(0.5);
    const double* a = nullptr;
    const double* b = nullptr;
    if (near_mesh) {
      const int64_t f = static_cast<int64_t>(random.bits() % mesh.face_count());
      a = mesh.corner(f, random.whole(0, 2));
      b = mesh.corner(f, random.whole(0, 2));
    }
    const double t = random.pick({0.0, 0.5, 1.0, 0.3});
    for (int axis = 0; axis < 3; ++axis) {
      const double size = high[axis] - low[axis];
      if (near_mesh && random.chance(0.9))
        points.push_back(a[axis] + t * (b[axis] - a[axis]));
      else
        points.push_back(mesh.vertices.empty() ? random.uniform(-1, 1)
                                               : low[axis] + size * random.uniform(-0.2, 1.2));
    }
  }
  return points;
}

}  // namespace fuzz
