#include "simplify.h"

#include <algorithm>
#include <array>
#include <limits>
#include <stdexcept>
#include <string>

#include "vec3.h"

namespace onet {
namespace {

constexpr double kSmooth = 3e-4;  // weight of staying near the edge; decides where all is flat
constexpr double kTurn = 0.2;     // cosine of the largest turn of a triangle
constexpr double kTiny = 0.01;    // of the surroundings' area: a triangle whose normal says little
constexpr double kKept = 0.1;     // part of the enclosed volume that stays enclosed
constexpr double kFlat = 1e-12;   // of area^1.5 or of all parts' volumes: encloses nothing

// Sum of weighted squared distances to planes, x'Ax + 2b'x + c.
struct Quadric {
  double xx = 0, xy = 0, xz = 0, yy = 0, yz = 0, zz = 0;
  Vec3 b{0, 0, 0};
  double c = 0;

  void add_plane(Vec3 n, double offset, double weight) {  // n'x + offset = 0, n of length 1
    xx += weight * n.x * n.x, xy += weight * n.x * n.y, xz += weight * n.x * n.z;
    yy += weight * n.y * n.y, yz += weight * n.y * n.z, zz += weight * n.z * n.z;
    b = b + weight * offset * n;
    c += weight * offset * offset;
  }
  Quadric& operator+=(const Quadric& q) {
    xx += q.xx, xy += q.xy, xz += q.xz, yy += q.yy, yz += q.yz, zz += q.zz;
    b = b + q.b, c += q.c;
    return *this;
  }
  Vec3 times(Vec3 v) const {
    return {xx * v.x + xy * v.y + xz * v.z, xy * v.x + yy * v.y + yz * v.z,
            xz * v.x + yz * v.y + zz * v.z};
  }
  double operator()(Vec3 v) const { return dot(v, times(v)) + 2 * dot(b, v) + c; }
};

struct Candidate {
  double cost;
  uint32_t age;  // of its two vertices together; one that has aged since is out of date
  int32_t edge;  // half-edge
  bool operator<(const Candidate& other) const {  // heaps of the standard library keep the largest
    return cost != other.cost ? cost > other.cost : edge > other.edge;
  }
};

double squared(Vec3 v) { return dot(v, v); }

// Six times a signed volume, and how little of it, with the same sign, is allowed.
struct Volume {
  double now = 0, least = 0;  // `least` has the sign of what was enclosed at first; 0: no limit

  void keep(double flat) { least = std::abs(now) > flat ? kKept * now : 0; }
  bool allows(double change) const {
    return least == 0 || (least > 0 ? now + change >= least : now + change <= least);
  }
};

// Half-edge 3 f + k runs from corner k of face f to the next corner.
class Collapser {
 public:
  Collapser(const double* vertices, int64_t vertex_count, const int64_t* faces, int64_t face_count,
            const uint8_t* fixed)
      : face_count_(face_count), fixed_(fixed) {
    if (3 * face_count >= std::numeric_limits<int32_t>::max() || vertex_count >= (int64_t{1} << 31))
      throw std::invalid_argument("too many faces or vertices");
    start_.assign(faces, faces + 3 * face_count);
    connect(vertex_count);
    normalise(vertices, vertex_count);
    quadric_.resize(vertex_count);
    for (int32_t h = 0; h < size(); h += 3) {
      const Vec3 a = point_[start_[h]], n = normal(a, point_[start_[h + 1]], point_[start_[h + 2]]);
      const double length = std::sqrt(squared(n));
      if (length == 0) continue;
      const Vec3 unit = 1 / length * n;
      for (int k = 0; k < 3; ++k) quadric_[start_[h + k]].add_plane(unit, -dot(unit, a), length);
    }
    age_.assign(vertex_count, 0);
    mark_.assign(vertex_count, 0);
    measure();
  }

