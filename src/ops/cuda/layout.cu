// Copies of tensors with any strides, and f32 numbers in types of 16 bits.

#include "common.cuh"

constexpr int MOST_DIMS = 6;

// `Strides` of `layout.rs`, field by field: outermost first, in units of the copied type.
struct Strides {
  int dims;
  int sizes[MOST_DIMS];
  long long strides[MOST_DIMS];
};

// y, without gaps, = the numbers of x at all places of its dimensions.
template <typename T> __device__ __forceinline__ void copy(const T *__restrict__ x, T *__restrict__ y, unsigned n, const Strides &from) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  unsigned rest = i;
  long long at = 0;
#pragma unroll
  for (int d = MOST_DIMS - 1; d >= 0; d--) {
    if (d >= from.dims) continue;
    const unsigned size = from.sizes[d];
    at += rest % size * from.strides[d];
    rest /= size;
  }
  y[i] = x[at];
}

extern "C" __global__ void __launch_bounds__(256) copy_1(const uint8_t *x, uint8_t *y, unsigned n, const Strides from) { wait_for_kernels(); copy(x, y, n, from); }
extern "C" __global__ void __launch_bounds__(256) copy_2(const uint16_t *x, uint16_t *y, unsigned n, const Strides from) { wait_for_kernels(); copy(x, y, n, from); }
extern "C" __global__ void __launch_bounds__(256) copy_4(const uint32_t *x, uint32_t *y, unsigned n, const Strides from) { wait_for_kernels(); copy(x, y, n, from); }
extern "C" __global__ void __launch_bounds__(256) copy_16(const uint4 *x, uint4 *y, unsigned n, const Strides from) { wait_for_kernels(); copy(x, y, n, from); }

// Images of `pieces` 16 bytes each, those that `which` names: y [count, pieces].
extern "C" __global__ void __launch_bounds__(256) take_images(const uint4 *__restrict__ x, const unsigned *__restrict__ which, uint4 *__restrict__ y, int images, long long pieces) {
  begin();
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= pieces) return;
  // What was not chosen by a kernel yet reads an image that is there.
  const unsigned image = min(which[blockIdx.y], static_cast<unsigned>(images - 1));
  y[blockIdx.y * pieces + i] = x[image * pieces + i];
}

#define CONVERT(SUFFIX, TYPE)                                                                                                           \
  extern "C" __global__ void __launch_bounds__(256) convert_##SUFFIX(const float *x, TYPE *y, long long n) { wait_for_kernels();                   \
    const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;                                                  \
    if (i < n) y[i] = from_float<TYPE>(x[i]);                                                                                           \
  }
FOR_HALVES(CONVERT)

// Each number as three that add up to it, the greatest first: y has three times `n` numbers.
extern "C" __global__ void __launch_bounds__(256) split_in_three(const float *x, __nv_bfloat16 *y, long long n) {
  wait_for_kernels();
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= n) return;
  float rest = x[i];
  for (int part = 0; part < 3; part++) {
    const __nv_bfloat16 rounded = from_float<__nv_bfloat16>(rest);
    y[part * n + i] = rounded;
    rest -= to_float(rounded);
  }
}
