#include "octree.h"

#include <algorithm>
#include <stdexcept>

namespace onet {

Octree::Octree(std::array<int32_t, 3> base, int levels) : levels_(levels), base_(base) {
  if (levels < 0 || levels > 20) throw std::invalid_argument("levels must be in 0..20");
  int64_t cells = 1;
  for (int axis = 0; axis < 3; ++axis) {
    if (base[axis] < 1 || (static_cast<int64_t>(base[axis]) << levels) >= (1 << 20) - 1)
      throw std::invalid_argument("every axis needs 1 to 2^20 - 2 cells at the finest level");
    resolution_[axis] = base[axis] << levels;
    cells *= base[axis];
  }
  if (cells > (int64_t{1} << 30)) throw std::invalid_argument("the base grid has over 2^30 cells");
  index_ = HashMap(static_cast<size_t>(base[0] + 1) * (base[1] + 1) * (base[2] + 1));
  cells_.reserve(cells);
  for (int32_t x = 0; x < base[0]; ++x)
    for (int32_t y = 0; y < base[1]; ++y)
      for (int32_t z = 0; z < base[2]; ++z)
        cells_.push_back({x << levels, y << levels, z << levels});
  for (int32_t x = 0; x <= base[0]; ++x)
    for (int32_t y = 0; y <= base[1]; ++y)
      for (int32_t z = 0; z <= base[2]; ++z) request(x << levels, y << levels, z << levels);
}

int32_t Octree::leaf_of(int32_t x, int32_t y, int32_t z) const {
  int32_t cell =
      ((x >> levels_) * base_[1] + (y >> levels_)) * base_[2] + (z >> levels_);
  for (int shift = levels_ - 1; cells_[cell].child >= 0; --shift)
    cell = cells_[cell].child + (((x >> shift) & 1) | ((y >> shift) & 1) << 1 |
                                 ((z >> shift) & 1) << 2);
  return cell;
}

bool Octree::on_box(const std::array<int32_t, 3>& p) const {
  for (int axis = 0; axis < 3; ++axis)
    if (p[axis] == 0 || p[axis] == resolution_[axis]) return true;
  return false;
}

uint8_t Octree::signs_of(int32_t point, const std::array<int32_t, 3>& p) const {
  if (!(values_[point] > 0)) return 2;
  return on_box(p) ? 3 : 1;  // beyond the box everything is outside
}

void Octree::request(int32_t x, int32_t y, int32_t z) {
  const uint64_t k = key(x, y, z);
  if (index_.insert(k, static_cast<int32_t>(keys_.size())).second) {
    if (keys_.size() >= 0x7fffffff) throw std::length_error("over 2^31 points to evaluate");
    keys_.push_back(k);
  }
}

void Octree::touch(int32_t cell, int32_t point, uint8_t signs) {
  Cell& c = cells_[cell];
  const bool was_mixed = c.signs == 3;
  c.signs |= signs;
  if (c.level == levels_) return;
  int32_t link = free_links_;
  if (link >= 0) {
    free_links_ = links_[link].next;
  } else {
    link = static_cast<int32_t>(links_.size());
    links_.emplace_back();
  }
  links_[link] = {point, c.touching};
  c.touching = link;
  if (c.signs == 3 && !was_mixed) to_split_.push_back(cell);
}

void Octree::split(int32_t cell) {
  if (cells_[cell].child >= 0) return;
  const Cell parent = cells_[cell];
  const int32_t half = size_of(parent) / 2;
  const int32_t first = static_cast<int32_t>(cells_.size());
  cells_[cell].child = first;
  cells_[cell].touching = -1;
  for (int32_t octant = 0; octant < 8; ++octant) {
    Cell child{parent.x + (octant & 1 ? half : 0), parent.y + (octant & 2 ? half : 0),
               parent.z + (octant & 4 ? half : 0)};
    child.level = parent.level + 1;
    cells_.push_back(child);
  }
  for (int32_t link = parent.touching; link >= 0;) {
    const int32_t point = links_[link].point, next = links_[link].next;
    links_[link].next = free_links_;
    free_links_ = link;
    const auto p = unpack(keys_[point]);
    const uint8_t signs = signs_of(point, p);
    for (int32_t child = first; child < first + 8; ++child) {
      const Cell& c = cells_[child];
      if (p[0] >= c.x && p[0] <= c.x + half && p[1] >= c.y && p[1] <= c.y + half &&
          p[2] >= c.z && p[2] <= c.z + half)
        touch(child, point, signs);
    }
    link = next;
  }
  for (int32_t i = 0; i < 27; ++i)
    request(parent.x + half * (i % 3), parent.y + half * (i / 3 % 3), parent.z + half * (i / 9));
}

void Octree::settle() {
  while (!to_split_.empty()) {
    const int32_t cell = to_split_.back();
    to_split_.pop_back();
    split(cell);
  }
}

void Octree::refine(const int32_t* cells, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const int32_t *c = cells + 3 * i, x = c[0], y = c[1], z = c[2];
    if (x < 0 || y < 0 || z < 0 || x >= resolution_[0] || y >= resolution_[1] ||
        z >= resolution_[2])
      continue;
    for (int32_t leaf = leaf_of(x, y, z); cells_[leaf].level < levels_; leaf = leaf_of(x, y, z))
      split(leaf);
  }
  settle();
}

