// Loops that are compiled for several instruction sets.
#pragma once

// The loops are compiled for several instruction sets, and the loader chooses among them. The body
// is inlined by force, since a function called from a clone would not be cloned itself. The names
// of the sets are known to GCC from version 12 on. The choice runs before a sanitizer is ready.
#if defined(__GNUC__) && __GNUC__ >= 12 && !defined(__clang__) && defined(__x86_64__) && \
    defined(__gnu_linux__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define ONET_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define ONET_INLINE inline __attribute__((always_inline))
#define ONET_RESTRICT __restrict
#else
#define ONET_CLONES
#define ONET_INLINE inline
#define ONET_RESTRICT
#endif
