// The nearest of a set of points to one query, over the flat arrays of nearest.h.
#pragma once

#include <cmath>

#include "box_search.h"

namespace onet {

struct PointBlock {
  double x[3][kChildren];  // coordinates; infinite where the last block has no point
  int32_t index[kChildren];
};

struct NearestView {
  BoxTreeView tree;
  const PointBlock* blocks;
};

struct NearestPoint {
  double distance2;
  int32_t index;
  int32_t block;
};

struct NearestInBlock {
  const PointBlock* blocks;

  ONET_HD void operator()(const double* q, int32_t number, NearestPoint& best) const {
    const PointBlock& block = blocks[number];
    double distance2[kChildren];
    uint32_t within = 0;
#ifdef ONET_SSE2
    const __m128d bound = _mm_set1_pd(best.distance2);
    for (int k = 0; k < kChildren; k += 2) {
      __m128d sum = _mm_setzero_pd();
      for (int axis = 0; axis < 3; ++axis) {
        const __m128d d = _mm_sub_pd(_mm_loadu_pd(block.x[axis] + k), _mm_set1_pd(q[axis]));
        sum = _mm_add_pd(sum, _mm_mul_pd(d, d));
      }
      _mm_storeu_pd(distance2 + k, sum);
      within |= static_cast<uint32_t>(_mm_movemask_pd(_mm_cmple_pd(sum, bound))) << k;
    }
#else
    for (int k = 0; k < kChildren; ++k) {
      double sum = 0;
      for (int axis = 0; axis < 3; ++axis) {
        const double d = block.x[axis][k] - q[axis];
        sum += d * d;
      }
      distance2[k] = sum;
      within |= static_cast<uint32_t>(sum <= best.distance2) << k;
    }
#endif
    for (; within; within &= within - 1) {
      const int k = lowest_bit(within);
      if (distance2[k] < best.distance2 ||
          (distance2[k] == best.distance2 && block.index[k] < best.index))
        best = {distance2[k], block.index[k], number};
    }
  }
};

// Index and squared distance of the point nearest to q (3 finite coordinates); the smallest index
// where several are equally near.
ONET_HD inline NearestPoint nearest_point(const NearestView& view, const double* q) {
  NearestPoint best{INFINITY, INT32_MAX, 0};
  search_boxes(view.tree, q, NearestInBlock{view.blocks}, best);
  return best;
}

}  // namespace onet
