// Attention within windows on the tensor cores, of heads of 32 channels: tokens with q, k, v of all heads one after another.

#include "attention.cuh"

constexpr int HEAD = 32, ROW = HEAD + 8;
constexpr float LOG2_E = 1.4426950408889634f;

// Sixteen queries of a warp: the running maximum of the two rows a thread has a part in, and weighted values and the sum of weights as
// fragments.
struct WindowRows {
  float most[2], values[4][4], total[4];
};

// A lane's bias for COUNT fragments of keys from fragment FIRST on, which is even: that of two in 16 bytes.
template <int FIRST, int COUNT> struct Bias {
  uint4 pairs[(COUNT + 1) / 2];
  __device__ __forceinline__ explicit Bias(const uint4 *from) {
#pragma unroll
    for (int i = 0; i < (COUNT + 1) / 2; i++) pairs[i] = from[(FIRST / 2 + i) * 32];
  }
};

// Adds keys FIRST·8 and on, COUNT·8 of them.
template <typename T, int FIRST, int COUNT>
__device__ __forceinline__ void add_window(WindowRows &rows, const uint32_t (&q)[2][4], const T *keys, const T *values, const Bias<FIRST, COUNT> &bias, float scale, int lane) {
  float s[COUNT][4];
  float most[2] = {rows.most[0], rows.most[1]};
#pragma unroll
  for (int n = 0; n < COUNT; n++) {
    uint32_t k[4];
    load_matrices(k, keys + ((FIRST + n) * 8 + (lane & 7)) * ROW + (lane >> 3) * 8);
    multiply(s[n], q[0], k[0], k[1], T());
    multiply_add(s[n], q[1], k[2], k[3], T());
    const uint4 &pair = bias.pairs[n / 2];
    const uint32_t words[2] = {n % 2 ? pair.z : pair.x, n % 2 ? pair.w : pair.y};
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const float2 b = load_2(reinterpret_cast<const T *>(&words[half]));
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
    if constexpr (FIRST > 0) {
      const float c = power_of_two((rows.most[half] - most[half]) * LOG2_E);
#pragma unroll
      for (int n = 0; n < 4; n++) rows.values[n][2 * half] *= c, rows.values[n][2 * half + 1] *= c;
      rows.total[2 * half] *= c;
    }
    rows.most[half] = most[half];
    const float least = -most[half] * LOG2_E;
#pragma unroll
    for (int n = 0; n < COUNT; n++) {
      s[n][2 * half] = power_of_two(fmaf(s[n][2 * half], LOG2_E, least));
      s[n][2 * half + 1] = power_of_two(fmaf(s[n][2 * half + 1], LOG2_E, least));
    }
  }
  const uint32_t ones = pack_2(1.f, 1.f, T());
#pragma unroll
  for (int n = 0; n + 1 < COUNT; n += 2) {
    const uint32_t weights[4] = {pack_2(s[n][0], s[n][1], T()), pack_2(s[n][2], s[n][3], T()), pack_2(s[n + 1][0], s[n + 1][1], T()), pack_2(s[n + 1][2], s[n + 1][3], T())};
#pragma unroll
    for (int half = 0; half < 2; half++) {
      uint32_t v[4];
      load_matrices_transposed(v, values + ((FIRST + n) * 8 + (lane & 15)) * ROW + half * 16 + (lane >> 4) * 8);
      multiply_add(rows.values[2 * half], weights, v[0], v[1], T());
      multiply_add(rows.values[2 * half + 1], weights, v[2], v[3], T());
    }
    multiply_add(rows.total, weights, ones, ones, T());
  }
  if constexpr (COUNT % 2 != 0) {
    constexpr int n = COUNT - 1;
    const uint32_t weights[2] = {pack_2(s[n][0], s[n][1], T()), pack_2(s[n][2], s[n][3], T())};
    uint32_t v[4];
    load_matrices_transposed(v, values + ((FIRST + n) * 8 + (lane & 7)) * ROW + (lane >> 3) * 8);
#pragma unroll
    for (int i = 0; i < 4; i++) multiply_add(rows.values[i], weights, v[i], T());
    multiply_add(rows.total, weights, ones, T());
  }
}

