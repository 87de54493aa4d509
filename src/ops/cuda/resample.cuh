// Pillow's antialiased bilinear resampling along one side, in its own fixed-point arithmetic.
#pragma once

#include "common.cuh"

// Fractional bits of a coefficient.
constexpr int BITS = 22;

struct Axis {
  // From input to output, and 1 / support.
  double scale, support, inverse;
  int from, to;
  // Most taps of an output pixel.
  int most;
};

struct Span {
  int first, count;
  double centre, total;
};

__device__ __forceinline__ double share(const Axis &a, double centre, int x) {
  return fmax(1.0 - fabs(__dmul_rn(__dadd_rn(x - centre, 0.5), a.inverse)), 0.0);
}

__device__ __forceinline__ Span span(const Axis &a, int i) {
  Span s;
  s.centre = __dmul_rn(i + 0.5, a.scale);
  s.first = max(static_cast<int>(__dadd_rn(__dadd_rn(s.centre, -a.support), 0.5)), 0);
  s.count = min(static_cast<int>(__dadd_rn(__dadd_rn(s.centre, a.support), 0.5)), a.from) - s.first;
  s.total = 0.0;
  for (int j = 0; j < s.count; j++) s.total = __dadd_rn(s.total, share(a, s.centre, s.first + j));
  return s;
}

__device__ __forceinline__ int tap(const Axis &a, const Span &s, int j) {
  double part = share(a, s.centre, s.first + j) / s.total;
  return static_cast<int>(__dadd_rn(__dmul_rn(part, 1 << BITS), 0.5));
}

__device__ __forceinline__ int clipped(int sum) { return min(max(sum >> BITS, 0), 255); }
