// The two 3×3 convolutions at stride 2 that an image encoder begins with, 3 to 32 to 64 channels with GELU between, in one kernel, so that the
// map in between, larger than input and output together, stays on the chip.
//
// A block makes tiles of 8×16 pixels one after another: the first convolution's pixels that the tile is made of, and from them the tile. The
// next tile's part of the image comes meanwhile, and the weights stay. Shared memory holds the latter, that part of the image and the
// map between.

#include "common.cuh"

constexpr int CHANNELS = 3, MIDDLE = 32, OUT = 64, THREADS = 256;
// A tile, the pixels of the map between that it is made of, the even columns of which lie before the odd ones, and the rows of the image
// that those are made of: numbers from sixteen before the tile's first pixel on, so that all start at multiples of 16 bytes.
constexpr int TILE_HEIGHT = 8, TILE_WIDTH = 16, BETWEEN_HEIGHT = 2 * TILE_HEIGHT + 1, BETWEEN_WIDTH = 2 * TILE_WIDTH + 1, EVEN = TILE_WIDTH + 1;
constexpr int BETWEEN = BETWEEN_HEIGHT * BETWEEN_WIDTH;
constexpr int BEFORE = 16, IMAGE_HEIGHT = 2 * BETWEEN_HEIGHT + 1, IMAGE_ROW = 208;
// Of the first convolution's k: a row of the kernel is nine numbers that lie side by side in the image, and the one before them, by which they
// start at an even place.
constexpr int RUN = 10, RUNS = 3 * RUN, STEPS = 2;
// Of the second's, and numbers from row to row of what fragments are loaded from, so that rows lie in different banks.
constexpr int INNER = 9 * MIDDLE, WEIGHT_ROW = INNER + 8, BETWEEN_ROW = MIDDLE + 8;

struct ImagePair {
  // [batch, height, width, 3] and [batch, out_height, out_width, 64].
  const void *image;
  void *out;
  // [32, 9, 8], the channels beyond the third without use, and [64, 9, 32]; biases in f32.
  const void *first, *second;
  const float *first_bias, *second_bias;
  // The width is divisible by eight.
  int batch, height, width, between_height, between_width, out_height, out_width;
};

template <typename T> struct PairMemory {
  T second[OUT * WEIGHT_ROW], between[BETWEEN * BETWEEN_ROW], image[IMAGE_HEIGHT * IMAGE_ROW], first[MIDDLE][STEPS * 16];
  float first_bias[MIDDLE], second_bias[OUT];
};

// A block's tile: its image, and its first pixel there.
struct Place {
  int image, y0, x0;
  __device__ __forceinline__ Place(const ImagePair &p, int tile) {
    const int across = (p.out_width + TILE_WIDTH - 1) / TILE_WIDTH, down = (p.out_height + TILE_HEIGHT - 1) / TILE_HEIGHT;
    const int rest = tile / across;
    x0 = tile % across * TILE_WIDTH, y0 = rest % down * TILE_HEIGHT, image = rest / down;
  }
};

// The numbers of the image that a tile is made of, zeros where there are none.
template <typename T> __device__ __forceinline__ void bring_image(T *to, const ImagePair &p, const Place &place) {
  constexpr int CHUNKS = IMAGE_ROW / 8;
  const T *from = static_cast<const T *>(p.image) + static_cast<long long>(place.image) * p.height * p.width * CHANNELS;
  for (int i = threadIdx.x; i < IMAGE_HEIGHT * CHUNKS; i += THREADS) {
    const int y = place.y0 * 4 - 3 + i / CHUNKS, at = place.x0 * 4 * CHANNELS - BEFORE + i % CHUNKS * 8;
    const bool there = static_cast<unsigned>(y) < static_cast<unsigned>(p.height) && static_cast<unsigned>(at) < static_cast<unsigned>(p.width * CHANNELS);
    copy_16(to + i * 8, there ? from + static_cast<long long>(y) * p.width * CHANNELS + at : from, there);
  }
}

