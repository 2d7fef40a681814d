// Points distributed uniformly over the area of triangles.
#pragma once

#include <cstdint>

namespace onet {

// Area of the triangles of vertices (V, 3) that faces (F, 3) name.
double surface_area(const double* vertices, const int64_t* faces, int64_t face_count);

// For each of n samples a point (n, 3) on a triangle, the unit normal (n, 3) of its plane, and the
// triangle's index (n), which is never one without area. pick (n) and within (n, 2) are uniform
// random numbers in [0, 1): the first chooses the triangle, the others the place on it. The area is
// positive and finite. threads: 0 for default_threads().
void sample_surface(const double* vertices, const int64_t* faces, int64_t face_count,
                    const double* pick, const double* within, int64_t n, double* points,
                    double* normals, int64_t* index, int threads);

}  // namespace onet
