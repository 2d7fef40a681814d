// Builds the hierarchy of box_search.h and asks it for many points at once.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "box_search.h"
#include "hilbert.h"
#include "parallel.h"

namespace onet {

class BoxTree {
 public:
  // For each of the blocks (at least one, fewer than 2^31; neighbours in space should be neighbours
  // in number) bound(block, low, high) sets its box and returns the smallest index of its items.
  template <class Bound>
  BoxTree(int64_t blocks, Bound bound);

  BoxTreeView view() const;
  int64_t node_count() const { return static_cast<int64_t>(nodes_.size()); }

  // Searches for n points q (n, 3). `Best` and `leaf` as for search_boxes; besides, Best has a
  // member `block` that leaf sets. done(i, best) is called once a point, in any order and thread.
  template <class Best, class Leaf, class Done>
  void search(const double* q, int64_t n, int threads, const Leaf& leaf, const Done& done) const;

 private:
  static constexpr int kGroup = 16;       // neighbouring queries that share a list of blocks
  static constexpr int kShared = 64;      // blocks in the list, at most
  static constexpr double kMargin = 2.0;  // reach of the list: squared distances of the last group

  struct Shared {
    BoxNode nodes[kShared / kChildren];
    int32_t blocks[kShared];
    int count;
  };

  bool gather(const double* low, const double* high, double reach2, Shared& shared) const;

  std::vector<BoxNode> nodes_;
  BoxTreeView view_;  // without the pointer
};

namespace detail {

inline BoxNode empty_box_node() {
  BoxNode node;
  for (int axis = 0; axis < 3; ++axis) {
    std::fill_n(node.low[axis], kChildren, INFINITY);
    std::fill_n(node.high[axis], kChildren, -INFINITY);
  }
  std::fill_n(node.first, kChildren, INT32_MAX);
  return node;
}

}  // namespace detail

template <class Bound>
BoxTree::BoxTree(int64_t blocks, Bound bound) : view_{} {
  int64_t count[kMaxLevels], total = 0;
  for (int64_t m = blocks; view_.levels == 0 || m > 1; ++view_.levels) {
    m = (m + kChildren - 1) / kChildren;
    view_.start[view_.levels] = total;
    total += count[view_.levels] = m;
  }
  nodes_.assign(total, detail::empty_box_node());
  for (int64_t b = 0; b < blocks; ++b) {
    BoxNode& node = nodes_[b / kChildren];
    const int k = b % kChildren;
    double low[3], high[3];
    node.first[k] = bound(b, low, high);
    for (int axis = 0; axis < 3; ++axis)
      node.low[axis][k] = low[axis], node.high[axis][k] = high[axis];
  }
  for (int level = 1; level < view_.levels; ++level)
    for (int64_t i = 0; i < count[level - 1]; ++i) {
      const BoxNode& child = nodes_[view_.start[level - 1] + i];
      BoxNode& node = nodes_[view_.start[level] + i / kChildren];
      const int k = i % kChildren;
      for (int axis = 0; axis < 3; ++axis) {
        node.low[axis][k] = *std::min_element(child.low[axis], child.low[axis] + kChildren);
        node.high[axis][k] = *std::max_element(child.high[axis], child.high[axis] + kChildren);
      }
      node.first[k] = *std::min_element(child.first, child.first + kChildren);
    }
}

inline BoxTreeView BoxTree::view() const {
  BoxTreeView view = view_;
  view.nodes = nodes_.data();
  return view;
}

// The blocks within sqrt(reach2) of a box; false if they are too many.
inline bool BoxTree::gather(const double* low, const double* high, double reach2,
                            Shared& shared) const {
  struct Entry {
    int32_t node, level;
  } stack[(kChildren - 1) * kMaxLevels + 1];
  int depth = 0;
  shared.count = 0;
  stack[depth++] = {0, view_.levels - 1};
  while (depth) {
    const Entry entry = stack[--depth];
    const BoxNode& node = nodes_[view_.start[entry.level] + entry.node];
    double distance2[kChildren];
    for (uint32_t left = children_within(node, low, high, reach2, distance2); left;
         left &= left - 1) {
      const int k = lowest_bit(left);
      const int32_t child = entry.node * kChildren + k;
      if (entry.level > 0) {
        stack[depth++] = {child, entry.level - 1};
        continue;
      }
      if (shared.count == kShared) return false;
      const int slot = shared.count % kChildren;
      BoxNode& copy = shared.nodes[shared.count / kChildren];
      if (slot == 0) copy = detail::empty_box_node();
      for (int axis = 0; axis < 3; ++axis) {
        copy.low[axis][slot] = node.low[axis][k];
        copy.high[axis][slot] = node.high[axis][k];
      }
      shared.blocks[shared.count++] = child;
    }
  }
  return true;
}

// Queries are answered along a Hilbert curve, in small groups. A group's list holds every block
// that an answer within the reach can be in; whoever finds nothing that near searches the tree.
template <class Best, class Leaf, class Done>
void BoxTree::search(const double* q, int64_t n, int threads, const Leaf& leaf,
                     const Done& done) const {
  const BoxTreeView tree = view();
  const std::vector<int32_t> order = hilbert_order(q, n, threads);
  parallel_for(n, threads, 128 * kGroup, [&](int64_t begin, int64_t end) {
    int32_t guess = 0;  // the last answer: a good first bound
    double reach2 = -1;
    int pause = 0;  // groups to go without a list after one was too long
    Shared shared;
    for (int64_t start = begin; start < end; start += kGroup) {
      const int size = static_cast<int>(std::min<int64_t>(kGroup, end - start));
      double point[kGroup][3], low[3] = {INFINITY, INFINITY, INFINITY};
      double high[3] = {-INFINITY, -INFINITY, -INFINITY};
      for (int i = 0; i < size; ++i)
        for (int axis = 0; axis < 3; ++axis) {
          const double v = q[3 * int64_t{order[start + i]} + axis];
          point[i][axis] = v;
          low[axis] = v < low[axis] ? v : low[axis];
          high[axis] = v > high[axis] ? v : high[axis];
        }
      const bool listed = reach2 >= 0 && pause == 0 && gather(low, high, reach2, shared);
      pause = listed ? 0 : pause > 0 ? pause - 1 : reach2 >= 0 ? 8 : 0;
      double farthest2 = 0;
      for (int i = 0; i < size; ++i) {
        Best best{};
        best.distance2 = INFINITY;
        best.index = INT32_MAX;
        leaf(point[i], guess, best);
        for (int from = 0; listed && from < shared.count; from += kChildren) {
          double distance2[kChildren];
          for (uint32_t left = children_within(shared.nodes[from / kChildren], point[i], point[i],
                                               best.distance2, distance2);
               left; left &= left - 1) {
            const int k = lowest_bit(left);
            if (distance2[k] <= best.distance2) leaf(point[i], shared.blocks[from + k], best);
          }
        }
        if (!listed || best.distance2 > reach2) search_boxes(tree, point[i], leaf, best);
        guess = best.block;
        farthest2 = std::max(farthest2, best.distance2);
        done(int64_t{order[start + i]}, best);
      }
      reach2 = kMargin * farthest2;
    }
  });
}

}  // namespace onet
