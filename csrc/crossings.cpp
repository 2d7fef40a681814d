#include "crossings.h"

#include <algorithm>
#include <mutex>

#include "box_tree.h"
#include "exact.h"
#include "vec3.h"

namespace onet {
namespace {

struct Triangle {
  Vec3 corner[3];
  int64_t vertex[3];
  int64_t face;
};

// Of two axes that the triangle's projection onto keeps its area, if it has any.
struct Projection {
  int x, y;
  int turn_of(Vec3 a, Vec3 b, Vec3 c) const { return turn(a[x], a[y], b[x], b[y], c[x], c[y]); }
};

constexpr Projection kProjections[3] = {{0, 1}, {1, 2}, {2, 0}};

bool on_segment(const Projection& p, Vec3 a, Vec3 b, Vec3 q) {  // q on the line ab
  return std::min(a[p.x], b[p.x]) <= q[p.x] && q[p.x] <= std::max(a[p.x], b[p.x]) &&
         std::min(a[p.y], b[p.y]) <= q[p.y] && q[p.y] <= std::max(a[p.y], b[p.y]);
}

bool segments_meet(const Projection& p, Vec3 a, Vec3 b, Vec3 c, Vec3 d) {
  const int abc = p.turn_of(a, b, c), abd = p.turn_of(a, b, d);
  const int cda = p.turn_of(c, d, a), cdb = p.turn_of(c, d, b);
  if (abc * abd < 0 && cda * cdb < 0) return true;
  return (abc == 0 && on_segment(p, a, b, c)) || (abd == 0 && on_segment(p, a, b, d)) ||
         (cda == 0 && on_segment(p, c, d, a)) || (cdb == 0 && on_segment(p, c, d, b));
}

bool holds(const Projection& p, const Triangle& t, Vec3 q) {
  const int a = p.turn_of(t.corner[0], t.corner[1], q), b = p.turn_of(t.corner[1], t.corner[2], q),
            c = p.turn_of(t.corner[2], t.corner[0], q);
  return (a >= 0 && b >= 0 && c >= 0) || (a <= 0 && b <= 0 && c <= 0);
}

// Two segments that may be points. In one plane they meet if they do in every projection.
bool segments_meet(Vec3 a, Vec3 b, Vec3 c, Vec3 d) {
  if (side_of_plane(a, b, c, d) != 0) return false;
  for (const Projection& p : kProjections)
    if (!segments_meet(p, a, b, c, d)) return false;
  return true;
}

bool has_area(const Triangle& t) {
  for (const Projection& p : kProjections)
    if (p.turn_of(t.corner[0], t.corner[1], t.corner[2]) != 0) return true;
  return false;
}

// Segment and triangle in one plane, or any segment and a triangle without area. Things on a line
// look alike along some axis, so they meet only if they do in every projection; for others one that
// keeps their area would do.
bool meets_in_plane(Vec3 a, Vec3 b, const Triangle& t) {
  if (!has_area(t)) {
    for (int k = 0; k < 3; ++k)
      if (segments_meet(a, b, t.corner[k], t.corner[(k + 1) % 3])) return true;
    return false;
  }
  for (const Projection& p : kProjections) {
    const bool flat = p.turn_of(t.corner[0], t.corner[1], t.corner[2]) == 0;
    bool meets = !flat && (holds(p, t, a) || holds(p, t, b));
    for (int k = 0; k < 3 && !meets; ++k)
      meets = segments_meet(p, a, b, t.corner[k], t.corner[(k + 1) % 3]);
    if (!meets) return false;
  }
  return true;
}

bool segment_meets(Vec3 a, Vec3 b, const Triangle& t) {
  const Vec3* c = t.corner;
  const int above = side_of_plane(c[0], c[1], c[2], a), below = side_of_plane(c[0], c[1], c[2], b);
  if (above * below > 0) return false;
  if (above == 0 && below == 0) return meets_in_plane(a, b, t);
  int low = 0, high = 0;
  for (int k = 0; k < 3; ++k) {
    const int side = side_of_plane(a, b, c[k], c[(k + 1) % 3]);
    low |= side < 0;
    high |= side > 0;
  }
  return !(low && high);
}

bool apart(const Triangle& s, const Triangle& t) {  // s strictly on one side of t's plane
  const int first = side_of_plane(t.corner[0], t.corner[1], t.corner[2], s.corner[0]);
  return first != 0 && first == side_of_plane(t.corner[0], t.corner[1], t.corner[2], s.corner[1]) &&
         first == side_of_plane(t.corner[0], t.corner[1], t.corner[2], s.corner[2]);
}

bool cross_without_common(const Triangle& s, const Triangle& t) {
  if (apart(s, t) || apart(t, s)) return false;
  for (int k = 0; k < 3; ++k)
    if (segment_meets(s.corner[k], s.corner[(k + 1) % 3], t) ||
        segment_meets(t.corner[k], t.corner[(k + 1) % 3], s))
      return true;
  return false;
}

bool folded(const Triangle& s, int i, const Triangle& t, int j) {  // i, j: corners not shared
  const Vec3 a = s.corner[(i + 1) % 3], b = s.corner[(i + 2) % 3];
  const Vec3 p = s.corner[i], q = t.corner[j];
  const double along = dot(cross(b - a, p - a), cross(b - a, q - a));
  const double size = dot(b - a, b - a) * std::sqrt(dot(p - a, p - a) * dot(q - a, q - a));
  if (along < -1e-12 * size) return false;  // they lie on different sides of the edge
  if (side_of_plane(a, b, p, q) != 0) return false;
  for (const Projection& projection : kProjections) {
    const int first = projection.turn_of(a, b, p), second = projection.turn_of(a, b, q);
    if (first * second < 0) return false;
  }
  return true;
}

bool cross_faces(const Triangle& s, const Triangle& t) {
  int common = 0, of_s[3] = {}, of_t[3] = {};
  bool taken_s[3] = {}, taken_t[3] = {};
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j)
      if (s.vertex[i] == t.vertex[j] && !taken_s[i] && !taken_t[j] && common < 3) {
        of_s[common] = i, of_t[common] = j, ++common;
        taken_s[i] = taken_t[j] = true;
      }
  if (common == 0) return cross_without_common(s, t);
  if (common == 1) {
    const int i = of_s[0], j = of_t[0];
    return segment_meets(s.corner[(i + 1) % 3], s.corner[(i + 2) % 3], t) ||
           segment_meets(t.corner[(j + 1) % 3], t.corner[(j + 2) % 3], s);
  }
  if (common == 2) return folded(s, 3 - of_s[0] - of_s[1], t, 3 - of_t[0] - of_t[1]);
  return true;
}

Triangle triangle(const double* vertices, const int64_t* faces, int64_t face) {
  Triangle t;
  for (int k = 0; k < 3; ++k) {
    t.vertex[k] = faces[3 * face + k];
    t.corner[k] = load(vertices + 3 * t.vertex[k]);
  }
  t.face = face;
  return t;
}

// The wanted ones; neighbours in space are neighbours in number.
std::vector<Triangle> along_curve(const double* vertices, const int64_t* faces, int64_t count,
                                  const uint8_t* wanted) {
  std::vector<Triangle> found;
  std::vector<double> centres;
  for (int64_t i = 0; i < count; ++i) {
    if (wanted && !wanted[i]) continue;
    found.push_back(triangle(vertices, faces, i));
    const Vec3* c = found.back().corner;
    for (int axis = 0; axis < 3; ++axis)
      centres.push_back(c[0][axis] / 3 + c[1][axis] / 3 + c[2][axis] / 3);
  }
  std::vector<Triangle> sorted;
  sorted.reserve(found.size());
  for (const int32_t i : hilbert_order(centres.data(), found.size(), 1)) sorted.push_back(found[i]);
  return sorted;
}

void bounds(const Triangle& t, double* low, double* high) {
  for (int axis = 0; axis < 3; ++axis) {
    low[axis] = std::min({t.corner[0][axis], t.corner[1][axis], t.corner[2][axis]});
    high[axis] = std::max({t.corner[0][axis], t.corner[1][axis], t.corner[2][axis]});
  }
}

// Calls found(block) for the blocks whose boxes meet [low, high].
template <class Found>
void blocks_in(const BoxTreeView& tree, const double* low, const double* high, const Found& found) {
  struct Entry {
    int32_t node, level;
  } stack[(kChildren - 1) * kMaxLevels + 1];
  int depth = 0;
  stack[depth++] = {0, tree.levels - 1};
  while (depth) {
    const Entry entry = stack[--depth];
    double distance2[kChildren];
    for (uint32_t left = children_within(tree.nodes[tree.start[entry.level] + entry.node], low,
                                         high, 0.0, distance2);
         left; left &= left - 1) {
      const int32_t child = entry.node * kChildren + lowest_bit(left);
      if (entry.level == 0)
        found(child);
      else
        stack[depth++] = {child, entry.level - 1};
    }
  }
}

}  // namespace