// The map between under a tile, sixteen pixels a warp at a time; zeros where it has none, as the second convolution pads it.
template <typename T> __device__ __forceinline__ void make_between(PairMemory<T> &m, const ImagePair &p, const Place &place, int warp, int lane) {
  uint32_t right[STEPS][MIDDLE / 8][2];
  // This lane's pairs of k, from a pixel's first number on; beyond the last any will do.
  int where[STEPS][2];
#pragma unroll
  for (int s = 0; s < STEPS; s++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int k = min(s * 16 + half * 8 + lane % 4 * 2, RUNS - 2);
      where[s][half] = k / RUN * IMAGE_ROW + k % RUN;
#pragma unroll
      for (int n = 0; n < MIDDLE / 8; n++) right[s][n][half] = *reinterpret_cast<const uint32_t *>(&m.first[n * 8 + lane / 4][s * 16 + half * 8 + lane % 4 * 2]);
    }
#pragma unroll 1
  for (int first = warp * 16; first < BETWEEN; first += THREADS / 32 * 16) {
    const T *from[2];
    T *to[2];
    bool made[2];
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int at = min(first + lane / 4 + half * 8, BETWEEN - 1), row = at / BETWEEN_WIDTH, column = at % BETWEEN_WIDTH;
      // The number before the pixel left of the first one under the kernel.
      from[half] = m.image + 2 * row * IMAGE_ROW + 6 + 6 * column;
      to[half] = m.between + (row * BETWEEN_WIDTH + column / 2 + column % 2 * EVEN) * BETWEEN_ROW + lane % 4 * 2;
      const int y = place.y0 * 2 - 1 + row, x = place.x0 * 2 - 1 + column;
      made[half] = static_cast<unsigned>(y) < static_cast<unsigned>(p.between_height) && static_cast<unsigned>(x) < static_cast<unsigned>(p.between_width);
    }
    float sums[MIDDLE / 8][4];
#pragma unroll
    for (int n = 0; n < MIDDLE / 8; n++) {
      const float2 b = load_2(m.first_bias + n * 8 + lane % 4 * 2);
      sums[n][0] = sums[n][2] = b.x, sums[n][1] = sums[n][3] = b.y;
    }
#pragma unroll
    for (int s = 0; s < STEPS; s++) {
      uint32_t left[4];
#pragma unroll
      for (int i = 0; i < 4; i++) left[i] = *reinterpret_cast<const uint32_t *>(from[i % 2] + where[s][i / 2]);
#pragma unroll
      for (int n = 0; n < MIDDLE / 8; n++) multiply_add(sums[n], left, right[s][n][0], right[s][n][1], T());
    }
#pragma unroll
    for (int n = 0; n < MIDDLE / 8; n++)
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const uint32_t two = pack_2(gelu_16(sums[n][half * 2]), gelu_16(sums[n][half * 2 + 1]), T());
        // The last pixel may be made by several lanes alike.
        *reinterpret_cast<uint32_t *>(to[half] + n * 8) = made[half] ? two : 0;
      }
  }
}

