#include "winding.h"

#include <algorithm>
#include <array>
#include <cfloat>
#include <cmath>
#include <limits>

#include "corners.h"
#include "parallel.h"

// The loops over lanes are compiled for two instruction sets, one of which is chosen when the
// module is loaded. The results are the same: nothing is contracted or reordered.
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define ONET_CLONES __attribute__((target_clones("default", "avx2")))
#else
#define ONET_CLONES
#endif

namespace onet {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr int kDeep = 64;      // levels after which groups are split by number
constexpr double kFar = 1e15;  // in units of the mesh: the winding number is 0

constexpr int kPair[6][2] = {{0, 0}, {0, 1}, {0, 2}, {1, 1}, {1, 2}, {2, 2}};
constexpr int kTriple[10][3] = {{0, 0, 0}, {0, 0, 1}, {0, 0, 2}, {0, 1, 1}, {0, 1, 2},
                                {0, 2, 2}, {1, 1, 1}, {1, 1, 2}, {1, 2, 2}, {2, 2, 2}};
enum { XX, XY, XZ, YY, YZ, ZZ };
enum { XXX, XXY, XXZ, XYY, XYZ, XZZ, YYY, YYZ, YZZ, ZZZ };

// Angle of the vector (x, y), without branches; 0 also where y is 0 and x is not positive.
inline double angle(double x, double y) {
  const double ax = std::abs(x), ay = std::abs(y);
  const double small = ay > ax ? ax : ay, large = ay > ax ? ay : ax;
  const bool upper = small > 0.41421356237309503 * large;  // tan(pi / 8)
  const double t = (upper ? small - large : small) / ((upper ? small + large : large) + DBL_MIN);
  // atan(t) = t + t z p(z): interpolated at Chebyshev nodes, relative error 5e-18.
  const double z = t * t;
  double p = -0.019176887119062259;
  p = p * z + 0.039231658295587191;
  p = p * z - 0.050854497379402599;
  p = p * z + 0.058581489128022099;
  p = p * z - 0.06664511447381948;
  p = p * z + 0.076921831908260866;
  p = p * z - 0.090909045781239019;
  p = p * z + 0.11111111015256362;
  p = p * z - 0.14285714284666543;
  p = p * z + 0.19999999999995521;
  p = p * z - 0.3333333333333333;
  double a = t + t * z * p;
  a = upper ? 0.25 * kPi + a : a;
  a = ay > ax ? 0.5 * kPi - a : a;
  a = x < 0 ? kPi - a : a;
  a = y < 0 ? -a : a;
  return y == 0 ? 0 : a;
}

// Integrals over a group of triangles, where n is the normal and d the way from the centre: of n,
// of d n and of d d n / 2, the latter two symmetrised (kPair, kTriple).
struct Moments {
  double area = 0, radius = 0;
  Vec3 centre{0, 0, 0};  // of area
  Vec3 low{DBL_MAX, DBL_MAX, DBL_MAX}, high{-DBL_MAX, -DBL_MAX, -DBL_MAX};
  double first[3] = {}, second[6] = {}, third[10] = {};

  void cover(const Vec3& a, const Vec3& b) {
    low = {std::min(low.x, a.x), std::min(low.y, a.y), std::min(low.z, a.z)};
    high = {std::max(high.x, b.x), std::max(high.y, b.y), std::max(high.z, b.z)};
  }

  // Adds another group; `d` leads from this centre to its.
  void add(const Moments& m, const Vec3& d) {
    double full[3][3];
    for (int a = 0; a < 6; ++a) {
      const int i = kPair[a][0], j = kPair[a][1];
      full[i][j] = full[j][i] = m.second[a];
      second[a] += m.second[a] + 0.5 * (d[i] * m.first[j] + d[j] * m.first[i]);
    }
    for (int a = 0; a < 10; ++a) {
      const int i = kTriple[a][0], j = kTriple[a][1], k = kTriple[a][2];
      const double dm = d[i] * full[j][k] + d[j] * full[i][k] + d[k] * full[i][j];
      const double dd =
          d[i] * d[j] * m.first[k] + d[i] * d[k] * m.first[j] + d[j] * d[k] * m.first[i];
      third[a] += m.third[a] + (dm + 0.5 * dd) / 3;
    }
    for (int i = 0; i < 3; ++i) first[i] += m.first[i];
  }
};

}  // namespace