void Octree::pending_points(int32_t* out) const {
  for (size_t i = values_.size(); i < keys_.size(); ++i, out += 3) {
    const auto p = unpack(keys_[i]);
    std::copy(p.begin(), p.end(), out);
  }
}

void Octree::points(int32_t* out) const {
  for (size_t i = 0; i < values_.size(); ++i, out += 3) {
    const auto p = unpack(keys_[i]);
    std::copy(p.begin(), p.end(), out);
  }
}

void Octree::update(const float* values, int64_t n) {
  if (n != pending()) throw std::invalid_argument("one value per pending point is needed");
  const int32_t first = static_cast<int32_t>(values_.size());
  values_.insert(values_.end(), values, values + n);
  for (int32_t point = first; point < first + n; ++point) {
    const auto p = unpack(keys_[point]);
    const uint8_t signs = signs_of(point, p);
    box_contacts_ += signs == 3;
    std::array<int32_t, 8> seen;
    int count = 0;
    for (int32_t octant = 0; octant < 8; ++octant) {
      const int32_t x = p[0] - (octant & 1), y = p[1] - (octant >> 1 & 1), z = p[2] - (octant >> 2);
      if (x < 0 || y < 0 || z < 0 || x >= resolution_[0] || y >= resolution_[1] ||
          z >= resolution_[2])
        continue;
      const int32_t leaf = leaf_of(x, y, z);
      if (std::find(seen.begin(), seen.begin() + count, leaf) != seen.begin() + count) continue;
      seen[count++] = leaf;
      touch(leaf, point, signs);
    }
  }
  settle();
}

float Octree::value(int32_t x, int32_t y, int32_t z, bool& known) const {
  const int32_t i = index_.find(key(x, y, z));
  known = i >= 0 && i < static_cast<int32_t>(values_.size());
  return known ? values_[i] : 0.0f;
}

std::vector<std::array<int32_t, 3>> Octree::surface_cells() const {
  std::vector<std::array<int32_t, 3>> out;
  for (const Cell& c : cells_)
    if (c.child < 0 && c.level == levels_ && c.signs == 3) out.push_back({c.x, c.y, c.z});
  for (size_t i = 0; i < values_.size(); ++i) {
    const auto p = unpack(keys_[i]);
    if (!(values_[i] > 0) || !on_box(p)) continue;
    for (int32_t octant = 0; octant < 8; ++octant) {
      const std::array<int32_t, 3> c = {p[0] - (octant & 1), p[1] - (octant >> 1 & 1),
                                        p[2] - (octant >> 2)};
      bool outside = false;
      for (int axis = 0; axis < 3; ++axis)
        outside |= c[axis] < 0 || c[axis] == resolution_[axis];
      if (outside) out.push_back(c);
    }
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

size_t Octree::bytes() const {
  return index_.bytes() + keys_.capacity() * sizeof(uint64_t) + values_.capacity() * sizeof(float) +
         cells_.capacity() * sizeof(Cell) + links_.capacity() * sizeof(Link);
}

}  // namespace onet
