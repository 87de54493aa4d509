// Matrix products and convolutions of 16-bit numbers on the tensor cores, sums in f32.
//
// Tiles of both matrices go through shared memory by asynchronous copies, several steps ahead of the products. A convolution
// is the same product whose left matrix is gathered from the map on the way (implicit im2col).

#include "gemm_tiles.cuh"

// Numbers of padding after each row of a tile, so that the eight rows of a fragment lie in different banks.
constexpr int SKEW = 8;

// BM×BN tile of the output a block; a warp makes WM×WN of it; k goes by BK; STAGES tiles are in shared memory.
template <typename T, bool CONV, int VEC, int BM, int BN, int WM, int WN, int BK, int STAGES>
__device__ __forceinline__ void product(const Product &p) {
  constexpr int THREADS = (BM / WM) * (BN / WN) * 32, ROW = BK + SKEW;
  static_assert(WM % 16 == 0 && WN % 16 == 0, "tiles of fragments");
  extern __shared__ __align__(16) unsigned char memory[];
  __shared__ __align__(16) float bias[BN];
  T *a_tiles = reinterpret_cast<T *>(memory), *b_tiles = a_tiles + STAGES * BM * ROW;
  const int thread = threadIdx.x, row0 = blockIdx.x * BM, column0 = blockIdx.y * BN;
  Feeder<T, CONV, VEC, BM, BN, BK, ROW, THREADS> feeder(p, row0, column0);
  const int place = feeder.place(feeder.chunk);
  auto bring_input = [&](int stage) { feeder.bring_input(a_tiles + stage * BM * ROW + place); };
  auto bring_weights = [&](int stage) { feeder.bring_weights(b_tiles + stage * BN * ROW + place); };

  const int steps = (p.inner + BK - 1) / BK;
  // Weights are there before the kernels before are done.
#pragma unroll
  for (int s = 0; s < STAGES - 1; s++)
    if (s < steps) bring_weights(s);
  // Read after the barriers of the steps.
  bring_bias(p, bias, column0);
  begin();
#pragma unroll
  for (int s = 0; s < STAGES - 1; s++) {
    if (s < steps) bring_input(s);
    copies_commit();
  }

  const int warp = thread / 32, lane = thread % 32;
  const int m0 = warp / (BN / WN) * WM, n0 = warp % (BN / WN) * WN;
  constexpr int M = WM / 16, N = WN / 8;
  float sums[M][N][4];
#pragma unroll
  for (int m = 0; m < M; m++)
#pragma unroll
    for (int n = 0; n < N; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) sums[m][n][i] = 0.f;

  // The stage whose tiles are multiplied.
  int at = 0;
  for (int step = 0; step < steps; step++) {
    copies_wait<STAGES - 2>();
    __syncthreads();
    // The tile that is overwritten was used in the step before, which all threads have left.
    if (step + STAGES - 1 < steps) {
      const int next = at == 0 ? STAGES - 1 : at - 1;
      bring_input(next), bring_weights(next);
    }
    copies_commit();
    const T *a = a_tiles + at * BM * ROW, *b = b_tiles + at * BN * ROW;
    at = at + 1 == STAGES ? 0 : at + 1;
    // The fragments of the next sixteen numbers of k are read while those of these are multiplied.
    uint32_t left[2][M][4], right[2][N / 2][4];
    auto read = [&](int slot, int kk) {
#pragma unroll
      for (int m = 0; m < M; m++) load_matrices(left[slot][m], a + (m0 + m * 16 + (lane & 15)) * ROW + kk + (lane >> 4) * 8);
#pragma unroll
      for (int n = 0; n < N / 2; n++) load_matrices(right[slot][n], b + (n0 + n * 16 + (lane & 7) + (lane >> 4) * 8) * ROW + kk + ((lane >> 3) & 1) * 8);
    };
    read(0, 0);
#pragma unroll
    for (int kk = 0; kk < BK; kk += 16) {
      const int slot = kk / 16 % 2;
      if (kk + 16 < BK) read(1 - slot, kk + 16);
#pragma unroll
      for (int n = 0; n < N / 2; n++)
#pragma unroll
        for (int m = 0; m < M; m++) {
          multiply_add(sums[m][2 * n], left[slot][m], right[slot][n][0], right[slot][n][1], T());
          multiply_add(sums[m][2 * n + 1], left[slot][m], right[slot][n][2], right[slot][n][3], T());
        }
    }
  }

  finish_sums<T>(p, sums, bias + n0, RowsFrom{row0 + m0}, column0 + n0, lane);
  store_sums<T>(p, sums, RowsFrom{row0 + m0}, column0 + n0, lane);
}

// Shared memory of a tile in bytes: STAGES · (BM + BN) · (BK + SKEW) · 2. The table of tiles in tiles.rs has the same numbers.
#define TILE(NAME, TYPE, SUFFIX, CONV, VEC, BM, BN, WM, WN, BK, STAGES)                                                                 \
  extern "C" __global__ void __launch_bounds__((BM / WM) * (BN / WN) * 32) NAME##_##SUFFIX(const __grid_constant__ Product p) { \
    product<TYPE, CONV, VEC, BM, BN, WM, WN, BK, STAGES>(p);                                                                            \
  }
#define TILES(SUFFIX, TYPE)                                                                                                             \
  TILE(linear_128x128, TYPE, SUFFIX, false, 8, 128, 128, 64, 32, 32, 3)                                                                 \
  TILE(linear_128x64, TYPE, SUFFIX, false, 8, 128, 64, 32, 32, 32, 4)                                                                   \
  TILE(linear_64x64, TYPE, SUFFIX, false, 8, 64, 64, 32, 32, 32, 4)                                                                     \
  TILE(linear_32x64, TYPE, SUFFIX, false, 8, 32, 64, 16, 32, 64, 3)                                                                     \
  TILE(linear_32x32, TYPE, SUFFIX, false, 8, 32, 32, 16, 16, 64, 4)                                                                     \
  TILE(linear_128x32, TYPE, SUFFIX, false, 8, 128, 32, 32, 32, 32, 3)                                                                   \
  TILE(linear_any, TYPE, SUFFIX, false, 1, 64, 64, 32, 32, 32, 2)                                                                       \
  TILE(conv_128x128, TYPE, SUFFIX, true, 8, 128, 128, 64, 32, 32, 3)                                                                    \
  TILE(conv_128x64, TYPE, SUFFIX, true, 8, 128, 64, 32, 32, 32, 4)                                                                      \
  TILE(conv_64x64, TYPE, SUFFIX, true, 8, 64, 64, 32, 32, 32, 4)                                                                        \
  TILE(conv_32x64, TYPE, SUFFIX, true, 8, 32, 64, 16, 32, 64, 3)                                                                        \
  TILE(conv_32x32, TYPE, SUFFIX, true, 8, 32, 32, 16, 16, 64, 4)                                                                        \
  TILE(conv_128x32, TYPE, SUFFIX, true, 8, 128, 32, 32, 32, 32, 3)                                                                      \
  TILE(conv_four, TYPE, SUFFIX, true, 4, 128, 32, 32, 32, 32, 3)                                                                        \
  TILE(conv_any, TYPE, SUFFIX, true, 1, 128, 32, 32, 32, 32, 2)
FOR_HALVES(TILES)
