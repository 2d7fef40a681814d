// Exact nearest neighbours among a set of points.
#pragma once

#include <cstdint>
#include <vector>

#include "box_tree.h"
#include "nearest_body.h"

namespace onet {

class NearestNeighbors {
 public:
  // points (n, 3), finite, 0 < n < 2^31. Keeps a copy. threads: 0 for default_threads().
  NearestNeighbors(const double* points, int64_t n, int threads);

  // For q (n, 3), finite: the distance (n) to the nearest point and its index (n), the smallest one
  // where several are equally near. Equal to the exhaustive search in double precision.
  void query(const double* q, int64_t n, double* distance, int64_t* index, int threads) const;

  // The flat arrays, for kernels that run elsewhere.
  NearestView view() const { return {tree_.view(), blocks_.data()}; }
  int64_t node_count() const { return tree_.node_count(); }
  int64_t block_count() const { return static_cast<int64_t>(blocks_.size()); }

 private:
  std::vector<PointBlock> blocks_;
  BoxTree tree_;
};

}  // namespace onet
