// Scaled dot-product attention: one kernel for any tokens and types, and one on the tensor cores for windows.

#include "common.cuh"

struct Attention {
  const void *q, *k, *v;
  // Queries, keys and values of a token that fills up a window, where there are windows.
  const void *padding;
  // f32 [heads, queries, keys], or of the kernel's own layout.
  const void *bias;
  void *out;
  // Numbers from token to token, and from one batch entry to the next (0: all share one).
  long long q_token, k_token, v_token, q_batch, k_batch, v_batch;
  int batch, queries, keys, heads;
  float scale;
  // Map, side of a window, windows in a column and in a row; no windows where `window` is 0.
  int height, width, window, window_rows, window_columns;
};

// Token j of window `set`: its number among the map's tokens, or -1 for padding.
__device__ __forceinline__ long long window_token(const Attention &p, int set, int j) {
  int windows = p.window_rows * p.window_columns, image = set / windows, at = set % windows;
  int y = at / p.window_columns * p.window + j / p.window, x = at % p.window_columns * p.window + j % p.window;
  if (y >= p.height || x >= p.width) return -1;
  return (static_cast<long long>(image) * p.height + y) * p.width + x;
}

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

// ---- windows on the tensor cores: heads of 32 channels, tokens with q, k, v of all heads one after another

constexpr int HEAD = 32, ROW = HEAD + 8;

// Sixteen queries of a warp: the running maximum, sum and weighted values of the two rows a thread has a part in.
struct Rows {
  float most[2], total[2];
  float values[4][4];
};

// Adds keys FIRST·8 and on, COUNT·8 of them. `bias` are the two queries' rows of the bias.
template <typename T, int FIRST, int COUNT>
__device__ __forceinline__ void add_keys(Rows &rows, const uint32_t (&q)[2][4], const T *keys, const T *values, const T *const (&bias)[2], float scale, int lane) {
  float s[COUNT][4];
  float most[2] = {rows.most[0], rows.most[1]};
#pragma unroll
  for (int n = 0; n < COUNT; n++) {
    s[n][0] = s[n][1] = s[n][2] = s[n][3] = 0.f;
    uint32_t k[4];
    load_matrices(k, keys + ((FIRST + n) * 8 + (lane & 7)) * ROW + (lane >> 3) * 8);
    multiply_add(s[n], q[0], k[0], k[1], T());
    multiply_add(s[n], q[1], k[2], k[3], T());
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float2 b = load_2(bias[half] + (FIRST + n) * 8 + lane % 4 * 2);
      s[n][2 * half] = fmaf(s[n][2 * half], scale, b.x);
      s[n][2 * half + 1] = fmaf(s[n][2 * half + 1], scale, b.y);
      most[half] = fmaxf(most[half], fmaxf(s[n][2 * half], s[n][2 * half + 1]));
    }
  }
#pragma unroll
  for (int half = 0; half < 2; half++) {
    // The four threads of a row agree on its maximum.
    most[half] = fmaxf(most[half], __shfl_xor_sync(ALL_LANES, most[half], 1));
    most[half] = fmaxf(most[half], __shfl_xor_sync(ALL_LANES, most[half], 2));
    float c = __expf(rows.most[half] - most[half]);
    rows.most[half] = most[half], rows.total[half] *= c;
#pragma unroll
    for (int n = 0; n < 4; n++) rows.values[n][2 * half] *= c, rows.values[n][2 * half + 1] *= c;
  }
#pragma unroll
  for (int n = 0; n < COUNT; n++)
#pragma unroll
    for (int i = 0; i < 4; i++) {
      s[n][i] = __expf(s[n][i] - most[i / 2]);
      rows.total[i / 2] += s[n][i];
    }
#pragma unroll
  for (int n = 0; n < COUNT / 2; n++) {
    uint32_t weights[4] = {pack_2(s[2 * n][0], s[2 * n][1], T()), pack_2(s[2 * n][2], s[2 * n][3], T()), pack_2(s[2 * n + 1][0], s[2 * n + 1][1], T()), pack_2(s[2 * n + 1][2], s[2 * n + 1][3], T())};
#pragma unroll
    for (int half = 0; half < 2; half++) {
      uint32_t v[4];
      load_matrices_transposed(v, values + (FIRST * 8 + n * 16 + (lane & 15)) * ROW + half * 16 + (lane >> 4) * 8);
      multiply_add(rows.values[2 * half], weights, v[0], v[1], T());
      multiply_add(rows.values[2 * half + 1], weights, v[2], v[3], T());
    }
  }
}

