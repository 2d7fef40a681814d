#include "sparse_cells.h"

#include <algorithm>
#include <cmath>

#include "parallel.h"

namespace onet {

namespace {

constexpr int64_t kCells = 4096;    // at once for a thread
constexpr int64_t kQueries = 1024;  // at once for a thread
constexpr float kNothing = 1e-6f;   // a share that is no longer asked for

// Rows of the cells at key - 1, key, key + 1; they follow one another where they exist.
void run_along_z(const int64_t* keys, int64_t count, int64_t first, int64_t row, int32_t* found) {
  for (int z = 0; z < 3; ++z) {
    const bool there = row < count && keys[row] == first + z;
    found[z] = static_cast<int32_t>(there ? row : count);
    row += there;
  }
}

// Rows and trilinear weights of the cells whose centres are round a place.
struct Corners {
  int32_t row[8];
  float weight[8];
};

Corners corners(const HashMap& rows, CellSteps steps, const float* place, int64_t key_start) {
  float fraction[3];
  int64_t base[3];
  const float limit = static_cast<float>(steps.y);  // cells are numbered below it along each axis
  for (int a = 0; a < 3; ++a) {
    const float shifted = place[a] - 0.5f, below = std::floor(shifted);
    if (!(below >= -1 && below < limit)) return Corners{{-1, -1, -1, -1, -1, -1, -1, -1}, {}};
    fraction[a] = shifted - below;
    base[a] = static_cast<int64_t>(below);
  }
  const int64_t first = key_start + base[0] * steps.x + base[1] * steps.y + base[2];
  Corners found;
  for (int k = 0; k < 8; ++k) {
    const int x = k >> 2, y = k >> 1 & 1, z = k & 1;
    found.row[k] = rows.find(static_cast<uint64_t>(first + x * steps.x + y * steps.y + z));
    found.weight[k] = (x ? fraction[0] : 1 - fraction[0]) * (y ? fraction[1] : 1 - fraction[1]) *
                      (z ? fraction[2] : 1 - fraction[2]);
  }
  return found;
}

void add_row(float* out, const float* features, float weight, int64_t width) {
  for (int64_t c = 0; c < width; ++c) out[c] += weight * features[c];
}

void blend(const std::vector<CellLevel*>& levels, int64_t width, CellSteps steps,
           const float* query, int64_t key_start, float* out) {
  float place[3] = {query[0], query[1], query[2]}, share = 1;
  for (const CellLevel* level : levels) {
    const Corners near = corners(level->rows, steps, place, key_start);
    float given = 0;
    for (int k = 0; k < 8; ++k) {
      if (near.row[k] < 0) continue;
      given += near.weight[k];
      add_row(out, level->features + near.row[k] * width, share * near.weight[k], width);
    }
    share *= 1 - given;
    if (share <= kNothing) break;
    for (float& coordinate : place) coordinate *= 0.5f;
  }
}

}  // namespace

void cell_neighbours(const int64_t* keys, int64_t count, CellSteps steps, int32_t* rows,
                     int threads) {
  parallel_for(count, threads, kCells, [&](int64_t begin, int64_t end) {
    for (int column = 0; column < 9; ++column) {
      const int64_t offset = (column / 3 - 1) * steps.x + (column % 3 - 1) * steps.y - 1;
      int64_t row = std::lower_bound(keys, keys + count, keys[begin] + offset) - keys;
      for (int64_t i = begin; i < end; ++i) {
        const int64_t first = keys[i] + offset;
        while (row < count && keys[row] < first) ++row;  // ascending, as the keys are
        run_along_z(keys, count, first, row, rows + 27 * i + 3 * column);
      }
    }
  });
}

CellLevel::CellLevel(const int64_t* keys, int64_t count) : rows(static_cast<size_t>(count)) {
  for (int64_t i = 0; i < count; ++i)
    rows.insert(static_cast<uint64_t>(keys[i]), static_cast<int32_t>(i));
}

void blend_levels(const std::vector<CellLevel*>& levels, int64_t width, CellSteps steps,
                  const float* queries, const int64_t* key_starts, int64_t count, float* out,
                  int threads) {
  parallel_for(count, threads, kQueries, [&](int64_t begin, int64_t end) {
    std::fill(out + begin * width, out + end * width, 0.0f);
    for (int64_t i = begin; i < end; ++i)
      blend(levels, width, steps, queries + 3 * i, key_starts[i], out + i * width);
  });
}

}  // namespace onet
