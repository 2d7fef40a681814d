// Simplification by edge collapse that cannot change the topology.
//
// The cheapest edge by quadric error (Garland and Heckbert 1997) is collapsed again and again, each
// into the point of least error. A collapse is refused when it breaks the link condition (Dey et
// al. 1999: the ends have other common neighbours than the two opposite corners), turns a triangle
// by more than 78 degrees, or leaves less than a tenth of the volume that a connected part, or all
// parts together, enclosed at first. The test of triangles looks at one collapse: many small turns
// can add up to a large one when few faces are left, and then only the volume tells outside from
// inside. So a closed manifold stays closed, manifold and oriented, with the same number of
// components and handles, and the volumes keep their signs; the smallest component has four faces.
#pragma once

#include <cstdint>
#include <vector>

namespace onet {

struct SimplifiedMesh {
  std::vector<double> vertices;  // (V, 3)
  std::vector<int64_t> faces;    // (F, 3)
};

// vertices (V, 3), faces (F, 3) with indices in [0, V). Ends at `target` faces or one less, or at
// more where every further collapse would be refused. The same input gives the same mesh. Vertices
// that no face uses are left out. Throws std::invalid_argument unless every edge has two faces that
// walk it in opposite directions and the faces around every vertex form one fan.
//
// With `fixed` (V), may be null, the vertices for which it is not 0 stay where they are.
SimplifiedMesh simplify(const double* vertices, int64_t vertex_count, const int64_t* faces,
                        int64_t face_count, int64_t target, const uint8_t* fixed = nullptr);

}  // namespace onet
