// Stands in for CUB's header of this name; see ../../cuda_runtime.h.
#pragma once

#include "cuda_runtime.h"

namespace cub {

struct DeviceScan {
  template <class In, class Out>
  static cudaError_t ExclusiveSum(void* room, size_t& room_bytes, const In* in, Out* out, int64_t n,
                                  cudaStream_t) {
    if (room == nullptr) {
      room_bytes = 1;
      return cudaSuccess;
    }
    emulated::on_device([&] {
      Out sum = 0;
      for (int64_t i = 0; i < n; ++i) {
        const In count = in[i];
        out[i] = sum;
        sum += count;
      }
    });
    return cudaSuccess;
  }
};

}  // namespace cub
