// Attention within windows of 7×7 or 14×14 tokens on the tensor cores, of heads of 32 channels: tokens with q, k, v of all heads one after
// another, and a bias by the distance of rows and of columns.
//
// In shared memory a row of a window has 8 tokens (16), one (two) more than in the map: zeros, whose scores the bias makes very low. So no
// eight tokens cross rows, and the bias between the tokens of two rows depends on the number of rows between them alone: that of a head is
// 1 KB (7 KB), not a number for each pair of tokens (5 KB, 77 KB), and a lane finds what it needs of it side by side. Being of weights it is
// brought before the kernel waits for those before it. It lies as scores do, and is what a product with the unit matrix adds to them. A tile
// is sixteen queries: two rows of a window of 7, one of 14. Values come while scores are made.

#include "attention.cuh"

constexpr int HEAD = 32;

// Where chunk `chunk` (8 numbers) of a token lies, in numbers. Tokens have 64 bytes; their chunks change places from two tokens to the next
// two, so that the same chunk of eight tokens lies in all banks.
__device__ __forceinline__ int chunk_at(int token, int chunk) { return token * HEAD + (chunk ^ (token >> 1 & 3)) * 8; }

// What a lane holds of the 8×8 matrix with ones on its diagonal: with it a product adds what lies as scores do.
template <typename T> __device__ __forceinline__ uint32_t diagonal(int lane) {
  return pack_2(lane % 4 * 2 == lane / 4 ? 1.f : 0.f, lane % 4 * 2 + 1 == lane / 4 ? 1.f : 0.f, T());
}

// Products of the queries of TILES tiles with N eights of keys.
template <typename T, int TILES, int N> __device__ __forceinline__ void scores(float (&s)[TILES][N][4], const T *queries, const T *keys, int lane) {
  uint32_t q[TILES][2][4];
#pragma unroll
  for (int t = 0; t < TILES; t++)
#pragma unroll
    for (int k = 0; k < 2; k++) load_matrices(q[t][k], queries + t * 16 * HEAD + chunk_at(lane & 15, k * 2 + (lane >> 4)));
  const T *from = keys + chunk_at(lane & 7, lane >> 3);
#pragma unroll
  for (int n = 0; n < N; n++) {
    uint32_t k[4];
    load_matrices(k, from + n * 8 * HEAD);
#pragma unroll
    for (int t = 0; t < TILES; t++) multiply(s[t][n], q[t][0], k[0], k[1], T());
#pragma unroll
    for (int t = 0; t < TILES; t++) multiply_add(s[t][n], q[t][1], k[2], k[3], T());
  }
}

// What a lane has of TILES tiles: of both its queries the greatest score so far; weighted values and sums of weights.
template <int TILES> struct Sums {
  float most[TILES][2], out[TILES][4][4], total[TILES][4];
};

