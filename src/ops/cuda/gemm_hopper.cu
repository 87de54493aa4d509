// Matrix products and convolutions of 16-bit numbers by warpgroups, for compute capability 9.0: three times the rate of gemm.cu's.
//
// Beside how fragments are multiplied all is as in gemm.cu. Compiled for other targets the kernels are there, and do nothing.

#include "gemm_tiles.cuh"

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#include "wgmma.cuh"

// Numbers of k of a tile: 128 bytes.
constexpr int DEPTH = 64;
#endif

// BM×BN tile of the output a block, 64 rows of it a warpgroup. FLYING (0 or 1) products are under way when the next step begins, tiles
// of k are brought STAGES - 1 - FLYING steps ahead.
template <typename T, bool CONV, int BM, int BN, int STAGES, int FLYING> __device__ __forceinline__ void product(const Product &p) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  constexpr int THREADS = BM / 64 * 128, AHEAD = STAGES - 1 - FLYING, N = BN / 8;
  extern __shared__ unsigned char memory[];
  __shared__ __align__(16) float bias[BN];
  // Multiples of 1024 bytes. There may be memory for fewer than STAGES tiles where there are fewer steps.
  T *tiles = reinterpret_cast<T *>(memory + (1024 - shared_address(memory) % 1024) % 1024);
  constexpr int A_TILE = BM * DEPTH, TILE = A_TILE + BN * DEPTH;
  // Neighbouring blocks share rows of the left matrix, the larger one.
  const int across = (p.columns + BN - 1) / BN, row0 = blockIdx.x / across * BM, column0 = blockIdx.x % across * BN;
  Feeder<T, CONV, 8, BM, BN, DEPTH, DEPTH, THREADS> feeder(p, row0, column0);
  const int place = feeder.place(feeder.chunk ^ (feeder.first & 7));
  auto bring_input = [&](int stage) { feeder.bring_input(tiles + stage * TILE + place); };
  auto bring_weights = [&](int stage) { feeder.bring_weights(tiles + stage * TILE + A_TILE + place); };

  const int steps = (p.inner + DEPTH - 1) / DEPTH;
  // Weights are there before the kernels before are done.
#pragma unroll
  for (int s = 0; s < AHEAD; s++)
    if (s < steps) bring_weights(s);
  // Read after the barriers of the steps.
  bring_bias(p, bias, column0);
  begin();
#pragma unroll
  for (int s = 0; s < AHEAD; s++) {
    if (s < steps) bring_input(s);
    copies_commit();
  }

  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, m0 = warp / 4 * 64;
  float sums[1][N][4] = {};
  int at = 0, next = AHEAD % STAGES;
  for (int step = 0; step < steps; step++) {
    copies_wait<AHEAD - 1>();
    publish_shared();
    __syncthreads();
    const unsigned a = shared_address(tiles + at * TILE + m0 * DEPTH), b = shared_address(tiles + at * TILE + A_TILE);
    products_begin();
#pragma unroll
    for (int kk = 0; kk < DEPTH; kk += 16) multiply_add_tiles(sums[0], tile_descriptor(a + kk * 2), tile_descriptor(b + kk * 2), T());
    products_commit();
    // The tile that is overwritten was used 1 + FLYING steps before: all have waited for those products.
    if (step + AHEAD < steps) bring_input(next), bring_weights(next);
    copies_commit();
    products_wait<FLYING>();
    at = at + 1 == STAGES ? 0 : at + 1;
    next = next + 1 == STAGES ? 0 : next + 1;
  }
  products_wait<0>();
  settle(sums[0]);
  finish_sums<T>(p, sums, bias, RowsFrom{row0 + m0 + warp % 4 * 16}, column0, lane);
  store_sums<T>(p, sums, RowsFrom{row0 + m0 + warp % 4 * 16}, column0, lane);
#endif
}

// The table of tiles in tiles.rs has the same numbers.
#define TILE(NAME, TYPE, SUFFIX, CONV, BM, BN, STAGES, FLYING)                                                                          \
  extern "C" __global__ void __launch_bounds__(BM * 2) NAME##_##SUFFIX(const __grid_constant__ Product p) { product<TYPE, CONV, BM, BN, STAGES, FLYING>(p); }
#define BOTH(BM, BN, TYPE, SUFFIX, STAGES, FLYING)                                                                                      \
  TILE(linear_##BM##x##BN##_9_##STAGES, TYPE, SUFFIX, false, BM, BN, STAGES, FLYING)                                                    \
  TILE(conv_##BM##x##BN##_9_##STAGES, TYPE, SUFFIX, true, BM, BN, STAGES, FLYING)
#define TILES(SUFFIX, TYPE)                                                                                                             \
  BOTH(128, 256, TYPE, SUFFIX, 4, 1)                                                                                                    \
  BOTH(128, 160, TYPE, SUFFIX, 5, 1)                                                                                                    \
  BOTH(128, 160, TYPE, SUFFIX, 3, 0)                                                                                                    \
  BOTH(128, 128, TYPE, SUFFIX, 5, 1)                                                                                                    \
  BOTH(128, 128, TYPE, SUFFIX, 3, 0)                                                                                                    \
  BOTH(128, 96, TYPE, SUFFIX, 3, 0)                                                                                                     \
  BOTH(128, 64, TYPE, SUFFIX, 3, 0)                                                                                                     \
  BOTH(128, 32, TYPE, SUFFIX, 3, 0)                                                                                                     \
  BOTH(64, 128, TYPE, SUFFIX, 4, 0)                                                                                                     \
  BOTH(64, 80, TYPE, SUFFIX, 4, 0)                                                                                                      \
  BOTH(64, 64, TYPE, SUFFIX, 8, 1)                                                                                                      \
  BOTH(64, 64, TYPE, SUFFIX, 4, 0)                                                                                                      \
  BOTH(64, 32, TYPE, SUFFIX, 8, 1)                                                                                                      \
  BOTH(64, 16, TYPE, SUFFIX, 10, 1)
FOR_HALVES(TILES)
