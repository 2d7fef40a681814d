// One step along the residual stream of a decoder, and one back, each in a single pass over memory.
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

// The gradient g by the residual stream, one block further back: g += scale * change where h > 0
// or NaN, for the gradient `change` by h, all of (rows, features) but scale (features). With `out`
// the new g is written there, too, for the product that follows. No array overlaps another.
void residual_back(float* g, const float* change, const float* h, const float* scale, float* out,
                   int64_t rows, int64_t features);
void residual_back(float* g, const BFloat16* change, const BFloat16* h, const float* scale,
                   BFloat16* out, int64_t rows, int64_t features);

}  // namespace onet