// Adds N eights of values, by scores that are yet to be multiplied by `scale`, the logarithm's base included. FIRST: to nothing.
template <bool FIRST, typename T, int TILES, int N>
__device__ __forceinline__ void add_values(Sums<TILES> &sums, const float (&s)[TILES][N][4], const T *values, float scale, int lane) {
  float least[TILES][2];
#pragma unroll
  for (int t = 0; t < TILES; t++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float most = fmaxf(s[t][0][2 * half], s[t][0][2 * half + 1]);
#pragma unroll
      for (int n = 1; n < N; n++) most = fmaxf(most, fmaxf(s[t][n][2 * half], s[t][n][2 * half + 1]));
      // The four threads of a row agree on its maximum.
      most = fmaxf(most, __shfl_xor_sync(ALL_LANES, most, 1));
      most = fmaxf(most, __shfl_xor_sync(ALL_LANES, most, 2));
      if constexpr (!FIRST) {
        most = fmaxf(most, sums.most[t][half]);
        const float c = power_of_two((sums.most[t][half] - most) * scale);
#pragma unroll
        for (int i = 0; i < 4; i++) sums.out[t][i][2 * half] *= c, sums.out[t][i][2 * half + 1] *= c;
        sums.total[t][2 * half] *= c;
        sums.most[t][half] = most;
      }
      least[t][half] = -most * scale;
    }
  auto pair = [&](int t, int n, int half) {
    return pack_2(power_of_two(fmaf(s[t][n][2 * half], scale, least[t][half])), power_of_two(fmaf(s[t][n][2 * half + 1], scale, least[t][half])), T());
  };
  const uint32_t ones = pack_2(1.f, 1.f, T());
  const T *first = values + chunk_at(lane & 15, lane >> 4), *second = values + chunk_at(lane & 15, 2 + (lane >> 4));
#pragma unroll
  for (int n = 0; n + 1 < N; n += 2) {
    uint32_t v[2][4];
    load_matrices_transposed(v[0], first + n * 8 * HEAD);
    load_matrices_transposed(v[1], second + n * 8 * HEAD);
#pragma unroll
    for (int t = 0; t < TILES; t++) {
      const uint32_t weights[4] = {pair(t, n, 0), pair(t, n, 1), pair(t, n + 1, 0), pair(t, n + 1, 1)};
#pragma unroll
      for (int i = 0; i < 4; i++) multiply_add(sums.out[t][i], weights, v[i / 2][i % 2 * 2], v[i / 2][i % 2 * 2 + 1], T());
      multiply_add(sums.total[t], weights, ones, ones, T());
    }
  }
  if constexpr (N % 2 != 0) {
    constexpr int n = N - 1;
    uint32_t v[4];
    load_matrices_transposed(v, values + n * 8 * HEAD + chunk_at(lane & 7, lane >> 3));
#pragma unroll
    for (int t = 0; t < TILES; t++) {
      const uint32_t weights[2] = {pair(t, n, 0), pair(t, n, 1)};
#pragma unroll
      for (int i = 0; i < 4; i++) multiply_add(sums.out[t][i], weights, v[i], T());
      multiply_add(sums.total[t], weights, ones, T());
    }
  }
}

// Writes a lane's part of the results of query lane / 4 of a tile, and of that eight further, where `written` says so: whole sectors of memory.
template <typename T> __device__ __forceinline__ void write(const float (&out)[4][4], const float (&total)[4], T *const (&to)[2], const bool (&written)[2], int lane) {
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const float factor = __fdividef(1.f, total[2 * half]);
#pragma unroll
    for (int i = 0; i < 4; i += 2) {
      uint32_t words[2] = {pack_2(out[i][2 * half] * factor, out[i][2 * half + 1] * factor, T()), pack_2(out[i + 1][2 * half] * factor, out[i + 1][2 * half + 1] * factor, T())};
      swap_in_quad(words, lane);
      if (written[half]) *reinterpret_cast<uint2 *>(to[half] + i * 8 + place_in_quad<2>(lane)) = make_uint2(words[0], words[1]);
    }
  }
}

constexpr float LOG2_E = 1.4426950408889634f;

