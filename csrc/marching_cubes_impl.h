// The bodies and the driver of marching_cubes.h; included where a backend instantiates it.
#pragma once

#include <stdexcept>

#include "marching_cubes.h"
#include "octree_body.h"

namespace onet {
namespace marching_cubes_body {

// What the cells of one node see of the lattice. A finest cell that touches the box also stands for
// the cells outside the box that share that face, edge or corner with it.
struct Surface {
  OctreeView t;
  const CubeTable* table;
  int32_t* marks;         // (points) bit a: a vertex on the edge along axis a that starts here;
                          // bit 3 + a: on the edge along axis a that leaves the box here
  int32_t* first_vertex;  // (points)
  int64_t* first_face;    // (units)

  // A unit is a node whose children are finest, or a root if there are no levels.
  ONET_HD bool is_unit(int64_t unit) const {
    return t.lattice.levels == 0 || t.node_cells[unit] < 0;
  }

  // Calls cell(points[8], outside[8], low[3]) for the finest cells of the unit and for the cells
  // outside the box next to them that the surface may cross; `outside` marks corners beyond the
  // box, whose points have no meaning, and low is the minimum corner of the cell.
  template <class Visit>
  ONET_HD void each_cell(int64_t unit, Visit visit) const {
    const bool roots = t.lattice.levels == 0;
    int32_t points[8];
    for (int octant = 0; octant < (roots ? 1 : 8); ++octant) {
      int inside = 0;
      if (roots) {
        octree_body::corners_of(t, static_cast<int32_t>(unit), points);
      } else {
        const int32_t* node = t.node_points + 27 * unit;
        for (int c = 0; c < 8; ++c) points[c] = node[octree_body::place(octant, c)];
      }
      for (int c = 0; c < 8; ++c) inside |= (t.values[points[c]] > 0) << c;
      if (inside == 0) continue;
      int32_t low[3];
      t.lattice.unpack(t.keys[points[0]], low);
      visit(points, 0, inside, low);
      int from[3], to[3];
      bool on_box = false;
      for (int axis = 0; axis < 3; ++axis) {
        from[axis] = low[axis] == 0 ? -1 : 0;
        to[axis] = low[axis] + 1 == t.lattice.resolution[axis] ? 1 : 0;
        on_box = on_box || from[axis] != to[axis];
      }
      if (!on_box) continue;
      for (int dx = from[0]; dx <= to[0]; ++dx)
        for (int dy = from[1]; dy <= to[1]; ++dy)
          for (int dz = from[2]; dz <= to[2]; ++dz) {
            if (dx == 0 && dy == 0 && dz == 0) continue;
            const int shift[3] = {dx, dy, dz};
            int32_t shifted[8];
            int outside = 0, still_inside = 0;
            for (int c = 0; c < 8; ++c) {
              int corner = 0;  // of the cell inside the box
              for (int axis = 0; axis < 3; ++axis) {
                const int at = (c >> axis & 1) + shift[axis];
                if (at < 0 || at > 1) outside |= 1 << c;
                corner |= (at & 1) << axis;
              }
              shifted[c] = points[corner];
              if (!(outside >> c & 1)) still_inside |= (inside >> corner & 1) << c;
            }
            if (still_inside == 0) continue;
            const int32_t corner[3] = {low[0] + dx, low[1] + dy, low[2] + dz};
            visit(shifted, outside, still_inside, corner);
          }
    }
  }

  // Where the vertex on an edge of a cell is noted: point and bit.
  ONET_HD void place_of(int edge, const int32_t points[8], int outside, int32_t& point,
                        int& bit) const {
    const int axis = edge / 4, a = edge_start(edge), b = a | 1 << axis;
    const bool leaves = (outside >> a | outside >> b) & 1;
    point = points[outside >> a & 1 ? b : a];
    bit = leaves ? 3 + axis : axis;
  }

