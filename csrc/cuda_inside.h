// Point-in-mesh test by ray parity on a CUDA device: the answers of inside.h, bit for bit.
#pragma once

#include <cstdint>

#include "cuda_backend.h"

namespace onet {

// vertices (V, 3) and faces (F, 3), with indices in [0, V), are in the memory of this process;
// points (P, 3) and inside (P) are in that of the device. Throws as inside.h says.
void contains(const CudaBackend& backend, const double* vertices, int64_t vertex_count,
              const int64_t* faces, int64_t face_count, const double* points, int64_t point_count,
              uint8_t* inside);

}  // namespace onet
