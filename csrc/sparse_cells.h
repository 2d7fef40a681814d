// Lookups in the cells of a sparse grid: neighbours, and values between cell centres.
#pragma once

#include <cstdint>
#include <vector>

#include "hash_map.h"

namespace onet {

// Where cells (x, y, z) are among those of a level. The key of a cell is x * step_x + y * step_y +
// z (with more in front, such as the number of a scan).
struct CellSteps {
  int64_t x, y;
};

// Rows (M, 27) of the cells that touch each one, itself in the middle, x slowest; M where there is
// none. keys (M) ascending.
void cell_neighbours(const int64_t* keys, int64_t count, CellSteps steps, int32_t* rows,
                     int threads);

// One level of a pyramid: its cells, found by key, and features (M, width), row by row.
struct CellLevel {
  HashMap rows;
  const float* features = nullptr;

  CellLevel(const int64_t* keys, int64_t count);
};

// Features (Q, width) between the cells: trilinear between the centres of the finest level's cells
// round each query; the weight of those that are absent is what coarser levels share, each twice as
// coarse as the one before. queries (Q, 3) in cells of the finest level, key_starts (Q): what
// stands before x in the keys.
void blend_levels(const std::vector<CellLevel*>& levels, int64_t width, CellSteps steps,
                  const float* queries, const int64_t* key_starts, int64_t count, float* out,
                  int threads);

}  // namespace onet
