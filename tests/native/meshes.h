// Operations on whole meshes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "../../csrc/components.h"
#include "../../csrc/simplify.h"
#include "checks.h"
#include "extraction.h"
#include "inputs.h"
#include "queries.h"

namespace fuzz {
namespace {

// Number of pieces connected through shared vertices, by spreading the smallest label.
int64_t piece_count(const Mesh& mesh, std::vector<int64_t>& label) {
  label.resize(mesh.vertex_count());
  std::iota(label.begin(), label.end(), int64_t{0});
  const auto root = [&](int64_t v) {
    while (label[v] != v) v = label[v] = label[label[v]];
    return v;
  };
  for (int64_t f = 0; f < mesh.face_count(); ++f)
    for (int k = 0; k < 2; ++k) {
      const int64_t a = root(mesh.faces[3 * f + k]), b = root(mesh.faces[3 * f + k + 1]);
      label[std::max(a, b)] = std::min(a, b);
    }
  std::vector<uint8_t> used(mesh.vertex_count());
  for (const int64_t v : mesh.faces) used[root(v)] = 1;
  for (int64_t v = 0; v < mesh.vertex_count(); ++v) label[v] = root(v);
  return std::accumulate(used.begin(), used.end(), int64_t{0});
}

void components(Random& random, int) {
  const Mesh mesh = random_query(random).mesh;
  int32_t count = -1;
  const std::vector<int32_t> found =
      onet::face_components(mesh.faces.data(), mesh.face_count(), mesh.vertex_count(), count);
  std::vector<int64_t> label;
  require(count == piece_count(mesh, label), "the number of components is wrong");
  require(static_cast<int64_t>(found.size()) == mesh.face_count(), "not one component a face");
  std::vector<int64_t> piece_of(count, -1);
  int32_t next = 0;
  for (int64_t f = 0; f < mesh.face_count(); ++f) {
    require(found[f] >= 0 && found[f] <= next && found[f] < count, "components are not in order");
    int64_t& piece = piece_of[found[f]];
    if (found[f] == next) {
      piece = label[mesh.faces[3 * f]];
      ++next;
    }
    require(piece == label[mesh.faces[3 * f]], "a component has two pieces");
  }
}

void simplification(Random& random, int) {
  Mesh mesh = random.chance(0.8) ? random_surface(random, random.pick({100, 2'000, 6'000})).mesh
                                 : random_query(random).mesh;
  if (random.chance(0.1)) spoil(random, mesh.vertices);
  const int64_t target = random.chance(0.3)
                             ? random.pick({INT64_MIN, int64_t{-1}, int64_t{0}, INT64_MAX})
                             : random.whole(0, static_cast<int32_t>(mesh.face_count()) + 3);
  bool is_solid = true;
  try {
    check_solid(mesh, true);
  } catch (const std::runtime_error&) {
    is_solid = false;
  }
  Mesh simple;
  try {
    onet::SimplifiedMesh found = onet::simplify(mesh.vertices.data(), mesh.vertex_count(),
                                                mesh.faces.data(), mesh.face_count(), target);
    simple = {std::move(found.vertices), std::move(found.faces)};
    require(is_solid, "a mesh that is no closed manifold is accepted");
  } catch (const std::invalid_argument&) {
    require(!is_solid, "a closed manifold is refused");
    return;
  }
  check_solid(simple);
  require(simple.face_count() <= mesh.face_count(), "there are more faces than before");
  require(simple.face_count() + 1 >= std::min(mesh.face_count(), target), "too few faces are left");
  std::vector<int64_t> label;
  require(piece_count(simple, label) == piece_count(mesh, label), "a component is lost or new");
  std::vector<uint8_t> seen(mesh.vertex_count());
  for (const int64_t v : mesh.faces) seen[v] = 1;
  const int64_t before = std::accumulate(seen.begin(), seen.end(), int64_t{0});
  require(2 * simple.vertex_count() - simple.face_count() == 2 * before - mesh.face_count(),
          "the number of handles has changed");
}

}  // namespace
}  // namespace fuzz
