// What kernels that work on pixels share.

#pragma once
#include "common.cuh"

// Of a block.
constexpr int THREADS = 256;

// Quotients by a divisor that is known late: exact for numbers below 2^32 / divisor.
struct Divisor {
  unsigned by, inverse;
  __device__ explicit Divisor(int n) : by(n), inverse(0xffffffffu / n + 1) {}
  __device__ int quotient(int i) const { return by == 1 ? i : __umulhi(i, inverse); }
};
