// The second half of a transformer's block, x + W·GELU(V·LayerNorm(x) + v) + w, as one kernel, so that the wide rows in between stay on the chip. Compute
// capability 9.0; compiled for other targets the kernels are there, and do nothing.
//
// A block of two warpgroups has 64 or 128 rows. It normalises them into shared memory, and then takes the hidden numbers 64 at a time: products of the rows by
// 64 rows of V, GELU in registers, where sums lie as the second product wants its left matrix, and that added to the sums of all output channels. With 128 rows
// each warpgroup has half of the rows; with 64 each has every other 64 hidden numbers, and the sums of both meet in the end.

#include "gemm_tiles.cuh"

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#include "wgmma.cuh"

// Hidden numbers that a warpgroup takes at once, as many channels as a swizzled tile's row has, and the most hidden numbers.
constexpr int PIECE = 64, TILE_CHANNELS = 64, MOST_HIDDEN = 640;
#endif

constexpr int THREADS = 256;

struct NormedMlp {
  // [rows, C]; scale and shift of the normalisation; [hidden, C] and its bias.
  const void *input;
  const float *scale, *shift;
  const void *expand;
  const float *expand_bias;
  int hidden;
  float eps;
};

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
// Where chunk `chunk` (of eight numbers) of a row of a swizzled tile lies.
__device__ __forceinline__ int swizzled(int row, int chunk) { return row * TILE_CHANNELS + (chunk ^ (row & 7)) * 8; }

// Normalises rows into tiles of 64 channels, a row a warp, four at a time; zeros for rows beyond the last.
template <typename T, int C, int ROWS> __device__ __forceinline__ void normalise_rows(T *tiles, const NormedMlp &m, const float (&scale)[8], const float (&shift)[8], int row0, int rows) {
  constexpr int CHUNKS = C / 8, WARPS = THREADS / 32, AT_ONCE = 4;
  static_assert(CHUNKS <= 32 && ROWS % (WARPS * AT_ONCE) == 0, "a lane has a chunk, and warps whole rows");
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll 1
  for (int first = warp * AT_ONCE; first < ROWS; first += WARPS * AT_ONCE) {
    float v[AT_ONCE][8] = {};
#pragma unroll
    for (int i = 0; i < AT_ONCE; i++)
      if (row0 + first + i < rows && lane < CHUNKS) load_8(static_cast<const T *>(m.input) + static_cast<long long>(row0 + first + i) * C + lane * 8, v[i]);
#pragma unroll
    for (int i = 0; i < AT_ONCE; i++) {
      float sum = 0.f, squares = 0.f;
#pragma unroll
      for (int j = 0; j < 8; j++) sum += v[i][j];
      const float mean = warp_sum(sum) / C;
#pragma unroll
      for (int j = 0; j < 8; j++) squares += lane < CHUNKS ? (v[i][j] - mean) * (v[i][j] - mean) : 0.f;
      const float factor = rsqrtf(warp_sum(squares) / C + m.eps);
#pragma unroll
      for (int j = 0; j < 8; j++) v[i][j] = row0 + first + i < rows ? (v[i][j] - mean) * factor * scale[j] + shift[j] : 0.f;
      if (lane < CHUNKS) store_8(tiles + lane / 8 * ROWS * TILE_CHANNELS + swizzled(first + i, lane % 8), v[i]);
    }
  }
}
#endif

// `p` is the second product, its input left out.
template <typename T, int C, int ROW_GROUPS, int STAGES> __device__ __forceinline__ void normed_mlp(const NormedMlp &m, const Product &p) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  // Pieces of hidden numbers that are taken at once, rows, tiles of channels; numbers of a piece's weights.
  constexpr int PIECES = 2 / ROW_GROUPS, ROWS = 64 * ROW_GROUPS, TILES = (C + TILE_CHANNELS - 1) / TILE_CHANNELS;
  constexpr int EXPAND = TILES * PIECE * TILE_CHANNELS, WEIGHTS = EXPAND + C * PIECE, STEP = PIECES * WEIGHTS, N = C / 8;
  static_assert(C * 8 % THREADS == 0 && C % 16 == 0, "threads share weights evenly");
  extern __shared__ unsigned char memory[];
  __shared__ __align__(16) float hidden_bias[MOST_HIDDEN], bias[C];
  T *input = reinterpret_cast<T *>(memory + (1024 - shared_address(memory) % 1024) % 1024), *weights = input + TILES * ROWS * TILE_CHANNELS;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, group = warp / 4, row_group = group / PIECES, own = group % PIECES, row0 = blockIdx.x * ROWS;
  const int steps = m.hidden / (PIECE * PIECES);
  auto bring = [&](int step, int stage) {
#pragma unroll
    for (int piece = 0; piece < PIECES; piece++) {
      T *to = weights + stage * STEP + piece * WEIGHTS;
      const int first = (step * PIECES + piece) * PIECE;
      const T *expand = static_cast<const T *>(m.expand) + static_cast<long long>(first) * C, *project = static_cast<const T *>(p.weight) + first;
#pragma unroll
      for (int i = 0; i < C * 8 / THREADS; i++) {
        const int at = threadIdx.x + i * THREADS, row = at / (C / 8), chunk = at % (C / 8);
        copy_16(to + chunk / 8 * PIECE * TILE_CHANNELS + swizzled(row, chunk % 8), expand + at * 8, true);
      }
#pragma unroll
      for (int i = 0; i < C * 8 / THREADS; i++) {
        const int at = threadIdx.x + i * THREADS, row = at / 8;
        copy_16(to + EXPAND + swizzled(row, at % 8), project + static_cast<long long>(row) * m.hidden + at % 8 * 8, true);
      }
    }
  };
  // Weights are there before the kernels before are done.
