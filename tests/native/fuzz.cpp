// Random inputs through the compiled operations, to be built with sanitizers; no Python in it.
//
//   fuzz --list                             names of the operations
//   fuzz --break                            does what sanitizers must find
//   fuzz OPERATION FIRST COUNT [THREADS]    cases FIRST .. FIRST + COUNT - 1 of one operation
//
// A case is a function of its number alone. A finding is reported on stderr with the number of its
// case and ends the program with a status other than 0, whether a check or a sanitizer found it.
// A new operation is one function in the table at the end.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include "../../csrc/closest_point.h"
#include "../../csrc/depth_map.h"
#include "../../csrc/inside.h"
#include "../../csrc/marching_cubes.h"
#include "../../csrc/octree.h"
#include "checks.h"
#include "inputs.h"

namespace fuzz {
namespace {

// What a tree knows on the finest lattice. Beyond the box everything is outside.
class Volume {
 public:
  enum State : uint8_t { kUnknown, kOutside, kInside };

  explicit Volume(const Lattice& lattice) {
    for (int axis = 0; axis < 3; ++axis) size_[axis] = lattice.size(axis) + 1;
    state_.resize(int64_t{size_[0]} * size_[1] * size_[2]);
    value_.resize(state_.size());
    evaluated_.resize(state_.size());
  }
  bool in_box(const std::array<int32_t, 3>& p) const {
    for (int axis = 0; axis < 3; ++axis)
      if (p[axis] < 0 || p[axis] >= size_[axis]) return false;
    return true;
  }
  void set(const std::array<int32_t, 3>& p, float value, bool evaluated) {
    require(in_box(p), "a known point is beyond the box");
    require(state_[at(p)] == kUnknown, "a point is known twice");
    state_[at(p)] = value > 0 ? kInside : kOutside;
    value_[at(p)] = value;
    evaluated_[at(p)] = evaluated;
  }
  State state(const std::array<int32_t, 3>& p) const {
    return in_box(p) ? state_[at(p)] : kOutside;
  }
  bool evaluated(const std::array<int32_t, 3>& p) const { return !in_box(p) || evaluated_[at(p)]; }
  float value(const std::array<int32_t, 3>& p) const { return value_[at(p)]; }

