// What the results of the operations are compared with: slow, plain, and written independently.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "inputs.h"

namespace fuzz {

inline void require(bool condition, const std::string& finding) {
  if (!condition) throw std::runtime_error(finding);
}

// Every edge has two faces that walk it in opposite directions, no face repeats a vertex, and the
// faces around every vertex form one ring.
inline void check_solid(const Mesh& mesh, bool unused_vertices = false) {
  const int64_t count = mesh.vertex_count();
  struct HalfEdge {
    uint64_t key;    // from << 32 | to
    uint64_t third;  // the corner of the face opposite to the edge
    bool operator<(const HalfEdge& other) const { return key < other.key; }
  };
  const auto key = [](uint64_t from, uint64_t to) { return from << 32 | to; };
  std::vector<HalfEdge> edges;
  std::vector<int64_t> uses(count), first(count, -1);
  for (int64_t f = 0; f < mesh.face_count(); ++f) {
    const int64_t* v = &mesh.faces[3 * f];
    for (int k = 0; k < 3; ++k) {
      require(v[k] >= 0 && v[k] < count, "a face names a vertex that does not exist");
      require(v[k] != v[(k + 1) % 3], "a face names a vertex twice");
      edges.push_back({key(v[k], v[(k + 1) % 3]), uint64_t(v[(k + 2) % 3])});
      ++uses[v[k]];
      first[v[k]] = v[(k + 1) % 3];
    }
  }
  std::sort(edges.begin(), edges.end());
  const auto find = [&](uint64_t from, uint64_t to) {
    const auto found = std::lower_bound(edges.begin(), edges.end(), HalfEdge{key(from, to), 0});
    return found != edges.end() && found->key == key(from, to) ? &*found : nullptr;
  };
  for (size_t i = 0; i < edges.size(); ++i) {
    require(i == 0 || edges[i - 1].key != edges[i].key, "two faces walk an edge in one direction");
    require(find(edges[i].key & 0xffffffff, edges[i].key >> 32) != nullptr, "an edge is open");
  }
  for (int64_t v = 0; v < count; ++v) {
    if (unused_vertices && uses[v] == 0) continue;
    require(uses[v] > 0, "a vertex has no face");
    int64_t steps = 0;
    uint64_t at = first[v];
    do {
      at = find(v, at)->third;
      ++steps;
    } while (at != uint64_t(first[v]) && steps <= uses[v]);
    require(steps == uses[v], "the faces at a vertex form more than one fan");
  }
}

inline double signed_volume(const Mesh& mesh) {
  long double six = 0;
  for (int64_t f = 0; f < mesh.face_count(); ++f) {
    const double *a = mesh.corner(f, 0), *b = mesh.corner(f, 1), *c = mesh.corner(f, 2);
    six += static_cast<long double>(a[0]) * (b[1] * c[2] - b[2] * c[1]) +
           a[1] * (b[2] * c[0] - b[0] * c[2]) + a[2] * (b[0] * c[1] - b[1] * c[0]);
  }
  return static_cast<double>(six / 6);
}

// Generalised winding number: solid angles of all triangles (van Oosterom and Strackee 1983).
inline double winding_number(const Mesh& mesh, const double* p) {
  double sum = 0;
  for (int64_t f = 0; f < mesh.face_count(); ++f) {
    double v[3][3], length[3];
    for (int k = 0; k < 3; ++k) {
      for (int axis = 0; axis < 3; ++axis) v[k][axis] = mesh.corner(f, k)[axis] - p[axis];
      length[k] = std::hypot(v[k][0], v[k][1], v[k][2]);
    }
    const auto dot = [&](int i, int j) {
      return v[i][0] * v[j][0] + v[i][1] * v[j][1] + v[i][2] * v[j][2];
    };
    const double volume = v[0][0] * (v[1][1] * v[2][2] - v[1][2] * v[2][1]) +
                          v[0][1] * (v[1][2] * v[2][0] - v[1][0] * v[2][2]) +
                          v[0][2] * (v[1][0] * v[2][1] - v[1][1] * v[2][0]);
    sum += 2 * std::atan2(volume, length[0] * length[1] * length[2] + dot(0, 1) * length[2] +
                                      dot(1, 2) * length[0] + dot(2, 0) * length[1]);
  }
  return sum / (4 * std::acos(-1.0));
}

// Ray parity in whole numbers. Coordinates of mesh and point are at most 64; the ray (n^2, n, 1),
// n larger than any coefficient that a determinant sets against it, meets no edge and no vertex.
struct Parity {
  bool inside = false, on_surface = false;
};

inline Parity exact_parity(const Mesh& mesh, const double* p) {
  using Vector = std::array<int64_t, 3>;
  constexpr int64_t n = 2 * (2 * 64) * (2 * 64) + 1;
  const Vector ray = {n * n, n, 1};
  const auto cross = [](const Vector& a, const Vector& b) {
    return Vector{a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
  };
  const auto dot = [](const Vector& a, const Vector& b) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  };
  const auto sign = [](int64_t v) { return (v > 0) - (v < 0); };
  const auto on_segment = [&](const Vector& a, const Vector& b) {
    return cross(a, b) == Vector{0, 0, 0} && dot(a, b) <= 0;
  };
  Parity parity;
  for (int64_t f = 0; f < mesh.face_count(); ++f) {
    Vector v[3];
    for (int k = 0; k < 3; ++k)
      for (int axis = 0; axis < 3; ++axis)
        v[k][axis] = std::llround(mesh.corner(f, k)[axis] - p[axis]);
    const int height = sign(dot(v[0], cross(v[1], v[2])));
    const int side = sign(dot(ray, cross(v[0], v[1])));
    if (side != 0 && side == sign(dot(ray, cross(v[1], v[2]))) &&
        side == sign(dot(ray, cross(v[2], v[0]))))
      parity.inside ^= height == side;
    if (height != 0) continue;
    Vector ab, ac;
    for (int axis = 0; axis < 3; ++axis) {
      ab[axis] = v[1][axis] - v[0][axis];
      ac[axis] = v[2][axis] - v[0][axis];
    }
    const Vector normal = cross(ab, ac);
    if (normal == Vector{0, 0, 0})
      parity.on_surface |=
          on_segment(v[0], v[1]) || on_segment(v[1], v[2]) || on_segment(v[2], v[0]);
    else
      parity.on_surface |= dot(cross(v[0], v[1]), normal) >= 0 &&
                           dot(cross(v[1], v[2]), normal) >= 0 &&
                           dot(cross(v[2], v[0]), normal) >= 0;
  }
  return parity;
}

// Distance of a point from one triangle, in extended precision: from the nearest of its sides, or
// from its plane when the foot of the perpendicular lies in it.
inline long double distance_to_triangle(const double* p, const double* a, const double* b,
                                        const double* c) {
  using Real = long double;
  const double* corner[3] = {a, b, c};
  Real v[3][3], best = std::numeric_limits<Real>::infinity();
  for (int k = 0; k < 3; ++k)
    for (int axis = 0; axis < 3; ++axis) v[k][axis] = Real(corner[k][axis]) - p[axis];
  const auto dot = [](const Real* s, const Real* t) {
    return s[0] * t[0] + s[1] * t[1] + s[2] * t[2];
  };
  Real side[3][3];
  for (int k = 0; k < 3; ++k) {
    for (int axis = 0; axis < 3; ++axis) side[k][axis] = v[(k + 1) % 3][axis] - v[k][axis];
    const Real length2 = dot(side[k], side[k]);
    const Real t =
        length2 > 0 ? std::clamp<Real>(-dot(v[k], side[k]) / length2, Real(0), Real(1)) : Real(0);
    Real q[3];
    for (int axis = 0; axis < 3; ++axis) q[axis] = v[k][axis] + t * side[k][axis];
    best = std::min(best, std::sqrt(dot(q, q)));
  }
  const auto cross = [](const Real* s, const Real* t, Real* out) {
    for (int axis = 0; axis < 3; ++axis) {
      const int u = (axis + 1) % 3, w = (axis + 2) % 3;
      out[axis] = s[u] * t[w] - s[w] * t[u];
    }
  };
  Real normal[3];
  cross(side[0], side[1], normal);
  const Real length = std::sqrt(dot(normal, normal));
  if (!(length > 0)) return best;
  for (int k = 0; k < 3; ++k) {
    Real inwards[3];
    cross(normal, side[k], inwards);
    if (dot(inwards, v[k]) > 0) return best;  // the foot lies beyond this side
  }
  return std::min(best, std::abs(dot(normal, v[0])) / length);
}

}  // namespace fuzz
