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

template <class In, class Out>
void check_residual(Random& random) {
  const int64_t rows = random.whole(0, 40), features = random.whole(1, 70), size = rows * features;
  const auto number = [&] {
    return random.chance(0.05) ? random.pick({float(kNan), float(kInf), -float(kInf), 0.0f, -0.0f,
                                              1e-45f, 3e38f, -3e38f, 1.00390625f, 1.01171875f})
                               : static_cast<float>(random.uniform(-3, 3));
  };
  std::vector<float> x(size), scale(features), shift(features);
  std::vector<In> y(size);
  std::vector<Out> out(size);
  for (auto* values : {&x, &scale, &shift})
    for (float& v : *values) v = number();
  for (In& v : y) {
    const float drawn = rounded(number(), In{});
    if constexpr (sizeof(In) == 4) {
      v = drawn;
    } else {
      uint32_t bits;
      std::memcpy(&bits, &drawn, sizeof bits);
      v.bits = static_cast<uint16_t>(bits >> 16);
    }
  }
  const bool adds = random.chance(0.7);
  const std::vector<float> before = x;
  onet::residual_relu(x.data(), adds ? y.data() : nullptr, scale.data(), shift.data(), out.data(),
                      rows, features);
  const auto same = [](float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); };
  for (int64_t i = 0; i < size; ++i) {
    const float sum = adds ? before[i] + to_float(y[i]) : before[i];
    require(same(x[i], sum), "the residual is not added");
    const float value = scale[i % features] * sum + shift[i % features];
    const float expected = std::isnan(value) ? value : rounded(std::max(0.0f, value), Out{});
    require(same(to_float(out[i]), expected), "the activation is wrong");
  }
}

void residual(Random& random, int) {
  check_residual<float, float>(random);
  check_residual<onet::BFloat16, onet::BFloat16>(random);
  check_residual<onet::BFloat16, float>(random);
}

}  // namespace
}  // namespace fuzz
