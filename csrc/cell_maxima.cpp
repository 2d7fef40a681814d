#include "cell_maxima.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "parallel.h"

namespace onet {
namespace {

// What a loop over the points of one item needs of one map.
struct Cells {
  const int32_t* cells;  // (points)
  float* maxima;         // rows of all cells
  float* total;          // rows from cell `first` on
  int64_t first;
};

// Loops over the features of one point. Arrays are arguments, so that the compiler knows that they
// do not overlap.

template <class T>
ONET_INLINE void take_larger(const T* ONET_RESTRICT x, float* ONET_RESTRICT most,
                             int64_t features) {
  for (int64_t f = 0; f < features; ++f) {
    const float value = widen(x[f]);
    most[f] = value > most[f] || value != value ? value : most[f];  // NaN stays
  }
}

ONET_INLINE void add(const float* ONET_RESTRICT x, float* ONET_RESTRICT sum, int64_t features) {
  for (int64_t f = 0; f < features; ++f) sum[f] += x[f];
}

template <class T>
ONET_INLINE void write(const float* ONET_RESTRICT x, T* ONET_RESTRICT out, int64_t features) {
  for (int64_t f = 0; f < features; ++f) narrow(x[f], out + f);
}

template <class T>
ONET_INLINE void count(const T* ONET_RESTRICT x, const T* ONET_RESTRICT gradient,
                       const float* ONET_RESTRICT most, float* ONET_RESTRICT total,
                       float* ONET_RESTRICT ties, int64_t features) {
  for (int64_t f = 0; f < features; ++f) {
    total[f] += widen(gradient[f]);
    ties[f] += widen(x[f]) == most[f] ? 1.0f : 0.0f;
  }
}

template <class T>
ONET_INLINE void add_where_largest(const T* ONET_RESTRICT x, const float* ONET_RESTRICT most,
                                   const float* ONET_RESTRICT total, float* ONET_RESTRICT sum,
                                   int64_t features) {
  for (int64_t f = 0; f < features; ++f) sum[f] += widen(x[f]) == most[f] ? total[f] : 0.0f;
}

// Loops over the points of one item.

template <class T>
ONET_INLINE void find_maxima(const T* x, FeatureRows rows, const Cells& map) {
  for (int64_t p = 0; p < rows.points; ++p, x += rows.features)
    take_larger(x, map.maxima + map.cells[p] * rows.features, rows.features);
}

template <class T>
ONET_INLINE void add_maxima(FeatureRows rows, const Cells* maps, size_t count, float* sum, T* out) {
  for (int64_t p = 0; p < rows.points; ++p, out += rows.features) {
    std::memset(sum, 0, rows.features * sizeof(float));
    for (size_t m = 0; m < count; ++m)
      add(maps[m].maxima + maps[m].cells[p] * rows.features, sum, rows.features);
    write(sum, out, rows.features);
  }
}

// total = the sum of the gradients of a cell's points, over how many of them are the maximum.
template <class T>
ONET_INLINE void share_gradients(const T* x, const T* gradient, FeatureRows rows, const Cells& map,
                                 float* equal, int64_t cells) {
  for (int64_t p = 0; p < rows.points; ++p, x += rows.features, gradient += rows.features) {
    const int64_t row = (map.cells[p] - map.first) * rows.features;
    count(x, gradient, map.maxima + map.cells[p] * rows.features, map.total + row, equal + row,
          rows.features);
  }
  for (int64_t k = 0; k < cells * rows.features; ++k) map.total[k] /= std::max(equal[k], 1.0f);
}

template <class T>
ONET_INLINE void give_gradients(const T* x, FeatureRows rows, const Cells* maps, size_t count,
                                float* sum, T* out) {
  for (int64_t p = 0; p < rows.points; ++p, x += rows.features, out += rows.features) {
    std::memset(sum, 0, rows.features * sizeof(float));
    for (size_t m = 0; m < count; ++m) {
      const int64_t cell = maps[m].cells[p];
      add_where_largest(x, maps[m].maxima + cell * rows.features,
                        maps[m].total + (cell - maps[m].first) * rows.features, sum, rows.features);
    }
    write(sum, out, rows.features);
  }
}

ONET_CLONES void item_maxima(const float* x, FeatureRows rows, const Cells* maps, size_t count,
                             float* sum, float* out) {
  for (size_t m = 0; m < count; ++m) find_maxima(x, rows, maps[m]);
  add_maxima(rows, maps, count, sum, out);
}

ONET_CLONES void item_maxima(const BFloat16* x, FeatureRows rows, const Cells* maps, size_t count,
                             float* sum, BFloat16* out) {
  for (size_t m = 0; m < count; ++m) find_maxima(x, rows, maps[m]);
  add_maxima(rows, maps, count, sum, out);
}

ONET_CLONES void map_gradient(const float* x, const float* gradient, FeatureRows rows,
                              const Cells& map, float* equal, int64_t cells) {
  share_gradients(x, gradient, rows, map, equal, cells);
}

ONET_CLONES void map_gradient(const BFloat16* x, const BFloat16* gradient, FeatureRows rows,
                              const Cells& map, float* equal, int64_t cells) {
  share_gradients(x, gradient, rows, map, equal, cells);
}

ONET_CLONES void item_gradient(const float* x, FeatureRows rows, const Cells* maps, size_t count,
                               float* sum, float* out) {
  give_gradients(x, rows, maps, count, sum, out);
}

ONET_CLONES void item_gradient(const BFloat16* x, FeatureRows rows, const Cells* maps, size_t count,
                               float* sum, BFloat16* out) {
  give_gradients(x, rows, maps, count, sum, out);
}

template <class T>
void sum_maxima(const T* x, FeatureRows rows, const std::vector<CellNumbers>& maps,
                const std::vector<float*>& maxima, T* out, int threads) {
  for (size_t m = 0; m < maps.size(); ++m)
    std::fill_n(maxima[m], maps[m].count * rows.features, -std::numeric_limits<float>::infinity());
  parallel_for(rows.items, threads, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> sum(rows.features);
    std::vector<Cells> own(maps.size());
    for (int64_t item = begin; item < end; ++item) {
      for (size_t m = 0; m < maps.size(); ++m)
        own[m] = {maps[m].cells + item * rows.points, maxima[m], nullptr, 0};
      const int64_t at = item * rows.points * rows.features;
      item_maxima(x + at, rows, own.data(), own.size(), sum.data(), out + at);
    }
  });
}

template <class T>
void sum_gradients(const T* x, FeatureRows rows, const std::vector<CellNumbers>& maps,
                   const std::vector<const float*>& maxima, const T* gradient, T* out,
                   int threads) {
  parallel_for(rows.items, threads, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> sum(rows.features), equal;
    std::vector<std::vector<float>> totals(maps.size());
    std::vector<Cells> own(maps.size());
    for (int64_t item = begin; item < end && rows.points; ++item) {
      const int64_t at = item * rows.points * rows.features;
      for (size_t m = 0; m < maps.size(); ++m) {
        const int32_t* cells = maps[m].cells + item * rows.points;
        const auto range = std::minmax_element(cells, cells + rows.points);
        const int64_t first = *range.first, count = *range.second - first + 1;
        totals[m].assign(count * rows.features, 0);
        equal.assign(count * rows.features, 0);
        own[m] = {cells, const_cast<float*>(maxima[m]), totals[m].data(), first};
        map_gradient(x + at, gradient + at, rows, own[m], equal.data(), count);
      }
      item_gradient(x + at, rows, own.data(), own.size(), sum.data(), out + at);
    }
  });
}

}  // namespace

void sum_of_maxima(const float* x, FeatureRows rows, const std::vector<CellNumbers>& maps,
                   const std::vector<float*>& maxima, float* out, int threads) {
  sum_maxima(x, rows, maps, maxima, out, threads);
}

void sum_of_maxima(const BFloat16* x, FeatureRows rows, const std::vector<CellNumbers>& maps,
                   const std::vector<float*>& maxima, BFloat16* out, int threads) {
  sum_maxima(x, rows, maps, maxima, out, threads);
}

void sum_of_maxima_gradient(const float* x, FeatureRows rows, const std::vector<CellNumbers>& maps,
                            const std::vector<const float*>& maxima, const float* gradient,
                            float* out, int threads) {
  sum_gradients(x, rows, maps, maxima, gradient, out, threads);
}

void sum_of_maxima_gradient(const BFloat16* x, FeatureRows rows,
                            const std::vector<CellNumbers>& maps,
                            const std::vector<const float*>& maxima, const BFloat16* gradient,
                            BFloat16* out, int threads) {
  sum_gradients(x, rows, maps, maxima, gradient, out, threads);
}

}  // namespace onet
