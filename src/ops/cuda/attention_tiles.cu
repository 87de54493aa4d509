// Attention on the tensor cores, of heads of 32 channels: within windows, and among tokens.

#include "attention.cuh"

constexpr int HEAD = 32, ROW = HEAD + 8;
constexpr float LOG2_E = 1.4426950408889634f;

// ---- windows: tokens with q, k, v of all heads one after another

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

// ---- any tokens

// Sixteen queries of a warp: the running maximum, sum and weighted values of the two rows a thread has a part in.
struct Rows {
  float most[2], total[2];
  float values[4][4];
};

// Keys in shared memory at a time, queries of a block (two warps' sixteen), and warps that share their keys.
constexpr int MOST_KEYS = 512, QUERIES = 32, SHARERS = 4;

// Adds up to 64 keys, sixteen a step, of which the first `valid` count; at least one does in each of the `steps`.
template <typename T> __device__ __forceinline__ void add_steps(Rows &rows, const uint32_t (&q)[2][4], const T *keys, const T *values, int steps, int valid, float scale, int lane) {
  float s[8][4];
  float most[2] = {rows.most[0], rows.most[1]};
#pragma unroll
  for (int n = 0; n < 8; n++) {
    s[n][0] = s[n][1] = s[n][2] = s[n][3] = 0.f;
    if (n / 2 < steps) {
      uint32_t k[4];
      load_matrices(k, keys + (n * 8 + (lane & 7)) * ROW + (lane >> 3) * 8);
      multiply_add(s[n], q[0], k[0], k[1], T());
      multiply_add(s[n], q[1], k[2], k[3], T());
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
      s[n][i] = n * 8 + lane % 4 * 2 + i % 2 < valid ? s[n][i] * scale : -1e30f;
      most[i / 2] = fmaxf(most[i / 2], s[n][i]);
    }
  }
#pragma unroll
  for (int half = 0; half < 2; half++) {
    // The four threads of a row agree on its maximum.
    most[half] = fmaxf(most[half], __shfl_xor_sync(ALL_LANES, most[half], 1));
    most[half] = fmaxf(most[half], __shfl_xor_sync(ALL_LANES, most[half], 2));
    const float c = __expf(rows.most[half] - most[half]);
    rows.most[half] = most[half], rows.total[half] *= c;
#pragma unroll
    for (int n = 0; n < 4; n++) rows.values[n][2 * half] *= c, rows.values[n][2 * half + 1] *= c;
  }
#pragma unroll
  for (int n = 0; n < 8; n++)
#pragma unroll
    for (int i = 0; i < 4; i++) {
      s[n][i] = __expf(s[n][i] - most[i / 2]);
      rows.total[i / 2] += s[n][i];
    }
#pragma unroll
  for (int n = 0; n < 4; n++) {
    if (n >= steps) break;
    const uint32_t weights[4] = {pack_2(s[2 * n][0], s[2 * n][1], T()), pack_2(s[2 * n][2], s[2 * n][3], T()), pack_2(s[2 * n + 1][0], s[2 * n + 1][1], T()), pack_2(s[2 * n + 1][2], s[2 * n + 1][3], T())};
#pragma unroll
    for (int half = 0; half < 2; half++) {
      uint32_t v[4];
      load_matrices_transposed(v, values + (n * 16 + (lane & 15)) * ROW + half * 16 + (lane >> 4) * 8);
      multiply_add(rows.values[2 * half], weights, v[0], v[1], T());
      multiply_add(rows.values[2 * half + 1], weights, v[2], v[3], T());
    }
  }
}

