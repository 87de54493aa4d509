// Layer normalisation and softmax of rows, a warp a row, sums in f32; and the decoder's gate, which ends in a normalisation.

#include "common.cuh"

struct LayerNorm {
  const void *input;
  const float *weight, *bias;
  void *out;
  long long stride;
  int rows, channels;
  float eps;
  // The input is held to ± this before it is normalised; none where 0.
  float limit;
  int activation;
};

// Normalises the numbers of a row that `at(c)` gives, in registers where they fit.
template <typename T, typename F> __device__ __forceinline__ void normalise(const LayerNorm &p, int row, F at) {
  const int lane = threadIdx.x % 32, n = p.channels;
  constexpr int HELD = 16;
  float held[HELD];
  float sum = 0.f;
#pragma unroll
  for (int i = 0; i < HELD; i++) {
    int c = lane + 32 * i;
    if (c < n) sum += held[i] = at(c);
  }
  for (int c = lane + 32 * HELD; c < n; c += 32) sum += at(c);
  const float mean = warp_sum(sum) / n;
  float squares = 0.f;
#pragma unroll
  for (int i = 0; i < HELD; i++)
    if (lane + 32 * i < n) squares += (held[i] - mean) * (held[i] - mean);
  for (int c = lane + 32 * HELD; c < n; c += 32) {
    float d = at(c) - mean;
    squares += d * d;
  }
  const float factor = rsqrtf(warp_sum(squares) / n + p.eps);
  const long long to = static_cast<long long>(row) * n;
  auto put = [&](int c, float v) {
    float y = activated((v - mean) * factor * p.weight[c] + p.bias[c], p.activation);
    static_cast<T *>(p.out)[to + c] = from_float<T>(y);
  };
#pragma unroll
  for (int i = 0; i < HELD; i++)
    if (lane + 32 * i < n) put(lane + 32 * i, held[i]);
  for (int c = lane + 32 * HELD; c < n; c += 32) put(c, at(c));
}

template <typename T> __device__ __forceinline__ void layer_norm(const LayerNorm &p) {
  const int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
  if (row >= p.rows) return;
  const T *from = static_cast<const T *>(p.input) + row * p.stride;
  const float limit = p.limit;
  normalise<T>(p, row, [=](int c) {
    float v = to_float(from[c]);
    return limit > 0.f ? fminf(fmaxf(v, -limit), limit) : v;
  });
}

// Sum over the LANES threads of a row; each of them gets it.
template <int LANES> __device__ __forceinline__ float row_sum(float x) {
#pragma unroll
  for (int o = LANES / 2; o > 0; o >>= 1) x += __shfl_xor_sync(ALL_LANES, x, o);
  return x;
}

// As layer_norm, for channels divisible by eight, up to 8·LANES·EACH of them: LANES threads a row, each with EACH chunks of eight. `load` brings eight
// numbers of a row from a channel on.
template <typename T, int LANES, int EACH, typename F> __device__ __forceinline__ void normalise_held(const LayerNorm &p, F load) {
  constexpr int GROUPS = 256 / LANES;
  const int lane = threadIdx.x % LANES, row = blockIdx.x * GROUPS + threadIdx.x / LANES, n = p.channels;
  // Weights are there before the kernels before are done.
  float weight[EACH][8], bias[EACH][8];
#pragma unroll
  for (int i = 0; i < EACH; i++) {
    const int c = (lane + i * LANES) * 8;
    if (c >= n) continue;
    load_8(p.weight + c, weight[i]);
    load_8(p.bias + c, bias[i]);
  }
  begin();
  // Threads beyond the last row take part in the sums.
  float v[EACH][8], sum = 0.f;
#pragma unroll
  for (int i = 0; i < EACH; i++) {
    const int c = (lane + i * LANES) * 8;
    if (c >= n) continue;
    load(row < p.rows ? row : 0, c, v[i]);
    if (p.limit > 0.f) activate(v[i], CLAMP, p.limit);
#pragma unroll
    for (int j = 0; j < 8; j++) sum += v[i][j];
  }
  const float mean = row_sum<LANES>(sum) / n;
  float squares = 0.f;
#pragma unroll
  for (int i = 0; i < EACH; i++) {
    if ((lane + i * LANES) * 8 >= n) continue;
#pragma unroll
    for (int j = 0; j < 8; j++) v[i][j] -= mean, squares = fmaf(v[i][j], v[i][j], squares);
  }
  const float factor = rsqrtf(row_sum<LANES>(squares) / n + p.eps);
  if (row >= p.rows) return;
  T *to = static_cast<T *>(p.out) + static_cast<long long>(row) * n;
#pragma unroll
  for (int i = 0; i < EACH; i++) {
    const int c = (lane + i * LANES) * 8;
    if (c >= n) continue;
#pragma unroll
    for (int j = 0; j < 8; j++) v[i][j] = v[i][j] * factor * weight[i][j] + bias[i][j];
    activate(v[i], p.activation);
    store_8(to + c, v[i]);
  }
}

