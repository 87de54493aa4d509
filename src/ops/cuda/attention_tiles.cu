// Attention within windows on the tensor cores, of heads of 32 channels: tokens with q, k, v of all heads one after another.

#include "attention.cuh"

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

// One window and head a block, sixteen queries a warp. The bias is [heads, WINDOW², 8·TILES] of T, very low beyond the window; it stays
// in the nearest cache from block to block.
template <typename T, int WINDOW, int TILES, int WARPS> __device__ __forceinline__ void attend_window(const Attention &p) {
  constexpr int TOKENS = WINDOW * WINDOW, KEYS = TILES * 8;
  static_assert(KEYS >= TOKENS && TILES % 2 == 0, "tiles hold the window");
  __shared__ __align__(16) T keys[KEYS * ROW], values[KEYS * ROW];
  const int set = blockIdx.x, head = blockIdx.y, channels = p.heads * HEAD;
  const T *qkv = static_cast<const T *>(p.q) + head * HEAD, *padding = static_cast<const T *>(p.padding) + head * HEAD;
  const int windows = p.window_rows * p.window_columns, image = set / windows, at = set % windows;
  const int y0 = at / p.window_columns * WINDOW, x0 = at % p.window_columns * WINDOW;
  // The map's token that is the window's token j, or -1 for padding.
  auto token_at = [&](int j) {
    const int y = y0 + j / WINDOW, x = x0 + j % WINDOW;
    return y < p.height && x < p.width ? (image * p.height + y) * p.width + x : -1;
  };
  for (int i = threadIdx.x; i < KEYS * 8; i += WARPS * 32) {
    // Eight chunks of eight numbers a token: four of its key, four of its value.
    const int j = i / 8, chunk = i % 8, token = token_at(min(j, TOKENS - 1));
    const T *from = token < 0 ? padding : qkv + token * p.q_token;
    copy_16((chunk < 4 ? keys : values) + j * ROW + chunk % 4 * 8, from + (chunk < 4 ? channels : 2 * channels) + chunk % 4 * 8, j < TOKENS);
  }
  copies_commit();
  const int lane = threadIdx.x % 32, first = (blockIdx.z * WARPS + threadIdx.x / 32) * 16;
  uint32_t q[2][4];
  int tokens[2];
  const T *bias[2];
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const int row = lane / 4 + half * 8;
    tokens[half] = first + row < TOKENS ? token_at(first + row) : -1;
    const T *from = (tokens[half] < 0 ? padding : qkv + tokens[half] * p.q_token) + lane % 4 * 2;
#pragma unroll
    for (int k = 0; k < 2; k++) {
      q[k][half] = *reinterpret_cast<const uint32_t *>(from + k * 16);
      q[k][half + 2] = *reinterpret_cast<const uint32_t *>(from + k * 16 + 8);
    }
    bias[half] = static_cast<const T *>(p.bias) + (head * TOKENS + min(first + row, TOKENS - 1)) * KEYS;
  }
  copies_wait<0>();
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
    T *to = static_cast<T *>(p.out) + static_cast<long long>(tokens[half]) * channels + head * HEAD + lane % 4 * 2;
#pragma unroll
    for (int n = 0; n < 4; n++) store_2(to + n * 8, rows.values[n][2 * half] * factor, rows.values[n][2 * half + 1] * factor);
  }
}

#define WINDOWS(SUFFIX, TYPE)                                                                                                           \
  extern "C" __global__ void __launch_bounds__(128) window_7_##SUFFIX(const __grid_constant__ Attention p) { begin(); attend_window<TYPE, 7, 8, 4>(p); } \
  extern "C" __global__ void __launch_bounds__(224) window_14_##SUFFIX(const __grid_constant__ Attention p) { begin(); attend_window<TYPE, 14, 26, 7>(p); }
FOR_HALVES(WINDOWS)