std::vector<std::pair<int64_t, int64_t>> crossings(const double* vertices, const int64_t* faces,
                                                   int64_t face_count, const uint8_t* wanted,
                                                   int threads) {
  std::vector<std::pair<int64_t, int64_t>> pairs;
  // The tree holds the wanted ones alone: few, as a rule, and all others ask it.
  const std::vector<Triangle> held = along_curve(vertices, faces, face_count, wanted);
  if (held.empty()) return pairs;
  const BoxTree boxes(held.size(), [&](int64_t i, double* low, double* high) {
    bounds(held[i], low, high);
    return static_cast<int32_t>(held[i].face);
  });
  const BoxTreeView tree = boxes.view();
  std::mutex mutex;
  parallel_for(face_count, threads, 256, [&](int64_t begin, int64_t end) {
    std::vector<std::pair<int64_t, int64_t>> own;
    for (int64_t i = begin; i < end; ++i) {
      const Triangle t = wanted ? triangle(vertices, faces, i) : held[i];
      const bool asks_all = wanted && !wanted[i];
      double low[3], high[3];
      bounds(t, low, high);
      blocks_in(tree, low, high, [&](int32_t block) {
        const Triangle& other = held[block];
        // Of two that the tree holds one asks.
        if (other.face == t.face || (!asks_all && other.face < t.face)) return;
        if (cross_faces(t, other)) own.push_back(std::minmax(t.face, other.face));
      });
    }
    std::lock_guard<std::mutex> lock(mutex);
    pairs.insert(pairs.end(), own.begin(), own.end());
  });
  std::sort(pairs.begin(), pairs.end());
  return pairs;
}

}  // namespace onet
