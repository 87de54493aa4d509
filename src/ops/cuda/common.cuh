// What all kernels share: numbers of three types by vectors of eight, activations, sums over a warp.
#pragma once

#include "ptx.cuh"

constexpr unsigned ALL_LANES = 0xffffffffu;

// A kernel may be launched while the one before it runs. First in those that make weights: waits until all kernels before are done. Before it no
// memory may be read or written that other kernels write or read.
__device__ __forceinline__ void wait_for_kernels() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// First in all others: waits, and lets the next kernel be launched, which may read weights at once.
__device__ __forceinline__ void begin() {
  wait_for_kernels();
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// ---- one number

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(__half x) { return __half2float(x); }
__device__ __forceinline__ float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }

template <typename T> __device__ __forceinline__ T from_float(float x);
template <> __device__ __forceinline__ float from_float<float>(float x) { return x; }
template <> __device__ __forceinline__ __half from_float<__half>(float x) { return __float2half_rn(x); }
template <> __device__ __forceinline__ __nv_bfloat16 from_float<__nv_bfloat16>(float x) { return __float2bfloat16_rn(x); }

// ---- two neighbouring numbers, at an even place

__device__ __forceinline__ float2 load_2(const float *p) { return *reinterpret_cast<const float2 *>(p); }
__device__ __forceinline__ float2 load_2(const __half *p) { return __half22float2(*reinterpret_cast<const __half2 *>(p)); }
__device__ __forceinline__ float2 load_2(const __nv_bfloat16 *p) { return __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162 *>(p)); }

__device__ __forceinline__ void store_2(float *p, float a, float b) { *reinterpret_cast<float2 *>(p) = make_float2(a, b); }
__device__ __forceinline__ void store_2(__half *p, float a, float b) { *reinterpret_cast<__half2 *>(p) = __floats2half2_rn(a, b); }
__device__ __forceinline__ void store_2(__nv_bfloat16 *p, float a, float b) { *reinterpret_cast<__nv_bfloat162 *>(p) = __floats2bfloat162_rn(a, b); }

// Two numbers as one register of a matrix fragment, the first in the low half.
__device__ __forceinline__ uint32_t pack_2(float a, float b, __half) {
  __half2 h = __floats2half2_rn(a, b);
  return *reinterpret_cast<uint32_t *>(&h);
}
__device__ __forceinline__ uint32_t pack_2(float a, float b, __nv_bfloat16) {
  __nv_bfloat162 h = __floats2bfloat162_rn(a, b);
  return *reinterpret_cast<uint32_t *>(&h);
}

// ---- four neighbouring numbers, at a place divisible by four

// As they lie in memory.
template <typename T> struct Four { using type = uint2; };
template <> struct Four<float> { using type = float4; };

__device__ __forceinline__ void unpack_4(float4 a, float (&v)[4], float) { v[0] = a.x, v[1] = a.y, v[2] = a.z, v[3] = a.w; }
template <typename T> __device__ __forceinline__ void unpack_4(uint2 raw, float (&v)[4], T) {
  const float2 a = load_2(reinterpret_cast<const T *>(&raw.x)), b = load_2(reinterpret_cast<const T *>(&raw.y));
  v[0] = a.x, v[1] = a.y, v[2] = b.x, v[3] = b.y;
}
template <typename T> __device__ __forceinline__ void load_4(const T *p, float (&v)[4]) {
  unpack_4(*reinterpret_cast<const typename Four<T>::type *>(p), v, T());
}
__device__ __forceinline__ void store_4(float *p, const float (&v)[4]) { *reinterpret_cast<float4 *>(p) = make_float4(v[0], v[1], v[2], v[3]); }
template <typename T> __device__ __forceinline__ void store_4(T *p, const float (&v)[4]) {
  *reinterpret_cast<uint2 *>(p) = make_uint2(pack_2(v[0], v[1], T()), pack_2(v[2], v[3], T()));
}

// ---- eight neighbouring numbers, at a place divisible by eight

