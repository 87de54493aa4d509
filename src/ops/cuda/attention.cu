// Scaled dot-product attention of any tokens and types, a thread a key or a query.

#include "attention.cuh"

// A warp (WHOLE_BLOCK: a block) makes one query of one head: each thread takes every 32nd (blockDim-th) key.
template <typename T, int D, bool WHOLE_BLOCK> __device__ __forceinline__ void attend(const Attention &p) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  const long long item = WHOLE_BLOCK ? static_cast<long long>(blockIdx.x) : static_cast<long long>(blockIdx.x) * warps + warp;
  const long long sets = p.window ? static_cast<long long>(p.batch) * p.window_rows * p.window_columns : p.batch;
  if (item >= sets * p.heads * p.queries) return;
  const int query = item % p.queries, head = item / p.queries % p.heads;
  const int set = static_cast<int>(item / p.queries / p.heads);
  const long long here = p.window ? window_token(p, set, query) : static_cast<long long>(set) * p.queries + query;
  if (here < 0) return;

  const T *from = static_cast<const T *>(p.q) + head * D + (p.window ? here * p.q_token : set * p.q_batch + query * p.q_token);
  float q[D], o[D];
#pragma unroll
  for (int d = 0; d < D; d += 8) {
    float v[8];
    load_8(from + d, v);
#pragma unroll
    for (int i = 0; i < 8; i++) q[d + i] = v[i] * p.scale, o[d + i] = 0.f;
  }
  const float *bias = p.bias ? static_cast<const float *>(p.bias) + (static_cast<long long>(head) * p.queries + query) * p.keys : nullptr;
  float most = -INFINITY, total = 0.f;
  for (int j = WHOLE_BLOCK ? threadIdx.x : lane; j < p.keys; j += WHOLE_BLOCK ? blockDim.x : 32) {
    const T *key = static_cast<const T *>(p.k) + head * D, *value = static_cast<const T *>(p.v) + head * D;
    if (p.window) {
      const long long token = window_token(p, set, j);
      const long long channels = static_cast<long long>(p.heads) * D;
      const T *padding = static_cast<const T *>(p.padding) + head * D;
      key = token < 0 ? padding + channels : key + token * p.k_token;
      value = token < 0 ? padding + 2 * channels : value + token * p.v_token;
    } else {
      key += set * p.k_batch + j * p.k_token;
      value += set * p.v_batch + j * p.v_token;
    }
    float score = 0.f;
#pragma unroll
    for (int d = 0; d < D; d += 8) {
      float v[8];
      load_8(key + d, v);
#pragma unroll
      for (int i = 0; i < 8; i++) score = fmaf(q[d + i], v[i], score);
    }
    if (bias) score += bias[j];
    if (score > most) {
      float c = __expf(most - score);
      total *= c;
#pragma unroll
      for (int d = 0; d < D; d++) o[d] *= c;
      most = score;
    }
    float e = __expf(score - most);
    total += e;
#pragma unroll
    for (int d = 0; d < D; d += 8) {
      float v[8];
      load_8(value + d, v);
#pragma unroll
      for (int i = 0; i < 8; i++) o[d + i] = fmaf(e, v[i], o[d + i]);
    }
  }

  // What the threads found, brought together.
  float greatest = warp_max(most);
  float c = most == -INFINITY ? 0.f : __expf(most - greatest);
  total = warp_sum(total * c);
  float mine[(D + 31) / 32];