// One window and head a block, sixteen queries a warp, BLOCKS blocks for all of them. The bias is of T, as attention.rs lays it out:
// [heads, sixteens of queries, sixteens of keys, 32 lanes, 8], very low beyond the window, so that a lane finds what it needs side by side.
// Blocks at work at the same time share a head, whose bias stays in the nearest cache.
template <typename T, int WINDOW, int WARPS, int BLOCKS> __device__ __forceinline__ void attend_window(const Attention &p) {
  constexpr int TOKENS = WINDOW * WINDOW, TILES = (TOKENS + 7) / 8, KEYS = TILES * 8, SIXTEENS = (TOKENS + 15) / 16;
  // Fragments of keys whose scores are in registers at once, at first.
  constexpr int FIRST_PART = TILES <= 8 ? TILES : 6;
  // Threads that bring keys and values, eight a token, bring two rows of the window at a time.
  constexpr int STEP = 2 * WINDOW, LOADERS = STEP * 8;
  static_assert(LOADERS <= WARPS * 32 && WARPS * BLOCKS * 16 >= TOKENS, "there are enough threads");
  __shared__ __align__(16) T keys[KEYS * ROW], values[KEYS * ROW];
  const int head = blockIdx.y, image = blockIdx.z / BLOCKS, channels = p.heads * HEAD, stride = static_cast<int>(p.q_token);
  const int y0 = blockIdx.x / p.window_columns * WINDOW, x0 = blockIdx.x % p.window_columns * WINDOW;
  const T *qkv = static_cast<const T *>(p.q) + head * HEAD, *padding = static_cast<const T *>(p.padding) + head * HEAD;
  if (LOADERS == WARPS * 32 || threadIdx.x < LOADERS) {
    // Of the eight chunks of eight numbers a token, four are of its key, four of its value.
    const int chunk = threadIdx.x % 8, j = threadIdx.x / 8, y = y0 + j / WINDOW, x = x0 + j % WINDOW;
    const int column = (chunk < 4 ? channels : 2 * channels) + chunk % 4 * 8;
    const T *from = qkv + static_cast<long long>((image * p.height + y) * p.width + x) * stride + column;
    T *to = (chunk < 4 ? keys : values) + j * ROW + chunk % 4 * 8;
#pragma unroll
    for (int i = 0; i < (KEYS + STEP - 1) / STEP; i++) {
      if (KEYS % STEP != 0 && i * STEP + j >= KEYS) break;
      const bool inside = y + 2 * i < p.height && x < p.width;
      copy_16(to + i * STEP * ROW, inside ? from : padding + column, i * STEP + j < TOKENS);
      from += 2 * p.width * stride;
    }
  }
  copies_commit();
  const int lane = threadIdx.x % 32, sixteen = blockIdx.z % BLOCKS * WARPS + threadIdx.x / 32;
  uint32_t q[2][4];
  int tokens[2];
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const int j = sixteen * 16 + lane / 4 + half * 8, y = y0 + j / WINDOW, x = x0 + j % WINDOW;
    // The map's token, or -1 for padding.
    tokens[half] = j < TOKENS && y < p.height && x < p.width ? (image * p.height + y) * p.width + x : -1;
    const T *from = (tokens[half] < 0 ? padding : qkv + static_cast<long long>(tokens[half]) * stride) + lane % 4 * 2;
#pragma unroll
    for (int k = 0; k < 2; k++) {
      q[k][half] = *reinterpret_cast<const uint32_t *>(from + k * 16);
      q[k][half + 2] = *reinterpret_cast<const uint32_t *>(from + k * 16 + 8);
    }
  }
  // A warp beyond the last query works for none.
  const int mine = min(sixteen, SIXTEENS - 1);
  const uint4 *bias = static_cast<const uint4 *>(p.bias) + (head * SIXTEENS + mine) * (SIXTEENS * 32) + lane;
  const Bias<0, FIRST_PART> first(bias);
  copies_wait<0>();
  __syncthreads();
  if (sixteen >= SIXTEENS) return;
  WindowRows rows = {{-1e30f, -1e30f}, {}, {}};
  add_window(rows, q, keys, values, first, p.scale, lane);
  if constexpr (FIRST_PART < TILES) {
    static_assert(TILES > 18, "four parts hold the keys");
    add_window(rows, q, keys, values, Bias<6, 6>(bias), p.scale, lane);
    add_window(rows, q, keys, values, Bias<12, 6>(bias), p.scale, lane);
    add_window(rows, q, keys, values, Bias<18, TILES - 18>(bias), p.scale, lane);
  }
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const float factor = __fdividef(1.f, rows.total[2 * half]);
    T *to = static_cast<T *>(p.out) + static_cast<long long>(tokens[half]) * channels + head * HEAD + place_in_quad<2>(lane);
#pragma unroll
    for (int n = 0; n < 4; n += 2) {
      // Whole sectors of memory.
      uint32_t words[2] = {pack_2(rows.values[n][2 * half] * factor, rows.values[n][2 * half + 1] * factor, T()), pack_2(rows.values[n + 1][2 * half] * factor, rows.values[n + 1][2 * half + 1] * factor, T())};
      swap_in_quad(words, lane);
      if (tokens[half] >= 0) *reinterpret_cast<uint2 *>(to + n * 8) = make_uint2(words[0], words[1]);
    }
  }
}

#define WINDOWS(SUFFIX, TYPE)                                                                                                           \
  extern "C" __global__ void __launch_bounds__(128, 8) window_7_##SUFFIX(const __grid_constant__ Attention p) { begin(); attend_window<TYPE, 7, 4, 1>(p); } \
  extern "C" __global__ void __launch_bounds__(224, 4) window_14_##SUFFIX(const __grid_constant__ Attention p) { begin(); attend_window<TYPE, 14, 7, 2>(p); }
FOR_HALVES(WINDOWS)
