// The step of the decoder that is compiled, on random rows.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "../../csrc/residual.h"
#include "checks.h"
#include "inputs.h"

namespace fuzz {
namespace {

float to_float(onet::BFloat16 value) {
  const uint32_t bits = uint32_t{value.bits} << 16;
  float out;
  std::memcpy(&out, &bits, sizeof out);
  return out;
}
float to_float(float value) { return value; }

// The nearest number of the type, the even one of two: what is cut off decides.
float rounded(float value, float) { return value; }
float rounded(float value, onet::BFloat16) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const uint32_t rest = bits & 0xffff, odd = bits >> 16 & 1;
  bits &= 0xffff0000;
  if (rest + odd > 0x8000) bits += 0x10000;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

float drawn(Random& random) {
  return random.chance(0.05) ? random.pick({float(kNan), float(kInf), -float(kInf), 0.0f, -0.0f,
                                            1e-45f, 3e38f, -3e38f, 1.00390625f, 1.01171875f})
                             : static_cast<float>(random.uniform(-3, 3));
}

template <class T>
std::vector<T> draw(Random& random, int64_t size) {
  std::vector<T> result(size);
  for (T& v : result) {
    const float value = rounded(drawn(random), T{});
    if constexpr (sizeof(T) == 4) {
      v = value;
    } else {
      uint32_t bits;
      std::memcpy(&bits, &value, sizeof bits);
      v.bits = static_cast<uint16_t>(bits >> 16);
    }
  }
  return result;
}

bool same(float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); }

template <class In, class Out>
void check_residual(Random& random) {
  const int64_t rows = random.whole(0, 40), features = random.whole(1, 70), size = rows * features;
  std::vector<float> x = draw<float>(random, size);
  const std::vector<float> scale = draw<float>(random, features);
  const std::vector<float> shift = draw<float>(random, features);
  const std::vector<In> y = draw<In>(random, size);
  std::vector<Out> out(size);
  const bool adds = random.chance(0.7);
  const std::vector<float> before = x;
  onet::residual_relu(x.data(), adds ? y.data() : nullptr, scale.data(), shift.data(), out.data(),
                      rows, features);
  for (int64_t i = 0; i < size; ++i) {
    const float sum = adds ? before[i] + to_float(y[i]) : before[i];
    require(same(x[i], sum), "the residual is not added");
    const float value = scale[i % features] * sum + shift[i % features];
    const float expected = std::isnan(value) ? value : rounded(std::max(0.0f, value), Out{});
    require(same(to_float(out[i]), expected), "the activation is wrong");
  }
}

template <class T>
void check_residual_back(Random& random) {
  const int64_t rows = random.whole(0, 40), features = random.whole(1, 70), size = rows * features;
  std::vector<float> g = draw<float>(random, size);
  const std::vector<float> scale = draw<float>(random, features), before = g;
  const std::vector<T> change = draw<T>(random, size), h = draw<T>(random, size);
  std::vector<T> out(size);
  const bool writes = random.chance(0.7);
  onet::residual_back(g.data(), change.data(), h.data(), scale.data(),
                      writes ? out.data() : nullptr, rows, features);
  for (int64_t i = 0; i < size; ++i) {
    const float passed = to_float(h[i]) <= 0 ? 0 : to_float(change[i]);
    require(same(g[i], before[i] + scale[i % features] * passed), "the gradient is wrong");
    const float written = std::isnan(g[i]) ? g[i] : rounded(g[i], T{});
    require(same(to_float(out[i]), writes ? written : 0), "the copy of the gradient is wrong");
  }
}

void residual(Random& random, int) {
  check_residual<float, float>(random);
  check_residual<onet::BFloat16, onet::BFloat16>(random);
  check_residual<onet::BFloat16, float>(random);
  check_residual_back<float>(random);
  check_residual_back<onet::BFloat16>(random);
}

}  // namespace
}  // namespace fuzz
