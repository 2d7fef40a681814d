// Generalised winding number of points about a triangle mesh.
#pragma once

#include <cstdint>
#include <vector>

#include "vec3.h"

namespace onet {

// The signed solid angle of all triangles over 4 pi (Jacobson et al. 2013): 1 inside and 0 outside
// of a closed mesh with outward normals, the sum over its parts, in between near holes. Far groups
// of triangles are replaced by their Taylor expansion of third order about their centre (Barill et
// al. 2018); near ones are summed by the formula of van Oosterom and Strackee.
class WindingTree {
 public:
  // vertices (V, 3), faces (F, 3) with indices in [0, V). Keeps a copy of the triangles. Triangles
  // without area are left out: they contribute 0. Throws std::invalid_argument for corners that are
  // not finite or beyond 1e100.
  WindingTree(const double* vertices, const int64_t* faces, int64_t face_count);

  // For points (P, 3): result (P). A group is expanded for points that are farther from its centre
  // than beta times its radius; beta >= 1, infinity for the exact sum. The result for a point
  // depends neither on the other points nor on `threads`. NaN for NaN.
  void winding_number(const double* points, int64_t point_count, double beta, double* result,
                      int threads) const;

 private:
  static constexpr int kWide = 8;  // children of a node, triangles of a block

  // Children side by side, for vector instructions. The coefficients are those of harmonic
  // polynomials in the direction to the centre, in units of the radius.
  struct Node {
    double centre[3][kWide];
    float radius[kWide];
    float dipole[3][kWide], quadrupole[5][kWide], octupole[7][kWide];
    int32_t child[kWide];  // node; ~block; or kNone
  };
  struct Block {
    double corner[3][3][kWide];  // [corner][axis]; unused lanes are 0
  };
  static constexpr int32_t kNone = INT32_MIN;
  struct Builder;

  void evaluate(const double* points, int64_t count, double beta, double* result) const;

  double scale_;  // to a box of about one unit, by a power of two
  Vec3 middle_;   // of the box, scaled
  int32_t root_ = kNone;
  std::vector<Node> nodes_;
  std::vector<Block> blocks_;
};

}  // namespace onet
