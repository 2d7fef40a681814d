// Multiresolution isosurface extraction (MISE; Mescheder et al. 2019, section 3.3) on sparse storage.
//
// A box of base[0] x base[1] x base[2] cells is refined `levels` times by halving, so the finest
// lattice has (base[i] << levels) + 1 points along axis i. Points are integer triples on that lattice.
// Protocol: read pending() points, evaluate the field there, call update(), until nothing is pending.
//
// A leaf coarser than the finest level is split when the known points in its closure, its corners and
// the hanging nodes that finer neighbours put on its faces, carry both signs. The set of evaluated
// points is the least fixpoint of that rule: it does not depend on the order of evaluation. Outside
// the box the field counts as negative, so a surface that leaves the box is refined and closed there.
//
// Inside means value > 0. Memory is proportional to the number of evaluated points.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "hash_map.h"

namespace onet {

class Octree {
 public:
  // Throws std::invalid_argument unless every base[i] >= 1, levels >= 0 and the finest level has fewer
  // than 2^20 - 1 cells along every axis.
  Octree(std::array<int32_t, 3> base, int levels);

  int levels() const { return levels_; }
  // Cells along each axis at the finest level.
  std::array<int32_t, 3> resolution() const { return resolution_; }

  // Splits, down to the finest level, the leaves that contain the given finest-level cells (n, 3):
  // makes the tree look where the base grid may see nothing. Cells outside the box are ignored.
  void refine(const int32_t* cells, int64_t n);

  // Points whose values are awaited: pending() of them, written as (pending(), 3) triples.
  int64_t pending() const { return static_cast<int64_t>(keys_.size() - values_.size()); }
  void pending_points(int32_t* out) const;

  // Takes the values (n = pending()) of the pending points, in their order.
  void update(const float* values, int64_t n);

  int64_t evaluated() const { return static_cast<int64_t>(values_.size()); }
  // Evaluated points, (evaluated(), 3), and their values.
  void points(int32_t* out) const;
  const std::vector<float>& values() const { return values_; }

  // Value at a lattice point; `known` is false where the tree did not look.
  float value(int32_t x, int32_t y, int32_t z, bool& known) const;

  // Minimum corners of the finest cells that the surface crosses, the cells just outside the box
  // (coordinates -1 or resolution) that close it included. Sorted, without duplicates.
  std::vector<std::array<int32_t, 3>> surface_cells() const;

  // Evaluated points on the faces of the box that are inside the object.
  int64_t box_contacts() const { return box_contacts_; }
  size_t bytes() const;

 private:
  struct Cell {
    int32_t x, y, z;       // minimum corner on the finest lattice
    int32_t child = -1;    // first of 8 consecutive children, -1 for a leaf
    int32_t touching = -1; // list of known points in the closure; kept while the leaf can split
    uint8_t level = 0;
    uint8_t signs = 0;     // 1: an inside point touches it, 2: an outside point does
  };
  struct Link {
    int32_t point, next;
  };

  static uint64_t key(int32_t x, int32_t y, int32_t z) {
    return (static_cast<uint64_t>(x) << 42) | (static_cast<uint64_t>(y) << 21) |
           static_cast<uint64_t>(z);
  }
  static std::array<int32_t, 3> unpack(uint64_t key) {
    constexpr uint64_t mask = (1u << 21) - 1;
    return {static_cast<int32_t>(key >> 42), static_cast<int32_t>((key >> 21) & mask),
            static_cast<int32_t>(key & mask)};
  }

  int32_t leaf_of(int32_t x, int32_t y, int32_t z) const;
  int32_t size_of(const Cell& cell) const { return 1 << (levels_ - cell.level); }
  bool on_box(const std::array<int32_t, 3>& p) const;
  uint8_t signs_of(int32_t point, const std::array<int32_t, 3>& p) const;
  void request(int32_t x, int32_t y, int32_t z);
  void touch(int32_t cell, int32_t point, uint8_t signs);
  void split(int32_t cell);
  void settle();

  int levels_;
  std::array<int32_t, 3> base_, resolution_;
  HashMap index_;               // lattice point -> position in keys_
  std::vector<uint64_t> keys_;  // known points first, then pending ones
  std::vector<float> values_;
  std::vector<Cell> cells_;
  std::vector<Link> links_;
  int32_t free_links_ = -1;
  std::vector<int32_t> to_split_;
  int64_t box_contacts_ = 0;
};

}  // namespace onet