// A block makes QUERIES of a head. Shared memory holds the keys and values of a pass, then each warp's part of the result.
template <typename T> __device__ __forceinline__ void attend_tiles(const Attention &p) {
  extern __shared__ __align__(16) unsigned char memory[];
  constexpr int OUT_ROW = HEAD + 2;
  const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32, group = warp / SHARERS, sharer = warp % SHARERS;
  const int head = blockIdx.y, set = blockIdx.z, first = blockIdx.x * QUERIES + group * 16;
  const int room = min(MOST_KEYS, (p.keys + 15) / 16 * 16);
  T *keys = reinterpret_cast<T *>(memory), *values = keys + room * ROW;
  const T *from_k = static_cast<const T *>(p.k) + set * p.k_batch + head * HEAD, *from_v = static_cast<const T *>(p.v) + set * p.v_batch + head * HEAD;
  uint32_t q[2][4];
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const int query = min(first + lane / 4 + half * 8, p.queries - 1);
    const T *from = static_cast<const T *>(p.q) + set * p.q_batch + query * p.q_token + head * HEAD + lane % 4 * 2;
#pragma unroll
    for (int k = 0; k < 2; k++) {
      q[k][half] = *reinterpret_cast<const uint32_t *>(from + k * 16);
      q[k][half + 2] = *reinterpret_cast<const uint32_t *>(from + k * 16 + 8);
    }
  }
  Rows rows = {{-1e30f, -1e30f}, {0.f, 0.f}, {}};
  for (int base = 0; base < p.keys; base += MOST_KEYS) {
    const int count = min(MOST_KEYS, p.keys - base), steps = (count + 15) / 16;
    for (int i = thread; i < steps * 16 * 8; i += blockDim.x) {
      // Four chunks of a key and four of its value.
      const int j = i / 8, chunk = i % 8;
      const long long at = base + min(j, count - 1);
      const T *from = chunk < 4 ? from_k + at * p.k_token : from_v + at * p.v_token;
      copy_16((chunk < 4 ? keys : values) + j * ROW + chunk % 4 * 8, from + chunk % 4 * 8, j < count);
    }
    copies_commit();
    copies_wait<0>();
    __syncthreads();
    const int each = (steps + SHARERS - 1) / SHARERS, last = min(steps, (sharer + 1) * each);
    for (int s = sharer * each; s < last; s += 4)
      add_steps(rows, q, keys + s * 16 * ROW, values + s * 16 * ROW, min(4, last - s), min(count, last * 16) - s * 16, p.scale, lane);
    __syncthreads();
  }
  float *parts = reinterpret_cast<float *>(memory);
#pragma unroll
  for (int half = 0; half < 2; half++) {
    float total = rows.total[half];
    total += __shfl_xor_sync(ALL_LANES, total, 1);
    total += __shfl_xor_sync(ALL_LANES, total, 2);
    float *part = parts + (warp * 16 + lane / 4 + half * 8) * OUT_ROW;
#pragma unroll
    for (int n = 0; n < 4; n++) store_2(part + n * 8 + lane % 4 * 2, rows.values[n][2 * half], rows.values[n][2 * half + 1]);
    if (lane % 4 == 0) part[HEAD] = rows.most[half], part[HEAD + 1] = total;
  }
  __syncthreads();
  // Each thread puts four channels of a query together.
  const int row = thread / 8 % 16, column = thread % 8 * 4, query = blockIdx.x * QUERIES + thread / 128 * 16 + row;
  if (query >= p.queries) return;
  const float *part = parts + (thread / 128 * SHARERS * 16 + row) * OUT_ROW;
  float most = -1e30f, total = 0.f, sums[4] = {};
#pragma unroll
  for (int i = 0; i < SHARERS; i++) most = fmaxf(most, part[i * 16 * OUT_ROW + HEAD]);
#pragma unroll
  for (int i = 0; i < SHARERS; i++) {
    const float *one = part + i * 16 * OUT_ROW;
    const float factor = __expf(one[HEAD] - most);
    total = fmaf(factor, one[HEAD + 1], total);
#pragma unroll
    for (int c = 0; c < 4; c++) sums[c] = fmaf(factor, one[column + c], sums[c]);
  }
#pragma unroll
  for (int c = 0; c < 4; c++) sums[c] /= total;
  store_4(static_cast<T *>(p.out) + (static_cast<long long>(set) * p.queries + query) * p.heads * HEAD + head * HEAD + column, sums);
}

#define WINDOWS(SUFFIX, TYPE)                                                                                                           \
  extern "C" __global__ void __launch_bounds__(128, 8) window_7_##SUFFIX(const __grid_constant__ Attention p) { begin(); attend_window<TYPE, 7, 4, 1>(p); } \
  extern "C" __global__ void __launch_bounds__(224, 4) window_14_##SUFFIX(const __grid_constant__ Attention p) { begin(); attend_window<TYPE, 14, 7, 2>(p); }
FOR_HALVES(WINDOWS)

#define TILES(SUFFIX, TYPE)                                                                                                             \
  extern "C" __global__ void __launch_bounds__(256) attend_tiles_32_##SUFFIX(const __grid_constant__ Attention p) { begin(); attend_tiles<TYPE>(p); }
FOR_HALVES(TILES)