struct WindingTree::Builder {
  struct Item {
    Vec3 centroid;
    int64_t face;
  };
  using Corners = std::array<Vec3, 3>;

  WindingTree& tree;
  const double* vertices;
  const int64_t* faces;

  Corners corners(int64_t face) const {
    Corners result;
    for (int k = 0; k < 3; ++k) result[k] = tree.scale_ * load(vertices + 3 * faces[3 * face + k]);
    return result;
  }

  static Vec3 area_vector(const Corners& c) { return 0.5 * cross(c[1] - c[0], c[2] - c[0]); }

  // Halves the box of the centroids along its longest side; counts where that does not divide them.
  static Item* split(Item* begin, Item* end, int depth) {
    Vec3 low = begin->centroid, high = low;
    for (const Item* item = begin; item != end; ++item) {
      const Vec3& c = item->centroid;
      low = {std::min(low.x, c.x), std::min(low.y, c.y), std::min(low.z, c.z)};
      high = {std::max(high.x, c.x), std::max(high.y, c.y), std::max(high.z, c.z)};
    }
    const Vec3 side = high - low;
    const int axis = side.x >= side.y && side.x >= side.z ? 0 : side.y >= side.z ? 1 : 2;
    const double middle = 0.5 * (low[axis] + high[axis]);
    const auto lower = [&](const Item& item) { return item.centroid[axis] < middle; };
    Item* cut = std::partition(begin, end, lower);
    return depth > kDeep || cut == begin || cut == end ? begin + (end - begin) / 2 : cut;
  }

  // Appends the tree of the triangles and returns it as a child, with its moments.
  int32_t build(Item* begin, Item* end, int depth, Moments* moments) {
    if (end - begin <= kWide) return build_block(begin, end, moments);
    struct Part {
      Item *begin, *end;
    } part[kWide] = {{begin, end}};
    int count = 1;
    for (; count < kWide; ++count) {
      Part* largest = std::max_element(part, part + count, [](const Part& a, const Part& b) {
        return a.end - a.begin < b.end - b.begin;
      });
      if (largest->end - largest->begin <= kWide) break;
      Item* cut = split(largest->begin, largest->end, depth);
      part[count] = {cut, largest->end};
      largest->end = cut;
    }
    const int32_t index = static_cast<int32_t>(tree.nodes_.size());
    tree.nodes_.emplace_back();
    Moments group[kWide];
    int32_t child[kWide];
    for (int k = 0; k < count; ++k) {
      child[k] = build(part[k].begin, part[k].end, depth + 1, &group[k]);
      moments->area += group[k].area;
      moments->centre = moments->centre + group[k].area * group[k].centre;
      moments->cover(group[k].low, group[k].high);
    }
    moments->centre = (1 / moments->area) * moments->centre;
    for (int k = 0; k < count; ++k) {
      const Vec3 d = group[k].centre - moments->centre;
      moments->add(group[k], d);
      moments->radius = std::max(moments->radius, group[k].radius + std::sqrt(dot(d, d)));
    }
    const Vec3 a = moments->centre - moments->low, b = moments->high - moments->centre;
    const Vec3 far{std::max(a.x, b.x), std::max(a.y, b.y), std::max(a.z, b.z)};
    moments->radius = std::min(moments->radius, std::sqrt(dot(far, far)));
    Node& node = tree.nodes_[index];
    for (int k = 0; k < count; ++k) set_lane(node, k, group[k], child[k]);
    for (int k = count; k < kWide; ++k) {
      node.child[k] = kNone;  // and so far off that it adds zero
      for (auto& centre : node.centre) centre[k] = 1e18;
    }
    return index;
  }

