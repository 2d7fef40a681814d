// Connected components of a mesh.
#pragma once

#include <cstdint>
#include <vector>

namespace onet {

// For each face (F, 3), with indices in [0, vertex_count), the number of its component, counted
// from 0 in the order of their first faces. Faces that share a vertex are connected.
std::vector<int32_t> face_components(const int64_t* faces, int64_t face_count, int64_t vertex_count,
                                     int32_t& components);

}  // namespace onet
