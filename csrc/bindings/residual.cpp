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

}  // namespace

void bind_residual(nb::module_& m) {
  bind<float, float>(m);
  bind<int16_t, int16_t>(m);
  bind<int16_t, float>(m);
}