// A window and two heads a block, a head a warp, which makes two tiles at a time. Both warps bring both heads' tokens, pieces of 128 bytes. The bias is of T,
// as attention.rs lays it out: [heads, 8 distances of rows, 32 lanes, 2].
template <typename T> __device__ __forceinline__ void attend_7(const Attention &p) {
  constexpr int ROWS = 7, PART = ROWS * 8 * HEAD;
  // Of each head queries, keys, values. The last tile's second row of queries, which is none, is the first of the keys.
  __shared__ __align__(128) T tokens[2 * 3 * PART];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, head = blockIdx.y * 2 + warp, channels = p.heads * HEAD;
  const int y0 = blockIdx.x / p.window_columns * ROWS, x0 = blockIdx.x % p.window_columns * ROWS, image = blockIdx.z;
  // Of the distances that a pass over two tiles, four rows of queries, needs: -6 to 3, later -2 to 7.
  uint32_t bias[ROWS + 3];
  const uint32_t *table = static_cast<const uint32_t *>(p.bias) + min(head, p.heads - 1) * 8 * 32 + lane;
#pragma unroll
  for (int i = 0; i < ROWS + 3; i++) bias[i] = table[abs(i - ROWS + 1) * 32];
  // A lane brings a chunk of a head's tokens of one column.
  const int column = warp * 4 + lane / 8, second = lane / 4 % 2, at = (blockIdx.y * 2 + second) * HEAD + lane % 4 * 8;
  const bool brings = column < ROWS && blockIdx.y * 2 + second < p.heads, inside = x0 + column < p.width;
  const T *padding = static_cast<const T *>(p.padding) + at;
  const T *from = static_cast<const T *>(p.q) + (static_cast<long long>(image * p.height + y0) * p.width + x0 + column) * p.q_token + at;
  const T *rows[ROWS];
#pragma unroll
  for (int i = 0; i < ROWS; i++) {
    rows[i] = inside && y0 + i < p.height ? from : padding;
    from += p.width * p.q_token;
  }
  T *to = tokens + second * 3 * PART + chunk_at(column, lane % 4);
  begin();
#pragma unroll
  for (int part = 0; part < 3; part++) {
#pragma unroll
    for (int i = 0; i < ROWS; i++) copy_16(to + part * PART + i * 8 * HEAD, rows[i] + part * channels, brings);
    if (part > 0) copies_commit();
  }
  const T *queries = tokens + warp * 3 * PART;
  const uint32_t one = diagonal<T>(lane);
  const int x = x0 + lane / 4;
  const bool here = lane / 4 < ROWS && x < p.width && head < p.heads;
  copies_wait<1>();
  __syncthreads();
#pragma unroll 1
  for (int row = 0; row < 8; row += 4) {
    float s[2][ROWS][4];
    scores(s, queries + row * 8 * HEAD, queries + PART, lane);
#pragma unroll
    for (int t = 0; t < 2; t++)
#pragma unroll
      for (int i = 0; i < ROWS; i++) {
        const uint32_t two[2] = {bias[t * 2 - i + ROWS - 1], bias[t * 2 + 1 - i + ROWS - 1]};
        multiply_add(s[t][i], two, one, T());
      }
    if (row == 0) {
#pragma unroll
      for (int i = 0; i < ROWS + 3; i++) bias[i] = table[abs(i - ROWS + 5) * 32];
      copies_wait<0>();
      __syncthreads();
    }
    Sums<2> sums = {};
    add_values<true>(sums, s, queries + 2 * PART, p.scale * LOG2_E, lane);
#pragma unroll
    for (int t = 0; t < 2; t++) {
      const int own = row + t * 2;
      T *to = static_cast<T *>(p.out) + (static_cast<long long>(image * p.height + y0 + own) * p.width + x) * channels + head * HEAD;
      T *const both[2] = {to, to + p.width * channels};
      const bool written[2] = {here && y0 + own < p.height, here && own + 1 < ROWS && y0 + own + 1 < p.height};
      write(sums.out[t], sums.total[t], both, written, lane);
    }
  }
}

