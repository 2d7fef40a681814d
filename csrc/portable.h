// What lets one function body run on the CPU and, compiled by nvcc, on a GPU.
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#define ONET_HD __host__ __device__
#else
#define ONET_HD
#endif

#if !defined(__CUDA_ARCH__) && defined(_MSC_VER)
#include <intrin.h>
#endif

namespace onet {

// Relaxed atomic operations on plain memory. Each returns the value before the operation.
ONET_HD inline uint64_t atomic_cas(uint64_t* p, uint64_t expected, uint64_t desired) {
#if defined(__CUDA_ARCH__)
  return atomicCAS(reinterpret_cast<unsigned long long*>(p), expected, desired);
#elif defined(_MSC_VER)
  return _InterlockedCompareExchange64(reinterpret_cast<volatile __int64*>(p), desired, expected);
#else
  __atomic_compare_exchange_n(p, &expected, desired, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return expected;
#endif
}

ONET_HD inline int32_t atomic_add(int32_t* p, int32_t value) {
#if defined(__CUDA_ARCH__)
  return atomicAdd(p, value);
#elif defined(_MSC_VER)
  return _InterlockedExchangeAdd(reinterpret_cast<volatile long*>(p), value);
#else
  return __atomic_fetch_add(p, value, __ATOMIC_RELAXED);
#endif
}

ONET_HD inline int32_t atomic_or(int32_t* p, int32_t value) {
#if defined(__CUDA_ARCH__)
  return atomicOr(p, value);
#elif defined(_MSC_VER)
  return _InterlockedOr(reinterpret_cast<volatile long*>(p), value);
#else
  return __atomic_fetch_or(p, value, __ATOMIC_RELAXED);
#endif
}

ONET_HD inline int32_t atomic_exchange(int32_t* p, int32_t value) {
#if defined(__CUDA_ARCH__)
  return atomicExch(p, value);
#elif defined(_MSC_VER)
  return _InterlockedExchange(reinterpret_cast<volatile long*>(p), value);
#else
  return __atomic_exchange_n(p, value, __ATOMIC_RELAXED);
#endif
}

// Read and write of a word that other threads may be changing.
ONET_HD inline int32_t atomic_load(const int32_t* p) {
#if defined(__CUDA_ARCH__) || defined(_MSC_VER)
  return *const_cast<const volatile int32_t*>(p);
#else
  return __atomic_load_n(p, __ATOMIC_RELAXED);
#endif
}

ONET_HD inline void atomic_store(int32_t* p, int32_t value) {
#if defined(__CUDA_ARCH__) || defined(_MSC_VER)
  *const_cast<volatile int32_t*>(p) = value;
#else
  __atomic_store_n(p, value, __ATOMIC_RELAXED);
#endif
}

ONET_HD inline uint64_t atomic_load(const uint64_t* p) {
#if defined(__CUDA_ARCH__) || defined(_MSC_VER)
  return *const_cast<const volatile uint64_t*>(p);
#else
  return __atomic_load_n(p, __ATOMIC_RELAXED);
#endif
}

// A hint that this memory will be read soon.
ONET_HD inline void prefetch(const void* p) {
#if !defined(__CUDA_ARCH__) && defined(__GNUC__)
  __builtin_prefetch(p);
#else
  (void)p;
#endif
}

}  // namespace onet
