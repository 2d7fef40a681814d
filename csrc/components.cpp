#include "components.h"

#include <numeric>
#include <stdexcept>

namespace onet {

std::vector<int32_t> face_components(const int64_t* faces, int64_t face_count, int64_t vertex_count,
                                     int32_t& components) {
  if (vertex_count > 0x7fffffff) throw std::length_error("over 2^31 vertices");
  std::vector<int32_t> parent(vertex_count);  // union by index, with path halving
  std::iota(parent.begin(), parent.end(), 0);
  auto root = [&](int64_t vertex) {
    auto v = static_cast<int32_t>(vertex);
    while (parent[v] != v) v = parent[v] = parent[parent[v]];
    return v;
  };
  for (int64_t f = 0; f < face_count; ++f) {
    const int64_t* face = faces + 3 * f;
    for (int k = 1; k < 3; ++k) {
      const int32_t a = root(face[0]), b = root(face[k]);
      if (a < b)
        parent[b] = a;
      else
        parent[a] = b;
    }
  }
  std::vector<int32_t> number(vertex_count, -1), out(face_count);
  components = 0;
  for (int64_t f = 0; f < face_count; ++f) {
    int32_t& n = number[root(faces[3 * f])];
    if (n < 0) n = components++;
    out[f] = n;
  }
  return out;
}

}  // namespace onet
