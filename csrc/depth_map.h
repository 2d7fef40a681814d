// Orthographic depth maps without a display, and visibility from many directions.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "vec3.h"

namespace onet {

// Draws triangles, both sides, into width x height pixels. vertices (V, 3) are in pixels: x to the
// right, y downwards, pixel (i, j) has its centre at (i + 0.5, j + 0.5); smaller z is nearer.
// depth (height, width) gets z at the pixel centre, +inf where there is nothing; face (height,
// width) the index of the triangle, -1 where there is none; face may be null.
void rasterize(const double* vertices, const int64_t* faces, int64_t face_count, int64_t width,
               int64_t height, float* depth, int32_t* face);

// Depth maps of a mesh from several directions, to ask which points an outside observer can see.
class Views {
 public:
  // directions (D, 3): unit vectors from the object towards the observers, who are infinitely far.
  // Each map covers the ball of `radius` around the origin with size x size pixels. Depths are then
  // replaced by the nearest one among the 3 x 3 pixels around (a grey erosion), which closes cracks
  // narrower than two pixels.
  Views(const double* vertices, int64_t vertex_count, const int64_t* faces, int64_t face_count,
        const double* directions, int64_t direction_count, int64_t size, double radius,
        int threads);

  // visible[i] = 1 when points[i] lies in front of the mesh in at least one view.
  void visible(const double* points, int64_t point_count, uint8_t* visible, int threads) const;

  // counts[i]: in how many views points[i] lies in front of the mesh.
  void count(const double* points, int64_t point_count, int32_t* counts, int threads) const;

 private:
  struct View {
    Vec3 right, down, towards;
    std::vector<float> depth;  // along -towards, in units of the points
  };

  bool shows(const View& view, const Vec3& point) const;

  int64_t size_;
  double radius_;
  std::vector<View> views_;
};

}  // namespace onet