__device__ __forceinline__ void load_8(const float *p, float (&v)[8]) {
  float4 a = reinterpret_cast<const float4 *>(p)[0], b = reinterpret_cast<const float4 *>(p)[1];
  v[0] = a.x, v[1] = a.y, v[2] = a.z, v[3] = a.w, v[4] = b.x, v[5] = b.y, v[6] = b.z, v[7] = b.w;
}
__device__ __forceinline__ void load_8(const __half *p, float (&v)[8]) {
  uint4 raw = *reinterpret_cast<const uint4 *>(p);
  const __half2 *h = reinterpret_cast<const __half2 *>(&raw);
#pragma unroll
  for (int i = 0; i < 4; i++) {
    float2 f = __half22float2(h[i]);
    v[2 * i] = f.x, v[2 * i + 1] = f.y;
  }
}
__device__ __forceinline__ void load_8(const __nv_bfloat16 *p, float (&v)[8]) {
  uint4 raw = *reinterpret_cast<const uint4 *>(p);
  const __nv_bfloat162 *h = reinterpret_cast<const __nv_bfloat162 *>(&raw);
#pragma unroll
  for (int i = 0; i < 4; i++) {
    float2 f = __bfloat1622float2(h[i]);
    v[2 * i] = f.x, v[2 * i + 1] = f.y;
  }
}

__device__ __forceinline__ void store_8(float *p, const float (&v)[8]) {
  reinterpret_cast<float4 *>(p)[0] = make_float4(v[0], v[1], v[2], v[3]);
  reinterpret_cast<float4 *>(p)[1] = make_float4(v[4], v[5], v[6], v[7]);
}
__device__ __forceinline__ void store_8(__half *p, const float (&v)[8]) {
  uint4 raw;
  __half2 *h = reinterpret_cast<__half2 *>(&raw);
#pragma unroll
  for (int i = 0; i < 4; i++) h[i] = __floats2half2_rn(v[2 * i], v[2 * i + 1]);
  *reinterpret_cast<uint4 *>(p) = raw;
}
__device__ __forceinline__ void store_8(__nv_bfloat16 *p, const float (&v)[8]) {
  uint4 raw;
  __nv_bfloat162 *h = reinterpret_cast<__nv_bfloat162 *>(&raw);
#pragma unroll
  for (int i = 0; i < 4; i++) h[i] = __floats2bfloat162_rn(v[2 * i], v[2 * i + 1]);
  *reinterpret_cast<uint4 *>(p) = raw;
}

// V neighbouring numbers, V being 8, 4 or 1.
template <int V, typename T> __device__ __forceinline__ void load_v(const T *p, float (&v)[V]) {
  if constexpr (V == 8) load_8(p, v);
  else if constexpr (V == 4) load_4(p, v);
  else v[0] = to_float(*p);
}
template <int V, typename T> __device__ __forceinline__ void store_v(T *p, const float (&v)[V]) {
  if constexpr (V == 8) store_8(p, v);
  else if constexpr (V == 4) store_4(p, v);
  else *p = from_float<T>(v[0]);
}

// ---- fragments of matrices

// The four lanes of a quad hold, each for its two columns, a word of RUN neighbouring fragments, and get the words of neighbouring
// columns; and back, this being its own inverse.
template <int RUN> __device__ __forceinline__ void swap_in_quad(uint32_t (&w)[RUN], int lane) {
#pragma unroll
  for (int k = 0; k < RUN; k += 2) {
    const uint32_t got = __shfl_xor_sync(ALL_LANES, lane & 1 ? w[k] : w[k + 1], 1);
    if (lane & 1) w[k] = got;
    else w[k + 1] = got;
  }
  if constexpr (RUN == 4) {
#pragma unroll
    for (int j = 0; j < 2; j++) {
      const uint32_t got = __shfl_xor_sync(ALL_LANES, lane & 2 ? w[j] : w[j + 2], 2);
      if (lane & 2) w[j] = got;
      else w[j + 2] = got;
    }
  }
}

// The first of the columns, counted from the RUN fragments' first, whose words a lane has after swap_in_quad.
template <int RUN> __device__ __forceinline__ int place_in_quad(int lane) {
  return RUN == 4 ? lane % 4 * 8 : lane % 2 * 8 + (lane & 2) * 2;
}

// ---- functions

// As ops::Activation, in its order.
enum Activation { IDENTITY = 0, RELU = 1, GELU = 2, SILU = 3, SIGMOID = 4, CLAMP = 5 };

// x·Φ(x), the error function by a polynomial in 1 / (1 + p·|x|) (Abramowitz and Stegun 7.1.26; it is off by 1.5e-7 at most).
__device__ __forceinline__ float gelu(float x) {
  const float z = fabsf(x) * 0.70710678118654752f, t = __fdividef(1.f, fmaf(0.3275911f, z, 1.f));
  const float p = t * fmaf(t, fmaf(t, fmaf(t, fmaf(t, 1.061405429f, -1.453152027f), 1.421413741f), -0.284496736f), 0.254829592f);
  return 0.5f * x * (1.f + copysignf(1.f - p * __expf(-z * z), x));
}

