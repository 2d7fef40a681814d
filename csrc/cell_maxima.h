// Maxima over the points of a cell, given to each of its points, and their gradients.
#pragma once

#include <cstdint>
#include <vector>

#include "bfloat16.h"

namespace onet {

// The cells of one map that points of several items are in.
struct CellNumbers {
  const int32_t* cells;  // (items, points): numbers of cells; those of an item follow one another,
                         // and those of the items before it are smaller
  int64_t count;         // of cells in all
};

// Points of several items with their features, (items, points, features).
struct FeatureRows {
  int64_t items, points, features;
};

// out = the sum over the maps of the maximum of x over the points of the same cell. `maxima` of
// each map, (count, features), gets the maxima. Sums are float, rounded once.
// NaN stays NaN.
void sum_of_maxima(const float* x, FeatureRows rows, const std::vector<CellNumbers>& maps,
                   const std::vector<float*>& maxima, float* out, int threads);
void sum_of_maxima(const BFloat16* x, FeatureRows rows, const std::vector<CellNumbers>& maps,
                   const std::vector<float*>& maxima, BFloat16* out, int threads);

// Turns the gradient of `out` into that of x; x and maxima are those of `sum_of_maxima`. Points
// with the same maximum share its gradient.
void sum_of_maxima_gradient(const float* x, FeatureRows rows, const std::vector<CellNumbers>& maps,
                            const std::vector<const float*>& maxima, const float* gradient,
                            float* out, int threads);
void sum_of_maxima_gradient(const BFloat16* x, FeatureRows rows,
                            const std::vector<CellNumbers>& maps,
                            const std::vector<const float*>& maxima, const BFloat16* gradient,
                            BFloat16* out, int threads);

}  // namespace onet
