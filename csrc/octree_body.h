// The bodies that the passes of octree.h run; one struct a pass.
#pragma once

#include <cmath>
#include <cstring>

#include "octree.h"

namespace onet {
namespace octree_body {

// Eight neighbours along z share a line of the cache.
ONET_HD inline int64_t start_slot(uint64_t key, int64_t capacity) {
  uint64_t line = key >> 3;
  line ^= line >> 31;
  line *= 0x9E3779B97F4A7C15ull;
  line ^= line >> 29;
  const uint64_t lines = static_cast<uint64_t>(capacity) >> 3;
  return static_cast<int64_t>((line >> 32) * lines >> 32 << 3 | (key & 7));
}

// Slot of a key that is in the table.
ONET_HD inline int64_t find_slot(const OctreeView& t, uint64_t key) {
  int64_t slot = start_slot(key, t.capacity);
  while (t.slot_keys[slot] != key) slot = slot + 1 == t.capacity ? 0 : slot + 1;
  return slot;
}

ONET_HD inline int level_of(const OctreeView& t, int32_t cell) {
  return cell < t.roots ? 0 : t.block_levels[(cell - t.roots) / 8];
}

// Place of corner `corner` of child `octant` among the 27 points of a node.
ONET_HD inline int place(int octant, int corner) {
  return (octant & 1) + (corner & 1) + 3 * ((octant >> 1 & 1) + (corner >> 1 & 1)) +
         9 * ((octant >> 2) + (corner >> 2));
}

// Points at the corners of a cell; corner bits are x + 2 y + 4 z.
ONET_HD inline void corners_of(const OctreeView& t, int32_t cell, int32_t out[8]) {
  if (cell < t.roots) {  // points of the base grid come first, z fastest
    const int32_t ny = t.lattice.base[1], nz = t.lattice.base[2];
    const int32_t x = cell / (ny * nz), y = cell / nz % ny, z = cell % nz;
    for (int c = 0; c < 8; ++c)
      out[c] = ((x + (c & 1)) * (ny + 1) + y + (c >> 1 & 1)) * (nz + 1) + z + (c >> 2);
  } else {
    const int32_t* points = t.node_points + 27 * int64_t{t.block_nodes[(cell - t.roots) / 8]};
    const int octant = (cell - t.roots) & 7;
    for (int c = 0; c < 8; ++c) out[c] = points[place(octant, c)];
  }
}

ONET_HD inline float value_at(const OctreeView& t, int32_t point) {
  const int32_t bits = atomic_load(reinterpret_cast<const int32_t*>(t.values + point));
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// 1 inside, 2 outside, 3 inside on the box, beyond which everything is outside; 0 not known yet.
ONET_HD inline int signs_of(const OctreeView& t, int32_t point) {
  if (point >= t.known) return 0;
  if (!(value_at(t, point) > 0)) return 2;
  int32_t p[3];
  t.lattice.unpack(t.keys[point], p);
  return t.lattice.on_box(p) ? 3 : 1;
}

ONET_HD inline int corner_signs(const OctreeView& t, int32_t cell) {
  int32_t corners[8];
  corners_of(t, cell, corners);
  int signs = 0;
  for (int c = 0; c < 8; ++c) signs |= signs_of(t, corners[c]);
  return signs;
}

struct Queue {
  int32_t* cells;
  int32_t* count;
  ONET_HD void push(const OctreeView& t, int32_t cell) const {
    if (atomic_exchange(t.children + cell, OctreeView::kQueued) == OctreeView::kLeaf)
      cells[atomic_add(count, 1)] = cell;
  }
};

// Root that contains the finest-level cell (x, y, z).
ONET_HD inline int32_t root_of(const OctreeView& t, int32_t x, int32_t y, int32_t z) {
  const int s = t.lattice.levels;
  return ((x >> s) * t.lattice.base[1] + (y >> s)) * t.lattice.base[2] + (z >> s);
}

ONET_HD inline int octant_of(int32_t x, int32_t y, int32_t z, int shift) {
  return (x >> shift & 1) | (y >> shift & 1) << 1 | (z >> shift & 1) << 2;
}

struct BaseGrid {  // i over the points of the base grid
  OctreeView t;
  uint64_t* keys;
  ONET_HD void operator()(int64_t i) const {
    const int32_t ny = t.lattice.base[1] + 1, nz = t.lattice.base[2] + 1, s = t.lattice.levels;
    const int32_t x = static_cast<int32_t>(i / (int64_t{ny} * nz));
    const int32_t y = static_cast<int32_t>(i / nz % ny), z = static_cast<int32_t>(i % nz);
    keys[i] = t.lattice.key(x << s, y << s, z << s);
  }
};

struct Enter {  // i over points from `first` on: puts them into the table
  OctreeView t;
  int32_t first;
  int64_t n;
  ONET_HD void operator()(int64_t i) const {
    const uint64_t key = t.keys[first + i];
    int64_t slot = start_slot(key, t.capacity);
    if (i + 16 < n) prefetch(t.slot_keys + start_slot(t.keys[first + i + 16], t.capacity));
    while (atomic_cas(t.slot_keys + slot, OctreeView::kEmpty, key) != OctreeView::kEmpty)
      slot = slot + 1 == t.capacity ? 0 : slot + 1;
    t.slot_points[slot] = static_cast<int32_t>(first + i);
  }
};

struct Number {  // i over new points: gives the slots of their keys their indices
  OctreeView t;
  int32_t first;
  int64_t n;
  ONET_HD void operator()(int64_t i) const {
    if (i + 16 < n) {
      const int64_t slot = start_slot(t.keys[first + i + 16], t.capacity);
      prefetch(t.slot_keys + slot);
      prefetch(t.slot_points + slot);
    }
    t.slot_points[find_slot(t, t.keys[first + i])] = static_cast<int32_t>(first + i);
    if (t.states) t.states[first + i] = OctreeView::kPredicted;
  }
};

struct NeedsBlock {  // i over cells to split
  OctreeView t;
  const int32_t* cells;
  int32_t* out;
  ONET_HD void operator()(int64_t i) const {
    out[i] = level_of(t, cells[i]) + 1 < t.lattice.levels;
  }
};

struct CountHanging {  // i over cells to split: hanging nodes that children will have to know
  OctreeView t;
  const int32_t* cells;
  int32_t* total;
  ONET_HD void operator()(int64_t i) const {
    if (level_of(t, cells[i]) + 1 >= t.lattice.levels) return;
    int32_t count = 0;
    for (int32_t link = t.lists[cells[i]]; link >= 0; link = t.links[2 * int64_t{link} + 1])
      ++count;
    if (count > 0) atomic_add(total, count);
  }
};

struct Split {  // i over cells to split: makes the node and asks the table for its points
  OctreeView t;
  const int32_t* cells;
  const int32_t* blocks_before;  // of the cells before this one in the queue
  int32_t first_node, first_block;
  uint64_t* new_keys;
  int32_t *new_count, *overflow;
  int32_t room;  // for new keys

  ONET_HD int64_t insert(uint64_t key) const {
    int64_t slot = start_slot(key, t.capacity);
    for (;; slot = slot + 1 == t.capacity ? 0 : slot + 1) {
      uint64_t found = atomic_load(t.slot_keys + slot);
      if (found == key) return slot;
      if (found != OctreeView::kEmpty) continue;
      if (atomic_load(new_count) >= room) {  // all is done again with a larger table
        atomic_store(overflow, 1);
        return 0;
      }
      found = atomic_cas(t.slot_keys + slot, OctreeView::kEmpty, key);
      if (found == key) return slot;
      if (found != OctreeView::kEmpty) continue;
      const int32_t position = atomic_add(new_count, 1);
      if (position < room)
        new_keys[position] = key;
      else
        atomic_store(overflow, 1);
      return slot;
    }
  }

  ONET_HD void operator()(int64_t i) const {
    const int32_t cell = cells[i], node = static_cast<int32_t>(first_node + i);
    const int level = level_of(t, cell);
    int32_t corners[8];
    corners_of(t, cell, corners);
    t.children[cell] = node;
    t.node_cells[node] = -1;
    if (level + 1 < t.lattice.levels) {
      const int32_t block = first_block + blocks_before[i];
      t.block_nodes[block] = node;
      t.block_levels[block] = level + 1;
      const int32_t first = t.roots + 8 * block;
      t.node_cells[node] = first;
      for (int32_t child = first; child < first + 8; ++child) {
        t.children[child] = OctreeView::kLeaf;
        t.signs[child] = 0;
        t.lists[child] = -1;
      }
    }
    int32_t low[3];
    t.lattice.unpack(t.keys[corners[0]], low);
    const int32_t half = 1 << (t.lattice.levels - level - 1);
    int32_t* points = t.node_points + 27 * int64_t{node};
    uint64_t keys[27];
    for (int j = 0; j < 27; ++j) {
      keys[j] =
          t.lattice.key(low[0] + j % 3 * half, low[1] + j / 3 % 3 * half, low[2] + j / 9 * half);
      if (j < 9) prefetch(t.slot_keys + start_slot(keys[j], t.capacity));
    }
    for (int j = 0; j < 27; ++j) {
      const int x = j % 3, y = j / 3 % 3, z = j / 9;
      if ((x | y | z) & 1)
        points[j] = static_cast<int32_t>(insert(keys[j]));
      else
        points[j] = corners[x / 2 + y + 2 * z];
    }
  }
};

struct Finish {  // i over new nodes: slots become points; what is known of the children already
  OctreeView t;
  const int32_t* cells;
  int32_t first_node, first_point, split_below;
  bool predict;
  int32_t* link_count;
  Queue queue;

  ONET_HD float predicted(const float corner[8], int j) const {
    // Along an axis with coordinate 1 both ends count. The order of the sum depends on positions
    // alone, so nodes that share the point agree.
    const int at[3] = {j % 3, j / 3 % 3, j / 9};
    float sum = 0;
    int count = 0;
    for (int c = 0; c < 8; ++c) {
      bool counts = true;
      for (int axis = 0; axis < 3; ++axis)
        counts = counts && (at[axis] == 1 || at[axis] / 2 == (c >> axis & 1));
      if (!counts) continue;
      sum += corner[c];
      ++count;
    }
    return sum / static_cast<float>(count);
  }

  ONET_HD void operator()(int64_t i) const {
    const int32_t node = static_cast<int32_t>(first_node + i);
    int32_t* points = t.node_points + 27 * int64_t{node};
    float corner[8];
    for (int c = 0; predict && c < 8; ++c)
      corner[c] = value_at(t, points[2 * ((c & 1) + 3 * (c >> 1 & 1) + 9 * (c >> 2))]);
    for (int j = 0; j < 27; ++j) {
      if (((j % 3 | j / 3 % 3 | j / 9) & 1) == 0) continue;
      points[j] = t.slot_points[static_cast<uint32_t>(points[j])];
      if (predict) atomic_add(t.states + points[j], OctreeView::kMeeting);
      if (!predict || points[j] < first_point) continue;
      const float value = predicted(corner, j);
      int32_t bits;
      memcpy(&bits, &value, sizeof bits);
      atomic_store(reinterpret_cast<int32_t*>(t.values + points[j]), bits);
    }
    const int32_t first = t.node_cells[node];
    if (first < 0) return;
    const int level = t.block_levels[(first - t.roots) / 8];
    const int32_t size = 1 << (t.lattice.levels - level);
    int32_t low[3];
    t.lattice.unpack(t.keys[points[0]], low);
    int signs[8];
    // Predictions may still change while the level of the children is being evaluated.
    const bool settled = !predict || level < split_below;
    for (int octant = 0; octant < 8; ++octant)
      signs[octant] = settled ? corner_signs(t, first + octant) : 0;
    // The hanging nodes of the cell go to those children that they lie on.
    for (int32_t link = t.lists[cells[i]]; link >= 0; link = t.links[2 * int64_t{link} + 1]) {
      const int32_t point = t.links[2 * int64_t{link}];
      int32_t p[3];
      t.lattice.unpack(t.keys[point], p);
      const int sign = signs_of(t, point);
      for (int octant = 0; octant < 8; ++octant) {
        bool touches = true, is_corner = true;
        for (int axis = 0; axis < 3; ++axis) {
          const int32_t start = low[axis] + (octant >> axis & 1) * size;
          touches = touches && p[axis] >= start && p[axis] <= start + size;
          is_corner = is_corner && (p[axis] == start || p[axis] == start + size);
        }
        if (!touches) continue;
        signs[octant] |= sign;
        if (is_corner) continue;
        const int32_t copy = atomic_add(link_count, 1);
        t.links[2 * int64_t{copy}] = point;
        t.links[2 * int64_t{copy} + 1] = t.lists[first + octant];
        t.lists[first + octant] = copy;
      }
    }
    for (int octant = 0; octant < 8; ++octant) {
      t.signs[first + octant] = signs[octant];
      if (signs[octant] == 3 && level < split_below) queue.push(t, first + octant);
    }
  }
};

struct Check {  // i over cells from `first` on: signs of their corners
  OctreeView t;
  int32_t first, only_level, split_below;  // only_level: -1 for all
  Queue queue;
  ONET_HD void operator()(int64_t i) const {
    const int32_t cell = static_cast<int32_t>(first + i);
    if (t.children[cell] != OctreeView::kLeaf) return;
    const int level = level_of(t, cell);
    if (only_level >= 0 && level != only_level) return;
    const int signs = t.signs[cell] | corner_signs(t, cell);
    t.signs[cell] = signs;
    if (signs == 3 && level < split_below) queue.push(t, cell);
  }
};

struct Store {  // i over pending points
  OctreeView t;
  const float* in;
  const int32_t* list;  // null: the points from `first` on
  int32_t first, split_below;
  int32_t* contacts;
  int32_t *hanging, *hanging_count;  // points that may lie on coarser leaves; null: nobody asks
  int32_t *flipped, *flipped_count;  // points that are on the other side than predicted, or null

  // Whether all cells around the point were split to make it, and none of their children can be:
  // then it lies on no coarser leaf. An exact tree does not count the nodes that share a point,
  // which would cost it as much as it saves.
  ONET_HD bool is_amid_nodes(int32_t point, const int32_t p[3]) const {
    const int32_t together = p[0] | p[1] | p[2], spacing = together & -together;
    if (together == 0 || spacing >= 1 << t.lattice.levels) return false;  // of the base grid
    if (!t.states || spacing > 1 << (t.lattice.levels - split_below)) return false;
    int32_t around = OctreeView::kMeeting;
    for (int axis = 0; axis < 3; ++axis)
      if (!(p[axis] & spacing) && p[axis] != 0 && p[axis] != t.lattice.resolution[axis])
        around *= 2;
    return (t.states[point] & -OctreeView::kMeeting) == around;
  }

  ONET_HD void operator()(int64_t i) const {
    const int32_t point = list ? list[i] : static_cast<int32_t>(first + i);
    int32_t p[3];
    t.lattice.unpack(t.keys[point], p);
    if (hanging && !is_amid_nodes(point, p)) hanging[atomic_add(hanging_count, 1)] = point;
    if (flipped && (t.values[point] > 0) != (in[i] > 0))
      flipped[atomic_add(flipped_count, 1)] = point;
    if (t.states)
      t.states[point] = (t.states[point] & -OctreeView::kMeeting) | OctreeView::kEvaluated;
    t.values[point] = in[i];
    if (in[i] > 0 && t.lattice.on_box(p)) atomic_add(contacts, 1);
  }
};

struct Hang {  // i over points just evaluated: tells the coarser leaves that they lie on
  OctreeView t;
  const int32_t* list;
  int32_t split_below;
  bool predict;  // predicted corners can change sign: their leaves are told as well
  int32_t* link_count;
  Queue queue;

  ONET_HD void operator()(int64_t i) const {
    const int32_t point = list[i];
    int32_t p[3];
    t.lattice.unpack(t.keys[point], p);
    const int levels = t.lattice.levels;
    int split = -1;  // level of the cells that were split to make this point
    while ((p[0] | p[1] | p[2]) & ((1 << (levels - split - 1)) - 1)) ++split;
    // Their corners are up to date in an exact tree, so only coarser cells need to be told.
    const int32_t mask = predict ? 0 : (1 << (levels - split)) - 1;
    const int signs = signs_of(t, point);
    int32_t told[8];
    int count = 0;
    for (int corner = 0; corner < 8; ++corner) {
      int32_t q[3];
      bool exists = true;
      for (int axis = 0; axis < 3; ++axis) {
        const int before = corner >> axis & 1;  // the cell on the lower side, where there are two
        q[axis] = p[axis] - before;
        exists = exists && (!before || (p[axis] & mask) == 0) && q[axis] >= 0 &&
                 q[axis] < t.lattice.resolution[axis];
      }
      if (!exists) continue;
      int32_t cell = root_of(t, q[0], q[1], q[2]);
      int level = 0;
      bool leaf = false;
      for (;; ++level) {
        const int32_t node = atomic_load(t.children + cell);
        leaf = node < 0;
        if (leaf || (!predict && level == split) || t.node_cells[node] < 0) break;
        cell = t.node_cells[node] + octant_of(q[0], q[1], q[2], levels - 1 - level);
      }
      for (int k = 0; k < count; ++k) leaf = leaf && told[k] != cell;
      if (!leaf) continue;
      told[count++] = cell;
      const bool is_corner = ((p[0] | p[1] | p[2]) & ((1 << (levels - level)) - 1)) == 0;
      if (is_corner && level >= split_below) continue;  // its corners are looked at later
      if (!is_corner) {
        const int32_t link = atomic_add(link_count, 1);
        t.links[2 * int64_t{link}] = point;
        t.links[2 * int64_t{link} + 1] = atomic_exchange(t.lists + cell, link);
      }
      if ((atomic_or(t.signs + cell, signs) | signs) == 3 && level < split_below)
        queue.push(t, cell);
    }
  }
};

// Asks for the value of a point that is only predicted, once.
ONET_HD inline void ask(const OctreeView& t, int32_t point, int32_t* pending, int32_t* count) {
  if (t.state(atomic_load(t.states + point)) == OctreeView::kPredicted &&
      t.state(atomic_or(t.states + point, OctreeView::kRequested)) == OctreeView::kPredicted)
    pending[atomic_add(count, 1)] = point;
}

struct Seed {  // i over seed cells: queues the leaf around it, or requests its corners
  OctreeView t;
  const int32_t* seeds;
  int32_t *pending, *pending_count;  // null while leaves are still to be split
  Queue queue;
  ONET_HD void operator()(int64_t i) const {
    const int32_t *s = seeds + 3 * i, x = s[0], y = s[1], z = s[2];
    for (int axis = 0; axis < 3; ++axis)
      if (s[axis] < 0 || s[axis] >= t.lattice.resolution[axis]) return;
    int32_t cell = root_of(t, x, y, z);
    for (int shift = t.lattice.levels - 1; shift >= 0; --shift) {
      const int32_t node = atomic_load(t.children + cell);
      if (node < 0) return queue.push(t, cell);
      const int octant = octant_of(x, y, z, shift);
      if (t.node_cells[node] >= 0) {
        cell = t.node_cells[node] + octant;
        continue;
      }
      for (int corner = 0; pending && corner < 8; ++corner)
        ask(t, t.node_points[27 * int64_t{node} + place(octant, corner)], pending, pending_count);
      return;
    }
  }
};

struct Request {  // i over nodes of a predicting tree: points that the surface needs
  OctreeView t;
  int32_t level;  // of the finest children to look at
  float margin;
  int32_t *pending, *pending_count;
  int32_t start;  // nodes from here on

  ONET_HD void operator()(int64_t i) const { visit(start + i); }

  ONET_HD void visit(int64_t i) const {
    const int32_t first = t.node_cells[i];
    const int children = first < 0 ? t.lattice.levels : t.block_levels[(first - t.roots) / 8];
    if (children > level) return;
    const int32_t* points = t.node_points + 27 * i;
    float value[27];
    int inside = 0;
    for (int j = 0; j < 27; ++j) {
      value[j] = t.values[points[j]];
      inside |= (value[j] > 0) << j;
    }
    int32_t low[3];
    t.lattice.unpack(t.keys[points[0]], low);
    const int32_t size = 2 << (t.lattice.levels - children);
    bool on_box = false;
    for (int axis = 0; axis < 3; ++axis)
      on_box = on_box || low[axis] == 0 || low[axis] + size == t.lattice.resolution[axis];
    constexpr int kAll = (1 << 27) - 1;
    if ((inside == 0 || inside == kAll) && margin <= 0 && !on_box) return;
    int wanted = 0;
    for (int j = 0; j < 27; ++j) {
      const int at[3] = {j % 3, j / 3 % 3, j / 9}, step[3] = {1, 3, 9};
      if (fabsf(value[j]) < margin) wanted |= 1 << j;
      for (int axis = 0; axis < 3; ++axis) {
        const int k = j + step[axis];
        if (at[axis] < 2 && ((inside >> j ^ inside >> k) & 1)) wanted |= 1 << j | 1 << k;
      }
      if (on_box && (inside >> j & 1)) {
        int32_t p[3];
        t.lattice.unpack(t.keys[points[j]], p);
        if (t.lattice.on_box(p)) wanted |= 1 << j;
      }
    }
    for (int j = 0; j < 27; ++j)
      if (wanted >> j & 1) ask(t, points[j], pending, pending_count);
  }
};

struct RequestAgain {  // i over points that changed sides: what the nodes that share them need now
  OctreeView t;
  const int32_t* list;
  Request request;

  ONET_HD void operator()(int64_t i) const {
    int32_t p[3];
    t.lattice.unpack(t.keys[list[i]], p);
    for (int corner = 0; corner < 8; ++corner) {
      int32_t q[3];  // a finest cell around the point
      bool exists = true;
      for (int axis = 0; axis < 3; ++axis) {
        q[axis] = p[axis] - (corner >> axis & 1);
        exists = exists && q[axis] >= 0 && q[axis] < t.lattice.resolution[axis];
      }
      if (!exists) continue;
      int32_t cell = root_of(t, q[0], q[1], q[2]);
      for (int shift = t.lattice.levels - 1;; --shift) {
        const int32_t node = t.children[cell];
        if (node < 0) break;
        if (((p[0] | p[1] | p[2]) & ((1 << shift) - 1)) == 0) request.visit(node);
        if (t.node_cells[node] < 0) break;
        cell = t.node_cells[node] + octant_of(q[0], q[1], q[2], shift);
      }
    }
  }
};

struct Coordinates {  // i over pending points from `first` on
  OctreeView t;
  const int32_t* list;
  int32_t start;
  int64_t first;
  int32_t* out;
  ONET_HD void operator()(int64_t i) const {
    const int32_t point = list ? list[first + i] : static_cast<int32_t>(start + first + i);
    t.lattice.unpack(t.keys[point], out + 3 * i);
  }
};

struct Positions {
  OctreeView t;
  const int32_t* list;
  int32_t start;
  int64_t first;
  double origin[3], cell;
  float* out;
  ONET_HD void operator()(int64_t i) const {
    const int32_t point = list ? list[first + i] : static_cast<int32_t>(start + first + i);
    int32_t p[3];
    t.lattice.unpack(t.keys[point], p);
    for (int axis = 0; axis < 3; ++axis)
      out[3 * i + axis] = static_cast<float>(origin[axis] + cell * p[axis]);
  }
};

struct Interpolate {  // i over positions
  OctreeView t;
  const double* positions;
  float* out;
  ONET_HD void operator()(int64_t i) const {
    const double* at = positions + 3 * i;
    int32_t q[3];
    out[i] = -1;
    for (int axis = 0; axis < 3; ++axis) {
      if (!(at[axis] >= 0 && at[axis] <= t.lattice.resolution[axis])) return;
      q[axis] = static_cast<int32_t>(at[axis]);
      if (q[axis] == t.lattice.resolution[axis]) --q[axis];
    }
    int32_t cell = root_of(t, q[0], q[1], q[2]), corners[8];
    int32_t size = 1 << t.lattice.levels;
    corners_of(t, cell, corners);
    for (int level = 0; level < t.lattice.levels; ++level) {
      const int32_t node = t.children[cell];
      if (node < 0) break;
      const int octant = octant_of(q[0], q[1], q[2], t.lattice.levels - 1 - level);
      for (int c = 0; c < 8; ++c) corners[c] = t.node_points[27 * int64_t{node} + place(octant, c)];
      size /= 2;
      cell = t.node_cells[node] + octant;  // beyond the finest level it is not looked at
    }
    int32_t low[3];
    t.lattice.unpack(t.keys[corners[0]], low);
    double sum = 0;
    for (int c = 0; c < 8; ++c) {
      double weight = 1;
      for (int axis = 0; axis < 3; ++axis) {
        const double f = (at[axis] - low[axis]) / size;
        weight *= c >> axis & 1 ? f : 1 - f;
      }
      sum += weight * t.values[corners[c]];
    }
    out[i] = static_cast<float>(sum);
  }
};

struct ValuesAt {  // i over lattice points
  OctreeView t;
  const int32_t* coordinates;
  float* out;
  ONET_HD void operator()(int64_t i) const {
    const int32_t* p = coordinates + 3 * i;
    out[i] = NAN;
    for (int axis = 0; axis < 3; ++axis)
      if (p[axis] < 0 || p[axis] > t.lattice.resolution[axis]) return;
    const int levels = t.lattice.levels;
    if (((p[0] | p[1] | p[2]) & ((1 << levels) - 1)) == 0) {  // of the base grid, z fastest
      const int64_t ny = t.lattice.base[1] + 1, nz = t.lattice.base[2] + 1;
      out[i] = t.values[((p[0] >> levels) * ny + (p[1] >> levels)) * nz + (p[2] >> levels)];
      return;
    }
    if (t.capacity == 0) return;
    const uint64_t key = t.lattice.key(p[0], p[1], p[2]);
    int64_t slot = start_slot(key, t.capacity);
    for (; t.slot_keys[slot] != key; slot = slot + 1 == t.capacity ? 0 : slot + 1)
      if (t.slot_keys[slot] == OctreeView::kEmpty) return;
    out[i] = t.values[t.slot_points[slot]];
  }
};

struct CountLevels {  // i over points: evaluated points by the level that they first belong to
  OctreeView t;
  int32_t* counts;
  ONET_HD void operator()(int64_t i) const {
    if (i >= t.known || (t.states && t.state(t.states[i]) != OctreeView::kEvaluated)) return;
    int32_t p[3];
    t.lattice.unpack(t.keys[i], p);
    int level = 0;
    while ((p[0] | p[1] | p[2]) & ((1 << (t.lattice.levels - level)) - 1)) ++level;
    atomic_add(counts + level, 1);
  }
};

}  // namespace octree_body

}  // namespace onet
