// Marching cubes (Lorensen and Cline 1987) on the finest cells of an octree.
//
// The table of cases is derived from one rule instead of being copied: on each face of a cell the
// inside corners are joined, so both cells that share a face draw the same segments on it and the
// surface is closed for every field. Polygons are cut into triangles without using a diagonal that
// lies on a face of the cell, because the neighbour could draw the same edge: so the surface is
// manifold as well. Triangles are counter-clockwise seen from outside (towards smaller values).
//
// Vertices lie on lattice edges at the linear zero crossing, at least `kMargin` of an edge away
// from its ends, so that no two vertices coincide. Where the object leaves the box it is cut off
// flat, `kMargin` of a cell beyond the box, by the cells just outside.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "octree.h"

namespace onet {

constexpr double kMargin = 1e-4;

template <class Backend>
struct SurfaceT {
  explicit SurfaceT(const Backend& backend) : vertices(backend), faces(backend) {}
  typename Backend::template Buffer<double> vertices;  // (V, 3)
  typename Backend::template Buffer<int64_t> faces;    // (F, 3)
};

// Vertices at origin + cell * (lattice position). Precondition: nothing is pending in the octree;
// throws std::logic_error otherwise. Neither order nor values depend on the number of threads.
template <class Backend>
SurfaceT<Backend> marching_cubes(const OctreeT<Backend>& octree,
                                 const std::array<double, 3>& origin = {0, 0, 0}, double cell = 1);

extern template SurfaceT<CpuBackend> marching_cubes(const OctreeT<CpuBackend>&,
                                                    const std::array<double, 3>&, double);

// Triangles of one of the 256 cases as triples of cell edges; bit x + 2y + 4z of the case is set
// when the corner (x, y, z) is inside. Edge e runs along axis e / 4 from corner edge_start(e).
const std::vector<std::array<int8_t, 3>>& cube_triangles(int corners);
ONET_HD inline int edge_start(int edge) {
  const int axis = edge / 4, u = edge & 1, v = edge >> 1 & 1;
  return axis == 0 ? u << 1 | v << 2 : axis == 1 ? u | v << 2 : u | v << 1;
}

// The table for bodies: for each case the number of triangles, then their edges.
constexpr int kMostTriangles = 5;
struct CubeTable {
  int8_t row[256][1 + 3 * kMostTriangles];
};
const CubeTable& cube_table();

}  // namespace onet
