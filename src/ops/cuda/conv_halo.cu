// 3×3 convolutions at stride 1 of 16-bit numbers by warpgroups, for compute capability 9.0: a block's pixels with their neighbours are brought to
// shared memory once, and each of the nine taps reads them there. gemm_hopper.cu brings them for each tap anew, through the second cache.
//
// Sums go in the order of k as in the other kernels, with the same bits. Compiled for other targets the kernels are there, and do nothing.

#include "gemm_tiles.cuh"

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#include "wgmma.cuh"

// Numbers of k of a tile of weights: 128 bytes. Pixels of a row of a block's tile, and with neighbours.
constexpr int DEPTH = 64, ACROSS = 8, HALO = ACROSS + 2;

// Rows of 16 bytes one after another, HALO of them to the next eight of the tile, `pixels` to the next eight numbers of k.
__device__ __forceinline__ uint64_t pixels_descriptor(unsigned at, int pixels) {
  return static_cast<uint64_t>((at & 0x3ffff) >> 4) | static_cast<uint64_t>(pixels) << 16 | static_cast<uint64_t>(HALO) << 32;
}

// The output's rows for a tile of pixels, eight to a line.
struct RowsOfTile {
  const Product &p;
  int image, y0, x0, first;
  __device__ __forceinline__ int operator()(int row) const {
    const int y = y0 + (first + row) / ACROSS, x = x0 + (first + row) % ACROSS;
    return y < p.out_height && x < p.out_width ? (image * p.out_height + y) * p.out_width + x : p.rows;
  }
};
#endif

// BM pixels, eight to a line, by BN columns a block, 64 pixels a warpgroup. Shared memory: STAGES tiles of weights, as in gemm_hopper.cu, then the
// pixels with their neighbours, by pieces of eight channels.
template <typename T, int BM, int BN, int STAGES> __device__ __forceinline__ void convolve(const Product &p) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  constexpr int THREADS = BM / 64 * 128, AHEAD = STAGES - 2, N = BN / 8, DOWN = BM / ACROSS, PIXELS = HALO * (DOWN + 2);
  extern __shared__ unsigned char memory[];
  __shared__ __align__(16) float bias[BN];
  T *tiles = reinterpret_cast<T *>(memory + (1024 - shared_address(memory) % 1024) % 1024), *map = tiles + STAGES * BN * DEPTH;
  const int across = (p.columns + BN - 1) / BN, column0 = blockIdx.x % across * BN;
  const int wide = (p.out_width + ACROSS - 1) / ACROSS, high = (p.out_height + DOWN - 1) / DOWN, tile = blockIdx.x / across;
  const int image = tile / (wide * high), y0 = tile / wide % high * DOWN, x0 = tile % wide * ACROSS;

  // A thread brings the same piece of eight numbers of every STEP-th column.
  constexpr int STEP = THREADS / 8, ROWS = (BN + STEP - 1) / STEP;
  const int chunk = threadIdx.x % 8, first = threadIdx.x / 8;
  const T *weight = static_cast<const T *>(p.weight) + static_cast<long long>(column0 + first) * p.inner + chunk * 8;
  int next_k = chunk * 8;
  auto bring_weights = [&](int stage) {
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
      const int row = first + i * STEP;
      if (BN % STEP != 0 && row >= BN) break;
      const bool inside = column0 + row < p.columns && next_k < p.inner;
      copy_16(tiles + stage * BN * DEPTH + row * DEPTH + (chunk ^ (row & 7)) * 8, inside ? weight + static_cast<long long>(i) * STEP * p.inner : static_cast<const T *>(p.weight), inside);
    }
    next_k += DEPTH, weight += DEPTH;
  };
  const int steps = (p.inner + DEPTH - 1) / DEPTH;
  // Weights are there before the kernels before are done.
