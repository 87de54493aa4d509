// What the kernels of attention share.
#pragma once

#include "common.cuh"

struct Attention {
  const void *q, *k, *v;
  // Queries, keys and values of a token that fills up a window, where there are windows.
  const void *padding;
  // f32 [heads, queries, keys], or of the kernel's own layout.
  const void *bias;
  void *out;
  // Numbers from token to token, and from one batch entry to the next (0: all share one).
  long long q_token, k_token, v_token, q_batch, k_batch, v_batch;
  int batch, queries, keys, heads;
  float scale;
  // Map, side of a window, windows in a column and in a row; no windows where `window` is 0.
  int height, width, window, window_rows, window_columns;
};

// Token j of window `set`: its number among the map's tokens, or -1 for padding.
__device__ __forceinline__ long long window_token(const Attention &p, int set, int j) {
  int windows = p.window_rows * p.window_columns, image = set / windows, at = set % windows;
  int y = at / p.window_columns * p.window + j / p.window, x = at % p.window_columns * p.window + j % p.window;
  if (y >= p.height || x >= p.width) return -1;
  return (static_cast<long long>(image) * p.height + y) * p.width + x;
}
