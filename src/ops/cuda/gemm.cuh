// What both kinds of matrix product share: where the numbers of the left matrix come from, and what becomes of a sum.
//
// The product is out[row][column] = finish(Σ_k input(row, k) · weight[column][k]). Rows are pixels or tokens. For a convolution k
// runs over the kernel's taps and, fastest, over the channels, `padded` of them a tap, those beyond `channels` being zeros. Else
// k runs over the channels of up to MOST_PARTS tensors laid side by side, none of which needs to be contiguous.
#pragma once

#include "common.cuh"

constexpr int MOST_PARTS = 8;

// A tensor of which the left matrix is made: rows of `channels` numbers, `stride` apart.
struct Part {
  const void *start;
  long long stride;
  int channels;
  // Rows are pixels of a map of twice this one's height and width, each of whose pixels stands for four (nearest upsampling).
  int doubled;
};

struct Product {
  Part parts[MOST_PARTS];
  const void *weight;
  const float *bias;
  const void *residual;
  void *out;
  int part_count;
  int rows, columns, inner;
  // The residual repeats after this many rows, which lie `residual_stride` numbers apart. It is added before the activation, or to the
  // result.
  int residual_rows, residual_stride, residual_last;
  // Height and width of the output's map, of the input's, kernel, stride, zeros above and to the left.
  int out_height, out_width, height, width, kernel_height, kernel_width, stride, top, left;
  int channels, padded;
  int activation;
  float limit;
  // scale·y + shift after the activation.
  float scale, shift;
  // Whether the output is f32 whatever the input's type.
  int out_f32;
  // Where it is not 0, columns from here on are products of the second part alone, those before of the first: both have `inner` channels. A multiple of
  // a tile's columns.
  int second_from;
};

// The row of a doubled part's own map that stands for output row `row`.
__device__ __forceinline__ int doubled_row(const Product &p, int row) {
  int pixels = p.out_height * p.out_width;
  int image = row / pixels, at = row % pixels;
  int y = at / p.out_width / 2, x = at % p.out_width / 2;
  return image * (pixels / 4) + y * (p.out_width / 2) + x;
}

__device__ __forceinline__ float finished(const Product &p, float sum, float bias, float residual) {
  float y = activated(sum + bias + (p.residual_last ? 0.f : residual), p.activation, p.limit);
  y = y * p.scale + p.shift;
  return p.residual_last ? y + residual : y;
}
