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

template <class T>
ONET_INLINE void step_back(float* ONET_RESTRICT g, const T* ONET_RESTRICT change,
                           const T* ONET_RESTRICT h, const float* ONET_RESTRICT scale,
                           T* ONET_RESTRICT out, int64_t rows, int64_t features) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t f = 0; f < features; ++f) {
      const float value = widen(change[f]);
      g[f] += scale[f] * (widen(h[f]) <= 0 ? 0 : value);
    }
    if (out) {
      for (int64_t f = 0; f < features; ++f) narrow(g[f], out + f);
      out += features;
    }
    g += features;
    change += features;
    h += features;
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

ONET_CLONES void residual_back(float* g, const float* change, const float* h, const float* scale,
                               float* out, int64_t rows, int64_t features) {
  step_back(g, change, h, scale, out, rows, features);
}

ONET_CLONES void residual_back(float* g, const BFloat16* change, const BFloat16* h,
                               const float* scale, BFloat16* out, int64_t rows, int64_t features) {
  step_back(g, change, h, scale, out, rows, features);
}

}  // namespace onet