 private:
  int64_t at(const std::array<int32_t, 3>& p) const {
    return (int64_t{p[0]} * size_[1] + p[1]) * size_[2] + p[2];
  }
  std::array<int32_t, 3> size_;
  std::vector<State> state_;
  std::vector<float> value_;
  std::vector<uint8_t> evaluated_;
};

struct Extraction {
  Field field;
  Volume volume;
  std::vector<std::array<int32_t, 3>> points;  // known ones, in the order of the tree
  std::vector<float> values;
  Mesh mesh;
  std::vector<float> interpolated;
};

std::vector<int32_t> random_cells(Random& random, const Lattice& lattice) {
  std::vector<int32_t> cells(3 * random.pick({0, 0, 1, 7, 40}));
  for (size_t i = 0; i < cells.size(); ++i)
    cells[i] = random.chance(0.02) ? random.pick({INT32_MIN, INT32_MAX, -1, 1 << 20})
                                   : random.whole(-1, lattice.size(i % 3));
  return cells;
}

Extraction extract(Random random, int64_t most_cells, bool predict, int threads) {
  const Lattice lattice = random_lattice(random, most_cells);
  Extraction result{random_field(random, lattice), Volume(lattice), {}, {}, {}, {}};
  const float margin = random.pick({0.0f, 0.0f, 0.3f, 1e30f});
  onet::Octree tree(lattice.base, lattice.levels, predict, margin, onet::CpuBackend(threads));
  const std::array<double, 3> origin = {random.uniform(-1, 1), 0.5, -3};
  const double cell = random.uniform(0.01, 2);
  std::vector<uint8_t> asked(int64_t{lattice.size(0) + 1} * (lattice.size(1) + 1) *
                             (lattice.size(2) + 1));
  int64_t given = 0;
  do {
    if (random.chance(0.5)) {
      const std::vector<int32_t> cells = random_cells(random, lattice);
      tree.refine(cells.data(), static_cast<int64_t>(cells.size() / 3));
    }
    const int64_t count = tree.pending();
    std::vector<int32_t> points(3 * count);
    std::vector<float> positions(3 * count), values(count);
    const int64_t middle = random.whole(0, static_cast<int32_t>(count));
    tree.pending_points(0, middle, points.data());
    tree.pending_points(middle, count - middle, points.data() + 3 * middle);
    tree.pending_positions(origin, cell, 0, count, positions.data());
    for (int64_t i = 0; i < count; ++i) {
      const int32_t* p = &points[3 * i];
      require(result.volume.in_box({p[0], p[1], p[2]}), "a point beyond the box is asked for");
      uint8_t& before =
          asked[(int64_t{p[0]} * (lattice.size(1) + 1) + p[1]) * (lattice.size(2) + 1) + p[2]];
      require(!before, "a point is asked for twice");
      before = true;
      for (int axis = 0; axis < 3; ++axis)
        require(positions[3 * i + axis] == static_cast<float>(origin[axis] + cell * p[axis]),
                "a pending point is elsewhere");
      values[i] = result.field.value(p[0], p[1], p[2]);
    }
    tree.update(values.data(), count);
    given += count;
  } while (tree.pending() > 0);
  require(tree.evaluated() == given, "evaluated() is not the number of values given");

  std::vector<int32_t> points(3 * tree.points());
  std::vector<uint8_t> evaluated(tree.points());
  result.values.resize(tree.points());
  tree.read_points(points.data(), result.values.data(), evaluated.data());
  for (int64_t i = 0; i < tree.points(); ++i) {
    const std::array<int32_t, 3> p = {points[3 * i], points[3 * i + 1], points[3 * i + 2]};
    result.points.push_back(p);
    result.volume.set(p, result.values[i], evaluated[i]);
    given -= evaluated[i];
    const float value = result.field.value(p[0], p[1], p[2]);
    require(!evaluated[i] || value == result.values[i] || std::isnan(value),
            "the tree has another value than it was given");
  }
  require(given == 0, "the number of points marked as evaluated is wrong");

  const auto surface = onet::marching_cubes(tree);
  result.mesh.vertices.assign(surface.vertices.data(),
                              surface.vertices.data() + surface.vertices.size());
  result.mesh.faces.assign(surface.faces.data(), surface.faces.data() + surface.faces.size());

  std::vector<double> positions(3 * random.whole(0, 50));
  for (size_t i = 0; i < positions.size(); ++i)
    positions[i] = random.chance(0.5) ? random.uniform(-0.5, lattice.size(i % 3) + 0.5)
                                      : random.whole(-1, lattice.size(i % 3) + 1);
  if (random.chance(0.1)) spoil(random, positions);
  result.interpolated.resize(positions.size() / 3);
  tree.interpolate(positions.data(), static_cast<int64_t>(positions.size() / 3),
                   result.interpolated.data());
  if (result.field.has_nan) return result;
  const auto [low, high] = std::minmax_element(result.values.begin(), result.values.end());
  for (size_t i = 0; i < result.interpolated.size(); ++i) {
    bool in_box = true;
    for (int axis = 0; axis < 3; ++axis)
      in_box &= positions[3 * i + axis] >= 0 && positions[3 * i + axis] <= lattice.size(axis);
    const double value = result.interpolated[i], slack = 1e-5 * std::max(-*low, *high);
    require(in_box ? value >= *low - slack && value <= *high + slack : value == -1,
            "an interpolated value is beyond those that are interpolated");
  }
  return result;
}

// Every crossed lattice edge carries one vertex, where a linear function is zero, margins apart.
void check_vertices(const Extraction& found) {
  int64_t crossed = 0;
  for (std::array<int32_t, 3> p : found.points) {
    if (found.volume.state(p) != Volume::kInside) continue;
    for (int axis = 0; axis < 3; ++axis)
      for (const int step : {-1, 1}) {
        p[axis] += step;
        crossed += found.volume.state(p) == Volume::kOutside;
        p[axis] -= step;
      }
  }
  require(crossed == found.mesh.vertex_count(), "not one vertex for each crossed lattice edge");

  for (int64_t v = 0; v < found.mesh.vertex_count() && !found.field.has_nan; ++v) {
    const double* at = &found.mesh.vertices[3 * v];
    std::array<int32_t, 3> a;
    int axis = -1;
    for (int k = 0; k < 3; ++k) {
      require(std::isfinite(at[k]), "a vertex is not finite");
      a[k] = static_cast<int32_t>(std::floor(at[k]));
      if (a[k] == at[k]) continue;
      require(axis < 0, "a vertex is not on a lattice edge");
      axis = k;
    }
    require(axis >= 0, "a vertex is on a lattice point");
    auto b = a;
    ++b[axis];
    const auto state_a = found.volume.state(a), state_b = found.volume.state(b);
    require(state_a != Volume::kUnknown && state_b != Volume::kUnknown && state_a != state_b,
            "a vertex is on an edge that the surface does not cross");
    require(found.volume.evaluated(a) && found.volume.evaluated(b),
            "a vertex depends on a predicted value");
    double t = 1 - onet::kMargin;
    if (found.volume.in_box(a)) {
      t = onet::kMargin;
      if (found.volume.in_box(b)) {
        const double low = found.volume.value(a), high = found.volume.value(b);
        t = std::min(std::max(low / (low - high), onet::kMargin), 1 - onet::kMargin);
      }
    }
    require(std::abs(at[axis] - a[axis] - t) < 1e-9, "a vertex is not at the zero of its edge");
  }
}

void extract_and_check(Random& random, bool predict, int threads) {
  const int64_t most = random.chance(0.02) ? 100'000 : random.pick({100, 2'000, 12'000});
  const Extraction found = extract(random, most, predict, threads);
  const Mesh& mesh = found.mesh;
  if (threads > 1) {
    const Mesh other = extract(random, most, predict, 1).mesh;
    require(other.faces == mesh.faces && (found.field.has_nan || other.vertices == mesh.vertices),
            "the mesh depends on the number of threads");
  }
  check_solid(mesh);
  check_vertices(found);
  if (found.field.has_nan || mesh.faces.empty()) return;
  require(signed_volume(mesh) > 0, "the surface is inside out");
  if (mesh.face_count() > 20'000) return;
  for (int i = 0; i < 6; ++i) {  // which also tells cavities from solids, component by component
    const std::array<int32_t, 3> p = found.points[random.bits() % found.points.size()];
    const double at[3] = {double(p[0]), double(p[1]), double(p[2])};
    const double expected = found.volume.state(p) == Volume::kInside;
    require(std::abs(winding_number(mesh, at) - expected) < 1e-3,
            "the surface does not part inside from outside");
  }
}

void extraction(Random& random, int threads) { extract_and_check(random, false, threads); }
void prediction(Random& random, int threads) { extract_and_check(random, true, threads); }

// Calls the operation with one thread and with several: the answers must be the same.
template <class Answer, class Call>
Answer with_threads(int threads, Call call) {
  Answer answer = call(1);
  if (threads > 1) require(call(threads) == answer, "the answer depends on the number of threads");
  return answer;
}

// A mesh for queries. `whole`: its coordinates are whole numbers in [0, 32] and it is closed.
Mesh query_mesh(Random& random, bool& whole, bool& finite) {
  whole = finite = true;
  switch (random.whole(0, 5)) {
    case 0:
      return tetrahedra(random, random.whole(0, 12), random.pick({1, 4, 32}));
    case 1:
      return cubes(random, random.whole(1, 5));
    case 2:
    case 3:
      whole = false;
      return soup(random, random.whole(1, 60), random.pick({1.0, 1e-6, 1e6, 1e-150, 1e-310}));
    case 4:
      whole = false;
      for (;; random.bits())
        if (Extraction found = extract(random, 500, false, 1); !found.field.has_nan)
          return std::move(found.mesh);
    default: {
      whole = finite = false;
      Mesh mesh = random.chance(0.5) ? soup(random, random.whole(1, 60), 1.0)
                                     : tetrahedra(random, random.whole(1, 12), 4);
      spoil(random, mesh.vertices);
      return mesh;
    }
  }
}

std::vector<double> query_points(Random& random, const Mesh& mesh, bool& finite) {
  const int64_t count = random.chance(0.1) ? random.whole(1000, 12'000) : random.whole(0, 60);
  std::vector<double> points = random_points(random, mesh, count);
  if (random.chance(0.2)) {
    spoil(random, points);
    finite = false;
  }
  return points;
}

bool usable(const Mesh& mesh) {
  return std::all_of(mesh.vertices.begin(), mesh.vertices.end(),
                     [](double c) { return std::abs(c) <= 1e100; });
}

void contains(Random& random, int threads) {
  bool whole, finite;
  const Mesh mesh = query_mesh(random, whole, finite);
  std::vector<double> points = query_points(random, mesh, finite);
  if (whole && finite)
    for (double& c : points) c = std::clamp(std::round(c), -1.0, 33.0);
  const int64_t count = static_cast<int64_t>(points.size() / 3);
  std::vector<uint8_t> inside;
  try {
    inside = with_threads<std::vector<uint8_t>>(threads, [&](int n) {
      std::vector<uint8_t> out(count, 2);
      onet::contains(mesh.vertices.data(), mesh.vertex_count(), mesh.faces.data(),
                     mesh.face_count(), points.data(), count, out.data(), n);
      return out;
    });
  } catch (const std::invalid_argument&) {
    require(!usable(mesh), "a mesh is refused that should not be");
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    require(inside[i] <= 1, "an answer is neither 0 nor 1");
    if (!whole || !finite || i >= 200) continue;
    const Parity expected = exact_parity(mesh, &points[3 * i]);
    require(expected.on_surface || inside[i] == expected.inside, "parity is not exact");
  }
}

void closest_point(Random& random, int threads) {
  bool whole, finite;
  const Mesh mesh = query_mesh(random, whole, finite);
  const std::vector<double> points = query_points(random, mesh, finite);
  if (mesh.faces.empty()) return;  // a precondition
  const int64_t count = static_cast<int64_t>(points.size() / 3);
  struct Answer {
    std::vector<double> closest, distance;
    std::vector<int64_t> face;
  } answer;
  // Distances only: between equally near triangles the choice may depend on the order of queries.
  const onet::TriangleTree tree(mesh.vertices.data(), mesh.faces.data(), mesh.face_count());
  const auto distances = [&](int n) {
    answer = {std::vector<double>(3 * count), std::vector<double>(count),
              std::vector<int64_t>(count, -1)};
    tree.closest(points.data(), count, answer.closest.data(), answer.distance.data(),
                 answer.face.data(), n);
    return answer.distance;
  };
  if (finite)
    with_threads<std::vector<double>>(threads, distances);
  else
    distances(threads);
  double scale = 0;
  for (const double c : mesh.vertices) scale = std::max(scale, std::abs(c));
  for (int64_t i = 0; i < count; ++i) {
    const int64_t face = answer.face[i];
    require(face >= 0 && face < mesh.face_count(), "the nearest face does not exist");
    if (!finite || scale < 1e-100 || i >= 60) continue;
    const double *p = &points[3 * i], *q = &answer.closest[3 * i];
    long double best = kInf;
    for (int64_t f = 0; f < mesh.face_count(); ++f)
      best = std::min(best, distance_to_triangle(p, mesh.corner(f, 0), mesh.corner(f, 1),
                                                 mesh.corner(f, 2)));
    const double size = std::max({scale, std::abs(p[0]), std::abs(p[1]), std::abs(p[2])});
    const double tolerance = 1e-7 * size;
    require(std::abs(answer.distance[i] - double(best)) <= tolerance, "a nearer triangle exists");
    require(std::abs(std::hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]) - double(best)) <= tolerance,
            "the closest point is not at the distance that is returned");
    require(distance_to_triangle(q, mesh.corner(face, 0), mesh.corner(face, 1),
                                 mesh.corner(face, 2)) <= tolerance,
            "the closest point is not on its face");
  }
}

// Where a vertical line meets a triangle: the smallest barycentric coordinate, and z.
struct Shadow {
  long double clearance = -1, depth = kInf;
};

Shadow shadow_of(const Mesh& mesh, int64_t face, const double* p) {
  using Real = long double;
  const auto twice_area = [](const double* a, const double* b, const double* c) {
    return (Real(b[0]) - a[0]) * (Real(c[1]) - a[1]) - (Real(c[0]) - a[0]) * (Real(b[1]) - a[1]);
  };
  const double *a = mesh.corner(face, 0), *b = mesh.corner(face, 1), *c = mesh.corner(face, 2);
  const Real whole = twice_area(a, b, c);
  if (std::abs(whole) < 1e-9) return {0, kInf};  // too thin to tell
  const Real u = twice_area(p, b, c) / whole, v = twice_area(a, p, c) / whole, w = 1 - u - v;
  return {std::min({u, v, w}), u * a[2] + v * b[2] + w * c[2]};
}

void rasterize(Random& random, int) {
  const int64_t width = random.whole(0, 40), height = random.whole(0, 40);
  Mesh mesh = soup(random, random.whole(1, 40), random.pick({1.0, 10.0, 50.0, 1e6}));
  for (double& c : mesh.vertices) c += random.pick({0.0, 10.0, 20.5});
  const bool finite = random.chance(0.8);
  if (!finite) spoil(random, mesh.vertices);
  std::vector<float> depth(width * height, -7), again(width * height, -7);
  std::vector<int32_t> face(width * height, -7);
  onet::rasterize(mesh.vertices.data(), mesh.faces.data(), mesh.face_count(), width, height,
                  depth.data(), face.data());
  Mesh reversed = mesh;
  for (int64_t f = 0; f < mesh.face_count(); ++f)
    std::copy_n(&mesh.faces[3 * f], 3, &reversed.faces[3 * (mesh.face_count() - 1 - f)]);
  onet::rasterize(reversed.vertices.data(), reversed.faces.data(), reversed.face_count(), width,
                  height, again.data(), nullptr);
  require(depth == again, "the picture depends on the order of the triangles");
  for (int64_t i = 0; i < width * height; ++i) {
    require(face[i] >= -1 && face[i] < mesh.face_count(), "a pixel shows no face that exists");
    require((face[i] >= 0) == (depth[i] < std::numeric_limits<float>::infinity()),
            "a pixel has a depth without a face or a face without a depth");
    if (!finite || i % 7 != 0) continue;
    // Seen from the front, the depth is that of the nearest triangle over the centre of the pixel.
    const double centre[3] = {double(i % width) + 0.5, double(i / width) + 0.5, 0};
    long double nearest = kInf;
    for (int64_t f = 0; f < mesh.face_count(); ++f) {
      const Shadow shadow = shadow_of(mesh, f, centre);
      if (shadow.clearance > 1e-9) nearest = std::min(nearest, shadow.depth);
      if (f == face[i]) require(shadow.clearance > -1e-9, "a pixel shows a face that is elsewhere");
    }
    require(depth[i] <= nearest + 1e-5L * (1 + std::abs(nearest)), "a nearer face is not shown");
  }
}

void visibility(Random& random, int threads) {
  bool whole, finite;
  Mesh mesh = query_mesh(random, whole, finite);
  if (mesh.vertices.empty()) add_vertex(mesh, 0, 0, 0);
  double radius = 0;
  for (const double c : mesh.vertices)
    if (std::isfinite(c)) radius = std::max(radius, std::abs(c));
  radius = random.pick({1.0, 0.5, 1.8}) * (radius > 0 ? radius : 1);
  std::vector<double> directions;
  for (int i = random.whole(0, 5); i > 0; --i) {
    double d[3] = {random.uniform(-1, 1), random.uniform(-1, 1), random.uniform(-1, 1)};
    if (random.chance(0.3)) d[0] = d[1] = 0, d[2] = 1;
    const double length = std::hypot(d[0], d[1], d[2]);
    for (const double c : d) directions.push_back(c / length);
  }
  const int64_t count = static_cast<int64_t>(directions.size() / 3);
  const int64_t size = random.whole(1, 24);
  const std::vector<double> points = query_points(random, mesh, finite);
  const int64_t point_count = static_cast<int64_t>(points.size() / 3);
  const auto visible = with_threads<std::vector<uint8_t>>(threads, [&](int n) {
    const onet::Views views(mesh.vertices.data(), mesh.vertex_count(), mesh.faces.data(),
                            mesh.face_count(), directions.data(), count, size, radius, n);
    std::vector<uint8_t> out(point_count, 2);
    views.visible(points.data(), point_count, out.data(), n);
    return out;
  });
  for (int64_t i = 0; i < point_count; ++i) {
    require(visible[i] <= 1 && (count > 0 || !visible[i]), "a point is seen by nobody");
    if (!finite || i >= 100) continue;
    for (int64_t d = 0; d < count; ++d) {
      const auto height = [&](const double* p) {
        const double* t = &directions[3 * d];
        return p[0] * t[0] + p[1] * t[1] + p[2] * t[2];
      };
      double top = -kInf;
      for (int64_t v = 0; v < mesh.vertex_count(); ++v)
        top = std::max(top, height(&mesh.vertices[3 * v]));
      require(visible[i] || height(&points[3 * i]) <= top + 1e-5 * radius,
              "a point in front of everything is not seen");
    }
  }
}

struct Operation {
  const char* name;
  void (*run)(Random&, int threads);
};

constexpr Operation kOperations[] = {
    {"extraction", extraction},       {"prediction", prediction}, {"contains", contains},
    {"closest_point", closest_point}, {"rasterize", rasterize},   {"visibility", visibility},
};

char running[96] = "";

void set_running(int64_t number, const char* operation) {
  std::snprintf(running, sizeof running, "case %lld of %s\n", static_cast<long long>(number),
                operation);
}

int break_rules() {
  set_running(7, "nothing");
  std::vector<int> values(16);
  std::thread other([&] { values[0] = 1; });
  values[0] = 2;
  other.join();
  const int* volatile data = values.data();
  return data[16];
}

}  // namespace
}  // namespace fuzz