#pragma unroll
  for (int s = 0; s < AHEAD; s++)
    if (s < steps) bring_weights(s);
  bring_bias(p, bias, column0);
  begin();
  // Neighbouring threads bring neighbouring pieces of eight channels of a pixel; a division for the first alone.
  const int pieces = p.channels / 8, more_pixels = THREADS / pieces, more_pieces = THREADS % pieces;
  const T *start = static_cast<const T *>(p.parts[0].start) + static_cast<long long>(image) * p.height * p.width * p.parts[0].stride;
  for (int pixel = threadIdx.x / pieces, piece = threadIdx.x % pieces; pixel < PIXELS;) {
    const int y = y0 - p.top + pixel / HALO, x = x0 - p.left + pixel % HALO;
    const bool inside = y >= 0 && y < p.height && x >= 0 && x < p.width;
    copy_16(map + (piece * PIXELS + pixel) * 8, inside ? start + (y * p.width + x) * p.parts[0].stride + piece * 8 : start, inside);
    pixel += more_pixels, piece += more_pieces;
    if (piece >= pieces) piece -= pieces, pixel++;
  }
#pragma unroll
  for (int s = 0; s < AHEAD; s++) copies_commit();

  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, group = warp / 4;
  const unsigned pixels = shared_address(map) + group * (64 / ACROSS) * HALO * 16;
  float sums[1][N][4] = {};
  int at = 0, next = AHEAD, c = 0, kx = 0, ky = 0;
  for (int step = 0; step < steps; step++) {
    copies_wait<AHEAD - 1>();
    publish_shared();
    __syncthreads();
    const unsigned b = shared_address(tiles + at * BN * DEPTH);
    // Where the step's four sixteens of k are read. Beyond the last the weights are zeros, and so it does not matter which pixels they meet.
    uint64_t places[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
      places[i] = pixels_descriptor(pixels + (ky < 3 ? (c / 8 * PIXELS + ky * HALO + kx) * 16 : 0), PIXELS);
      c += 16;
      const bool is_next = c == p.channels;
      c = is_next ? 0 : c, kx += is_next;
      const bool is_below = kx == 3;
      kx = is_below ? 0 : kx, ky += is_below;
    }
    products_begin();
#pragma unroll
    for (int i = 0; i < 4; i++) multiply_add_tiles(sums[0], places[i], tile_descriptor(b + i * 32), T());
    products_commit();
    // The tile that is overwritten was used two steps before: all have waited for those products.
    if (step + AHEAD < steps) bring_weights(next);
    copies_commit();
    products_wait<1>();
    at = at + 1 == STAGES ? 0 : at + 1;
    next = next + 1 == STAGES ? 0 : next + 1;
  }
  products_wait<0>();
  settle(sums[0]);
  const RowsOfTile rows = {p, image, y0, x0, group * 64 + warp % 4 * 16};
  finish_sums<T>(p, sums, bias, rows, column0, lane);
  store_sums<T>(p, sums, rows, column0, lane);
#endif
}

// The table of tiles in tiles.rs has the same numbers.
#define TILE(BM, BN, STAGES, TYPE, SUFFIX)                                                                                              \
  extern "C" __global__ void __launch_bounds__(BM * 2) conv_3x3_##BM##x##BN##_##SUFFIX(const __grid_constant__ Product p) { convolve<TYPE, BM, BN, STAGES>(p); }
#define TILES(SUFFIX, TYPE)                                                                                                             \
  TILE(64, 16, 8, TYPE, SUFFIX)                                                                                                         \
  TILE(64, 32, 8, TYPE, SUFFIX)                                                                                                         \
  TILE(64, 64, 6, TYPE, SUFFIX)                                                                                                         \
  TILE(64, 128, 4, TYPE, SUFFIX)                                                                                                        \
  TILE(128, 64, 5, TYPE, SUFFIX)                                                                                                        \
  TILE(128, 128, 4, TYPE, SUFFIX)
FOR_HALVES(TILES)
