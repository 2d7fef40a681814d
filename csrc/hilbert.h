// Points in the order of a Hilbert curve: neighbours in the order are neighbours in space.
#pragma once

#include <cstdint>
#include <vector>

namespace onet {

// Indices of the n points x (n, 3) along the curve through their bounding box. Where many points
// share one of its 1024^3 cells, these are ordered along a curve of their own, so clusters and
// outliers leave no part unordered; equal points keep their order. Coordinates are
// finite, n < 2^31.
std::vector<int32_t> hilbert_order(const double* x, int64_t n, int threads);

}  // namespace onet
