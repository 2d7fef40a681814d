#include "hilbert.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "parallel.h"

namespace onet {
namespace {

constexpr int kBits = 10;        // of each coordinate
constexpr int64_t kCrowd = 16;   // points in one cell that get a curve of their own
constexpr int64_t kSmall = 512;  // below this many points std::sort is faster than counting

struct Step {
  uint8_t digit, next;
};

// For a state of the curve (entry corner and direction) and an octant: the octant's place on the
// curve and the state inside it. After Hamilton, Compact Hilbert indices, 2006, section 2.
std::array<std::array<Step, 8>, 24> curve() {
  auto turn_left = [](int v, int by) { return (v << by | v >> (3 - by)) & 7; };
  auto turn_right = [](int v, int by) { return (v >> by | v << (3 - by)) & 7; };
  auto gray = [](int v) { return v ^ v >> 1; };
  std::array<std::array<Step, 8>, 24> table{};
  for (int entry = 0; entry < 8; ++entry)
    for (int direction = 0; direction < 3; ++direction)
      for (int octant = 0; octant < 8; ++octant) {
        const int by = (direction + 1) % 3;
        const int seen = turn_right(octant ^ entry, by);
        const int digit = seen ^ seen >> 1 ^ seen >> 2;  // inverse of the Gray code
        const int inner = digit == 0 ? 0 : gray(2 * ((digit - 1) / 2));
        int ones = 0;  // trailing ones: the direction inside the octant
        for (int v = digit == 0 ? 0 : digit % 2 == 0 ? digit - 1 : digit; v & 1; v >>= 1) ++ones;
        const int next_entry = entry ^ turn_left(inner, by);
        const int next_direction = (direction + ones % 3 + 1) % 3;
        table[entry * 3 + direction][octant] = {
            static_cast<uint8_t>(digit), static_cast<uint8_t>(next_entry * 3 + next_direction)};
      }
  return table;
}

class Order {
 public:
  Order(const double* x, int64_t n, int threads) : x_(x), threads_(threads), keys_(n), scratch_(n) {
    for (int64_t i = 0; i < n; ++i) keys_[i] = static_cast<uint64_t>(i);
    sort(0, n);
  }

  std::vector<int32_t> indices() const {
    std::vector<int32_t> out(keys_.size());
    for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<int32_t>(keys_[i]);
    return out;
  }

 private:
  // A key is the cell's place on the curve, above 32 bits of the point's index.
  void sort(int64_t begin, int64_t end) {
    constexpr double inf = std::numeric_limits<double>::infinity();
    double low[3] = {inf, inf, inf}, high[3] = {-inf, -inf, -inf};
    for (int64_t i = begin; i < end; ++i)
      for (int axis = 0; axis < 3; ++axis) {
        const double v = x_[3 * static_cast<int64_t>(keys_[i] & 0xffffffff) + axis];
        low[axis] = v < low[axis] ? v : low[axis];
        high[axis] = v > high[axis] ? v : high[axis];
      }
    const double extent = std::max({high[0] - low[0], high[1] - low[1], high[2] - low[2]});
    if (!(extent > 0)) return;  // equal points, in the order of their indices
    parallel_for(end - begin, threads_, 4096, [&](int64_t from, int64_t to) {
      static const auto table = curve();
      for (int64_t i = begin + from; i < begin + to; ++i) {
        const uint64_t index = keys_[i] & 0xffffffff;
        uint32_t cell[3], state = 0;
        for (int axis = 0; axis < 3; ++axis)
          cell[axis] = static_cast<uint32_t>(
              std::min((x_[3 * index + axis] - low[axis]) / extent * (1 << kBits),
                       double{(1 << kBits) - 1}));
        uint64_t place = 0;
        for (int bit = kBits - 1; bit >= 0; --bit) {
          const uint32_t octant =
              (cell[0] >> bit & 1) | (cell[1] >> bit & 1) << 1 | (cell[2] >> bit & 1) << 2;
          const Step step = table[state][octant];
          place = place << 3 | step.digit;
          state = step.next;
        }
        keys_[i] = place << 32 | index;
      }
    });
    if (end - begin < kSmall)
      std::sort(keys_.begin() + begin, keys_.begin() + end);
    else
      count_sort(begin, end);
    for (int64_t i = begin, next; i < end; i = next) {
      for (next = i + 1; next < end && keys_[next] >> 32 == keys_[i] >> 32;) ++next;
      if (next - i > kCrowd) sort(i, next);
    }
  }

  // By the places, least significant digit first; points of one cell keep their order.
  void count_sort(int64_t begin, int64_t end) {
    constexpr int kDigits = 1 << kBits;
    uint64_t *from = keys_.data(), *to = scratch_.data();
    for (int shift = 32; shift < 32 + 3 * kBits; shift += kBits) {
      int64_t start[kDigits] = {};
      for (int64_t i = begin; i < end; ++i) ++start[from[i] >> shift & (kDigits - 1)];
      int64_t sum = begin;
      for (int64_t& s : start) sum += std::exchange(s, sum);
      for (int64_t i = begin; i < end; ++i) to[start[from[i] >> shift & (kDigits - 1)]++] = from[i];
      std::swap(from, to);
    }
    std::copy(from + begin, from + end, keys_.begin() + begin);  // three digits: it is the scratch
  }

  const double* x_;
  int threads_;
  std::vector<uint64_t> keys_, scratch_;
};

}  // namespace

std::vector<int32_t> hilbert_order(const double* x, int64_t n, int threads) {
  return Order(x, n, threads).indices();
}

}  // namespace onet
