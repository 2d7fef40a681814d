// Marching cubes (Lorensen and Cline 1987) on the finest cells of an octree.
//
// The table of cases is derived from one rule instead of being copied: on each face of a cell the
// inside corners are joined, so both cells that share a face draw the same segments on it and the
// surface is closed for every field. Polygons are cut into triangles without using a diagonal that
// lies on a face of the cell, because the neighbour could draw the same edge: so the surface is
// manifold as well. Triangles are counter-clockwise seen from outside (towards smaller values).
//
// Vertices lie on lattice edges at the linear zero crossing, at least `kMargin` of an edge away from
// its ends, so that no two vertices coincide. Where the object leaves the box it is cut off flat,
// `kMargin` of a cell beyond the box.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "octree.h"

namespace onet {

constexpr double kMargin = 1e-4;

struct TriangleMesh {
  std::vector<double> vertices;  // (V, 3), in units of finest cells, lattice origin at 0
  std::vector<int32_t> faces;    // (F, 3)
};

// Precondition: octree.pending() == 0. Throws std::logic_error otherwise.
TriangleMesh marching_cubes(const Octree& octree);

// Triangles of one of the 256 cases as triples of cell edges; bit x + 2y + 4z of the case is set when
// the corner (x, y, z) is inside. Edge e runs along axis e / 4 from corner edge_start(e).
const std::vector<std::array<int8_t, 3>>& cube_triangles(int corners);
int edge_start(int edge);

}  // namespace onet
