// Questions about points and random meshes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <utility>
#include <vector>

#include "../../csrc/closest_point.h"
#include "../../csrc/inside.h"
#include "../../csrc/nearest.h"
#include "../../csrc/sampling.h"
#include "../../csrc/winding.h"
#include "checks.h"
#include "extraction.h"
#include "inputs.h"

namespace fuzz {
namespace {

// Calls the operation with one thread and with several: the answers must be the same.
template <class Answer, class Call>
Answer with_threads(int threads, Call call) {
  Answer answer = call(1);
  if (threads > 1) require(call(threads) == answer, "the answer depends on the number of threads");
  return answer;
}

// A mesh and points about it. `whole`: the mesh is closed, and all coordinates are whole numbers
// from -1 to 33. `finite`: no coordinate was spoiled.
struct Query {
  Mesh mesh;
  std::vector<double> points;  // (P, 3)
  bool whole = false, finite = true;
  int64_t count() const { return static_cast<int64_t>(points.size() / 3); }
};

bool all_within(const std::vector<double>& coordinates, double limit) {
  return std::all_of(coordinates.begin(), coordinates.end(),
                     [&](double c) { return std::abs(c) < limit; });
}

Query random_query(Random& random) {
  Query query;
  Mesh& mesh = query.mesh;
  switch (random.whole(0, 5)) {
    case 0:
      mesh = tetrahedra(random, random.whole(0, 12), random.pick({1, 4, 32}));
      query.whole = true;
      break;
    case 1:
      mesh = cubes(random, random.whole(1, 5));
      query.whole = true;
      break;
    case 2:
    case 3:
      mesh = soup(random, random.whole(1, 60), random.pick({1.0, 1e-6, 1e6, 1e-150, 1e-310}));
      break;
    case 4:
      mesh = random_surface(random, 500).mesh;
      break;
    default:
      mesh = random.chance(0.5) ? soup(random, random.whole(1, 60), 1.0)
                                : tetrahedra(random, random.whole(1, 12), 4);
      spoil(random, mesh.vertices);
      query.finite = false;
  }
  const int64_t count = random.chance(0.1) ? random.whole(1000, 12'000) : random.whole(0, 60);
  query.points = random_points(random, mesh, count);
  if (random.chance(0.2)) {
    spoil(random, query.points);
    query.finite = query.whole = false;
  }
  if (query.whole)
    for (double& c : query.points) c = std::clamp(std::round(c), -1.0, 33.0);
  return query;
}

double largest(const std::vector<double>& coordinates) {
  double size = 0;
  for (const double c : coordinates) size = std::max(size, std::abs(c));
  return size;
}

long double distance_to_mesh(const Mesh& mesh, const double* p) {
  long double best = kInf;
  for (int64_t f = 0; f < mesh.face_count(); ++f)
    best = std::min(
        best, distance_to_triangle(p, mesh.corner(f, 0), mesh.corner(f, 1), mesh.corner(f, 2)));
  return best;
}

void contains(Random& random, int threads) {
  const Query query = random_query(random);
  const Mesh& mesh = query.mesh;
  std::vector<uint8_t> inside;
  try {
    inside = with_threads<std::vector<uint8_t>>(threads, [&](int n) {
      std::vector<uint8_t> out(query.count(), 2);
      onet::contains(mesh.vertices.data(), mesh.faces.data(), mesh.face_count(),
                     query.points.data(), query.count(), out.data(), n);
      return out;
    });
  } catch (const std::invalid_argument&) {
    require(!all_within(mesh.vertices, 1e99), "a mesh is refused that should not be");
    return;
  }
  for (int64_t i = 0; i < query.count(); ++i) {
    require(inside[i] <= 1, "an answer is neither 0 nor 1");
    if (!query.whole || i >= 200) continue;
    const Parity expected = exact_parity(mesh, &query.points[3 * i]);
    require(expected.on_surface || inside[i] == expected.inside, "parity is not exact");
  }
}

void closest_point(Random& random, int threads) {
  const Query query = random_query(random);
  const Mesh& mesh = query.mesh;
  // Preconditions, which the bindings check.
  if (mesh.faces.empty() || !all_within(mesh.vertices, 1e70) || !all_within(query.points, 1e70))
    return;
  const int64_t count = query.count();
  std::vector<double> closest, distance;
  const onet::TriangleTree tree(mesh.vertices.data(), mesh.faces.data(), mesh.face_count());
  const auto faces = with_threads<std::vector<int64_t>>(threads, [&](int n) {
    std::vector<int64_t> face(count, -1);
    closest.assign(3 * count, kNan);
    distance.assign(count, kNan);
    tree.closest(query.points.data(), count, closest.data(), distance.data(), face.data(), n);
    return face;
  });
  const double scale = largest(mesh.vertices);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t face = faces[i];
    require(face >= 0 && face < mesh.face_count(), "the nearest face does not exist");
    const double *p = &query.points[3 * i], *q = &closest[3 * i];
    if (i >= 60 || scale < 1e-100) continue;
    const double best = static_cast<double>(distance_to_mesh(mesh, p));
    const double tolerance =
        1e-7 * std::max({scale, std::abs(p[0]), std::abs(p[1]), std::abs(p[2])});
    require(std::abs(distance[i] - best) <= tolerance, "a nearer triangle exists");
    require(std::abs(std::hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]) - best) <= tolerance,
            "the closest point is not at the distance that is returned");
    require(distance_to_triangle(q, mesh.corner(face, 0), mesh.corner(face, 1),
                                 mesh.corner(face, 2)) <= tolerance,
            "the closest point is not on its face");
  }
}