  void run(int64_t target) {
    for (bool progress = true; progress && face_count_ > target;) {
      progress = false;  // what was refused is asked again when all else is done
      heap_.clear();
      for (int32_t h = 0; h < size(); ++h)
        if (start_[h] >= 0 && h < twin_[h]) heap_.push_back(candidate(h));
      std::make_heap(heap_.begin(), heap_.end());
      while (face_count_ > target && !heap_.empty()) {
        std::pop_heap(heap_.begin(), heap_.end());
        const Candidate top = heap_.back();
        heap_.pop_back();
        if (start_[top.edge] < 0 || top.age != age(top.edge)) continue;
        const Vec3 place = best(top.edge).first;
        if (!allowed(top.edge, place)) continue;
        const double change = swept(top.edge, place);
        Volume& part = part_[part_of_[start_[top.edge]]];
        if (!part.allows(change) || !whole_.allows(change)) continue;
        part.now += change;
        whole_.now += change;
        collapse(top.edge, place);
        progress = true;
      }
    }
  }

  SimplifiedMesh result() const {
    SimplifiedMesh mesh;
    std::vector<int64_t> index(point_.size(), -1);
    for (const int32_t v : start_)
      if (v >= 0) index[v] = 0;
    int64_t count = 0;
    for (size_t v = 0; v < point_.size(); ++v) {
      if (index[v] < 0) continue;
      index[v] = count++;
      const Vec3 p = scale_ * point_[v] + center_;
      mesh.vertices.insert(mesh.vertices.end(), {p.x, p.y, p.z});
    }
    for (const int32_t v : start_)
      if (v >= 0) mesh.faces.push_back(index[v]);
    return mesh;
  }

 private:
  static int32_t next(int32_t h) { return h % 3 == 2 ? h - 2 : h + 1; }
  static int32_t previous(int32_t h) { return h % 3 == 0 ? h + 2 : h - 1; }
  static Vec3 normal(Vec3 a, Vec3 b, Vec3 c) { return cross(b - a, c - a); }
  int32_t size() const { return static_cast<int32_t>(start_.size()); }
  int32_t end(int32_t h) const { return start_[next(h)]; }
  uint32_t age(int32_t h) const { return age_[start_[h]] + age_[end(h)]; }

  // Calls body(h) for the half-edges that leave a vertex, as long as it returns true.
  template <class Body>
  bool each_leaving(int32_t vertex, Body body) const {
    int32_t h = leaving_[vertex];
    do {
      if (!body(h)) return false;
      h = twin_[previous(h)];
    } while (h != leaving_[vertex]);
    return true;
  }

  // Finds the twin of every half-edge, and checks that the mesh is a closed manifold.
  void connect(int64_t vertex_count) {
    leaving_.assign(vertex_count, -1);
    valence_.assign(vertex_count, 0);
    twin_.assign(start_.size(), -1);
    std::vector<int32_t> first(vertex_count + 1, 0);
    for (const int32_t v : start_) ++first[v + 1];
    for (int64_t v = 0; v < vertex_count; ++v) first[v + 1] += first[v];
    std::vector<std::pair<int32_t, int32_t>> by_start(start_.size());  // (end, half-edge)
    std::vector<int32_t> fill(first.begin(), first.end() - 1);
    for (int32_t h = 0; h < size(); ++h) by_start[fill[start_[h]]++] = {end(h), h};
    for (int64_t v = 0; v < vertex_count; ++v)
      std::sort(by_start.begin() + first[v], by_start.begin() + first[v + 1]);
    for (int32_t h = 0; h < size(); ++h) {
      const int32_t a = start_[h], b = end(h);
      const auto last = by_start.begin() + first[b + 1];
      const auto found = std::lower_bound(by_start.begin() + first[b], last, std::pair(a, 0));
      const bool one = found != last && found->first == a &&
                       (found + 1 == last || (found + 1)->first != a) && a != b;
      if (!one)
        throw std::invalid_argument("the edge between vertices " + std::to_string(a) + " and " +
                                    std::to_string(b) +
                                    " does not have two faces that walk it in opposite directions");
      twin_[h] = found->second;
      leaving_[a] = h;
    }
    for (int32_t v = 0; v < vertex_count; ++v) {
      if (leaving_[v] < 0) continue;
      each_leaving(v, [&](int32_t) { return ++valence_[v] > 0; });
      if (valence_[v] != first[v + 1] - first[v])
        throw std::invalid_argument("the faces around vertex " + std::to_string(v) +
                                    " form more than one fan");
    }
  }

