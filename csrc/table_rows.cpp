#include "table_rows.h"

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

}  // namespace

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
