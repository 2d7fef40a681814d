#include <algorithm>
#include <stdexcept>

#include "marching_cubes.h"

namespace onet {
namespace {

using Triangles = std::vector<std::array<int8_t, 3>>;

// Edge of the cell between two corners that differ in one bit.
int edge_between(int a, int b) {
  const int axis = (a ^ b) == 1 ? 0 : (a ^ b) == 2 ? 1 : 2;
  const int start = a & b;  // both other coordinates; the axis bit is 0
  const int u = axis == 0 ? start >> 1 & 1 : start & 1;
  const int v = axis == 2 ? start >> 1 & 1 : start >> 2 & 1;
  return 4 * axis + u + 2 * v;
}

// Corners of face 2 * axis + side, counter-clockwise seen from outside the cell.
std::array<int, 4> face_corners(int face) {
  const int axis = face / 2, side = face % 2;
  const int u = 1 << (axis + 1) % 3, v = 1 << (axis + 2) % 3, base = side << axis;
  if (side) return {base, base | u, base | u | v, base | v};
  return {base, base | v, base | u | v, base | u};
}

// Bit f is set when the edge lies on face f.
int faces_of(int edge) {
  const int axis = edge / 4, start = edge_start(edge);
  int faces = 0;
  for (int a = 0; a < 3; ++a)
    if (a != axis) faces |= 1 << (2 * a + (start >> a & 1));
  return faces;
}

// Cuts the polygon into triangles without diagonals on a face of the cell; false if none exists.
bool triangulate(const std::vector<int>& polygon, Triangles& out) {
  const size_t n = polygon.size();
  if (n == 3) {
    out.push_back({int8_t(polygon[0]), int8_t(polygon[1]), int8_t(polygon[2])});
    return true;
  }
  for (size_t i = 0; i < n; ++i) {  // cut off the ear at i
    const int before = polygon[(i + n - 1) % n], after = polygon[(i + 1) % n];
    if (faces_of(before) & faces_of(after)) continue;
    std::vector<int> rest = polygon;
    rest.erase(rest.begin() + i);
    Triangles more;
    if (!triangulate(rest, more)) continue;
    out.push_back({int8_t(before), int8_t(polygon[i]), int8_t(after)});
    out.insert(out.end(), more.begin(), more.end());
    return true;
  }
  return false;
}

Triangles derive_case(int corners) {
  auto inside = [&](int corner) { return corners >> corner & 1; };
  // On each face, the surface runs from where the outline of the face enters the object to where
  // the preceding inside stretch, joined across the face, had left it.
  std::array<int, 12> next;
  next.fill(-1);
  for (int face = 0; face < 6; ++face) {
    const auto c = face_corners(face);
    for (int i = 0; i < 4; ++i) {
      if (inside(c[i]) || !inside(c[(i + 1) % 4])) continue;  // not an entry
      int j = i;
      while (!inside(c[(j + 3) % 4])) j = (j + 3) % 4;  // back over the outside stretch
      next[edge_between(c[i], c[(i + 1) % 4])] = edge_between(c[(j + 3) % 4], c[j]);
    }
  }
  Triangles out;
  std::array<bool, 12> done{};
  for (int edge = 0; edge < 12; ++edge) {
    if (next[edge] < 0 || done[edge]) continue;
    std::vector<int> polygon;
    for (int e = edge; !done[e]; e = next[e]) {
      done[e] = true;
      polygon.push_back(e);
    }
    if (!triangulate(polygon, out)) throw std::logic_error("a marching cubes case has no cut");
  }
  return out;
}

}  // namespace

const Triangles& cube_triangles(int corners) {
  static const std::vector<Triangles> table = [] {
    std::vector<Triangles> cases;
    for (int i = 0; i < 256; ++i) cases.push_back(derive_case(i));
    return cases;
  }();
  return table.at(corners);
}

const CubeTable& cube_table() {
  static const CubeTable table = [] {
    CubeTable t{};
    for (int i = 0; i < 256; ++i) {
      const Triangles& triangles = cube_triangles(i);
      if (triangles.size() > kMostTriangles)
        throw std::logic_error("a case has too many triangles");
      int8_t* out = t.row[i];
      *out++ = static_cast<int8_t>(triangles.size());
      for (const auto& triangle : triangles) out = std::copy(triangle.begin(), triangle.end(), out);
    }
    return t;
  }();
  return table;
}

}  // namespace onet