  // Work is done on coordinates around 0, at most 1, so that thresholds and rounding fit any unit.
  void normalise(const double* vertices, int64_t count) {
    Vec3 low{0, 0, 0}, high{0, 0, 0};
    for (int64_t v = 0; v < count; ++v) {
      const Vec3 p = load(vertices + 3 * v);
      if (v == 0) low = high = p;
      low = {std::min(low.x, p.x), std::min(low.y, p.y), std::min(low.z, p.z)};
      high = {std::max(high.x, p.x), std::max(high.y, p.y), std::max(high.z, p.z)};
    }
    const Vec3 extent = high - low;
    center_ = 0.5 * (low + high);
    scale_ = std::max({extent.x, extent.y, extent.z}) / 2;
    if (!(scale_ > 0)) scale_ = 1;
    point_.resize(count);
    for (int64_t v = 0; v < count; ++v) point_[v] = 1 / scale_ * (load(vertices + 3 * v) - center_);
  }

  // The volumes of the parts, about a corner of each, and of the whole.
  void measure() {
    part_of_.assign(point_.size(), -1);
    std::vector<int32_t> queue;
    double sizes = 0;
    for (int32_t first = 0; first < size(); first += 3) {
      if (part_of_[start_[first]] >= 0) continue;
      const int32_t part = static_cast<int32_t>(part_.size());
      part_of_[start_[first]] = part;
      queue.assign(1, start_[first]);
      Volume volume;
      double area = 0;
      const Vec3 origin = point_[start_[first]];
      for (size_t i = 0; i < queue.size(); ++i)
        each_leaving(queue[i], [&](int32_t h) {
          const Vec3 a = point_[start_[h]], b = point_[end(h)], c = point_[start_[previous(h)]];
          volume.now += dot(a - origin, cross(b - origin, c - origin)) / 3;  // once a corner
          area += std::sqrt(squared(normal(a, b, c))) / 6;
          int32_t& other = part_of_[end(h)];
          if (other < 0) other = part, queue.push_back(end(h));
          return true;
        });
      volume.keep(kFlat * area * std::sqrt(area));
      part_.push_back(volume);
      whole_.now += volume.now;
      sizes += std::abs(volume.now);
    }
    whole_.keep(kFlat * sizes);
  }

  // What collapsing an edge adds to six times the volume: the cones from the place to the faces
  // around the edge leave it.
  double swept(int32_t h, Vec3 place) const {
    const int32_t u = start_[h], v = end(h);
    double change = 0;
    for (const int32_t w : {u, v})
      each_leaving(w, [&](int32_t g) {
        const int32_t a = end(g), b = start_[previous(g)];
        if (w == v && (a == u || b == u)) return true;  // met around u
        change -= dot(point_[w] - place, cross(point_[a] - place, point_[b] - place));
        return true;
      });
    return change;
  }

  // The point to collapse into, and the cost. The quadric is damped towards the middle of the edge:
  // where the surface is flat or straight, any point on it would do.
  std::pair<Vec3, double> best(int32_t h) const {
    const int32_t u = start_[h], v = end(h);
    Quadric q = quadric_[u];
    q += quadric_[v];
    const Vec3 middle = 0.5 * (point_[u] + point_[v]);
    const double damping = kSmooth * (q.xx + q.yy + q.zz);
    if (damping == 0) return {middle, 0};
    const double xx = q.xx + damping, yy = q.yy + damping, zz = q.zz + damping;
    const Vec3 r = q.times(middle) + q.b;
    const double c0 = yy * zz - q.yz * q.yz, c1 = q.xz * q.yz - q.xy * zz,
                 c2 = q.xy * q.yz - q.xz * yy, c3 = xx * zz - q.xz * q.xz,
                 c4 = q.xy * q.xz - xx * q.yz, c5 = xx * yy - q.xy * q.xy;
    const double det = xx * c0 + q.xy * c1 + q.xz * c2;
    const Vec3 move = -1 / det *
                      Vec3{c0 * r.x + c1 * r.y + c2 * r.z, c1 * r.x + c3 * r.y + c4 * r.z,
                           c2 * r.x + c4 * r.y + c5 * r.z};
    const Vec3 place = middle + move;
    const double apart = squared(move) + squared(point_[u] - point_[v]) / 4;
    return {place, std::max(q(place), 0.0) + damping * apart};
  }