template <typename T, int LANES, int EACH> __device__ __forceinline__ void layer_norm_held(const LayerNorm &p) {
  normalise_held<T, LANES, EACH>(p, [&](int row, int c, float (&v)[8]) { load_8(static_cast<const T *>(p.input) + row * p.stride + c, v); });
}

// As gated_norm, of up to 256 channels, a multiple of eight.
template <typename T> __device__ __forceinline__ void gated_norm_held(const LayerNorm &p, const T *gates, const T *x, const T *seen) {
  normalise_held<T, 32, 1>(p, [&](int row, int c, float (&v)[8]) {
    const long long at = static_cast<long long>(row) * p.channels + c, gate = at + static_cast<long long>(row) * p.channels;
    float first[8], second[8], other[8];
    load_8(gates + gate, first);
    load_8(gates + gate + p.channels, second);
    load_8(x + at, v);
    load_8(seen + at, other);
#pragma unroll
    for (int j = 0; j < 8; j++) v[j] = first[j] * v[j] + second[j] * other[j];
  });
}

// Normalisation of gate·x + gate'·seen, the gates being the halves of each row of `gates` [rows, 2·channels].
template <typename T>
__device__ __forceinline__ void gated_norm(const LayerNorm &p, const T *__restrict__ gates, const T *__restrict__ x, const T *__restrict__ seen) {
  const int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
  if (row >= p.rows) return;
  const long long at = static_cast<long long>(row) * p.channels;
  const int n = p.channels;
  normalise<T>(p, row, [=](int c) { return to_float(gates[2 * at + c]) * to_float(x[at + c]) + to_float(gates[2 * at + n + c]) * to_float(seen[at + c]); });
}

template <typename T> __device__ __forceinline__ void softmax(const T *__restrict__ x, T *__restrict__ y, int rows, int n) {
  const int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (row >= rows) return;
  x += static_cast<long long>(row) * n, y += static_cast<long long>(row) * n;
  float most = -INFINITY, sum = 0.f;
  for (int i = lane; i < n; i += 32) most = fmaxf(most, to_float(x[i]));
  most = warp_max(most);
  for (int i = lane; i < n; i += 32) sum += __expf(to_float(x[i]) - most);
  const float factor = 1.f / warp_sum(sum);
  for (int i = lane; i < n; i += 32) y[i] = from_float<T>(__expf(to_float(x[i]) - most) * factor);
}

#define NORMS(SUFFIX, TYPE)                                                                                                             \
  extern "C" __global__ void __launch_bounds__(256) layer_norm_##SUFFIX(const __grid_constant__ LayerNorm p) { begin(); layer_norm<TYPE>(p); } \
  extern "C" __global__ void __launch_bounds__(256) layer_norm_64_##SUFFIX(const __grid_constant__ LayerNorm p) { layer_norm_held<TYPE, 8, 1>(p); }\
  extern "C" __global__ void __launch_bounds__(256) layer_norm_128_##SUFFIX(const __grid_constant__ LayerNorm p) { layer_norm_held<TYPE, 16, 1>(p); }\
  extern "C" __global__ void __launch_bounds__(256) layer_norm_256_##SUFFIX(const __grid_constant__ LayerNorm p) { layer_norm_held<TYPE, 32, 1>(p); }\
  extern "C" __global__ void __launch_bounds__(256) layer_norm_512_##SUFFIX(const __grid_constant__ LayerNorm p) { layer_norm_held<TYPE, 32, 2>(p); }\
  extern "C" __global__ void __launch_bounds__(256)                                                                                     \
      gated_norm_##SUFFIX(const __grid_constant__ LayerNorm p, const TYPE *gates, const TYPE *x, const TYPE *seen) { begin();           \
    gated_norm<TYPE>(p, gates, x, seen);                                                                                                \
  }                                                                                                                                     \
  extern "C" __global__ void __launch_bounds__(256)                                                                                     \
      gated_norm_256_##SUFFIX(const __grid_constant__ LayerNorm p, const TYPE *gates, const TYPE *x, const TYPE *seen) {                \
    gated_norm_held<TYPE>(p, gates, x, seen);                                                                                           \
  }                                                                                                                                     \
  extern "C" __global__ void __launch_bounds__(256) softmax_##SUFFIX(const TYPE *x, TYPE *y, int rows, int n) { begin(); softmax<TYPE>(x, y, rows, n); }
FOR_FLOATS(NORMS)