// One window and head a block, sixteen queries a warp. The bias is [heads, WINDOW², 8·TILES] of T, very low beyond the window.
template <typename T, int WINDOW, int TILES, int WARPS> __device__ __forceinline__ void attend_window(const Attention &p) {
  constexpr int TOKENS = WINDOW * WINDOW, KEYS = TILES * 8;
  static_assert(KEYS >= TOKENS && TILES % 2 == 0, "tiles hold the window");
  __shared__ __align__(16) T keys[KEYS * ROW], values[KEYS * ROW];
  const int set = blockIdx.x, head = blockIdx.y, channels = p.heads * HEAD;
  const T *qkv = static_cast<const T *>(p.q), *padding = static_cast<const T *>(p.padding);
  for (int i = threadIdx.x; i < KEYS * 8; i += WARPS * 32) {
    // Eight chunks of eight numbers a token: four of its key, four of its value.
    const int j = i / 8, chunk = i % 8;
    uint4 v = make_uint4(0, 0, 0, 0);
    if (j < TOKENS) {
      const long long token = window_token(p, set, j);
      const T *from = token < 0 ? padding : qkv + token * p.q_token;
      v = *reinterpret_cast<const uint4 *>(from + (chunk < 4 ? channels : 2 * channels) + head * HEAD + chunk % 4 * 8);
    }
    *reinterpret_cast<uint4 *>((chunk < 4 ? keys : values) + j * ROW + chunk % 4 * 8) = v;
  }
  const int lane = threadIdx.x % 32, first = (blockIdx.z * WARPS + threadIdx.x / 32) * 16;
  uint32_t q[2][4];
  long long tokens[2];
  const T *bias[2];
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const int query = first + lane / 4 + half * 8;
    tokens[half] = query < TOKENS ? window_token(p, set, query) : -1;
    const T *from = (tokens[half] < 0 ? padding : qkv + tokens[half] * p.q_token) + head * HEAD + lane % 4 * 2;
#pragma unroll
    for (int k = 0; k < 2; k++) {
      q[k][half] = *reinterpret_cast<const uint32_t *>(from + k * 16);
      q[k][half + 2] = *reinterpret_cast<const uint32_t *>(from + k * 16 + 8);
    }
    bias[half] = static_cast<const T *>(p.bias) + (static_cast<long long>(head) * TOKENS + min(query, TOKENS - 1)) * KEYS;
  }
  __syncthreads();
  if (first >= TOKENS) return;
  Rows rows = {{-1e30f, -1e30f}, {0.f, 0.f}, {}};
  if constexpr (TILES <= 14) {
    add_keys<T, 0, TILES>(rows, q, keys, values, bias, p.scale, lane);
  } else {
    add_keys<T, 0, 14>(rows, q, keys, values, bias, p.scale, lane);
    add_keys<T, 14, TILES - 14>(rows, q, keys, values, bias, p.scale, lane);
  }
#pragma unroll
  for (int half = 0; half < 2; half++) {
    float total = rows.total[half];
    total += __shfl_xor_sync(ALL_LANES, total, 1);
    total += __shfl_xor_sync(ALL_LANES, total, 2);
    const float factor = 1.f / total;
    if (tokens[half] < 0) continue;
    T *to = static_cast<T *>(p.out) + tokens[half] * channels + head * HEAD + lane % 4 * 2;
#pragma unroll
    for (int n = 0; n < 4; n++) store_2(to + n * 8, rows.values[n][2 * half] * factor, rows.values[n][2 * half + 1] * factor);
  }
}

#define ATTEND(D, SUFFIX, TYPE)                                                                                                         \
  extern "C" __global__ void __launch_bounds__(256) attend_##D##_##SUFFIX(const __grid_constant__ Attention p) { attend<TYPE, D, false>(p); } \
  extern "C" __global__ void __launch_bounds__(256) attend_long_##D##_##SUFFIX(const __grid_constant__ Attention p) { attend<TYPE, D, true>(p); }
#define FEW(D, SUFFIX, TYPE)                                                                                                            \
  extern "C" __global__ void __launch_bounds__(256) attend_few_##D##_##SUFFIX(const __grid_constant__ Attention p) { attend_few<TYPE, D>(p); }
#define ATTENTIONS(SUFFIX, TYPE) FEW(16, SUFFIX, TYPE) FEW(32, SUFFIX, TYPE) ATTEND(16, SUFFIX, TYPE) ATTEND(32, SUFFIX, TYPE) ATTEND(48, SUFFIX, TYPE) ATTEND(64, SUFFIX, TYPE)
FOR_FLOATS(ATTENTIONS)

#define WINDOWS(SUFFIX, TYPE)                                                                                                           \
  extern "C" __global__ void __launch_bounds__(128) window_7_##SUFFIX(const __grid_constant__ Attention p) { attend_window<TYPE, 7, 8, 4>(p); } \
  extern "C" __global__ void __launch_bounds__(224) window_14_##SUFFIX(const __grid_constant__ Attention p) { attend_window<TYPE, 14, 26, 7>(p); }
FOR_HALVES(WINDOWS)