  Candidate candidate(int32_t h) const { return {best(h).second, age(h), h}; }

  bool allowed(int32_t h, Vec3 place) {
    const int32_t u = start_[h], v = end(h), t = twin_[h];
    const int32_t a = start_[previous(h)], b = start_[previous(t)];
    if (fixed_ && (fixed_[u] || fixed_[v])) return false;
    if (valence_[a] == 3 || valence_[b] == 3) return false;
    ++now_;
    each_leaving(u, [&](int32_t g) { return (mark_[end(g)] = now_) != 0; });
    int common = 0;
    if (!each_leaving(v, [&](int32_t g) { return (common += mark_[end(g)] == now_) <= 2; }))
      return false;
    Vec3 around{0, 0, 0};
    for (const int32_t w : {u, v})
      each_leaving(w, [&](int32_t g) {
        around = around + normal(point_[w], point_[end(g)], point_[start_[previous(g)]]);
        return true;
      });
    for (const int32_t w : {u, v})
      if (!each_leaving(w, [&](int32_t g) {
            if (g / 3 == h / 3 || g / 3 == t / 3) return true;  // vanishes
            return stays_upright(point_[w], place, point_[end(g)], point_[start_[previous(g)]],
                                 around);
          }))
        return false;
    return true;
  }

  // May the corner `from` of the triangle (from, a, b) move to `to`? Marching cubes leaves
  // triangles so small that their own direction is arbitrary: what counts then is that of all
  // around the edge.
  static bool stays_upright(Vec3 from, Vec3 to, Vec3 a, Vec3 b, Vec3 around) {
    const Vec3 before = normal(from, a, b), after = normal(to, a, b);
    const Vec3 up = squared(before) < kTiny * kTiny * squared(around) ? around : before;
    return dot(up, after) > kTurn * std::sqrt(squared(up) * squared(after));
  }

  void collapse(int32_t h, Vec3 place) {
    const int32_t t = twin_[h], u = start_[h], v = start_[t];
    each_leaving(v, [&](int32_t g) {
      start_[g] = u;
      return true;
    });
    for (const int32_t side : {h, t}) {
      // The two other sides of each vanishing face become one edge.
      const int32_t x = twin_[next(side)], y = twin_[previous(side)], corner = start_[x];
      twin_[x] = y;
      twin_[y] = x;
      leaving_[corner] = x;
      leaving_[u] = y;
      --valence_[corner];
    }
    for (const int32_t side : {h, t})
      for (int k = 0; k < 3; ++k) start_[side / 3 * 3 + k] = -1;
    valence_[u] += valence_[v] - 4;
    quadric_[u] += quadric_[v];
    point_[u] = place;
    age_[u] = std::max(age_[u], age_[v]) + 1;
    face_count_ -= 2;
    each_leaving(u, [&](int32_t g) {
      heap_.push_back(candidate(g));
      std::push_heap(heap_.begin(), heap_.end());
      return true;
    });
  }

  int64_t face_count_;
  const uint8_t* fixed_;                    // of vertices, or null
  std::vector<int32_t> start_, twin_;       // of half-edges; start -1: its face is gone
  std::vector<int32_t> leaving_, valence_;  // of vertices: some half-edge, number of neighbours
  std::vector<Vec3> point_;
  std::vector<Quadric> quadric_;
  std::vector<uint32_t> age_, mark_;
  uint32_t now_ = 0;
  std::vector<int32_t> part_of_;  // of vertices: which connected part
  std::vector<Volume> part_;
  Volume whole_;
  std::vector<Candidate> heap_;
  Vec3 center_{0, 0, 0};
  double scale_ = 1;
};

}  // namespace

SimplifiedMesh simplify(const double* vertices, int64_t vertex_count, const int64_t* faces,
                        int64_t face_count, int64_t target, const uint8_t* fixed) {
  Collapser collapser(vertices, vertex_count, faces, face_count, fixed);
  collapser.run(target);
  return collapser.result();
}

}  // namespace onet