  int32_t build_block(const Item* begin, const Item* end, Moments* moments) {
    const int32_t index = static_cast<int32_t>(tree.blocks_.size());
    Block& block = tree.blocks_.emplace_back();
    const int count = static_cast<int>(end - begin);
    Corners triangle[kWide];
    Vec3 normal[kWide];
    for (int t = 0; t < count; ++t) {
      triangle[t] = corners(begin[t].face);
      for (int k = 0; k < 3; ++k) {
        for (int axis = 0; axis < 3; ++axis) block.corner[k][axis][t] = triangle[t][k][axis];
        moments->cover(triangle[t][k], triangle[t][k]);
      }
      normal[t] = area_vector(triangle[t]);
      const double area = std::sqrt(dot(normal[t], normal[t]));
      moments->area += area;
      moments->centre = moments->centre + area * begin[t].centroid;
    }
    moments->centre = (1 / moments->area) * moments->centre;
    double square = 0;
    for (int t = 0; t < count; ++t) {
      Vec3 d[4];  // to the corners and, thrice, to the centroid
      for (int k = 0; k < 3; ++k) {
        d[k] = triangle[t][k] - moments->centre;
        square = std::max(square, dot(d[k], d[k]));
      }
      d[3] = d[0] + d[1] + d[2];
      double full[3][3];  // mean of d d
      for (const auto& [i, j] : kPair) {
        double sum = 0;
        for (const Vec3& v : d) sum += v[i] * v[j];
        full[i][j] = full[j][i] = sum / 12;
      }
      const Vec3& n = normal[t];
      for (int i = 0; i < 3; ++i) moments->first[i] += n[i];
      for (int a = 0; a < 6; ++a) {
        const int i = kPair[a][0], j = kPair[a][1];
        moments->second[a] += (d[3][i] * n[j] + d[3][j] * n[i]) / 6;
      }
      for (int a = 0; a < 10; ++a) {
        const int i = kTriple[a][0], j = kTriple[a][1], k = kTriple[a][2];
        moments->third[a] += (full[j][k] * n[i] + full[i][k] * n[j] + full[i][j] * n[k]) / 6;
      }
    }
    moments->radius = std::sqrt(square);
    return ~index;
  }

  // Writes the expansion without the traces, to which the field of a charge is blind.
  static void set_lane(Node& node, int lane, const Moments& m, int32_t child) {
    node.child[lane] = child;
    for (int axis = 0; axis < 3; ++axis) node.centre[axis][lane] = m.centre[axis];
    node.radius[lane] = static_cast<float>(m.radius);
    double unit = 1 / (4 * kPi * m.radius * m.radius);
    for (int i = 0; i < 3; ++i) node.dipole[i][lane] = static_cast<float>(unit * m.first[i]);
    unit /= m.radius;
    const double* s = m.second;
    const double trace = (s[XX] + s[YY] + s[ZZ]) / 3;
    const double quadrupole[5] = {s[XX] - trace, s[YY] - trace, 2 * s[XY], 2 * s[XZ], 2 * s[YZ]};
    for (int i = 0; i < 5; ++i)
      node.quadrupole[i][lane] = static_cast<float>(-3 * unit * quadrupole[i]);
    unit /= m.radius;
    const double* t = m.third;
    const double x = (t[XXX] + t[XYY] + t[XZZ]) / 5, y = (t[XXY] + t[YYY] + t[YZZ]) / 5,
                 z = (t[XXZ] + t[YYZ] + t[ZZZ]) / 5;
    const double octupole[7] = {t[XXX] - 3 * x,   3 * (t[XYY] - x), t[YYY] - 3 * y,
                                3 * (t[XXY] - y), 3 * (t[XXZ] - z), 3 * (t[YYZ] - z),
                                6 * t[XYZ]};
    unit *= 15;
    for (int i = 0; i < 7; ++i) node.octupole[i][lane] = static_cast<float>(unit * octupole[i]);
  }
};

WindingTree::WindingTree(const double* vertices, const int64_t* faces, int64_t face_count) {
  check_corners(vertices, faces, face_count);
  Moments box;
  for (int64_t i = 0; i < 3 * face_count; ++i) {
    const Vec3 corner = load(vertices + 3 * faces[i]);
    box.cover(corner, corner);
  }
  const Vec3 side = box.high - box.low;
  const double extent = std::max({side.x, side.y, side.z});
  scale_ = extent > 0 ? std::ldexp(1.0, std::min(-std::ilogb(extent), 1000)) : 1.0;
  middle_ = (0.5 * scale_) * (box.low + box.high);
  Builder builder{*this, vertices, faces};
  std::vector<Builder::Item> items;
  items.reserve(face_count);
  for (int64_t face = 0; face < face_count; ++face) {
    const Builder::Corners c = builder.corners(face);
    const Vec3 normal = Builder::area_vector(c);
    if (dot(normal, normal) > 0) items.push_back({(1.0 / 3) * (c[0] + c[1] + c[2]), face});
  }
  Moments moments;
  if (!items.empty()) root_ = builder.build(items.data(), items.data() + items.size(), 0, &moments);
}

