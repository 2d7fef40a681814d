// Arrays on a CUDA device, from any framework that speaks DLPack. Results are written into arrays
// that the caller made: so they are in the care of his framework's allocator.
#pragma once

#include "../cuda_backend.h"
#include "arrays.h"

// The tests run this module's kernels on the CPU: arrays in ordinary memory then stand for arrays
// on device 0.
#ifdef ONET_EMULATED
using CudaDevice = nb::device::cpu;
#else
using CudaDevice = nb::device::cuda;
#endif

template <class T>
using CudaRows = nb::ndarray<T, nb::shape<-1, 3>, nb::c_contig, CudaDevice>;
template <class T>
using CudaVector = nb::ndarray<T, nb::ndim<1>, nb::c_contig, CudaDevice>;

// A stream as Python knows it: the address as a whole number, 0 for the default stream.
inline cudaStream_t to_stream(uintptr_t address) { return reinterpret_cast<cudaStream_t>(address); }

// Throws unless the array is on the device and has `rows` of them, or any number for -1.
template <class Array>
void check_place(const Array& array, int device, int64_t rows, const char* name) {
  if (array.device_id() != device)
    throw nb::value_error((std::string(name) + " is on device " +
                           std::to_string(array.device_id()) + ", the work is on device " +
                           std::to_string(device))
                              .c_str());
  if (rows >= 0 && static_cast<int64_t>(array.shape(0)) != rows)
    throw nb::value_error((std::string(name) + " has " + std::to_string(array.shape(0)) +
                           " rows, not " + std::to_string(rows))
                              .c_str());
}
