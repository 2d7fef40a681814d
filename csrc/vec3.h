// The few vector operations that the geometry code needs.
#pragma once

#include <cmath>

#include "portable.h"

namespace onet {

struct Vec3 {
  double x, y, z;
  ONET_HD double operator[](int axis) const { return axis == 0 ? x : axis == 1 ? y : z; }
};

ONET_HD inline Vec3 load(const double* p) { return {p[0], p[1], p[2]}; }
ONET_HD inline Vec3 operator+(Vec3 a, Vec3 b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
ONET_HD inline Vec3 operator-(Vec3 a, Vec3 b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
ONET_HD inline Vec3 operator*(double s, Vec3 a) { return {s * a.x, s * a.y, s * a.z}; }
ONET_HD inline double dot(Vec3 a, Vec3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
ONET_HD inline Vec3 cross(Vec3 a, Vec3 b) {
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}

}  // namespace onet
