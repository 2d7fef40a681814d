// The driver of octree.h: which pass runs when; included where a backend instantiates it.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "octree_body.h"

namespace onet {

template <class Backend>
OctreeT<Backend>::OctreeT(std::array<int32_t, 3> base, int levels, bool predict, float margin,
                          Backend backend)
    : backend_(backend), predict_(predict), margin_(margin), keys_(backend), values_(backend),
      states_(backend), pending_list_(backend), node_points_(backend), node_cells_(backend),
      children_(backend), signs_(backend), lists_(backend), block_nodes_(backend),
      block_levels_(backend), links_(backend), queue_(backend), slot_keys_(backend),
      slot_points_(backend), counters_(backend), seeds_(backend) {
  if (levels < 0 || levels > 20) throw std::invalid_argument("levels must be in 0..20");
  if (!(margin >= 0)) throw std::invalid_argument("margin must be at least 0");
  int64_t cells = 1, points = 1;
  int bits[3];
  for (int axis = 0; axis < 3; ++axis) {
    if (base[axis] < 1 || (static_cast<int64_t>(base[axis]) << levels) >= (1 << 20) - 1)
      throw std::invalid_argument("every axis needs 1 to 2^20 - 2 cells at the finest level");
    lattice_.base[axis] = base[axis];
    lattice_.resolution[axis] = base[axis] << levels;
    cells *= base[axis];
    points *= base[axis] + 1;
    for (bits[axis] = 1; lattice_.resolution[axis] >> bits[axis]; ++bits[axis]) {}
  }
  if (points > int64_t{1} << 30) throw std::invalid_argument("the base grid has over 2^30 points");
  lattice_.levels = levels;
  lattice_.shift_y = bits[2];
  lattice_.shift_x = bits[1] + bits[2];
  level_ = predict ? 0 : levels;

  cells_ = cells;
  points_ = pending_ = points;
  keys_.resize(points);
  values_.resize(points);
  counters_.resize(kCounters);
  backend_.fill_bytes(counters_.data(), kCounters, 0);
  for (auto* buffer : {&children_, &signs_, &lists_}) buffer->resize(cells);
  backend_.fill_bytes(children_.data(), cells, 0xff);
  backend_.fill_bytes(lists_.data(), cells, 0xff);
  backend_.fill_bytes(signs_.data(), cells, 0);
  backend_.each(points, octree_body::BaseGrid{view(), keys_.data()});
  if (predict_) {
    states_.resize(points);
    pending_list_.resize(points);
    std::vector<int32_t> all(points);
    for (int64_t i = 0; i < points; ++i) all[i] = static_cast<int32_t>(i);
    backend_.fill_bytes(states_.data(), points, 0);
    backend_.write(pending_list_.data(), all.data(), points);
  }
  note_bytes();
}

template <class Backend>
OctreeView OctreeT<Backend>::view() const {
  auto pointer = [](const auto& buffer) {
    return const_cast<std::remove_const_t<std::remove_pointer_t<decltype(buffer.data())>>*>(
        buffer.data());
  };
  OctreeView t;
  t.lattice = lattice_;
  t.roots = lattice_.base[0] * lattice_.base[1] * lattice_.base[2];
  t.keys = pointer(keys_);
  t.values = pointer(values_);
  t.states = predict_ ? pointer(states_) : nullptr;
  t.known = static_cast<int32_t>(predict_ && evaluated_ > 0 ? points_ : evaluated_);
  t.node_points = pointer(node_points_);
  t.node_cells = pointer(node_cells_);
  t.children = pointer(children_);
  t.signs = pointer(signs_);
  t.lists = pointer(lists_);
  t.block_nodes = pointer(block_nodes_);
  t.block_levels = pointer(block_levels_);
  t.links = pointer(links_);
  t.slot_keys = pointer(slot_keys_);
  t.slot_points = pointer(slot_points_);
  t.capacity = slot_keys_.size();
  return t;
}

template <class Backend>
int32_t OctreeT<Backend>::take_counter(int which) {
  int32_t value = 0;
  backend_.read(&value, counters_.data() + which, 1);
  backend_.fill_bytes(counters_.data() + which, 1, 0);
  return value;
}

template <class Backend>
void OctreeT<Backend>::put_counter(int which, int64_t value) {
  const int32_t narrow = static_cast<int32_t>(value);
  backend_.write(counters_.data() + which, &narrow, 1);
}

template <class Backend>
void OctreeT<Backend>::reserve_table(int64_t expected) {
  const int64_t needed = expected + expected / 2 + Backend::kConcurrency;
  if (slot_keys_.size() >= needed) return;
  slot_keys_.resize(0);
  slot_points_.resize(0);
  slot_keys_.resize(needed);
  slot_points_.resize(needed);
  backend_.fill_bytes(slot_keys_.data(), needed, 0xff);
  backend_.each(points_, octree_body::Enter{view(), 0, points_});
}

template <class Backend>
void OctreeT<Backend>::split_queue() {
  using namespace octree_body;
  const int64_t n = queued_;
  queued_ = 0;
  Buffer<int32_t> cells(backend_), scratch(backend_), blocks(backend_);
  scratch.resize(n);
  backend_.sort(queue_.data(), scratch.data(), n);  // so that threads do not change the result
  queue_.resize(n);
  cells.swap(queue_);
  scratch.resize(0);

  blocks.resize(n + 1);
  backend_.each(n, NeedsBlock{view(), cells.data(), blocks.data()});
  backend_.exclusive_scan(blocks.data(), blocks.data(), n);
  int32_t new_blocks = 0;
  backend_.read(&new_blocks, blocks.data() + n, 1);
  const int64_t first_node = nodes_, first_block = block_nodes_.size();
  const int64_t first_point = points_;
  if (first_node + n > 0x7fffffff / 27 || cells_ + 8 * int64_t{new_blocks} > 0x7fffffff)
    throw std::length_error("over 2^31 cells; take a lower resolution");
  nodes_ += n;
  cells_ += 8 * int64_t{new_blocks};
  node_points_.resize(27 * nodes_);
  node_cells_.resize(nodes_);
  for (auto* buffer : {&children_, &signs_, &lists_}) buffer->resize(cells_);
  for (auto* buffer : {&block_nodes_, &block_levels_}) buffer->resize(first_block + new_blocks);

  Buffer<uint64_t> new_keys(backend_), key_scratch(backend_);
  // A node of a flat sheet brings about 10 new points; if these bring more, the table is enlarged.
  for (int64_t guess = 11 * n;; guess = guess < 19 * n ? 19 * n : 2 * guess) {
    const int64_t room = guess < 19 * n ? guess : 19 * n;
    if (points_ + room > 0x7fffffff)
      throw std::length_error("over 2^31 lattice points; take a lower resolution");
    reserve_table(points_ + room);
    new_keys.resize(room);
    backend_.fill_bytes(counters_.data() + kNewPoints, 2, 0);
    backend_.each(
        n, Split{view(), cells.data(), blocks.data(), static_cast<int32_t>(first_node),
                 static_cast<int32_t>(first_block), new_keys.data(), counters_.data() + kNewPoints,
                 counters_.data() + kOverflow, static_cast<int32_t>(room)});
    if (!take_counter(kOverflow)) break;
    slot_keys_.resize(0);  // it holds keys that were not noted: build it anew
    slot_points_.resize(0);
  }
  const int64_t added = take_counter(kNewPoints);
  key_scratch.resize(added);
  note_bytes(new_keys.bytes() + key_scratch.bytes() + cells.bytes() + blocks.bytes());
  backend_.sort(new_keys.data(), key_scratch.data(), added);
  key_scratch.resize(0);
  points_ += added;
  keys_.resize(points_);
  values_.resize(points_);
  if (predict_) states_.resize(points_);
  backend_.copy(keys_.data() + first_point, new_keys.data(), added);
  new_keys.resize(0);
  backend_.each(added, Number{view(), static_cast<int32_t>(first_point), added});
  if (!predict_) pending_ += added;

  backend_.each(n, CountHanging{view(), cells.data(), counters_.data() + kLinks});
  const int64_t most_links = link_count_ + 4 * int64_t{take_counter(kLinks)};
  if (most_links > 0x7fffffff)
    throw std::length_error("over 2^31 hanging nodes; take a lower resolution");
  links_.resize(2 * most_links);
  put_counter(kLinks, link_count_);
  queue_.resize(8 * int64_t{new_blocks});
  backend_.each(
      n, Finish{view(), cells.data(), static_cast<int32_t>(first_node),
                static_cast<int32_t>(first_point), level_, predict_, counters_.data() + kLinks,
                Queue{queue_.data(), counters_.data() + kQueue}});
  link_count_ = take_counter(kLinks);
  links_.resize(2 * link_count_);
  queued_ = take_counter(kQueue);
  note_bytes(cells.bytes() + blocks.bytes());
}

template <class Backend>
void OctreeT<Backend>::check_cells(int64_t first, int32_t only_level) {
  using namespace octree_body;
  backend_.each(cells_ - first, Check{view(), static_cast<int32_t>(first), only_level, level_,
                                      Queue{queue_.data(), counters_.data() + kQueue}});
}

template <class Backend>
void OctreeT<Backend>::hang(const int32_t* list, int64_t n) {
  using namespace octree_body;
  links_.resize(2 * (link_count_ + (predict_ ? 8 : 4) * n));
  put_counter(kLinks, link_count_);
  backend_.each(n, Hang{view(), list, level_, predict_, counters_.data() + kLinks,
                        Queue{queue_.data(), counters_.data() + kQueue}});
  link_count_ = take_counter(kLinks);
  links_.resize(2 * link_count_);
}

template <class Backend>
bool OctreeT<Backend>::settle() {
  queued_ = take_counter(kQueue);
  const bool any = queued_ > 0;
  while (queued_ > 0) split_queue();
  queue_.resize(0);
  return any;
}

// Asks for what the surface needs in nodes that are new, or share one of n points that changed
// sides; in all others nothing has changed.
template <class Backend>
void OctreeT<Backend>::request(const int32_t* flipped, int64_t n) {
  using namespace octree_body;
  pending_list_.resize(points_);
  const Request request{view(),
                        level_,
                        margin_,
                        pending_list_.data(),
                        counters_.data() + kPending,
                        static_cast<int32_t>(asked_nodes_)};
  backend_.each(nodes_ - asked_nodes_, request);
  backend_.each(n, RequestAgain{view(), flipped, request});
  asked_nodes_ = nodes_;
}

template <class Backend>
void OctreeT<Backend>::take_requests() {
  pending_ = take_counter(kPending);
  Buffer<int32_t> scratch(backend_);
  scratch.resize(pending_);
  backend_.sort(pending_list_.data(), scratch.data(), pending_);
  note_bytes(scratch.bytes());
  pending_list_.resize(pending_);
}

template <class Backend>
void OctreeT<Backend>::predict_on(const int32_t* flipped, int64_t n) {
  request(flipped, n);
  take_requests();
  while (pending_ == 0 && level_ < lattice_.levels) {
    ++level_;
    queue_.resize(cells_);
    check_cells(0, level_ - 1);
    settle();
    if (deep_) asked_nodes_ = 0;  // seeds have made nodes of levels that were not looked at yet
    request(nullptr, 0);
    take_requests();
  }
}

template <class Backend>
void OctreeT<Backend>::apply_seeds() {
  using namespace octree_body;
  do {
    queue_.resize(std::min(seed_count_, cells_));
    backend_.each(seed_count_, Seed{view(), seeds_.data(), nullptr, nullptr,
                                    Queue{queue_.data(), counters_.data() + kQueue}});
  } while (settle());
  if (predict_) {
    deep_ = true;
    asked_nodes_ = 0;
    pending_list_.resize(points_);
    backend_.each(seed_count_, Seed{view(), seeds_.data(), pending_list_.data(),
                                    counters_.data() + kPending, Queue{nullptr, nullptr}});
    take_requests();
  }
  seed_count_ = 0;
  seeds_.resize(0);
}

template <class Backend>
void OctreeT<Backend>::refine(const int32_t* cells, int64_t n) {
  if (lattice_.levels == 0 || n == 0) return;
  seeds_.resize(3 * (seed_count_ + n));
  backend_.write(seeds_.data() + 3 * seed_count_, cells, 3 * n);
  seed_count_ += n;
  if (evaluated_ == 0 || pending_ > 0) return;  // update() will
  apply_seeds();
  if (predict_ && pending_ == 0) predict_on();
}

template <class Backend>
void OctreeT<Backend>::update(const float* values, int64_t n) {
  if (n != pending_) throw std::invalid_argument("one value per pending point is needed");
  if (n == 0) return;
  const int32_t* list = predict_ ? pending_list_.data() : nullptr;
  const int64_t first = evaluated_;
  Buffer<int32_t> hanging(backend_), flipped(backend_);
  hanging.resize(first > 0 ? n : 0);
  flipped.resize(first > 0 && predict_ ? n : 0);
  backend_.each(
      n, octree_body::Store{view(), values, list, static_cast<int32_t>(first), level_,
                            counters_.data() + kContacts, first > 0 ? hanging.data() : nullptr,
                            counters_.data() + kHanging,
                            first > 0 && predict_ ? flipped.data() : nullptr,
                            counters_.data() + kFlipped});
  box_contacts_ += take_counter(kContacts);
  hanging.resize(take_counter(kHanging));
  flipped.resize(take_counter(kFlipped));
  note_bytes(hanging.bytes() + flipped.bytes());
  evaluated_ += n;
  pending_ = 0;
  queue_.resize(cells_);
  if (!predict_) {
    check_cells(checked_cells_, -1);
    checked_cells_ = cells_;
  }
  if (first > 0) hang(hanging.data(), hanging.size());
  hanging.resize(0);
  settle();
  if (seed_count_ > 0) apply_seeds();
  if (predict_ && pending_ == 0) predict_on(flipped.data(), flipped.size());
  note_bytes();
}

template <class Backend>
void OctreeT<Backend>::pending_points(int64_t first, int64_t n, int32_t* out) const {
  backend_.each(n, octree_body::Coordinates{view(), predict_ ? pending_list_.data() : nullptr,
                                            static_cast<int32_t>(evaluated_), first, out});
}

template <class Backend>
void OctreeT<Backend>::pending_positions(const std::array<double, 3>& origin, double cell,
                                         int64_t first, int64_t n, float* out) const {
  backend_.each(n, octree_body::Positions{view(),
                                          predict_ ? pending_list_.data() : nullptr,
                                          static_cast<int32_t>(evaluated_),
                                          first,
                                          {origin[0], origin[1], origin[2]},
                                          cell,
                                          out});
}

template <class Backend>
void OctreeT<Backend>::read_points(int32_t* coordinates, float* values, uint8_t* evaluated) const {
  std::vector<uint64_t> keys(points_);
  backend_.read(keys.data(), keys_.data(), points_);
  backend_.read(values, values_.data(), points_);
  for (int64_t i = 0; i < points_; ++i) {
    lattice_.unpack(keys[i], coordinates + 3 * i);
    evaluated[i] = i < evaluated_;
  }
  if (!predict_) return;
  std::vector<int32_t> states(points_);
  backend_.read(states.data(), states_.data(), points_);
  for (int64_t i = 0; i < points_; ++i)
    evaluated[i] = OctreeView::state(states[i]) == OctreeView::kEvaluated;
}

template <class Backend>
std::vector<int32_t> OctreeT<Backend>::evaluations_per_level() const {
  Buffer<int32_t> counts(backend_);
  counts.resize(levels() + 1);
  backend_.fill_bytes(counts.data(), levels() + 1, 0);
  backend_.each(points_, octree_body::CountLevels{view(), counts.data()});
  std::vector<int32_t> out(levels() + 1);
  backend_.read(out.data(), counts.data(), levels() + 1);
  return out;
}

template <class Backend>
void OctreeT<Backend>::interpolate(const double* positions, int64_t n, float* out) const {
  if (pending_ > 0) throw std::logic_error("the octree still awaits values");
  backend_.each(n, octree_body::Interpolate{view(), positions, out});
}

template <class Backend>
void OctreeT<Backend>::values_at(const int32_t* coordinates, int64_t n, float* out) const {
  if (pending_ > 0) throw std::logic_error("the octree still awaits values");
  backend_.each(n, octree_body::ValuesAt{view(), coordinates, out});
}

template <class Backend>
size_t OctreeT<Backend>::bytes() const {
  size_t sum = keys_.bytes() + values_.bytes() + slot_keys_.bytes();
  for (const auto* buffer :
       {&states_, &pending_list_, &node_points_, &node_cells_, &children_, &signs_, &lists_,
        &block_nodes_, &block_levels_, &links_, &queue_, &slot_points_, &seeds_})
    sum += buffer->bytes();
  return sum;
}

template <class Backend>
void OctreeT<Backend>::note_bytes(size_t transient) {
  peak_bytes_ = std::max(peak_bytes_, bytes() + transient);
}

}  // namespace onet