// A window and a head of every gridDim.z-th image a block, a row of queries a warp: the bias is brought once, the next image's tokens while
// this one's are worked on. The bias is of T: [heads, 14 distances of rows, 32 lanes, both eights of a row of keys, 4].
template <typename T> __device__ __forceinline__ void attend_14(const Attention &p) {
  constexpr int ROWS = 14, PART = ROWS * 16 * HEAD, DISTANCE = 32 * 8;
  extern __shared__ __align__(128) unsigned char shared[];
  // From the distance -13 to 13, so that what a warp needs lies one after another; then queries, keys and values of an image or, where there
  // are more, of two.
  T *const bias = reinterpret_cast<T *>(shared), *const tokens = bias + (2 * ROWS - 1) * DISTANCE;
  const int lane = threadIdx.x % 32, row = threadIdx.x / 32, head = blockIdx.y, channels = p.heads * HEAD;
  const int y = blockIdx.x / p.window_columns * ROWS + row, x = blockIdx.x % p.window_columns * ROWS + lane / 4;
#pragma unroll
  for (int sign = -1; sign < 2; sign += 2)
    if (sign > 0 || row > 0) copy_16(bias + (ROWS - 1 + sign * row) * DISTANCE + lane * 8, static_cast<const T *>(p.bias) + (head * ROWS + row) * DISTANCE + lane * 8, true);
  // A lane brings chunk lane % 4 of tokens lane / 4 and eight further of its warp's row.
  const int map = p.height * p.width, token = y * p.width + x, stride = static_cast<int>(p.q_token), to = chunk_at(row * 16 + lane / 4, lane % 4);
  const T *from[2];
  bool inside[2];
#pragma unroll
  for (int j = 0; j < 2; j++) {
    inside[j] = y < p.height && x + j * 8 < p.width;
    from[j] = (inside[j] ? static_cast<const T *>(p.q) + static_cast<long long>(token + j * 8) * stride : static_cast<const T *>(p.padding)) + head * HEAD + lane % 4 * 8;
  }
  auto bring = [&](int image, T *into) {
    const long long step = static_cast<long long>(image) * map * stride;
#pragma unroll
    for (int part = 0; part < 3; part++) {
#pragma unroll
      for (int j = 0; j < 2; j++) copy_16(into + part * PART + to + j * 8 * HEAD, from[j] + (inside[j] ? step : 0) + part * channels, lane / 4 + j * 8 < ROWS);
      if (part > 0) copies_commit();
    }
  };
  const uint32_t one = diagonal<T>(lane);
  begin();
  T *here = tokens;
  bring(blockIdx.z, here);
  for (int image = blockIdx.z; image < p.batch; image += gridDim.z) {
    // What comes before this image's values.
    copies_wait<1>();
    __syncthreads();
    T *const next = here == tokens ? tokens + 3 * PART : tokens;
    if (image + static_cast<int>(gridDim.z) < p.batch) bring(image + gridDim.z, next);
    else copies_commit(), copies_commit();
    Sums<1> sums = {{{-1e30f, -1e30f}}, {}, {}};
    // Half of the rows of keys at a time.
#pragma unroll 1
    for (int first = 0; first < ROWS; first += ROWS / 2) {
      float s[1][ROWS][4];
      scores(s, here + row * 16 * HEAD, here + PART + first * 16 * HEAD, lane);
      const T *own = bias + (ROWS - 1 + row - first) * DISTANCE + lane * 8;
#pragma unroll
      for (int i = 0; i < ROWS / 2; i++) {
        const uint4 b = *reinterpret_cast<const uint4 *>(own - i * DISTANCE);
        const uint32_t near[2] = {b.x, b.y}, far[2] = {b.z, b.w};
        multiply_add(s[0][2 * i], near, one, T());
        multiply_add(s[0][2 * i + 1], far, one, T());
      }
      if (first == 0) {
        // The values, not what was asked for since.
        copies_wait<2>();
        __syncthreads();
      }
      add_values<false>(sums, s, here + 2 * PART + first * 16 * HEAD, p.scale * LOG2_E, lane);
    }
    T *at = static_cast<T *>(p.out) + static_cast<long long>(image * map + token) * channels + head * HEAD;
    T *const both[2] = {at, at + 8 * channels};
    const bool written[2] = {y < p.height && x < p.width, y < p.height && lane / 4 + 8 < ROWS && x + 8 < p.width};
    write(sums.out[0], sums.total[0], both, written, lane);
    here = next;
  }
}

#define WINDOWS(SUFFIX, TYPE)                                                                                                           \
  extern "C" __global__ void __launch_bounds__(64, 8) window_7_##SUFFIX(const __grid_constant__ Attention p) { attend_7<TYPE>(p); }      \
  extern "C" __global__ void __launch_bounds__(448, 1) window_14_##SUFFIX(const __grid_constant__ Attention p) { attend_14<TYPE>(p); }
FOR_HALVES(WINDOWS)
