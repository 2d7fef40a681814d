#include "rows.h"

#include <cstring>

#include "portable.h"

namespace onet {
namespace {

constexpr int64_t AHEAD = 24;  // places asked for before they are read; 12 to 48 are as fast

// Exact, with subnormal numbers and infinities; of NaN the bits are kept.
inline float single(uint16_t half) {
  constexpr uint32_t exponent = 0x7c00u << 13;
  uint32_t bits = (half & 0x7fffu) << 13;
  const uint32_t found = bits & exponent;
  bits += (127 - 15) << 23;
  if (found == exponent) {
    bits += (128 - 16) << 23;
  } else if (found == 0) {  // zero or subnormal: let the subtraction normalise it
    bits += 1 << 23;
    const uint32_t least = 113u << 23;
    float value, one;
    std::memcpy(&value, &bits, 4);
    std::memcpy(&one, &least, 4);
    value -= one;
    std::memcpy(&bits, &value, 4);
  }
  bits |= (half & 0x8000u) << 16;
  float result;
  std::memcpy(&result, &bits, 4);
  return result;
}

}  // namespace

void half_rows(const uint8_t* halves, const int64_t* index, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) {
    if (i + AHEAD < n) prefetch(halves + 6 * index[i + AHEAD]);
    uint16_t row[3];
    std::memcpy(row, halves + 6 * index[i], 6);
    for (int k = 0; k < 3; ++k) out[3 * i + k] = single(row[k]);
  }
}

void packed_bits(const uint8_t* bits, const int64_t* index, int64_t n, uint8_t* out) {
  for (int64_t i = 0; i < n; ++i) {
    if (i + AHEAD < n) prefetch(bits + (index[i + AHEAD] >> 3));
    out[i] = (bits[index[i] >> 3] >> (7 - (index[i] & 7))) & 1;
  }
}

}  // namespace onet
