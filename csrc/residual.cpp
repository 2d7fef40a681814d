#include "residual.h"

namespace onet {
namespace {

template <class Y, class Out>
ONET_INLINE void step(float* ONET_RESTRICT x, const Y* ONET_RESTRICT y,
                      const float* ONET_RESTRICT scale, const float* ONET_RESTRICT shift,
                      Out* ONET_RESTRICT out, int64_t rows, int64_t features) {
  for (int64_t row = 0; row < rows; ++row) {
    if (y) {
      for (int64_t f = 0; f < features; ++f) x[f] += widen(y[f]);
      y += features;
    }
    for (int64_t f = 0; f < features; ++f) {
      const float value = scale[f] * x[f] + shift[f];
      narrow(value < 0 ? 0 : value, out + f);
    }
    x += features;
    out += features;
  }
}

}  // namespace

ONET_CLONES void residual_relu(float* x, const float* y, const float* scale, const float* shift,
                               float* out, int64_t rows, int64_t features) {
  step(x, y, scale, shift, out, rows, features);
}

ONET_CLONES void residual_relu(float* x, const BFloat16* y, const float* scale, const float* shift,
                               BFloat16* out, int64_t rows, int64_t features) {
  step(x, y, scale, shift, out, rows, features);
}

ONET_CLONES void residual_relu(float* x, const BFloat16* y, const float* scale, const float* shift,
                               float* out, int64_t rows, int64_t features) {
  step(x, y, scale, shift, out, rows, features);
}

}  // namespace onet
