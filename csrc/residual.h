// One step along the residual stream of a decoder, in a single pass over memory.
#pragma once

#include <cstdint>

#include "bfloat16.h"

namespace onet {

// x += y, then out = max(0, scale * x + shift), for x, y, out of (rows, features) and scale, shift
// of (features). y may be null: x then stays as it is. NaN stays NaN. No array overlaps another.
void residual_relu(float* x, const float* y, const float* scale, const float* shift, float* out,
                   int64_t rows, int64_t features);
void residual_relu(float* x, const BFloat16* y, const float* scale, const float* shift,
                   BFloat16* out, int64_t rows, int64_t features);
void residual_relu(float* x, const BFloat16* y, const float* scale, const float* shift, float* out,
                   int64_t rows, int64_t features);

}  // namespace onet