void winding(Random& random, int threads) {
  const Query query = random_query(random);
  const Mesh& mesh = query.mesh;
  const int64_t count = query.count();
  const double beta = random.pick({1.0, 2.0, 4.0, 8.0, kInf});
  std::vector<double> answer;
  try {
    const onet::WindingTree tree(mesh.vertices.data(), mesh.faces.data(), mesh.face_count());
    const auto call = [&](int n) {
      std::vector<double> out(count, 77);
      tree.winding_number(query.points.data(), count, beta, out.data(), n);
      return out;
    };
    answer = query.finite ? with_threads<std::vector<double>>(threads, call) : call(threads);
  } catch (const std::invalid_argument&) {
    require(!all_within(mesh.vertices, 1e99), "a mesh is refused that should not be");
    return;
  }
  const double scale = largest(mesh.vertices);
  for (int64_t i = 0; i < count; ++i) {
    const double* p = &query.points[3 * i];
    const bool is_nan = std::isnan(p[0]) || std::isnan(p[1]) || std::isnan(p[2]);
    // A mesh without area winds around nothing, wherever that is.
    require(is_nan ? std::isnan(answer[i]) || answer[i] == 0 : !std::isnan(answer[i]),
            "NaN for a point that is not, or the other way round");
    if (!query.finite || i >= 60 || scale < 1e-100 || beta < 2) continue;
    if (!mesh.faces.empty() && distance_to_mesh(mesh, p) < 1e-6 * scale) continue;
    const double tolerance = beta == kInf ? 1e-6 : beta >= 8 ? 1e-3 : beta >= 4 ? 1e-2 : 0.1;
    require(std::abs(answer[i] - winding_number(mesh, p)) < tolerance,
            "the winding number is not the sum of solid angles");
  }
}

// Points as they are given: clusters, repetitions, lattices, all in a plane or on a line.
std::vector<double> random_cloud(Random& random, int64_t count) {
  const double scale = random.pick({1.0, 1e-6, 1e6, 1e60});
  const int dimensions = random.whole(0, 3), kind = random.whole(0, 2);
  std::vector<double> cloud;
  for (int64_t i = 0; i < count; ++i) {
    if (i > 0 && random.chance(0.1)) {
      const int64_t other = static_cast<int64_t>(random.bits() % i);
      for (int axis = 0; axis < 3; ++axis) cloud.push_back(cloud[3 * other + axis]);
      continue;
    }
    const double shrink = kind == 0 ? 1 : std::pow(10, -random.whole(0, 9));
    for (int axis = 0; axis < 3; ++axis)
      cloud.push_back(axis >= dimensions ? 0.25 * scale
                      : kind == 1        ? scale * random.whole(-3, 3)
                                         : scale * shrink * random.uniform(-1, 1));
  }
  return cloud;
}

