// 3×3 convolutions of maps of one or three channels, which is what models begin with: too few for the tensor cores' tiles.

#include "gemm.cuh"

// A thread makes eight channels of two pixels of a row. Weights are those of a product over taps of `padded` channels.
template <typename T, int C> __device__ __forceinline__ void conv_few(const Product &p) {
  // [9·C][columns]
  extern __shared__ __align__(16) float weights[];
  for (int i = threadIdx.x; i < 9 * C * p.columns; i += blockDim.x) {
    const int column = i % p.columns, at = i / p.columns;
    weights[i] = to_float(static_cast<const T *>(p.weight)[static_cast<long long>(column) * p.inner + at / C * p.padded + at % C]);
  }
  __syncthreads();
  const int groups = p.columns / 8, pairs = (p.out_width + 1) / 2;
  int index = blockIdx.x * blockDim.x + threadIdx.x;
  const int first = index % groups * 8;
  index /= groups;
  const int ox = index % pairs * 2;
  index /= pairs;
  const int oy = index % p.out_height, image = index / p.out_height;
  if (image >= p.rows / (p.out_height * p.out_width)) return;

  float sums[2][8];
#pragma unroll
  for (int i = 0; i < 8; i++) sums[0][i] = sums[1][i] = p.bias ? p.bias[first + i] : 0.f;
  const long long pixel = p.parts[0].stride;
  const T *map = static_cast<const T *>(p.parts[0].start) + static_cast<long long>(image) * p.height * p.width * pixel;
#pragma unroll
  for (int ky = 0; ky < 3; ky++) {
    const int y = oy * p.stride - p.top + ky;
    if (y < 0 || y >= p.height) continue;
    const T *line = map + static_cast<long long>(y) * p.width * pixel;
#pragma unroll
    for (int kx = 0; kx < 3; kx++) {
      const int x0 = ox * p.stride - p.left + kx, x1 = x0 + p.stride;
      const bool known0 = x0 >= 0 && x0 < p.width, known1 = x1 >= 0 && x1 < p.width;
#pragma unroll
      for (int c = 0; c < C; c++) {
        const float a = known0 ? to_float(line[x0 * pixel + c]) : 0.f, b = known1 ? to_float(line[x1 * pixel + c]) : 0.f;
        float w[8];
        load_8(weights + ((ky * 3 + kx) * C + c) * p.columns + first, w);
#pragma unroll
        for (int i = 0; i < 8; i++) sums[0][i] = fmaf(a, w[i], sums[0][i]), sums[1][i] = fmaf(b, w[i], sums[1][i]);
      }
    }
  }
  T *out = static_cast<T *>(p.out) + ((static_cast<long long>(image) * p.out_height + oy) * p.out_width + ox) * p.columns + first;
#pragma unroll
  for (int px = 0; px < 2; px++) {
    if (ox + px >= p.out_width) break;
    activate(sums[px], p.activation, p.limit);
    if (p.scale != 1.f || p.shift != 0.f) {
#pragma unroll
      for (int i = 0; i < 8; i++) sums[px][i] = sums[px][i] * p.scale + p.shift;
    }
    store_8(out + px * p.columns, sums[px]);
  }
}

#define CONVOLUTIONS(SUFFIX, TYPE)                                                                                                      \
  extern "C" __global__ void __launch_bounds__(256) conv_few_1_##SUFFIX(const __grid_constant__ Product p) { conv_few<TYPE, 1>(p); }     \
  extern "C" __global__ void __launch_bounds__(256) conv_few_3_##SUFFIX(const __grid_constant__ Product p) { conv_few<TYPE, 3>(p); }
FOR_HALVES(CONVOLUTIONS)
