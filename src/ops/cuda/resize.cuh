// Pillow's antialiased bilinear resampling in its own fixed-point arithmetic: where pixels of the output lie, and their taps.
//
// The arithmetic is that of ops::cpu::resize, to the last bit: coefficients of 22 fractional bits made in f64 without fused
// operations, rows first, rounded to 8 bits after each pass.

#pragma once
#include "pixels.cuh"

constexpr int BITS = 22, COLUMNS = 32;

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

// What a block's pixels of the output, from (x0, y0) on, are made of.
template <int HEIGHT, typename P> __device__ __forceinline__ void fill_spans(const P &p, Span *across, Span *down, int x0, int y0, int thread, int threads) {
  for (int i = thread; i < COLUMNS + HEIGHT; i += threads) {
    if (i < COLUMNS && x0 + i < p.across.to) across[i] = span(p.across, x0 + i);
    if (i >= COLUMNS && y0 + i - COLUMNS < p.down.to) down[i - COLUMNS] = span(p.down, y0 + i - COLUMNS);
  }
}

// Their taps, `most` of each.
template <int HEIGHT, typename P>
__device__ __forceinline__ void fill_taps(const P &p, const Span *across, const Span *down, int *across_taps, int *down_taps, int x0, int y0, int thread, int threads) {
  for (int i = thread; i < COLUMNS * p.across.most; i += threads) {
    const int at = i / p.across.most, j = i % p.across.most;
    if (x0 + at < p.across.to && j < across[at].count) across_taps[i] = tap(p.across, across[at], j);
  }
  for (int i = thread; i < HEIGHT * p.down.most; i += threads) {
    const int at = i / p.down.most, j = i % p.down.most;
    if (y0 + at < p.down.to && j < down[at].count) down_taps[i] = tap(p.down, down[at], j);
  }
}
