#include "../rows.h"

#include <algorithm>

#include "arrays.h"

namespace {

void check_index(const Vector<int64_t>& index, size_t count) {
  const int64_t* at = index.data();
  uint64_t most = 0;  // negative ones are the largest
  for (size_t i = 0; i < index.shape(0); ++i) most = std::max(most, static_cast<uint64_t>(at[i]));
  if (index.shape(0) && most >= count)
    throw nb::index_error(("an index of " + std::to_string(count) + " is " +
                           std::to_string(static_cast<int64_t>(most)))
                              .c_str());
}

}  // namespace

void bind_rows(nb::module_& m) {
  m.def(
      "half_rows",
      [](Vector<uint8_t> halves, Vector<int64_t> index) {
        check_index(index, halves.shape(0) / 6);
        const size_t n = index.shape(0);
        std::vector<float> out(3 * n);
        {
          nb::gil_scoped_release release;
          onet::half_rows(halves.data(), index.data(), n, out.data());
        }
        return to_numpy(std::move(out), {n, 3});
      },
      "halves"_a.noconvert(), "index"_a.noconvert());
  m.def(
      "packed_bits",
      [](Vector<uint8_t> bits, int64_t count, Vector<int64_t> index) {
        if (count < 0 || static_cast<size_t>(count) > 8 * bits.shape(0))
          throw nb::value_error("more bits than there are");
        check_index(index, count);
        const size_t n = index.shape(0);
        std::vector<uint8_t> out(n);
        {
          nb::gil_scoped_release release;
          onet::packed_bits(bits.data(), index.data(), n, out.data());
        }
        return to_numpy(std::move(out), {n});
      },
      "bits"_a.noconvert(), "count"_a, "index"_a.noconvert());
}