// Two rows of a tile and half of its channels, of a warp.
template <typename T> __device__ __forceinline__ void make_tile(const PairMemory<T> &m, const ImagePair &p, const Place &place, int warp, int lane) {
  const int rows = warp / 2 * 2, column0 = warp % 2 * 32;
  float sums[2][4][4];
#pragma unroll
  for (int n = 0; n < 4; n++) {
    const float2 b = load_2(m.second_bias + column0 + n * 8 + lane % 4 * 2);
#pragma unroll
    for (int r = 0; r < 2; r++) sums[r][n][0] = sums[r][n][2] = b.x, sums[r][n][1] = sums[r][n][3] = b.y;
  }
  // Of load_matrices: pixels and the next eight, then the same of the next eight k; columns with both eights of k, then the next eight columns.
  const T *left_from = m.between + (rows * 2 * BETWEEN_WIDTH + lane % 16) * BETWEEN_ROW + lane / 16 * 8;
  const T *right_from = m.second + (column0 + lane / 16 * 8 + lane % 8) * WEIGHT_ROW + lane / 8 % 2 * 8;
#pragma unroll
  for (int tap = 0; tap < 9; tap++) {
    const int ky = tap / 3, kx = tap % 3, place_of_tap = ky * BETWEEN_WIDTH + kx / 2 + kx % 2 * EVEN;
#pragma unroll
    for (int kk = 0; kk < MIDDLE; kk += 16) {
      uint32_t left[2][4], right[2][4];
#pragma unroll
      for (int i = 0; i < 2; i++) {
        load_matrices(left[i], left_from + (place_of_tap + i * 2 * BETWEEN_WIDTH) * BETWEEN_ROW + kk);
        load_matrices(right[i], right_from + i * 16 * WEIGHT_ROW + tap * MIDDLE + kk);
      }
#pragma unroll
      for (int r = 0; r < 2; r++)
#pragma unroll
        for (int n = 0; n < 4; n++) multiply_add(sums[r][n], left[r], right[n / 2][n % 2 * 2], right[n / 2][n % 2 * 2 + 1], T());
    }
  }
#pragma unroll
  for (int r = 0; r < 2; r++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int y = place.y0 + rows + r, x = place.x0 + lane / 4 + half * 8;
      __align__(16) uint32_t words[4];
#pragma unroll
      for (int n = 0; n < 4; n++) words[n] = pack_2(sums[r][n][half * 2], sums[r][n][half * 2 + 1], T());
      swap_in_quad(words, lane);
      T *to = static_cast<T *>(p.out) + ((static_cast<long long>(place.image) * p.out_height + y) * p.out_width + x) * OUT + column0 + place_in_quad<4>(lane);
      if (y < p.out_height && x < p.out_width) *reinterpret_cast<uint4 *>(to) = *reinterpret_cast<const uint4 *>(words);
    }
}

template <typename T> __device__ __forceinline__ void image_pair(const ImagePair &p) {
  extern __shared__ __align__(16) unsigned char memory[];
  PairMemory<T> &m = *reinterpret_cast<PairMemory<T> *>(memory);
  // Weights are there before the kernels before are done.
  for (int i = threadIdx.x; i < OUT * INNER / 8; i += THREADS)
    copy_16(m.second + i / (INNER / 8) * WEIGHT_ROW + i % (INNER / 8) * 8, static_cast<const T *>(p.second) + i * 8, true);
  for (int i = threadIdx.x; i < MIDDLE * STEPS * 16; i += THREADS) {
    const int k = i % (STEPS * 16), column = i / (STEPS * 16), at = k % RUN - 1;
    const bool there = k < RUNS && at >= 0;
    m.first[column][k] = there ? static_cast<const T *>(p.first)[(column * 9 + k / RUN * 3 + at / CHANNELS) * 8 + at % CHANNELS] : from_float<T>(0.f);
  }
  if (threadIdx.x < MIDDLE) m.first_bias[threadIdx.x] = p.first_bias ? p.first_bias[threadIdx.x] : 0.f;
  if (threadIdx.x < OUT) m.second_bias[threadIdx.x] = p.second_bias ? p.second_bias[threadIdx.x] : 0.f;
  begin();
  const int tiles = (p.out_width + TILE_WIDTH - 1) / TILE_WIDTH * ((p.out_height + TILE_HEIGHT - 1) / TILE_HEIGHT) * p.batch;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  bring_image(m.image, p, Place(p, blockIdx.x));
  copies_commit();
  for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    const Place place(p, tile);
    copies_wait<0>();
    __syncthreads();
    make_between(m, p, place, warp, lane);
    __syncthreads();
    if (tile + static_cast<int>(gridDim.x) < tiles) bring_image(m.image, p, Place(p, tile + gridDim.x));
    copies_commit();
    make_tile(m, p, place, warp, lane);
  }
}

#define PAIRS(SUFFIX, TYPE)                                                                                                             \
  extern "C" __global__ void __launch_bounds__(THREADS, 2) image_pair_##SUFFIX(const __grid_constant__ ImagePair p) { image_pair<TYPE>(p); }
FOR_HALVES(PAIRS)
