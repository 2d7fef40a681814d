// Arrays between Python and C++. Arguments are checked here and handed on as plain pointers; the
// interpreter lock is released during the work. Bind with `.noconvert()`: a silent copy would hide
// a wrong dtype.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <memory>
#include <string>
#include <vector>

namespace nb = nanobind;
using namespace nb::literals;

template <class T>
using Rows = nb::ndarray<const T, nb::shape<-1, 3>, nb::c_contig, nb::device::cpu>;
template <class T>
using Vector = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// NumPy array that owns the buffer of a vector.
template <class T>
nb::ndarray<nb::numpy, T> to_numpy(std::vector<T> data, std::initializer_list<size_t> shape) {
  auto owned = std::make_unique<std::vector<T>>(std::move(data));
  T* pointer = owned->data();
  nb::capsule owner(owned.release(),
                    [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return nb::ndarray<nb::numpy, T>(pointer, shape, owner);
}

inline void check_faces(const Rows<int64_t>& faces, size_t vertex_count) {
  const int64_t* index = faces.data();
  for (size_t i = 0; i < 3 * faces.shape(0); ++i)
    if (index[i] < 0 || index[i] >= static_cast<int64_t>(vertex_count))
      throw nb::index_error(("face " + std::to_string(i / 3) + " names vertex " +
                             std::to_string(index[i]) + " of " + std::to_string(vertex_count))
                                .c_str());
  if (faces.shape(0) >= (size_t{1} << 31)) throw nb::value_error("over 2^31 faces");
}

// Nearest things cannot be found for NaN; beyond the limit the fourth powers of lengths overflow.
inline void check_coordinates(const Rows<double>& rows, const char* name) {
  constexpr double limit = 1e70;
  const double* x = rows.data();
  size_t bad = 0;
  for (size_t i = 0; i < rows.shape(0); ++i) {
    bool fine = true;
    for (size_t k = 3 * i; k < 3 * i + 3; ++k) fine &= x[k] > -limit && x[k] < limit;
    bad += !fine;
  }
  if (bad)
    throw nb::value_error((std::string(name) + ": " + std::to_string(bad) + " of " +
                           std::to_string(rows.shape(0)) +
                           " rows are NaN, infinite or beyond 1e70; remove them")
                              .c_str());
  if (rows.shape(0) >= (size_t{1} << 31)) throw nb::value_error("over 2^31 rows");
}