// tanh(x·q(x²)), with a q fitted so that Φ(x) = (1 + this) / 2 is off by 3e-5 at most where tanh is exact; the instruction's is off by
// 2^-11 of its value. What is given is x / PARTS, a power of two.
template <int PARTS = 1> __device__ __forceinline__ float gelu_tanh(float part) {
  constexpr float ONE = PARTS, THREE = ONE * PARTS * PARTS, FIVE = THREE * PARTS * PARTS;
  const float square = fminf(part * part, 36.f / (ONE * ONE));
  float t = part * fmaf(fmaf(-0.00035311071f * FIVE, square, 0.03701550613f * THREE), square, 0.79749695717f * ONE);
  asm("tanh.approx.f32 %0, %0;" : "+f"(t));
  return t;
}

// gelu for results of 16 bits.
__device__ __forceinline__ float gelu_16(float x) {
  const float half = 0.5f * x;
  return fmaf(half, gelu_tanh(x), half);
}

// 2 / PARTS of gelu_16(x), given x / PARTS: in one step less.
template <int PARTS> __device__ __forceinline__ float gelu_of_part(float part) { return fmaf(part, gelu_tanh<PARTS>(part), part); }

// Twice gelu_16 of two numbers, as one register.
template <typename T> __device__ __forceinline__ uint32_t gelu_twice(float a, float b, T) {
  return pack_2(fmaf(a, gelu_tanh(a), a), fmaf(b, gelu_tanh(b), b), T());
}

// Half of each of two numbers in a register.
__device__ __forceinline__ uint32_t halved(uint32_t two, __half) {
  const __half2 h = __hmul2(*reinterpret_cast<const __half2 *>(&two), __float2half2_rn(0.5f));
  return *reinterpret_cast<const uint32_t *>(&h);
}
__device__ __forceinline__ uint32_t halved(uint32_t two, __nv_bfloat16) {
  const __nv_bfloat162 h = __hmul2(*reinterpret_cast<const __nv_bfloat162 *>(&two), __float2bfloat162_rn(0.5f));
  return *reinterpret_cast<const uint32_t *>(&h);
}

// `limit` is that of CLAMP.
__device__ __forceinline__ float activated(float x, int activation, float limit = 0.f) {
  switch (activation) {
  case RELU: return fmaxf(x, 0.f);
  case GELU: return gelu(x);
  case SILU: return __fdividef(x, 1.f + __expf(-x));
  case SIGMOID: return __fdividef(1.f, 1.f + __expf(-x));
  case CLAMP: return fminf(fmaxf(x, -limit), limit);
  default: return x;
  }
}

// Activates all of v. What is done is chosen once, so that only the code of one activation is fetched. `rough` is for results of 16 bits.
template <int N> __device__ __forceinline__ void activate(float (&v)[N], int activation, float limit = 0.f, bool rough = false) {
  auto each = [&](auto one) {
#pragma unroll
    for (int i = 0; i < N; i++) v[i] = one(v[i]);
  };
  switch (activation) {
  case RELU: each([](float x) { return activated(x, RELU); }); break;
  case GELU:
    if (rough) each([](float x) { return gelu_16(x); });
    else each([](float x) { return gelu(x); });
    break;
  case SILU: each([](float x) { return activated(x, SILU); }); break;
  case SIGMOID: each([](float x) { return activated(x, SIGMOID); }); break;
  case CLAMP: each([=](float x) { return activated(x, CLAMP, limit); }); break;
  default: break;
  }
}

// ---- sums over a warp; every lane gets the result

__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
  for (int o = 16; o > 0; o >>= 1) x += __shfl_xor_sync(ALL_LANES, x, o);
  return x;
}
__device__ __forceinline__ float warp_max(float x) {
#pragma unroll
  for (int o = 16; o > 0; o >>= 1) x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, o));
  return x;
}

// Defines kernels `name_f32`, `name_f16` and `name_bf16` over `body<type>`.
#define FOR_FLOATS(MACRO) MACRO(f32, float) MACRO(f16, __half) MACRO(bf16, __nv_bfloat16)
#define FOR_HALVES(MACRO) MACRO(f16, __half) MACRO(bf16, __nv_bfloat16)
