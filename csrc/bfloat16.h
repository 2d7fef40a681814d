// bfloat16 in memory, float in registers.
#pragma once

#include <cstdint>
#include <cstring>

#include "clones.h"

namespace onet {

// The upper half of a float32, rounded to nearest, ties to even.
struct BFloat16 {
  uint16_t bits;
};

ONET_INLINE float widen(float value) { return value; }

ONET_INLINE float widen(BFloat16 value) {
  const uint32_t bits = uint32_t{value.bits} << 16;
  float wide;
  std::memcpy(&wide, &bits, sizeof wide);
  return wide;
}

ONET_INLINE void narrow(float value, float* out) { *out = value; }

ONET_INLINE void narrow(float value, BFloat16* out) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const bool nan = (bits & 0x7fffffff) > 0x7f800000;
  out->bits = static_cast<uint16_t>(nan ? 0x7fc0 : rounded);
}

}  // namespace onet
