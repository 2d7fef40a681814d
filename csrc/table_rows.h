// Weighted sums of rows of a table, and their gradient.
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

// A map of features as rows of a table, the last axis first: R^axes cells.
struct MapRows {
  int axes[3];         // of the coordinates, one for each axis of the map
  int dimensions;      // 2 or 3
  int64_t resolution;  // R, at least 2
  int64_t first;       // row of the table
};

// Adds the features of a map, linear between the centres of the cells around each query, to `out`
// (items, queries, features). `places` (3, items, queries) count cells, 0 to R - 1: beyond that is
// taken for the border. `sizes.corners` is not read.
void add_corners(const float* places, const float* table, TableRows sizes, MapRows map, float* out,
                 int threads);

}  // namespace onet
