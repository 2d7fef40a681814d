#include "../residual.h"

#include <nanobind/stl/optional.h>

#include <optional>

#include "arrays.h"
#include "bfloat16.h"

namespace {

template <class T>
using Matrix = nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

// Y and Out: float, or int16_t for the bits of bfloat16.
template <class Y, class Out>
void bind(nb::module_& m) {
  m.def(
      "residual_relu",
      [](Matrix<float> x, std::optional<Matrix<const Y>> y, Vector<float> scale,
         Vector<float> shift, Matrix<Out> out) {
        const size_t rows = x.shape(0), features = x.shape(1);
        const auto fits = [&](const auto& a) {
          return a.shape(0) == rows && a.shape(1) == features;
        };
        if ((y && !fits(*y)) || !fits(out) || scale.shape(0) != features ||
            shift.shape(0) != features)
          throw nb::value_error("x, y and out must be (N, F), scale and shift (F,)");
        nb::gil_scoped_release release;
        onet::residual_relu(x.data(), y ? values(y->data()) : nullptr, scale.data(), shift.data(),
                            values(out.data()), rows, features);
      },
      "x"_a.noconvert(), "y"_a.noconvert().none(), "scale"_a.noconvert(), "shift"_a.noconvert(),
      "out"_a.noconvert());
}

// T: float, or int16_t for the bits of bfloat16.
template <class T>
void bind_back(nb::module_& m) {
  m.def(
      "residual_back",
      [](Matrix<float> g, Matrix<const T> change, Matrix<const T> h, Vector<float> scale,
         std::optional<Matrix<T>> out) {
        const size_t rows = g.shape(0), features = g.shape(1);
        const auto fits = [&](const auto& a) {
          return a.shape(0) == rows && a.shape(1) == features;
        };
        if (!fits(change) || !fits(h) || (out && !fits(*out)) || scale.shape(0) != features)
          throw nb::value_error("g, change, h and out must be (N, F), scale (F,)");
        nb::gil_scoped_release release;
        onet::residual_back(g.data(), values(change.data()), values(h.data()), scale.data(),
                            out ? values(out->data()) : nullptr, rows, features);
      },
      "g"_a.noconvert(), "change"_a.noconvert(), "h"_a.noconvert(), "scale"_a.noconvert(),
      "out"_a.noconvert().none());
}

}  // namespace

void bind_residual(nb::module_& m) {
  bind<float, float>(m);
  bind<int16_t, int16_t>(m);
  bind<int16_t, float>(m);
  bind_back<float>(m);
  bind_back<int16_t>(m);
}
