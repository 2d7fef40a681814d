// Multiresolution isosurface extraction (MISE; Mescheder et al. 2019, section 3.3), stored
// sparsely.
//
// A box of base[0] x base[1] x base[2] cells is refined `levels` times by halving, so the finest
// lattice has (base[i] << levels) + 1 points along axis i. Points are integer triples on that
// lattice. Protocol: read the pending points, evaluate the field there, call update(), until none
// is pending. Inside means value > 0. Outside the box the field counts as negative, so a surface
// that leaves the box is refined and closed there.
//
// Exact: a leaf coarser than the finest level is split when the points in its closure, its corners
// and the hanging nodes that finer neighbours put on its faces, carry both signs; all corners of
// all cells are evaluated. The set of evaluated points is the least fixpoint of that rule: it does
// not depend on the order of evaluation.
//
// Predicting: level by level, the corners of new cells get the trilinear interpolation of the
// corners of their parent, and only the ends of edges whose signs differ are evaluated, together
// with points whose predicted value is below `margin` in size. What is evaluated replaces the
// prediction, which can make other edges change sign; when nothing is left to evaluate, the next
// level begins. Leaves are split by the same rule, so every vertex of the surface lies between two
// evaluated points, but a part of the surface that no prediction hints at is not found.
//
// Memory is proportional to the number of known points. The result does not depend on the number of
// threads. All passes are bodies over flat arrays: the CPU and CUDA versions are this code.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "backend.h"

namespace onet {

// The lattice of the finest level and how its points are packed into sortable keys.
struct Lattice {
  int32_t base[3], resolution[3];
  int32_t levels;
  int32_t shift_x, shift_y;  // bits below x and below y

  ONET_HD uint64_t key(int32_t x, int32_t y, int32_t z) const {
    return static_cast<uint64_t>(x) << shift_x | static_cast<uint64_t>(y) << shift_y |
           static_cast<uint64_t>(z);
  }
  ONET_HD void unpack(uint64_t key, int32_t p[3]) const {
    p[0] = static_cast<int32_t>(key >> shift_x);
    p[1] = static_cast<int32_t>(key >> shift_y & ((uint64_t{1} << (shift_x - shift_y)) - 1));
    p[2] = static_cast<int32_t>(key & ((uint64_t{1} << shift_y) - 1));
  }
  ONET_HD bool on_box(const int32_t p[3]) const {
    for (int axis = 0; axis < 3; ++axis)
      if (p[axis] == 0 || p[axis] == resolution[axis]) return true;
    return false;
  }
};

// The arrays of an octree, for bodies that run on its backend.
//
// A *cell* is a root (one of the base grid) or one of the 8 children in a block; cells of the
// finest level are not stored. A *node* is a cell that was split; its 3 x 3 x 3 lattice points, x
// fastest, are the corners of its children.
struct OctreeView {
  Lattice lattice;
  int32_t roots;

  const uint64_t* keys;  // (points)
  float* values;         // (points)
  int32_t* states;       // (points) of a predicting tree: kPredicted, kRequested or kEvaluated, and
                         // above it how many nodes share the point, in steps of kMeeting
  int32_t known;         // points with a lower index have a value

  int32_t* node_points;   // (nodes, 27)
  int32_t* node_cells;    // (nodes) first of the 8 children, -1 when they are of the finest level
  int32_t* children;      // (cells) node, or kLeaf, or kQueued for splitting
  int32_t* signs;         // (cells) 1: a point inside is known in the closure, 2: one outside
  int32_t* lists;         // (cells) first link of the hanging nodes met while a leaf, or -1
  int32_t* block_nodes;   // (blocks) node that the cells belong to
  int32_t* block_levels;  // (blocks) level of the cells
  int32_t* links;         // (links, 2) point and next link

  uint64_t* slot_keys;  // (capacity) hash table from keys to points, kEmpty where free
  int32_t* slot_points;
  int64_t capacity;

  static constexpr uint64_t kEmpty = ~uint64_t{0};
  static constexpr int32_t kLeaf = -1, kQueued = -2;
  static constexpr int32_t kPredicted = 0, kRequested = 1, kEvaluated = 2, kMeeting = 4;

  ONET_HD static int32_t state(int32_t word) { return word & (kMeeting - 1); }
};

template <class Backend>
class OctreeT {
 public:
  template <class T>
  using Buffer = typename Backend::template Buffer<T>;

