// NumPy has no bfloat16: such arrays come as their bits, int16.
#pragma once

#include <cstdint>

#include "../bfloat16.h"

inline const onet::BFloat16* values(const int16_t* bits) {
  return reinterpret_cast<const onet::BFloat16*>(bits);
}
inline onet::BFloat16* values(int16_t* bits) { return reinterpret_cast<onet::BFloat16*>(bits); }
inline const float* values(const float* numbers) { return numbers; }
inline float* values(float* numbers) { return numbers; }
