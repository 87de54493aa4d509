// Activations and sums number by number; parts side by side; pooling and upsampling.

#include "common.cuh"

// y = activation(a + b), b repeating after `period` numbers and being of a type of its own; b may be none.
template <typename T, typename B> __device__ __forceinline__ void sum(const T *__restrict__ a, const B *__restrict__ b, T *__restrict__ y, long long n, long long period, int activation, float limit) {
  long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= n) return;
  float v = to_float(a[i]) + (b ? to_float(b[i % period]) : 0.f);
  y[i] = from_float<T>(activated(v, activation, limit));
}

// As sum, eight numbers a thread: n and the period are counted in eights.
template <typename T, typename B> __device__ __forceinline__ void sum_8(const T *__restrict__ a, const B *__restrict__ b, T *__restrict__ y, unsigned n, unsigned period, int activation, float limit) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  float v[8], add[8];
  load_8(a + 8ll * i, v);
  if (b) {
    load_8(b + 8ll * (i % period), add);
#pragma unroll
    for (int j = 0; j < 8; j++) v[j] += add[j];
  }
  activate(v, activation, limit);
  store_8(y + 8ll * i, v);
}

// Copies rows of `channels` numbers, `stride` apart, to columns `first` and on of rows of `width` numbers.
template <typename T> __device__ __forceinline__ void place(const T *__restrict__ x, T *__restrict__ y, long long rows, int channels, long long stride, int first, int width) {
  long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= rows * channels) return;
  long long row = i / channels;
  int c = i % channels;
  y[row * width + first + c] = x[row * stride + c];
}

// The same in units of 16 bytes, for any type.
extern "C" __global__ void __launch_bounds__(256) place_16(const uint4 *__restrict__ x, uint4 *__restrict__ y, long long rows, int channels, long long stride, int first, int width) {
  wait_for_kernels();
  place(x, y, rows, channels, stride, first, width);
}

// Greatest number of each window; outside counts as 0.
template <typename T, int V>
__device__ __forceinline__ void max_pool(const T *__restrict__ x, T *__restrict__ y, int batch, int height, int width, int channels, int out_height, int out_width, int kernel, int stride, int top, int left) {
  const int groups = channels / V;
  long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= static_cast<long long>(batch) * out_height * out_width * groups) return;
  const int c = i % groups * V;
  long long rest = i / groups;
  const int ox = rest % out_width;
  rest /= out_width;
  const int oy = rest % out_height, image = rest / out_height;
  float most[V];
  bool whole = true;
#pragma unroll
  for (int j = 0; j < V; j++) most[j] = -INFINITY;
  for (int ky = 0; ky < kernel; ky++)
    for (int kx = 0; kx < kernel; kx++) {
      int py = oy * stride - top + ky, px = ox * stride - left + kx;
      if (py < 0 || py >= height || px < 0 || px >= width) {
        whole = false;
        continue;
      }
      float v[V];
      load_v(x + ((static_cast<long long>(image) * height + py) * width + px) * channels + c, v);
#pragma unroll
      for (int j = 0; j < V; j++) most[j] = fmaxf(most[j], v[j]);
    }
  if (!whole) {
#pragma unroll
    for (int j = 0; j < V; j++) most[j] = fmaxf(most[j], 0.f);
  }
  store_v(y + ((static_cast<long long>(image) * out_height + oy) * out_width + ox) * channels + c, most);
}

// Each pixel twice in both directions; `height` and `width` are the input's.
template <typename T> __device__ __forceinline__ void upsample_2(const T *__restrict__ x, T *__restrict__ y, int batch, int height, int width, int channels) {
  long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= 4LL * batch * height * width * channels) return;
  const int c = i % channels;
  long long rest = i / channels;
  const int ox = rest % (2 * width);
  rest /= 2 * width;
  const int oy = rest % (2 * height), image = rest / (2 * height);
  y[i] = x[((static_cast<long long>(image) * height + oy / 2) * width + ox / 2) * channels + c];
}

#define SUMS(SUFFIX, TYPE)                                                                                                              \
  extern "C" __global__ void sum_##SUFFIX(const TYPE *a, const TYPE *b, TYPE *y, long long n, long long period, int activation, float limit) { begin(); \
    sum(a, b, y, n, period, activation, limit);                                                                                         \
  }                                                                                                                                     \
  extern "C" __global__ void sum_with_f32_##SUFFIX(const TYPE *a, const float *b, TYPE *y, long long n, long long period, int activation, float limit) { begin(); \
    sum(a, b, y, n, period, activation, limit);                                                                                         \
  }                                                                                                                                     \
  extern "C" __global__ void sum_8_##SUFFIX(const TYPE *a, const TYPE *b, TYPE *y, unsigned n, unsigned period, int activation, float limit) { begin(); \
    sum_8(a, b, y, n, period, activation, limit);                                                                                       \
  }                                                                                                                                     \
  extern "C" __global__ void sum_8_with_f32_##SUFFIX(const TYPE *a, const float *b, TYPE *y, unsigned n, unsigned period, int activation, float limit) { begin(); \
    sum_8(a, b, y, n, period, activation, limit);                                                                                       \
  }                                                                                                                                     \
  extern "C" __global__ void place_##SUFFIX(const TYPE *x, TYPE *y, long long rows, int channels, long long stride, int first, int width) { wait_for_kernels(); \
    place(x, y, rows, channels, stride, first, width);                                                                                  \
  }                                                                                                                                     \
  extern "C" __global__ void max_pool_8_##SUFFIX(const TYPE *x, TYPE *y, int b, int h, int w, int c, int oh, int ow, int k, int s, int top, int left) { begin(); \
    max_pool<TYPE, 8>(x, y, b, h, w, c, oh, ow, k, s, top, left);                                                                       \
  }                                                                                                                                     \
  extern "C" __global__ void max_pool_1_##SUFFIX(const TYPE *x, TYPE *y, int b, int h, int w, int c, int oh, int ow, int k, int s, int top, int left) { begin(); \
    max_pool<TYPE, 1>(x, y, b, h, w, c, oh, ow, k, s, top, left);                                                                       \
  }                                                                                                                                     \
  extern "C" __global__ void upsample_2_##SUFFIX(const TYPE *x, TYPE *y, int b, int h, int w, int c) { begin(); upsample_2(x, y, b, h, w, c); }
FOR_FLOATS(SUMS)