#pragma unroll
  for (int s = 0; s < STAGES - 1; s++) {
    if (s < steps) bring(s, s);
    copies_commit();
  }
  float scale[8] = {}, shift[8] = {};
  if (lane < C / 8) load_8(m.scale + lane * 8, scale), load_8(m.shift + lane * 8, shift);
  for (int i = threadIdx.x; i < m.hidden; i += THREADS) hidden_bias[i] = m.expand_bias ? m.expand_bias[i] : 0.f;
  for (int i = threadIdx.x; i < C; i += THREADS) bias[i] = p.bias ? p.bias[i] : 0.f;
  begin();
  normalise_rows<T, C, ROWS>(input, m, scale, shift, row0, p.rows);

  float sums[1][N][4] = {};
#pragma unroll 1
  for (int step = 0; step < steps; step++) {
    copies_wait<STAGES - 2>();
    publish_shared();
    products_wait<0>();
    settle(sums[0]);
    __syncthreads();
    // To the place of the step before, whose products are done.
    if (step + STAGES - 1 < steps) bring(step + STAGES - 1, (step + STAGES - 1) % STAGES);
    copies_commit();
    const T *of = weights + step % STAGES * STEP + own * WEIGHTS;
    const unsigned rows = shared_address(input + row_group * 64 * TILE_CHANNELS), expand = shared_address(of), project = shared_address(of + EXPAND);
    float wide[PIECE / 8][4];
#pragma unroll
    for (int n = 0; n < PIECE / 8; n++) {
      const float2 b = load_2(hidden_bias + (step * PIECES + own) * PIECE + n * 8 + lane % 4 * 2);
      wide[n][0] = wide[n][2] = b.x, wide[n][1] = wide[n][3] = b.y;
    }
    settle(wide);
    products_begin();
#pragma unroll
    for (int k = 0; k < C; k += 16)
      multiply_add_tiles(wide, tile_descriptor(rows + (k / TILE_CHANNELS * ROWS * TILE_CHANNELS + k % TILE_CHANNELS) * 2), tile_descriptor(expand + (k / TILE_CHANNELS * PIECE * TILE_CHANNELS + k % TILE_CHANNELS) * 2), T());
    products_commit();
    products_wait<0>();
    settle(wide);
    uint32_t left[PIECE / 16][4];
#pragma unroll
    for (int n = 0; n < PIECE / 8; n++)
#pragma unroll
      for (int half = 0; half < 2; half++) left[n / 2][n % 2 * 2 + half] = pack_2(gelu_16(wide[n][half * 2]), gelu_16(wide[n][half * 2 + 1]), T());
    products_begin();
#pragma unroll
    for (int k = 0; k < PIECE / 16; k++) multiply_add_rows(sums[0], left[k], tile_descriptor(project + k * 32), T());
    products_commit();
  }
  products_wait<0>();
  settle(sums[0]);
  const RowsFrom rows{row0 + row_group * 64 + warp % 4 * 16};
  if constexpr (PIECES == 1) {
    finish_sums<T>(p, sums, bias, rows, 0, lane);
    store_sums<T>(p, sums, rows, 0, lane);
  } else {
    // Each warpgroup finishes half of the columns; the other's sums of these come by way of the weights' memory.
    constexpr int HALF = N / 2;
    float *exchange = reinterpret_cast<float *>(weights) + threadIdx.x % 128, half[1][HALF][4];
    __syncthreads();
#pragma unroll
    for (int n = 0; n < HALF; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) {
        exchange[(own * HALF * 4 + n * 4 + i) * 128] = own ? sums[0][n][i] : sums[0][HALF + n][i];
        half[0][n][i] = own ? sums[0][HALF + n][i] : sums[0][n][i];
      }
    __syncthreads();
#pragma unroll
    for (int n = 0; n < HALF; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) half[0][n][i] += exchange[((1 - own) * HALF * 4 + n * 4 + i) * 128];
    finish_sums<T>(p, half, bias + own * (C / 2), rows, own * (C / 2), lane);
    store_sums<T>(p, half, rows, own * (C / 2), lane);
  }
#endif
}

// The table of kernels in normed_mlp.rs has the same numbers.
#define MLP(SUFFIX, TYPE, C, ROW_GROUPS, ROWS, STAGES)                                                                                  \
  extern "C" __global__ void __launch_bounds__(THREADS) normed_mlp_##C##_##ROWS##_##SUFFIX(const __grid_constant__ Product p, const __grid_constant__ NormedMlp m) { normed_mlp<TYPE, C, ROW_GROUPS, STAGES>(m, p); }
#define MLPS(SUFFIX, TYPE)                                                                                                              \
  MLP(SUFFIX, TYPE, 128, 1, 64, 3)                                                                                                      \
  MLP(SUFFIX, TYPE, 128, 2, 128, 3)                                                                                                     \
  MLP(SUFFIX, TYPE, 160, 1, 64, 2)                                                                                                      \
  MLP(SUFFIX, TYPE, 160, 2, 128, 3)
FOR_HALVES(MLPS)
