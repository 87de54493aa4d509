// Matrix products and convolutions whose weights and sums are f32, the input being of any type.

#include "gemm.cuh"

constexpr int DEPTH = 16;

template <typename T> __device__ __forceinline__ float at_part(const Product &p, int row, int k) {
  for (int i = 0; i < p.part_count; i++) {
    const Part &part = p.parts[i];
    if (k < part.channels) {
      long long from = part.doubled ? doubled_row(p, row) : row;
      return to_float(static_cast<const T *>(part.start)[from * part.stride + k]);
    }
    k -= part.channels;
  }
  return 0.f;
}

template <typename T> __device__ __forceinline__ float at_tap(const Product &p, int row, int k) {
  int tap = k / p.padded, c = k % p.padded;
  if (c >= p.channels) return 0.f;
  int x = row % p.out_width, rest = row / p.out_width;
  int y = rest % p.out_height, image = rest / p.out_height;
  y = y * p.stride - p.top + tap / p.kernel_width, x = x * p.stride - p.left + tap % p.kernel_width;
  if (y < 0 || y >= p.height || x < 0 || x >= p.width) return 0.f;
  long long pixel = (static_cast<long long>(image) * p.height + y) * p.width + x;
  return to_float(static_cast<const T *>(p.parts[0].start)[pixel * p.parts[0].stride + c]);
}

// A block makes a SIDE×SIDE tile of the output, a thread a (SIDE/16)² square of it.
template <typename T, bool CONV, int SIDE> __device__ __forceinline__ void product_f32(const Product &p) {
  constexpr int EACH = SIDE / 16, LOADS = SIDE * DEPTH / 256;
  __shared__ float a[DEPTH][SIDE + 4], b[DEPTH][SIDE + 4];
  const int thread = threadIdx.x, row0 = blockIdx.x * SIDE, column0 = blockIdx.y * SIDE;
  const int ty = thread / 16, tx = thread % 16;
  const float *weight = static_cast<const float *>(p.weight);
  float sums[EACH][EACH] = {};
  for (int k0 = 0; k0 < p.inner; k0 += DEPTH) {
#pragma unroll
    for (int i = 0; i < LOADS; i++) {
      int at = thread + i * 256, r = at / DEPTH, k = at % DEPTH;
      int row = row0 + r, column = column0 + r;
      bool known = k0 + k < p.inner;
      float value = 0.f;
      if (known && row < p.rows) value = CONV ? at_tap<T>(p, row, k0 + k) : at_part<T>(p, row, k0 + k);
      a[k][r] = value;
      b[k][r] = known && column < p.columns ? weight[static_cast<long long>(column) * p.inner + k0 + k] : 0.f;
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < DEPTH; k++) {
      float left[EACH], right[EACH];
#pragma unroll
      for (int i = 0; i < EACH; i++) left[i] = a[k][ty * EACH + i], right[i] = b[k][tx * EACH + i];
#pragma unroll
      for (int i = 0; i < EACH; i++)
#pragma unroll
        for (int j = 0; j < EACH; j++) sums[i][j] = fmaf(left[i], right[j], sums[i][j]);
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < EACH; i++) {
    int row = row0 + ty * EACH + i;
    if (row >= p.rows) continue;
#pragma unroll
    for (int j = 0; j < EACH; j++) {
      int column = column0 + tx * EACH + j;
      if (column >= p.columns) continue;
      long long at = static_cast<long long>(row) * p.columns + column;
      float bias = p.bias ? p.bias[column] : 0.f, add = 0.f;
      if (p.residual) add = static_cast<const float *>(p.residual)[static_cast<long long>(row % p.residual_rows) * p.residual_stride + column];
      static_cast<float *>(p.out)[at] = finished(p, sums[i][j], bias, add);
    }
  }
}

#define PRODUCTS(SUFFIX, TYPE)                                                                                                          \
  extern "C" __global__ void __launch_bounds__(256) linear_64_##SUFFIX(const __grid_constant__ Product p) { begin(); product_f32<TYPE, false, 64>(p); } \
  extern "C" __global__ void __launch_bounds__(256) linear_32_##SUFFIX(const __grid_constant__ Product p) { begin(); product_f32<TYPE, false, 32>(p); }
FOR_FLOATS(PRODUCTS)
extern "C" __global__ void __launch_bounds__(256) conv_64_f32(const __grid_constant__ Product p) { begin(); product_f32<float, true, 64>(p); }
