// Where rays first meet a triangle mesh.
#pragma once

#include <cstdint>

namespace onet {

// For rays from origins (R, 3) along directions (R, 3): distance (R) to the first triangle beyond
// `nearest`, in units of the length of the direction, and its face (R); infinity and -1 where there
// is none. Both sides of triangles count, those without area do not. vertices (V, 3) finite, faces
// (F, 3) with indices in [0, V).
void first_hits(const double* vertices, const int64_t* faces, int64_t face_count,
                const double* origins, const double* directions, int64_t ray_count, double nearest,
                double* distance, int64_t* face, int threads);

}  // namespace onet
