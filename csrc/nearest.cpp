#include "nearest.h"

namespace onet {
namespace {

std::vector<PointBlock> along_curve(const double* points, int64_t n, int threads) {
  const std::vector<int32_t> order = hilbert_order(points, n, threads);
  std::vector<PointBlock> blocks((n + kChildren - 1) / kChildren);
  for (int64_t i = 0; i < static_cast<int64_t>(blocks.size()) * kChildren; ++i) {
    PointBlock& block = blocks[i / kChildren];
    const int k = i % kChildren;
    block.index[k] = i < n ? order[i] : INT32_MAX;
    for (int axis = 0; axis < 3; ++axis)
      block.x[axis][k] = i < n ? points[3 * int64_t{order[i]} + axis] : INFINITY;
  }
  return blocks;
}

}  // namespace

NearestNeighbors::NearestNeighbors(const double* points, int64_t n, int threads)
    : blocks_(along_curve(points, n, threads)),
      tree_(static_cast<int64_t>(blocks_.size()), [&](int64_t b, double* low, double* high) {
        const PointBlock& block = blocks_[b];
        const int count = static_cast<int>(std::min<int64_t>(kChildren, n - b * kChildren));
        for (int axis = 0; axis < 3; ++axis) {
          low[axis] = *std::min_element(block.x[axis], block.x[axis] + count);
          high[axis] = *std::max_element(block.x[axis], block.x[axis] + count);
        }
        return *std::min_element(block.index, block.index + count);
      }) {}

void NearestNeighbors::query(const double* q, int64_t n, double* distance, int64_t* index,
                             int threads) const {
  tree_.search<NearestPoint>(q, n, threads, NearestInBlock{blocks_.data()},
                             [=](int64_t i, const NearestPoint& best) {
                               distance[i] = std::sqrt(best.distance2);
                               index[i] = best.index;
                             });
}

}  // namespace onet
