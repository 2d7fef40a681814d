// Octree and marching cubes on random fields.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

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
  std::vector<float> again(tree.points());
  tree.values_at(points.data(), tree.points(), again.data());
  require(std::memcmp(again.data(), result.values.data(), again.size() * sizeof(float)) == 0,
          "a known point has another value when it is looked up");
  const std::vector<int32_t> anywhere = random_cells(random, lattice);
  again.resize(anywhere.size() / 3);
  tree.values_at(anywhere.data(), static_cast<int64_t>(again.size()), again.data());

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

// A closed surface of at most `most_cells` cells, possibly empty.
Extraction random_surface(Random& random, int64_t most_cells) {
  for (;;) {
    Extraction found = extract(random, most_cells, false, 1);
    random.bits();  // extract() leaves `random` as it was
    if (!found.field.has_nan) return found;
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

}  // namespace
}  // namespace fuzz