#pragma unroll
  for (int d = 0; d < D; d++) {
    float sum = warp_sum(o[d] * c);
    if (lane == d % 32) mine[d / 32] = sum;
  }
  T *to = static_cast<T *>(p.out) + here * p.heads * D + head * D;
  if constexpr (!WHOLE_BLOCK) {
#pragma unroll
    for (int i = 0; i < (D + 31) / 32; i++)
      if (lane + 32 * i < D) to[lane + 32 * i] = from_float<T>(mine[i] / total);
  } else {
    __shared__ float mosts[8], totals[8], sums[8][D];
    if (lane == 0) mosts[warp] = greatest, totals[warp] = total;
#pragma unroll
    for (int i = 0; i < (D + 31) / 32; i++)
      if (lane + 32 * i < D) sums[warp][lane + 32 * i] = mine[i];
    __syncthreads();
    if (threadIdx.x < D) {
      float top = mosts[0], all = 0.f, sum = 0.f;
      for (int w = 1; w < warps; w++) top = fmaxf(top, mosts[w]);
      for (int w = 0; w < warps; w++) {
        float share = mosts[w] == -INFINITY ? 0.f : __expf(mosts[w] - top);
        all += totals[w] * share, sum += sums[w][threadIdx.x] * share;
      }
      to[threadIdx.x] = from_float<T>(sum / all);
    }
  }
}

// For few keys: a thread makes one query of one head, neighbouring threads neighbouring heads. No windows.
template <typename T, int D> __device__ __forceinline__ void attend_few(const Attention &p) {
  const long long item = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  const int head = item % p.heads;
  const long long token = item / p.heads;
  const int query = token % p.queries, set = static_cast<int>(token / p.queries);
  if (set >= p.batch) return;
  const T *from = static_cast<const T *>(p.q) + head * D + set * p.q_batch + query * p.q_token;
  float q[D], o[D];
#pragma unroll
  for (int d = 0; d < D; d += 8) {
    float v[8];
    load_8(from + d, v);
#pragma unroll
    for (int i = 0; i < 8; i++) q[d + i] = v[i] * p.scale, o[d + i] = 0.f;
  }
  const T *key = static_cast<const T *>(p.k) + head * D + set * p.k_batch, *value = static_cast<const T *>(p.v) + head * D + set * p.v_batch;
  const float *bias = p.bias ? static_cast<const float *>(p.bias) + (static_cast<long long>(head) * p.queries + query) * p.keys : nullptr;
  float most = -INFINITY, total = 0.f;
  for (int j = 0; j < p.keys; j++, key += p.k_token, value += p.v_token) {
    float score = bias ? bias[j] : 0.f;
#pragma unroll
    for (int d = 0; d < D; d += 8) {
      float v[8];
      load_8(key + d, v);
#pragma unroll
      for (int i = 0; i < 8; i++) score = fmaf(q[d + i], v[i], score);
    }
    const float greatest = fmaxf(most, score), c = __expf(most - greatest), e = __expf(score - greatest);
    most = greatest, total = total * c + e;
#pragma unroll
    for (int d = 0; d < D; d += 8) {
      float v[8];
      load_8(value + d, v);
#pragma unroll
      for (int i = 0; i < 8; i++) o[d + i] = fmaf(e, v[i], o[d + i] * c);
    }
  }
  T *to = static_cast<T *>(p.out) + token * p.heads * D + head * D;
#pragma unroll
  for (int d = 0; d < D; d += 8) {
    float v[8];
#pragma unroll
    for (int i = 0; i < 8; i++) v[i] = o[d + i] / total;
    store_8(to + d, v);
  }
}

#define ATTEND(D, SUFFIX, TYPE)                                                                                                         \
  extern "C" __global__ void __launch_bounds__(256) attend_##D##_##SUFFIX(const __grid_constant__ Attention p) { begin(); attend<TYPE, D, false>(p); } \
  extern "C" __global__ void __launch_bounds__(256) attend_long_##D##_##SUFFIX(const __grid_constant__ Attention p) { begin(); attend<TYPE, D, true>(p); }
#define FEW(D, SUFFIX, TYPE)                                                                                                            \
  extern "C" __global__ void __launch_bounds__(256) attend_few_##D##_##SUFFIX(const __grid_constant__ Attention p) { begin(); attend_few<TYPE, D>(p); }
#define ATTENTIONS(SUFFIX, TYPE) FEW(16, SUFFIX, TYPE) FEW(32, SUFFIX, TYPE) ATTEND(16, SUFFIX, TYPE) ATTEND(32, SUFFIX, TYPE) ATTEND(48, SUFFIX, TYPE) ATTEND(64, SUFFIX, TYPE)
FOR_FLOATS(ATTENTIONS)
