// Point-in-mesh test by ray parity.
#pragma once

#include <cstdint>

namespace onet {

// Writes inside[i] = 1 when the ray from points[i] towards +z crosses the mesh an odd number of
// times.
//
// vertices (V, 3), faces (F, 3) with indices in [0, V), points (P, 3), P < 2^31. The ray is shifted
// by an infinitesimal amount sideways, so it meets no edge and no vertex: a crossing on a shared
// edge or vertex counts once, whichever triangles share it, also when they repeat the vertex
// instead of its index. Exact where products of coordinate differences are (float32 input);
// otherwise the test of each edge is still the same for both triangles that share it (parity.h).
// Points on the surface may get either answer; NaN is outside. The mesh must be closed; overlapping
// solids cancel, as parity does. Throws std::invalid_argument for corners that are not finite or
// beyond 1e100.
void contains(const double* vertices, const int64_t* faces, int64_t face_count,
              const double* points, int64_t point_count, uint8_t* inside, int threads);

}  // namespace onet
