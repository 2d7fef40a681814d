// Faces of a mesh that cross or touch other faces, decided exactly.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace onet {

// Pairs (i, j), i < j, of triangles that share a point besides the corners and the edge that they
// have in common, sorted. Corners are common where the faces name the same vertex. Triangles
// without area count as the segments and points that they are; a neighbour that is folded back onto
// a triangle shares points with it.
//
// vertices (V, 3) finite, faces (F, 3) with indices in [0, V). With `wanted` (F), may be null, only
// pairs of which at least one face is wanted are looked for.
std::vector<std::pair<int64_t, int64_t>> crossings(const double* vertices, const int64_t* faces,
                                                   int64_t face_count, const uint8_t* wanted,
                                                   int threads);

}  // namespace onet
