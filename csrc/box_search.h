// A hierarchy of boxes in flat arrays, eight children a node, and the search for the item nearest
// to a point. Runs on the CPU and in CUDA kernels.
//
// Items lie in blocks; level 0 groups eight consecutive blocks to a node, each level above it eight
// nodes of the one below, so children need no pointers. Of equally near items the one with the
// smallest index is found, whatever the order of the visits: a box is left out only where nothing
// in it can win, which needs no tolerance because distances to boxes and to what is in them are
// rounded alike (the difference along each axis, squared, summed in the order x, y, z).
#pragma once

#include <cstdint>

#include "portable.h"

#if defined(__SSE2__) && !defined(__CUDACC__)
#define ONET_SSE2
#include <emmintrin.h>
#endif

namespace onet {

constexpr int kChildren = 8;
constexpr int kMaxLevels = 11;  // 8^11 > 2^31 blocks

struct BoxNode {
  double low[3][kChildren], high[3][kChildren];  // an absent child: low = inf, high = -inf
  int32_t first[kChildren];                      // smallest index of the items in the child
};

struct BoxTreeView {
  const BoxNode* nodes;
  int64_t start[kMaxLevels];  // of the nodes of each level
  int levels;                 // at least 1; the last one has one node, the root
};

// Squared distances from the box [low, high] to the children; bit k of the result says that child k
// is within `bound2`.
ONET_HD inline uint32_t children_within(const BoxNode& node, const double* low, const double* high,
                                        double bound2, double* distance2) {
  uint32_t within = 0;
#ifdef ONET_SSE2
  const __m128d zero = _mm_setzero_pd(), bound = _mm_set1_pd(bound2);
  for (int k = 0; k < kChildren; k += 2) {
    __m128d sum = zero;
    for (int axis = 0; axis < 3; ++axis) {
      const __m128d above = _mm_sub_pd(_mm_loadu_pd(node.low[axis] + k), _mm_set1_pd(high[axis]));
      const __m128d below = _mm_sub_pd(_mm_set1_pd(low[axis]), _mm_loadu_pd(node.high[axis] + k));
      const __m128d d = _mm_max_pd(_mm_max_pd(above, below), zero);
      sum = _mm_add_pd(sum, _mm_mul_pd(d, d));
    }
    _mm_storeu_pd(distance2 + k, sum);
    within |= static_cast<uint32_t>(_mm_movemask_pd(_mm_cmple_pd(sum, bound))) << k;
  }
#else
  for (int k = 0; k < kChildren; ++k) {
    double sum = 0;
    for (int axis = 0; axis < 3; ++axis) {
      const double above = node.low[axis][k] - high[axis], below = low[axis] - node.high[axis][k];
      const double d = above > 0 ? above : below > 0 ? below : 0;
      sum += d * d;
    }
    distance2[k] = sum;
    within |= static_cast<uint32_t>(sum <= bound2) << k;
  }
#endif
  return within;
}

ONET_HD inline int lowest_bit(uint32_t mask) {
#if defined(__CUDA_ARCH__)
  return __ffs(mask) - 1;
#elif defined(__GNUC__)
  return __builtin_ctz(mask);
#else
  int bit = 0;
  while (!(mask >> bit & 1)) ++bit;
  return bit;
#endif
}

// Improves `best`, which has members `distance2` and `index` (before anything is found: infinity
// and INT32_MAX), to the item nearest to q. leaf(q, block, best) looks at the items of one block.
template <class Best, class Leaf>
ONET_HD void search_boxes(const BoxTreeView& tree, const double* q, const Leaf& leaf, Best& best) {
  struct Entry {
    double distance2;
    int32_t first, node, level;  // level -1: a block
  };
  Entry stack[(kChildren - 1) * kMaxLevels + 1];
  int depth = 0;
  stack[depth++] = {0, -1, 0, tree.levels - 1};
  while (depth) {
    const Entry entry = stack[--depth];
    if (entry.distance2 > best.distance2) continue;
    if (entry.distance2 == best.distance2 && entry.first >= best.index) continue;
    if (entry.level < 0) {
      leaf(q, entry.node, best);
      continue;
    }
    const BoxNode& node = tree.nodes[tree.start[entry.level] + entry.node];
    double distance2[kChildren];
    const int base = depth;  // what is pushed here is kept sorted: the nearest on top
    for (uint32_t left = children_within(node, q, q, best.distance2, distance2); left;
         left &= left - 1) {
      const int k = lowest_bit(left);
      const Entry child{distance2[k], node.first[k], entry.node * kChildren + k, entry.level - 1};
      int at = depth++;
      for (; at > base; --at) {
        const Entry& above = stack[at - 1];
        if (above.distance2 > child.distance2) break;
        if (above.distance2 == child.distance2 && above.first >= child.first) break;
        stack[at] = above;
      }
      stack[at] = child;
    }
  }
}

}  // namespace onet
