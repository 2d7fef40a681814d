// What a training sample takes of arrays that lie in mapped memory: single precision numbers and
// bits at random places, each of which is asked for some steps before it is read.
#pragma once

#include <cstdint>

namespace onet {

// Rows `index` (n) of points in half precision (N, 3), as they lie in memory at any address, in
// single precision (n, 3), exactly. Indices are in [0, N).
void half_rows(const uint8_t* halves, const int64_t* index, int64_t n, float* out);

// Bits `index` (n) of packed ones, the first in the highest place of a byte, as 0 or 1 (n).
void packed_bits(const uint8_t* bits, const int64_t* index, int64_t n, uint8_t* out);

}  // namespace onet