// Sanitizers call abort(), whose signal is caught below, at the first finding.
extern "C" {
const char* __asan_default_options() { return "abort_on_error=1"; }
const char* __ubsan_default_options() { return "abort_on_error=1:print_stacktrace=1"; }
const char* __tsan_default_options() { return "abort_on_error=1:halt_on_error=1"; }
}

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--list") == 0) {
    for (const auto& operation : fuzz::kOperations) std::puts(operation.name);
    return 0;
  }
  std::signal(SIGABRT, [](int) { std::fputs(fuzz::running, stderr); });
  if (argc == 2 && std::strcmp(argv[1], "--break") == 0) return fuzz::break_rules();
  if (argc != 4 && argc != 5) {
    std::fputs("usage: fuzz --list | --break | OPERATION FIRST COUNT [THREADS]\n", stderr);
    return 2;
  }
  const int64_t first = std::atoll(argv[2]), count = std::atoll(argv[3]);
  const int threads = argc == 5 ? std::atoi(argv[4]) : 1;
  for (const auto& operation : fuzz::kOperations) {
    if (std::strcmp(operation.name, argv[1]) != 0) continue;
    uint64_t name = 0;
    for (const char* c = operation.name; *c; ++c) name = fuzz::mix(name ^ uint64_t(*c));
    for (int64_t i = first; i < first + count; ++i) {
      fuzz::set_running(i, operation.name);
      fuzz::Random random(fuzz::mix(name ^ static_cast<uint64_t>(i)));
      try {
        operation.run(random, threads);
      } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n%s", error.what(), fuzz::running);
        return 1;
      }
    }
    return 0;
  }
  std::fprintf(stderr, "no operation %s\n", argv[1]);
  return 2;
}
