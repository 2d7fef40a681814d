#include "residual.h"

#include <cstring>

// The loops are compiled for several instruction sets, and the loader chooses among them. The body
// is inlined by force, since a function called from a clone would not be cloned itself. The names
// of the sets are known to GCC from version 12 on. The choice runs before a sanitizer is ready.
#if defined(__GNUC__) && __GNUC__ >= 12 && !defined(__clang__) && defined(__x86_64__) && \
    defined(__gnu_linux__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define ONET_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define ONET_INLINE inline __attribute__((always_inline))
#define ONET_RESTRICT __restrict
#else
#define ONET_CLONES
#define ONET_INLINE inline
#define ONET_RESTRICT
#endif

namespace onet {
namespace {

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
