// What kernels of perceptrons in f32 share: each number as the sum of two of f16, together 22 of its 24 bits. Of the four products of such parts the three
// largest are summed, in f32. What f16 cannot hold is scaled by a power of two: a weight by its layer's largest, a number of a layer by what bounds all of
// the block's: the largest input, and then what weights and bias can make of that.
#pragma once

#include "common.cuh"

constexpr int MOST_LAYERS = 3, WARPS = 16, THREADS = WARPS * 32;
// Columns that a warp makes at once, k of a step, numbers of a step's weights.
constexpr int WIDE = 16, DEPTH = 32, STEP = 2 * WIDE * DEPTH;
// The smaller part of a number is 2^11 times as large as it counts.
constexpr float FINER = 2048.f;
// Up to here f16 holds a number and what rounding adds.
constexpr float MOST = 32768.f;

struct Layer {
  // As `perceptron_weights` lays them out.
  const __half *weight;
  const float *bias;
  // What the weights are to be multiplied with, the greatest sum of a column's absolute weights, the greatest absolute bias.
  const float *facts;
  int inner, outputs, activation;
  float limit;
  // In a cluster a block has 2^share pieces of WIDE columns.
  int share;
};

struct Perceptron {
  Layer layers[MOST_LAYERS];
  // [rows][inputs] each, inputs a multiple of four; what is given to the first layer is their sum. `added` may be f32 whatever x is.
  const void *x, *added;
  // [rows][outputs] of the last layer, added before its activation.
  const float *residual;
  float *out;
  // [rows][outputs] of the last layer: with `out` added to it, it is given as `sum`. Clusters alone do so, and where there is no residual.
  const void *beside;
  void *sum;
  // 0, 1 or 2 where `beside` and `sum` are f32, f16 or bf16.
  int layer_count, rows, inputs, added_f32, beside_type;
  // Numbers from row to row of shared memory: a multiple of DEPTH, and eight (in a cluster an odd multiple of DEPTH), so that rows lie in different banks.
  int pitch;
};

__device__ __forceinline__ void split(float v, __half &great, __half &small) {
  great = __float2half_rn(v);
  small = __float2half_rn((v - __half2float(great)) * FINER);
}

// A power of two that brings numbers up to `bound` to what f16 holds.
__device__ __forceinline__ float scale_for(float bound) { return bound <= MOST ? 1.f : exp2f(14.f - static_cast<float>(ilogbf(bound))); }

// The fragments of a step: those of the block's rows, and of a warp's columns, by sixteen of k and by part.
template <int HIGH> struct Fragments {
  uint32_t a[DEPTH / 16][HIGH][2][4], b[DEPTH / 16][2][4];

  // `rows` is the place of the lane's first number of the greater parts; `weights` that of the lane's row.
  __device__ __forceinline__ void read(const __half *rows, int plane, int pitch, const __half *weights, int lane) {
    const int row = (lane & 7) + (lane >> 4) * 8;
#pragma unroll
    for (int i = 0; i < DEPTH / 16; i++) {
#pragma unroll
      for (int part = 0; part < 2; part++) {
#pragma unroll
        for (int m = 0; m < HIGH; m++) load_matrices(a[i][m][part], rows + part * plane + m * 16 * pitch + i * 16);
        load_matrices(b[i][part], weights + part * WIDE * DEPTH + ((i * 2 + ((lane >> 3) & 1)) ^ (row >> 1 & 3)) * 8);
      }
    }
  }
  __device__ __forceinline__ void multiply(float (&sums)[HIGH][2][4], float (&fine)[HIGH][2][4]) const {
#pragma unroll
    for (int i = 0; i < DEPTH / 16; i++)
#pragma unroll
      for (int m = 0; m < HIGH; m++)
#pragma unroll
        for (int n = 0; n < 2; n++) {
          multiply_add(fine[m][n], a[i][m][1], b[i][0][2 * n], b[i][0][2 * n + 1], __half());
          multiply_add(sums[m][n], a[i][m][0], b[i][0][2 * n], b[i][0][2 * n + 1], __half());
        }
#pragma unroll
    for (int i = 0; i < DEPTH / 16; i++)
#pragma unroll
      for (int m = 0; m < HIGH; m++)
#pragma unroll
        for (int n = 0; n < 2; n++) multiply_add(fine[m][n], a[i][m][0], b[i][1][2 * n], b[i][1][2 * n + 1], __half());
  }
};

// The inputs of the block's rows, in parts in the first buffer of shared memory; the second has them whole before. What bounds them. A warp takes
// every WARPS-th row.
template <typename T, int ROWS> __device__ __forceinline__ float bring_rows(const Perceptron &p, __half *memory, float *maxima, int row0) {
  const int width = (p.inputs + DEPTH - 1) / DEPTH * DEPTH, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  float *whole = reinterpret_cast<float *>(memory + 2 * ROWS * p.pitch);
  float most = 0.f;
#pragma unroll 1
  for (int own = warp; own < ROWS; own += WARPS)
#pragma unroll 2
    for (int k = lane * 4; k < width; k += 128) {
      float v[4] = {};
      if (row0 + own < p.rows && k < p.inputs) {
        const long long at = static_cast<long long>(row0 + own) * p.inputs + k;
        load_4(static_cast<const T *>(p.x) + at, v);
        if (p.added) {
          float add[4];
          if (p.added_f32) load_4(static_cast<const float *>(p.added) + at, add);
          else load_4(static_cast<const T *>(p.added) + at, add);
#pragma unroll
          for (int i = 0; i < 4; i++) v[i] += add[i];
        }
      }
#pragma unroll
      for (int i = 0; i < 4; i++) most = fmaxf(most, fabsf(v[i]));
      *reinterpret_cast<float4 *>(whole + own * p.pitch + k) = make_float4(v[0], v[1], v[2], v[3]);
    }
  most = warp_max(most);
  if (lane == 0) maxima[warp] = most;
  __syncthreads();
  most = warp_max(maxima[lane % WARPS]);
  const float scale = scale_for(most);
#pragma unroll 1
  for (int own = warp; own < ROWS; own += WARPS)
#pragma unroll 2
    for (int k = lane * 4; k < width; k += 128) {
      const float4 v = *reinterpret_cast<const float4 *>(whole + own * p.pitch + k);
      __align__(8) __half great[4], small[4];
      split(v.x * scale, great[0], small[0]), split(v.y * scale, great[1], small[1]);
      split(v.z * scale, great[2], small[2]), split(v.w * scale, great[3], small[3]);
      __half *to = memory + own * p.pitch + k;
      *reinterpret_cast<uint2 *>(to) = *reinterpret_cast<const uint2 *>(great);
      *reinterpret_cast<uint2 *>(to + ROWS * p.pitch) = *reinterpret_cast<const uint2 *>(small);
    }
  return most;
}

template <int HIGH, typename F> __device__ __forceinline__ void each(float (&sums)[HIGH][2][4], F one) {
#pragma unroll
  for (int m = 0; m < HIGH; m++)
#pragma unroll
    for (int n = 0; n < 2; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) sums[m][n][i] = one(sums[m][n][i]);
}

