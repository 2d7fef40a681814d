// Exact signs of determinants of double coordinates (Shewchuk, Adaptive Precision Floating-Point
// Arithmetic and Fast Robust Geometric Predicates, 1997): a filter answers nearly always, and an
// expansion, a sum of doubles that do not overlap, the rest. Right as long as no product of three
// coordinates over- or underflows, and without contraction (-ffp-contract=off).
#pragma once

#include <cmath>

#include "vec3.h"

namespace onet {

// A sum of doubles without rounding. The largest here has 192 terms.
class Expansion {
 public:
  void add(double value) {
    int kept = 0;
    double carry = value;
    for (int i = 0; i < size_; ++i) {
      const double sum = carry + terms_[i];
      const double part = sum - carry;
      const double error = (carry - (sum - part)) + (terms_[i] - part);
      if (error != 0) terms_[kept++] = error;
      carry = sum;
    }
    if (carry != 0) terms_[kept++] = carry;
    size_ = kept;
  }

  // Adds sign * a * b.
  void add_product(const Expansion& a, const Expansion& b, double sign) {
    for (int i = 0; i < a.size_; ++i)
      for (int j = 0; j < b.size_; ++j) {
        const double product = a.terms_[i] * b.terms_[j];
        add(sign * std::fma(a.terms_[i], b.terms_[j], -product));
        add(sign * product);
      }
  }

  static Expansion difference(double a, double b) {
    Expansion result;
    result.add(a);
    result.add(-b);
    return result;
  }

  int sign() const { return size_ == 0 ? 0 : terms_[size_ - 1] > 0 ? 1 : -1; }

 private:
  double terms_[256];
  int size_ = 0;
};

namespace detail {

inline Expansion minor2(const Expansion& a, const Expansion& b, const Expansion& c,
                        const Expansion& d) {
  Expansion result;  // a d - b c
  result.add_product(a, d, 1.0);
  result.add_product(b, c, -1.0);
  return result;
}

inline int exact_side_of_plane(Vec3 a, Vec3 b, Vec3 c, Vec3 p) {
  const Vec3 corner[3] = {a, b, c};
  Expansion d[3][3];
  for (int i = 0; i < 3; ++i)
    for (int axis = 0; axis < 3; ++axis)
      d[i][axis] = Expansion::difference(corner[i][axis], p[axis]);
  Expansion sum;
  for (int i = 0; i < 3; ++i) {
    const Expansion *m = d[(i + 1) % 3], *n = d[(i + 2) % 3];
    sum.add_product(minor2(m[0], m[1], n[0], n[1]), d[i][2], 1.0);
  }
  return -sum.sign();
}

}  // namespace detail

// 1 where p lies on the side of the plane abc from which a, b, c run counter-clockwise, -1 on the
// other side, 0 in the plane.
inline int side_of_plane(Vec3 a, Vec3 b, Vec3 c, Vec3 p) {
  const Vec3 u = a - p, v = b - p, w = c - p;
  const double vw = v.x * w.y, wv = v.y * w.x, wu = w.x * u.y, uw = w.y * u.x, uv = u.x * v.y,
               vu = u.y * v.x;
  const double det = u.z * (vw - wv) + v.z * (wu - uw) + w.z * (uv - vu);
  const double size = std::abs(u.z) * (std::abs(vw) + std::abs(wv)) +
                      std::abs(v.z) * (std::abs(wu) + std::abs(uw)) +
                      std::abs(w.z) * (std::abs(uv) + std::abs(vu));
  const double bound = 8e-16 * size;  // Shewchuk: (7 + 56 e) e, with e = 2^-53
  if (det > bound) return -1;
  if (det < -bound) return 1;
  if (bound == 0) return 0;
  return detail::exact_side_of_plane(a, b, c, p);
}

// The sign of the area of the triangle with the corners (ax, ay), (bx, by), (cx, cy): 1
// counter-clockwise, -1 clockwise, 0 on a line.
inline int turn(double ax, double ay, double bx, double by, double cx, double cy) {
  const double left = (ax - cx) * (by - cy), right = (ay - cy) * (bx - cx);
  const double det = left - right, bound = 4e-16 * (std::abs(left) + std::abs(right));
  if (det > bound) return 1;
  if (det < -bound) return -1;
  if (bound == 0) return 0;
  return detail::minor2(Expansion::difference(ax, cx), Expansion::difference(ay, cy),
                        Expansion::difference(bx, cx), Expansion::difference(by, cy))
      .sign();
}

}  // namespace onet
