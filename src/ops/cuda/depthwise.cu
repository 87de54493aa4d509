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
  activate(sums, p.activation, p.limit, sizeof(T) == 2);
  if (p.scale != 1.f || p.shift != 0.f) {
#pragma unroll
    for (int i = 0; i < V; i++) sums[i] = sums[i] * p.scale + p.shift;
  }
  store_v(static_cast<T *>(p.out) + at, sums);
}

// A thread makes four channels of PY×PX pixels; the kernel is K×K at stride S. Weights are asked for before the kernels before are done (those of
// one row of pixels with that row). All rows' numbers can be asked for before the first is used: what lies outside is not read.
template <typename T, int K, int S, int PY, int PX> __device__ __forceinline__ void depthwise(const Depthwise &p) {
  using Raw = typename Four<T>::type;
  constexpr int ROWS = (PY - 1) * S + K, COLUMNS = (PX - 1) * S + K;
  const int c4 = p.channels / 4, across = (p.out_width + PX - 1) / PX, down = (p.out_height + PY - 1) / PY;
  unsigned index = blockIdx.x * blockDim.x + threadIdx.x;
  const int c = index % c4 * 4;
  index /= c4;
  const int ox = index % across * PX;
  index /= across;
  const int oy = index % down * PY, image = index / down;
  const T *weight = static_cast<const T *>(p.weight) + c;
  float sums[PY][PX][4], bias[4];
  load_4(p.bias + c, bias);
  Raw weights[K][K];
  if constexpr (PY > 1) {
#pragma unroll
    for (int i = 0; i < K * K; i++) weights[i / K][i % K] = *reinterpret_cast<const Raw *>(weight + i * p.channels);
  }
  begin();
  if (image >= p.batch) return;
#pragma unroll
  for (int py = 0; py < PY; py++)
#pragma unroll
    for (int px = 0; px < PX; px++)
#pragma unroll
      for (int i = 0; i < 4; i++) sums[py][px][i] = bias[i];
  const T *input = static_cast<const T *>(p.input) + static_cast<long long>(image) * p.height * p.width * p.pixel + c;
  const int y0 = oy * S - p.top, x0 = ox * S - p.left;
#pragma unroll
  for (int iy = 0; iy < ROWS; iy++) {
    const int y = y0 + iy;
    const bool here = y >= 0 && y < p.height;
    const T *row = input + static_cast<long long>(y) * p.width * p.pixel;
    Raw raw[COLUMNS];
#pragma unroll
    for (int j = 0; j < COLUMNS; j++) {
      const int x = x0 + j;
      raw[j] = Raw{};
      if (here && x >= 0 && x < p.width) raw[j] = *reinterpret_cast<const Raw *>(row + x * p.pixel);
    }
    if constexpr (PY == 1) {
#pragma unroll
      for (int kx = 0; kx < K; kx++) weights[iy][kx] = *reinterpret_cast<const Raw *>(weight + (iy * K + kx) * p.channels);
    }
    float v[COLUMNS][4];
#pragma unroll
    for (int j = 0; j < COLUMNS; j++) unpack_4(raw[j], v[j], T());
#pragma unroll
    for (int py = 0; py < PY; py++) {
      const int ky = iy - py * S;
      if (ky < 0 || ky >= K) continue;
#pragma unroll
      for (int kx = 0; kx < K; kx++) {
        float w[4];
        unpack_4(weights[ky][kx], w, T());
#pragma unroll
        for (int px = 0; px < PX; px++)
#pragma unroll
          for (int i = 0; i < 4; i++) sums[py][px][i] = fmaf(v[px * S + kx][i], w[i], sums[py][px][i]);
      }
    }
  }
#pragma unroll
  for (int py = 0; py < PY; py++)
#pragma unroll
    for (int px = 0; px < PX; px++) {
      if (oy + py >= p.out_height || ox + px >= p.out_width) continue;
      const long long at = ((static_cast<long long>(image) * p.out_height + oy + py) * p.out_width + ox + px) * p.channels + c;
      write<4, T>(p, at, sums[py][px]);
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

// Kernel's side, stride, rows and columns of pixels a thread makes.
#define EACH(K, S, PY, PX, SUFFIX, TYPE)                                                                                                \
  extern "C" __global__ void __launch_bounds__(128) depthwise_##K##_##S##_##PY##x##PX##_##SUFFIX(const __grid_constant__ Depthwise p) { depthwise<TYPE, K, S, PY, PX>(p); }
#define DEPTHWISE(SUFFIX, TYPE)                                                                                                         \
  EACH(3, 1, 4, 2, SUFFIX, TYPE)                                                                                                        \
  EACH(3, 1, 2, 2, SUFFIX, TYPE)                                                                                                        \
  EACH(3, 2, 2, 2, SUFFIX, TYPE)                                                                                                        \
  EACH(5, 1, 2, 4, SUFFIX, TYPE)                                                                                                        \
  EACH(5, 1, 1, 2, SUFFIX, TYPE)                                                                                                        \
  extern "C" __global__ void __launch_bounds__(256) depthwise_any_##SUFFIX(const __grid_constant__ Depthwise p) { begin(); depthwise_any<TYPE>(p); }
FOR_FLOATS(DEPTHWISE)