ONET_CLONES
void WindingTree::evaluate(const double* points, int64_t count, double beta, double* result) const {
  const float limit = static_cast<float>(beta * beta);
  std::vector<int32_t> stack;
  for (int64_t p = 0; p < count; ++p) {
    const Vec3 q = scale_ * load(points + 3 * p), off = q - middle_;
    if (std::isnan(q.x) || std::isnan(q.y) || std::isnan(q.z)) {
      result[p] = std::numeric_limits<double>::quiet_NaN();
      continue;
    }
    if (std::max({std::abs(off.x), std::abs(off.y), std::abs(off.z)}) > kFar) {
      result[p] = 0;
      continue;
    }
    double sum[kWide] = {};
    stack.clear();
    if (root_ != kNone) stack.push_back(root_);
    while (!stack.empty()) {
      const int32_t at = stack.back();
      stack.pop_back();
      if (at < 0) {
        const auto& c = blocks_[~at].corner;
        for (int k = 0; k < kWide; ++k) {
          const double ax = c[0][0][k] - q.x, ay = c[0][1][k] - q.y, az = c[0][2][k] - q.z;
          const double bx = c[1][0][k] - q.x, by = c[1][1][k] - q.y, bz = c[1][2][k] - q.z;
          const double cx = c[2][0][k] - q.x, cy = c[2][1][k] - q.y, cz = c[2][2][k] - q.z;
          const double a = std::sqrt(ax * ax + ay * ay + az * az);
          const double b = std::sqrt(bx * bx + by * by + bz * bz);
          const double d = std::sqrt(cx * cx + cy * cy + cz * cz);
          const double volume =
              ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx);
          const double rest = a * b * d + (ax * bx + ay * by + az * bz) * d +
                              (bx * cx + by * cy + bz * cz) * a + (cx * ax + cy * ay + cz * az) * b;
          sum[k] += 0.5 / kPi * angle(rest, volume);
        }
        continue;
      }
      const Node& n = nodes_[at];
      int32_t near[kWide];
      for (int k = 0; k < kWide; ++k) {
        const float dx = static_cast<float>(n.centre[0][k] - q.x);
        const float dy = static_cast<float>(n.centre[1][k] - q.y);
        const float dz = static_cast<float>(n.centre[2][k] - q.z);
        const float square = dx * dx + dy * dy + dz * dz;
        const bool far = square > limit * (n.radius[k] * n.radius[k]);
        const float inverse = 1 / std::sqrt(square);
        const float x = dx * inverse, y = dy * inverse, z = dz * inverse;
        const float xx = x * x, yy = y * y, zz = z * z;
        const auto& d = n.dipole;
        const auto& f = n.quadrupole;
        const auto& o = n.octupole;
        const float dipole = d[0][k] * x + d[1][k] * y + d[2][k] * z;
        const float quadrupole = f[0][k] * (xx - zz) + f[1][k] * (yy - zz) + f[2][k] * (x * y) +
                                 f[3][k] * (x * z) + f[4][k] * (y * z);
        const float octupole =
            x * (o[0][k] * (xx - 3 * zz) + o[1][k] * (yy - zz)) +
            y * (o[2][k] * (yy - 3 * zz) + o[3][k] * (xx - zz)) +
            z * (o[4][k] * (xx - zz / 3) + o[5][k] * (yy - zz / 3) + o[6][k] * (x * y));
        const float ratio = n.radius[k] * inverse;
        const float value = ratio * ratio * (dipole + ratio * (quadrupole + ratio * octupole));
        sum[k] += far ? value : 0.0f;
        near[k] = !far;
      }
      for (int k = 0; k < kWide; ++k)
        if (near[k] && n.child[k] != kNone) stack.push_back(n.child[k]);
    }
    result[p] = ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
  }
}

void WindingTree::winding_number(const double* points, int64_t point_count, double beta,
                                 double* result, int threads) const {
  parallel_for(point_count, threads, 1024, [&](int64_t begin, int64_t end) {
    evaluate(points + 3 * begin, end - begin, beta, result + begin);
  });
}

}  // namespace onet