  // Throws std::invalid_argument unless every base[i] >= 1, levels >= 0, the finest level has fewer
  // than 2^20 - 1 cells along every axis and margin >= 0. `predict`: see above; `margin` is used by
  // predicting trees only.
  OctreeT(std::array<int32_t, 3> base, int levels, bool predict = false, float margin = 0,
          Backend backend = Backend());

  const Backend& backend() const { return backend_; }
  int levels() const { return lattice_.levels; }
  // Cells along each axis at the finest level.
  std::array<int32_t, 3> resolution() const {
    return {lattice_.resolution[0], lattice_.resolution[1], lattice_.resolution[2]};
  }

  // Splits, down to the finest level, the leaves that contain the given finest-level cells (n, 3),
  // in host memory: makes the tree look where the base grid may see nothing. Cells outside the box
  // are ignored. Takes effect at once, or with the next update() while points are pending.
  void refine(const int32_t* cells, int64_t n);

  // Points whose values are awaited.
  int64_t pending() const { return pending_; }
  // Writes lattice coordinates of the pending points [first, first + n), (n, 3), to backend memory.
  void pending_points(int64_t first, int64_t n, int32_t* out) const;
  // The same as positions origin + cell * p in single precision.
  void pending_positions(const std::array<double, 3>& origin, double cell, int64_t first, int64_t n,
                         float* out) const;

  // Takes the values (n = pending()) of the pending points, in their order, from backend memory. In
  // a predicting tree they must be below 1e37 in size, for their sums.
  void update(const float* values, int64_t n);

  int64_t points() const { return points_; }        // known or pending
  int64_t evaluated() const { return evaluated_; }  // by update()
  // How many of these belong to the lattice of each level, and not to a coarser one.
  std::vector<int32_t> evaluations_per_level() const;
  // Lattice coordinates (points(), 3), values (points()), and whether each was evaluated, to host
  // memory.
  void read_points(int32_t* coordinates, float* values, uint8_t* evaluated) const;

  // Value of the tree's own interpolant at n positions (n, 3) in units of finest cells: trilinear
  // in the leaf around it. -1 outside the box. All in backend memory; nothing may be pending.
  void interpolate(const double* positions, int64_t n, float* out) const;

  // Values of n lattice points (n, 3), NaN of those that are not known. As for interpolate().
  void values_at(const int32_t* coordinates, int64_t n, float* out) const;

  // Points on the faces of the box that are inside the object.
  int64_t box_contacts() const { return box_contacts_; }
  // Bytes of all arrays, now and at most so far.
  size_t bytes() const;
  size_t peak_bytes() const { return peak_bytes_; }

  OctreeView view() const;
  int64_t nodes() const { return nodes_; }

 private:
  void reserve_table(int64_t expected);
  void check_cells(int64_t first, int32_t only_level);
  void hang(const int32_t* list, int64_t n);
  void split_queue();
  bool settle();
  void apply_seeds();
  void request(const int32_t* flipped, int64_t n);
  void take_requests();
  void predict_on(const int32_t* flipped = nullptr, int64_t n = 0);
  int32_t take_counter(int which);
  void put_counter(int which, int64_t value);
  void note_bytes(size_t transient = 0);

  enum Counter {
    kNewPoints,
    kOverflow,
    kLinks,
    kQueue,
    kPending,
    kContacts,
    kHanging,
    kFlipped,
    kCounters
  };

  Backend backend_;
  Lattice lattice_;
  bool predict_;
  float margin_;
  int32_t level_;  // leaves of a lower level are split when mixed

  int64_t points_ = 0, pending_ = 0, evaluated_ = 0, box_contacts_ = 0;
  int64_t nodes_ = 0, cells_ = 0, link_count_ = 0, queued_ = 0, checked_cells_ = 0;
  int64_t asked_nodes_ = 0;  // of a predicting tree: those with a lower index need nothing more
  bool deep_ = false;        // seeds may have made nodes of levels that are not searched yet

  Buffer<uint64_t> keys_;
  Buffer<float> values_;
  Buffer<int32_t> states_, pending_list_;
  Buffer<int32_t> node_points_, node_cells_, children_, signs_, lists_;
  Buffer<int32_t> block_nodes_, block_levels_, links_, queue_;
  Buffer<uint64_t> slot_keys_;
  Buffer<int32_t> slot_points_, counters_, seeds_;
  int64_t seed_count_ = 0;
  size_t peak_bytes_ = 0;
};

using Octree = OctreeT<CpuBackend>;
extern template class OctreeT<CpuBackend>;

}  // namespace onet