  ONET_HD int64_t vertex(int32_t point, int bit) const {
    int before = 0;
    for (int lower = 0; lower < bit; ++lower) before += t_marks(point) >> lower & 1;
    return int64_t{first_vertex[point]} + before;
  }
  ONET_HD int t_marks(int32_t point) const { return atomic_load(marks + point); }
};

struct Mark {  // i over units: notes the vertices and counts the faces
  Surface s;
  ONET_HD void operator()(int64_t i) const {
    int64_t faces = 0;
    if (s.is_unit(i))
      s.each_cell(i, [&](const int32_t points[8], int outside, int inside, const int32_t*) {
        const int8_t* row = s.table->row[inside];
        faces += row[0];
        for (int axis = 0; row[0] > 0 && axis < 3; ++axis)
          for (int e = 4 * axis; e < 4 * axis + 4; ++e) {
            const int a = edge_start(e);
            if (((inside >> a ^ inside >> (a | 1 << axis)) & 1) == 0) continue;
            int32_t point;
            int bit;
            s.place_of(e, points, outside, point, bit);
            if (!(s.t_marks(point) >> bit & 1)) atomic_or(s.marks + point, 1 << bit);
          }
      });
    s.first_face[i] = faces;
  }
};

struct Count {  // i over points: vertices noted there
  const int32_t* marks;
  int32_t* out;
  ONET_HD void operator()(int64_t i) const {
    int count = 0;
    for (int bit = 0; bit < 6; ++bit) count += marks[i] >> bit & 1;
    out[i] = count;
  }
};

struct Emit {  // i over units: writes faces, and each vertex once
  Surface s;
  double origin[3], cell;
  double* vertices;
  int64_t* faces;

  ONET_HD void operator()(int64_t i) const {
    if (!s.is_unit(i)) return;
    int64_t* out = faces + 3 * s.first_face[i];
    s.each_cell(i, [&](const int32_t points[8], int outside, int inside, const int32_t low[3]) {
      const int8_t* row = s.table->row[inside];
      for (int k = 0; k < 3 * row[0]; ++k) {
        const int edge = row[1 + k];
        int32_t point;
        int bit;
        s.place_of(edge, points, outside, point, bit);
        const int64_t vertex = s.vertex(point, bit);
        *out++ = vertex;
        if (s.t_marks(point) >> (6 + bit) & 1) continue;
        if (atomic_or(s.marks + point, 1 << (6 + bit)) >> (6 + bit) & 1) continue;
        const int axis = edge / 4, a = edge_start(edge), b = a | 1 << axis;
        double at;
        if (outside >> a & 1) {
          at = 1 - kMargin;
        } else if (outside >> b & 1) {
          at = kMargin;
        } else {
          const double first = s.t.values[points[a]], second = s.t.values[points[b]];
          at = first / (first - second);
          at = at < kMargin ? kMargin : at > 1 - kMargin ? 1 - kMargin : at;
        }
        for (int j = 0; j < 3; ++j)
          vertices[3 * vertex + j] =
              origin[j] + cell * (low[j] + (a >> j & 1) + (j == axis ? at : 0.0));
      }
    });
  }
};

}  // namespace marching_cubes_body

template <class Backend>
SurfaceT<Backend> marching_cubes(const OctreeT<Backend>& octree,
                                 const std::array<double, 3>& origin, double cell) {
  using namespace marching_cubes_body;
  if (octree.pending()) throw std::logic_error("the octree still awaits values");
  const Backend& backend = octree.backend();
  const OctreeView t = octree.view();
  const int64_t points = octree.points(), units = octree.levels() == 0 ? t.roots : octree.nodes();

  typename Backend::template Buffer<CubeTable> table(backend);
  typename Backend::template Buffer<int32_t> marks(backend), first_vertex(backend);
  typename Backend::template Buffer<int64_t> first_face(backend);
  table.resize(1);
  backend.write(table.data(), &cube_table(), 1);
  marks.resize(points);
  backend.fill_bytes(marks.data(), points, 0);
  first_vertex.resize(points + 1);
  first_face.resize(units + 1);
  const Surface s{t, table.data(), marks.data(), first_vertex.data(), first_face.data()};
  backend.each(units, Mark{s});
  backend.each(points, Count{marks.data(), first_vertex.data()});
  backend.exclusive_scan(first_vertex.data(), first_vertex.data(), points);
  backend.exclusive_scan(first_face.data(), first_face.data(), units);

  int32_t vertex_count = 0;
  int64_t face_count = 0;
  backend.read(&vertex_count, first_vertex.data() + points, 1);
  backend.read(&face_count, first_face.data() + units, 1);
  SurfaceT<Backend> surface(backend);
  surface.vertices.resize(3 * int64_t{vertex_count});
  surface.faces.resize(3 * face_count);
  backend.each(units, Emit{s,
                           {origin[0], origin[1], origin[2]},
                           cell,
                           surface.vertices.data(),
                           surface.faces.data()});
  return surface;
}

}  // namespace onet
