#include "table_rows.h"

#include <algorithm>

#include "clones.h"
#include "parallel.h"

namespace onet {
namespace {

ONET_INLINE void add_scaled(const float* ONET_RESTRICT x, float factor, float* ONET_RESTRICT out,
                            int64_t features) {
  for (int64_t f = 0; f < features; ++f) out[f] += factor * x[f];
}

ONET_CLONES void add_queries(const float* gradient, const int64_t* rows, const float* weights,
                             TableRows sizes, float* table) {
  for (int64_t q = 0; q < sizes.queries; ++q, gradient += sizes.features)
    for (int64_t k = 0; k < sizes.corners; ++k, ++rows, ++weights)
      add_scaled(gradient, *weights, table + *rows * sizes.features, sizes.features);
}

// Rows and weights of the 2^D corners, the last axis fastest, as in torch's operations.
template <int D>
ONET_INLINE void corners(const float* places, int64_t stride, const MapRows& map, int64_t* rows,
                         float* weights) {
  rows[0] = 0;
  weights[0] = 1;
  for (int d = 0, count = 1; d < D; ++d, count *= 2) {
    const float at = places[map.axes[d] * stride];
    const int64_t last = map.resolution - 2;
    const int64_t low = at > 0 ? (at < last ? static_cast<int64_t>(at) : last) : 0;
    const float ahead = at - static_cast<float>(low), behind = 1 - ahead;
    for (int k = count - 1; k >= 0; --k) {
      rows[2 * k + 1] = rows[k] * map.resolution + low + 1;
      rows[2 * k] = rows[k] * map.resolution + low;
      weights[2 * k + 1] = weights[k] * ahead;
      weights[2 * k] = weights[k] * behind;
    }
  }
}

template <int D>
ONET_INLINE void add_queries_corners(const float* places, int64_t stride, const float* table,
                                     const MapRows& map, int64_t queries, int64_t features,
                                     float* ONET_RESTRICT out) {
  constexpr int count = 1 << D;
  for (int64_t q = 0; q < queries; ++q, out += features) {
    int64_t rows[count];
    float weights[count];
    corners<D>(places + q, stride, map, rows, weights);
    const float* from[count];
    for (int k = 0; k < count; ++k) from[k] = table + rows[k] * features;
    for (int64_t f = 0; f < features; ++f) {
      float sum = out[f];
      for (int k = 0; k < count; ++k) sum += weights[k] * from[k][f];
      out[f] = sum;
    }
  }
}

ONET_CLONES void add_plane(const float* places, int64_t stride, const float* table,
                           const MapRows& map, int64_t queries, int64_t features, float* out) {
  add_queries_corners<2>(places, stride, table, map, queries, features, out);
}

ONET_CLONES void add_grid(const float* places, int64_t stride, const float* table,
                          const MapRows& map, int64_t queries, int64_t features, float* out) {
  add_queries_corners<3>(places, stride, table, map, queries, features, out);
}

}  // namespace

void add_corners(const float* places, const float* table, TableRows sizes, MapRows map, float* out,
                 int threads) {
  constexpr int64_t chunk = 1024;
  const int64_t stride = sizes.items * sizes.queries, chunks = (sizes.queries + chunk - 1) / chunk;
  const auto add = map.dimensions == 2 ? add_plane : add_grid;
  parallel_for(sizes.items * chunks, threads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      const int64_t item = part / chunks, first = part % chunks * chunk;
      const int64_t at = item * sizes.queries + first;
      const float* rows = table + (item * sizes.cells + map.first) * sizes.features;
      add(places + at, stride, rows, map, std::min(chunk, sizes.queries - first), sizes.features,
          out + at * sizes.features);
    }
  });
}

void add_to_rows(const float* gradient, const int64_t* rows, const float* weights, TableRows sizes,
                 float* table, int threads) {
  parallel_for(sizes.items, threads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t first = item * sizes.queries;
      add_queries(gradient + first * sizes.features, rows + first * sizes.corners,
                  weights + first * sizes.corners, sizes, table);
    }
  });
}

}  // namespace onet
