// Open-addressing map from 64-bit keys to 32-bit indices; insert and find only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace onet {

class HashMap {
 public:
  explicit HashMap(size_t expected = 16) {
    size_t capacity = 16;
    while (capacity < 2 * expected) capacity *= 2;
    slots_.resize(capacity);
  }

  size_t size() const { return size_; }
  size_t bytes() const { return slots_.capacity() * sizeof(Slot); }

  // Index stored under key, or -1.
  int32_t find(uint64_t key) const {
    for (size_t i = start(key);; i = (i + 1) & (slots_.size() - 1)) {
      if (slots_[i].index < 0) return -1;
      if (slots_[i].key == key) return slots_[i].index;
    }
  }

  // Stores index under key unless the key is there; returns (stored index, was new).
  std::pair<int32_t, bool> insert(uint64_t key, int32_t index) {
    if (2 * (size_ + 1) > slots_.size()) grow();
    size_t i = start(key);
    for (; slots_[i].index >= 0; i = (i + 1) & (slots_.size() - 1))
      if (slots_[i].key == key) return {slots_[i].index, false};
    slots_[i] = {key, index};
    ++size_;
    return {index, true};
  }

 private:
  struct Slot {
    uint64_t key = 0;
    int32_t index = -1;
  };

  size_t start(uint64_t key) const {
    key ^= key >> 31;
    key *= 0x9E3779B97F4A7C15ull;  // Fibonacci hashing; the high bits are the mixed ones
    return (key >> 29) & (slots_.size() - 1);
  }

  void grow() {
    std::vector<Slot> old(2 * slots_.size());
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.index < 0) continue;
      size_t i = start(slot.key);
      while (slots_[i].index >= 0) i = (i + 1) & (slots_.size() - 1);
      slots_[i] = slot;
    }
  }

  std::vector<Slot> slots_;
  size_t size_ = 0;
};

}  // namespace onet
