// Depthwise convolution of NHWC maps with bias and activation, sums in f32.

#include "common.cuh"

struct Depthwise {
  const void *input;
  // [kernel_height·kernel_width][channels], of the input's type.
  const void *weight;
  const float *bias;
  const void *residual;
  void *out;
  // From one pixel of the input to the next.
  long long pixel;
  int batch, channels, height, width, out_height, out_width, kernel_height, kernel_width, stride, top, left;
  int activation;
  float limit, scale, shift;
};

template <int V, typename T> __device__ __forceinline__ void write(const Depthwise &p, long long at, float (&sums)[V]) {
  if (p.residual) {
    float add[V];
    load_v(static_cast<const T *>(p.residual) + at, add);
#pragma unroll
    for (int i = 0; i < V; i++) sums[i] += add[i];
  }
  activate(sums, p.activation, p.limit);
  if (p.scale != 1.f || p.shift != 0.f) {
#pragma unroll
    for (int i = 0; i < V; i++) sums[i] = sums[i] * p.scale + p.shift;
  }
  store_v(static_cast<T *>(p.out) + at, sums);
}

// A thread makes 8 channels of PX pixels of a row; the kernel is K×K at stride S.
template <typename T, int K, int S, int PX> __device__ __forceinline__ void depthwise(const Depthwise &p) {
  const int c8 = p.channels / 8, groups = (p.out_width + PX - 1) / PX;
  long long index = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= static_cast<long long>(p.batch) * p.out_height * groups * c8) return;
  const int c = index % c8 * 8;
  index /= c8;
  const int ox = index % groups * PX;
  index /= groups;
  const int oy = index % p.out_height, image = index / p.out_height;

  float sums[PX][8], bias[8];
  load_8(p.bias + c, bias);
#pragma unroll
  for (int px = 0; px < PX; px++)
#pragma unroll
    for (int i = 0; i < 8; i++) sums[px][i] = bias[i];
  const T *input = static_cast<const T *>(p.input) + static_cast<long long>(image) * p.height * p.width * p.pixel + c;
  const T *weight = static_cast<const T *>(p.weight) + c;
#pragma unroll
  for (int ky = 0; ky < K; ky++) {
    int y = oy * S - p.top + ky;
    if (y < 0 || y >= p.height) continue;
    const T *row = input + static_cast<long long>(y) * p.width * p.pixel;
    float w[K][8];
#pragma unroll
    for (int kx = 0; kx < K; kx++) load_8(weight + (ky * K + kx) * p.channels, w[kx]);
#pragma unroll
    for (int j = 0; j < (PX - 1) * S + K; j++) {
      int x = ox * S - p.left + j;
      if (x < 0 || x >= p.width) continue;
      float v[8];
      load_8(row + static_cast<long long>(x) * p.pixel, v);
#pragma unroll
      for (int px = 0; px < PX; px++) {
        int kx = j - px * S;
        if (kx >= 0 && kx < K) {
#pragma unroll
          for (int i = 0; i < 8; i++) sums[px][i] = fmaf(v[i], w[kx][i], sums[px][i]);
        }
      }
    }
  }
#pragma unroll
  for (int px = 0; px < PX; px++) {
    if (ox + px >= p.out_width) break;
    long long at = ((static_cast<long long>(image) * p.out_height + oy) * p.out_width + ox + px) * p.channels + c;
    write<8, T>(p, at, sums[px]);
  }
}

// Any kernel, any number of channels: a thread makes one number.
template <typename T> __device__ __forceinline__ void depthwise_any(const Depthwise &p) {
  long long index = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= static_cast<long long>(p.batch) * p.out_height * p.out_width * p.channels) return;
  const long long at = index;
  const int c = index % p.channels;
  index /= p.channels;
  const int ox = index % p.out_width;
  index /= p.out_width;
  const int oy = index % p.out_height, image = index / p.out_height;
  const T *input = static_cast<const T *>(p.input) + static_cast<long long>(image) * p.height * p.width * p.pixel + c;
  const T *weight = static_cast<const T *>(p.weight) + c;
  float sum[1] = {p.bias[c]};
  for (int ky = 0; ky < p.kernel_height; ky++)
    for (int kx = 0; kx < p.kernel_width; kx++) {
      int y = oy * p.stride - p.top + ky, x = ox * p.stride - p.left + kx;
      if (y < 0 || y >= p.height || x < 0 || x >= p.width) continue;
      float v = to_float(input[(static_cast<long long>(y) * p.width + x) * p.pixel]);
      sum[0] = fmaf(v, to_float(weight[static_cast<long long>(ky * p.kernel_width + kx) * p.channels]), sum[0]);
    }
  write<1, T>(p, at, sum);
}

#define DEPTHWISE(SUFFIX, TYPE)                                                                                                         \
  extern "C" __global__ void __launch_bounds__(256) depthwise_3_1_##SUFFIX(const __grid_constant__ Depthwise p) { depthwise<TYPE, 3, 1, 2>(p); } \
  extern "C" __global__ void __launch_bounds__(256) depthwise_3_2_##SUFFIX(const __grid_constant__ Depthwise p) { depthwise<TYPE, 3, 2, 1>(p); } \
  extern "C" __global__ void __launch_bounds__(256) depthwise_5_1_##SUFFIX(const __grid_constant__ Depthwise p) { depthwise<TYPE, 5, 1, 2>(p); } \
  extern "C" __global__ void __launch_bounds__(256) depthwise_any_##SUFFIX(const __grid_constant__ Depthwise p) { depthwise_any<TYPE>(p); }
FOR_FLOATS(DEPTHWISE)