void nearest(Random& random, int threads) {
  const int64_t size = random.chance(0.1) ? random.whole(500, 4000) : random.whole(1, 80);
  const int64_t count = random.chance(0.1) ? random.whole(500, 4000) : random.whole(0, 60);
  const std::vector<double> cloud = random_cloud(random, size);
  std::vector<double> queries = random_cloud(random, count);
  for (int64_t i = 0; i < count; ++i)
    if (random.chance(0.3))  // on a point, or between two of them
      for (int axis = 0; axis < 3; ++axis)
        queries[3 * i + axis] =
            0.5 * (cloud[3 * (i % size) + axis] + cloud[3 * ((i + i % 2) % size) + axis]);
  std::vector<double> distance;
  const onet::NearestNeighbors neighbors(cloud.data(), size, threads);
  const auto index = with_threads<std::vector<int64_t>>(threads, [&](int n) {
    std::vector<int64_t> out(count, -1);
    distance.assign(count, kNan);
    neighbors.query(queries.data(), count, distance.data(), out.data(), n);
    return out;
  });
  for (int64_t i = 0; i < count; ++i) {
    require(index[i] >= 0 && index[i] < size, "the nearest point does not exist");
    if (i >= 200) continue;
    double best = kInf;
    int64_t expected = -1;
    for (int64_t k = 0; k < size; ++k) {
      double square = 0;
      for (int axis = 0; axis < 3; ++axis) {
        const double d = queries[3 * i + axis] - cloud[3 * k + axis];
        square += d * d;
      }
      if (square < best) best = square, expected = k;
    }
    require(index[i] == expected, "another point is nearer, or as near and earlier");
    require(distance[i] == std::sqrt(best), "the distance is wrong");
  }
}

void sampling(Random& random, int threads) {
  const Mesh mesh = random_query(random).mesh;
  const int64_t count = random.whole(0, 2000);
  const double area =
      onet::surface_area(mesh.vertices.data(), mesh.faces.data(), mesh.face_count());
  if (!(area > 0) || !std::isfinite(area)) return;  // a precondition
  std::vector<double> pick(count), within(2 * count), normals;
  for (double& v : pick) v = random.chance(0.1) ? 0 : random.uniform();
  for (double& v : within) v = random.pick({0.0, 1 - 0x1p-53, 0.5, random.uniform()});
  std::vector<int64_t> face;
  const auto points = with_threads<std::vector<double>>(threads, [&](int n) {
    std::vector<double> out(3 * count, kNan);
    normals.assign(3 * count, kNan);
    face.assign(count, -1);
    onet::sample_surface(mesh.vertices.data(), mesh.faces.data(), mesh.face_count(), pick.data(),
                         within.data(), count, out.data(), normals.data(), face.data(), n);
    return out;
  });
  const double scale = largest(mesh.vertices);
  for (int64_t i = 0; i < count; ++i) {
    require(face[i] >= 0 && face[i] < mesh.face_count(), "the sampled face does not exist");
    if (scale > 1e70 || scale < 1e-70) continue;
    const double *n = &normals[3 * i], *a = mesh.corner(face[i], 0), *b = mesh.corner(face[i], 1),
                 *c = mesh.corner(face[i], 2);
    require(std::abs(std::hypot(n[0], n[1], n[2]) - 1) < 1e-9, "a normal is not of length 1");
    require(distance_to_triangle(&points[3 * i], a, b, c) <= 1e-9 * scale,
            "a sample is not on its face");
  }
}

}  // namespace
}  // namespace fuzz
