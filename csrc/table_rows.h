// The gradient of weighted sums of rows of a table.
#pragma once

#include <cstdint>

namespace onet {

// Sums of several items: queries * corners rows of each are summed in a table of its own.
struct TableRows {
  int64_t items, queries, corners, features;
  int64_t cells;  // rows of the table of an item
};

// table[row] += weight * gradient of the query, for each corner of each query; `rows` (items,
// queries, corners) count from the first row of the first item's table, and stay in the item's own.
void add_to_rows(const float* gradient, const int64_t* rows, const float* weights, TableRows sizes,
                 float* table, int threads);

}  // namespace onet
