#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "backend.cuh"
#include "cuda_nearest.h"

namespace onet {
namespace {

// Puts two zero bits between the lowest 10 bits.
ONET_HD inline uint64_t spread(uint64_t v) {
  v = (v | v << 16) & 0x030000ff;
  v = (v | v << 8) & 0x0300f00f;
  v = (v | v << 4) & 0x030c30c3;
  return (v | v << 2) & 0x09249249;
}

// Queries that are neighbours in space get neighbouring threads, which then go the same ways.
struct Place {  // i over queries: place on a Morton curve above, number below
  double low[3], scale[3];
  const double* q;
  uint64_t* keys;
  int32_t* bad;
  ONET_HD void operator()(int64_t i) const {
    uint64_t key = 0;
    bool fine = true;
    for (int axis = 0; axis < 3; ++axis) {
      const double v = q[3 * i + axis], step = (v - low[axis]) * scale[axis];
      fine = fine && v > -1e70 && v < 1e70;  // as onet._C has it; false for NaN
      const uint64_t whole = step > 0 ? step < 1023 ? static_cast<uint64_t>(step) : 1023 : 0;
      key |= spread(whole) << axis;
    }
    keys[i] = key << 32 | static_cast<uint64_t>(i);
    if (!fine) atomic_add(bad, 1);
  }
};

struct Answer {
  NearestView view;
  const uint64_t* keys;
  const double* q;
  double* distance;
  int64_t* index;
  ONET_HD void operator()(int64_t i) const {
    const int64_t number = static_cast<int64_t>(keys[i] & 0xffffffff);
    const double at[3] = {q[3 * number], q[3 * number + 1], q[3 * number + 2]};
    const NearestPoint best = nearest_point(view, at);
    distance[number] = sqrt(best.distance2);
    index[number] = best.index;
  }
};

}  // namespace

CudaNearestNeighbors::CudaNearestNeighbors(const CudaBackend& backend, const NearestNeighbors& host)
    : backend_(backend), nodes_(backend), blocks_(backend), view_(host.view()) {
  const BoxNode& root = view_.tree.nodes[view_.tree.start[view_.tree.levels - 1]];
  for (int axis = 0; axis < 3; ++axis) {
    low_[axis] = *std::min_element(root.low[axis], root.low[axis] + kChildren);
    const double high = *std::max_element(root.high[axis], root.high[axis] + kChildren);
    const double extent = high - low_[axis];
    scale_[axis] = extent > 0 ? 1024 / extent : 0;
  }
  nodes_.resize(host.node_count());
  blocks_.resize(host.block_count());
  backend_.write(nodes_.data(), view_.tree.nodes, nodes_.size());
  backend_.write(blocks_.data(), view_.blocks, blocks_.size());
  view_.tree.nodes = nodes_.data();
  view_.blocks = blocks_.data();
}

void CudaNearestNeighbors::query(const double* q, int64_t n, double* distance,
                                 int64_t* index) const {
  if (n >= int64_t{1} << 31) throw std::invalid_argument("over 2^31 rows");
  CudaBackend::Buffer<uint64_t> keys(backend_), scratch(backend_);
  CudaBackend::Buffer<int32_t> bad(backend_);
  keys.resize(n);
  scratch.resize(n);
  bad.resize(1);
  backend_.fill_bytes(bad.data(), 1, 0);
  backend_.each(n, Place{{low_[0], low_[1], low_[2]},
                         {scale_[0], scale_[1], scale_[2]},
                         q,
                         keys.data(),
                         bad.data()});
  int32_t bad_count = 0;
  backend_.read(&bad_count, bad.data(), 1);
  if (bad_count)
    throw std::invalid_argument("queries: " + std::to_string(bad_count) + " of " +
                                std::to_string(n) +
                                " rows are NaN, infinite or beyond 1e70; remove them");
  backend_.sort(keys.data(), scratch.data(), n);
  backend_.each(n, Answer{view_, keys.data(), q, distance, index});
}

}  // namespace onet
