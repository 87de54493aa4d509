// Inverted residual blocks of 64 channels on compute capability 9.0: a 1×1 expansion, a depthwise 3×3 convolution at stride 1 and a 1×1
// projection, GELU after each, in one kernel, so that the wide maps in between stay on the chip. Compiled for other targets the kernels
// are there, and do nothing.
//
// A block makes tiles of 8×16 pixels one after another, 64 wide channels at a time: warpgroups expand the tile and the pixels around it,
// warps filter eight channels each, warpgroups project. Two blocks share a multiprocessor: while one waits for its products or its
// input, the other works. Filters are products too, of pixels by diagonal matrices of weights: a product takes two taps of eight
// channels. Inner GELUs are left doubled, which saves an instruction a number; what follows halves them.

#include "gemm_tiles.cuh"

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#include "wgmma.cuh"
#endif

constexpr int CHANNELS = 64, MOST_HIDDEN = 256;
// A block's tile of pixels, that with the pixels around it, and the latter in three times a warpgroup's rows.
constexpr int TILE_HEIGHT = 8, TILE_WIDTH = 16, AROUND_WIDTH = TILE_WIDTH + 2, AROUND = (TILE_HEIGHT + 2) * AROUND_WIDTH;
constexpr int PIXELS = TILE_HEIGHT * TILE_WIDTH, AROUND_ROWS = 192, THREADS = 256;
// Numbers from pixel to pixel of the expanded tile, so that pixels lie in different banks.
constexpr int WIDE_ROW = CHANNELS + 8;
static_assert(AROUND <= AROUND_ROWS && MOST_HIDDEN <= THREADS, "warpgroups hold the pixels, and threads the biases");

struct InvertedResidual {
  // Maps are [batch, height, width, 64].
  const void *input, *residual;
  void *out;
  // [hidden, 64], [9, hidden], [64, hidden], and biases in f32.
  const void *expand, *depthwise, *project;
  const float *expand_bias, *depthwise_bias, *project_bias;
  int batch, height, width, hidden;
};

// As in shared memory; tiles for the tensor cores are in rows of 128 bytes, swizzled (see wgmma.cuh). The first of them is the tile of
// pixels with those around it; rows of it and of the expanded tile beyond the last pixel are there for the warpgroups alone.
template <typename T> struct InvertedMemory {
  T input[AROUND_ROWS * CHANNELS];
  T expand[CHANNELS * CHANNELS];
  T project[CHANNELS * CHANNELS];
  T narrow[PIXELS * CHANNELS];
  T wide[AROUND_ROWS * WIDE_ROW];
  T depthwise[9 * MOST_HIDDEN];
  float expand_bias[MOST_HIDDEN], depthwise_bias[MOST_HIDDEN], project_bias[CHANNELS];
};

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
// Where chunk `chunk` (of eight numbers) of a row of a swizzled tile lies.
__device__ __forceinline__ int swizzled(int row, int chunk) { return row * CHANNELS + (chunk ^ (row & 7)) * 8; }

// 64 rows of 64 numbers to a swizzled tile.
template <typename T> __device__ __forceinline__ void bring_weights(T *tile, const T *from, int stride) {
#pragma unroll
  for (int i = 0; i < CHANNELS * 8 / THREADS; i++) {
    const int row = threadIdx.x / 8 + i * (THREADS / 8), chunk = threadIdx.x % 8;
    copy_16(tile + swizzled(row, chunk), from + row * stride + chunk * 8, true);
  }
}

// A block's tile: its image, and its first pixel there.
struct Place {
  int image, y0, x0;
  __device__ __forceinline__ Place(const InvertedResidual &p, int tile) {
    const int across = (p.width + TILE_WIDTH - 1) / TILE_WIDTH, down = (p.height + TILE_HEIGHT - 1) / TILE_HEIGHT;
    const int rest = tile / across;
    x0 = tile % across * TILE_WIDTH, y0 = rest % down * TILE_HEIGHT, image = rest / down;
  }
  // Whether row `row` of the tile with the pixels around it is a pixel of the map.
  __device__ __forceinline__ bool holds(const InvertedResidual &p, int row) const {
    const int y = y0 - 1 + row / AROUND_WIDTH, x = x0 - 1 + row % AROUND_WIDTH;
    return static_cast<unsigned>(y) < static_cast<unsigned>(p.height) && static_cast<unsigned>(x) < static_cast<unsigned>(p.width);
  }
};

// The pixels of a tile and around it, zeros where there are none.
template <typename T> __device__ __forceinline__ void bring_pixels(T *input, const InvertedResidual &p, const Place &place) {
  const T *map = static_cast<const T *>(p.input) + static_cast<long long>(place.image) * p.height * p.width * CHANNELS + threadIdx.x % 8 * 8;
#pragma unroll
  for (int i = 0; i < AROUND_ROWS * 8 / THREADS; i++) {
    const int row = threadIdx.x / 8 + i * (THREADS / 8), y = place.y0 - 1 + row / AROUND_WIDTH, x = place.x0 - 1 + row % AROUND_WIDTH;
    const bool there = row < AROUND && place.holds(p, row);
    copy_16(input + swizzled(row, threadIdx.x % 8), there ? map + static_cast<long long>(y * p.width + x) * CHANNELS : map, there);
  }
}

// Sums of N fragments begin with the bias of their columns.
template <int N> __device__ __forceinline__ void begin_with(float (&sums)[N][4], const float *bias, int lane) {
#pragma unroll
  for (int n = 0; n < N; n++) {
    const float2 b = load_2(bias + n * 8 + lane % 4 * 2);
    sums[n][0] = sums[n][2] = b.x, sums[n][1] = sums[n][3] = b.y;
  }
  // Each in a register of its own before products begin.
  settle(sums);
}

// Writes twice GELU of N fragments' sums to a row of the expanded tile and the one eight further.
template <typename T, int N> __device__ __forceinline__ void put_wide(T *to, const float (&sums)[N][4]) {
#pragma unroll
  for (int half = 0; half < 2; half++)
#pragma unroll
    for (int n = 0; n < N; n++) *reinterpret_cast<uint32_t *>(to + half * 8 * WIDE_ROW + n * 8) = gelu_twice(sums[n][half * 2], sums[n][half * 2 + 1], T());
}

// Zeros in their stead for those of the two rows that `outside` has a bit of.
template <int N, typename T> __device__ __forceinline__ void clear_wide(T *to, unsigned outside) {
#pragma unroll
  for (int half = 0; half < 2; half++)
    if (outside >> half & 1)
#pragma unroll
      for (int n = 0; n < N; n++) *reinterpret_cast<uint32_t *>(to + half * 8 * WIDE_ROW + n * 8) = 0;
}

// Eight channels of the depthwise convolution, from the expanded tile to the one that is projected. The right matrix of a product is
// diagonal, a tap's weights of the channels. Sixteen pixels of a row are its left matrix: `pairs` those under the first two taps of a row of
// the kernel, `thirds` those under the third.
template <typename T> __device__ __forceinline__ void filter(const T *wide, T *narrow, const T *weight, const float *bias, int octet, int lane) {
  uint32_t taps[9];
  const int channel = lane / 4;
  const uint32_t diagonal = channel / 2 != lane % 4 ? 0 : channel % 2 ? 0xffff0000u : 0xffffu;
#pragma unroll
  for (int i = 0; i < 9; i++) taps[i] = halved(*reinterpret_cast<const uint32_t *>(weight + i * MOST_HIDDEN + octet * 8 + channel / 2 * 2) & diagonal, T());
  const float2 b = load_2(bias + octet * 8 + lane % 4 * 2);
  // Of load_matrices: two of pixels of a row, then two of those a pixel further, or of the next row.
  const T *from = wide + (lane % 16) * WIDE_ROW + octet * 8;
  const T *pair = from + lane / 16 * WIDE_ROW, *third = from + (lane / 16 * AROUND_WIDTH + 2) * WIDE_ROW;
  uint32_t pairs[TILE_HEIGHT + 2][4], thirds[TILE_HEIGHT + 2][2];
#pragma unroll
  for (int y = 0; y < TILE_HEIGHT + 2; y++) {
    load_matrices(pairs[y], pair + y * AROUND_WIDTH * WIDE_ROW);
    if (y % 2 == 0) {
      uint32_t two[4];
      load_matrices(two, third + y * AROUND_WIDTH * WIDE_ROW);
      thirds[y][0] = two[0], thirds[y][1] = two[1], thirds[y + 1][0] = two[2], thirds[y + 1][1] = two[3];
    }
    if (y < 2) continue;
    // All of output row y - 2 is there.
    float sums[4] = {b.x, b.y, b.x, b.y};
#pragma unroll
    for (int ky = 0; ky < 3; ky++) multiply_add(sums, pairs[y - 2 + ky], taps[ky * 3], taps[ky * 3 + 1], T());
    const uint32_t first[4] = {thirds[y - 2][0], thirds[y - 2][1], thirds[y - 1][0], thirds[y - 1][1]};
    multiply_add(sums, first, taps[2], taps[5], T());
    multiply_add(sums, thirds[y], taps[8], T());
#pragma unroll
    for (int half = 0; half < 2; half++)
      *reinterpret_cast<uint32_t *>(narrow + swizzled((y - 2) * TILE_WIDTH + lane / 4 + half * 8, octet) + lane % 4 * 2) = gelu_twice(sums[half * 2], sums[half * 2 + 1], T());
  }
}

// Finishes a warp's sums, sixteen pixels of a row, and writes them.
template <typename T> __device__ __forceinline__ void put_out(const InvertedResidual &p, const float (&sums)[8][4], const float *bias, const Place &place, int tile_row, int lane) {
  const int y = place.y0 + tile_row;
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const int x = place.x0 + lane / 4 + half * 8;
    const bool there = y < p.height && x < p.width;
    const long long pixel = ((static_cast<long long>(place.image) * p.height + y) * p.width + x) * CHANNELS;
#pragma unroll
    for (int n = 0; n < 8; n += 4) {
      const int column = n * 8 + place_in_quad<4>(lane);
      __align__(16) uint32_t words[4] = {};
      if (p.residual && there) *reinterpret_cast<uint4 *>(words) = *reinterpret_cast<const uint4 *>(static_cast<const T *>(p.residual) + pixel + column);
      swap_in_quad(words, lane);
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const float2 add = load_2(reinterpret_cast<const T *>(&words[i])), b = load_2(bias + (n + i) * 8 + lane % 4 * 2);
        words[i] = pack_2(gelu_16(fmaf(sums[n + i][half * 2], 0.5f, b.x + add.x)), gelu_16(fmaf(sums[n + i][half * 2 + 1], 0.5f, b.y + add.y)), T());
      }
      swap_in_quad(words, lane);
      if (there) *reinterpret_cast<uint4 *>(static_cast<T *>(p.out) + pixel + column) = *reinterpret_cast<const uint4 *>(words);
    }
  }
}

// Asks for the products of a warpgroup: 64 of the pixels by the expansion's weights, and, of the last 64, by half of them.
template <typename T> __device__ __forceinline__ void ask_expanded(const InvertedMemory<T> &m, float (&whole)[8][4], float (&part)[4][4], int group) {
  const unsigned own = shared_address(m.input + group * 64 * CHANNELS), shared = shared_address(m.input + 128 * CHANNELS);
  const unsigned weights = shared_address(m.expand), half = shared_address(m.expand + group * 32 * CHANNELS);
#pragma unroll
  for (int kk = 0; kk < CHANNELS; kk += 16) {
    multiply_add_tiles(whole, tile_descriptor(own + kk * 2), tile_descriptor(weights + kk * 2), T());
    multiply_add_tiles(part, tile_descriptor(shared + kk * 2), tile_descriptor(half + kk * 2), T());
  }
}
#endif

template <typename T> __device__ __forceinline__ void inverted_residual(const InvertedResidual &p) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  extern __shared__ unsigned char memory[];
  InvertedMemory<T> &m = *reinterpret_cast<InvertedMemory<T> *>(memory + (1024 - shared_address(memory) % 1024) % 1024);
  const T *expand = static_cast<const T *>(p.expand), *project = static_cast<const T *>(p.project), *depthwise = static_cast<const T *>(p.depthwise);
  // Weights are there before the kernels before are done.
  bring_weights(m.expand, expand, CHANNELS);
  for (int i = threadIdx.x; i < 9 * p.hidden / 8; i += THREADS) {
    const int tap = i / (p.hidden / 8), c = i % (p.hidden / 8) * 8;
    copy_16(m.depthwise + tap * MOST_HIDDEN + c, depthwise + tap * p.hidden + c, true);
  }
  if (threadIdx.x < p.hidden) {
    m.expand_bias[threadIdx.x] = p.expand_bias ? p.expand_bias[threadIdx.x] : 0.f;
    m.depthwise_bias[threadIdx.x] = p.depthwise_bias[threadIdx.x];
    if (threadIdx.x < CHANNELS) m.project_bias[threadIdx.x] = p.project_bias ? p.project_bias[threadIdx.x] : 0.f;
  }
#endif
  begin();
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  const int tiles = (p.width + TILE_WIDTH - 1) / TILE_WIDTH * ((p.height + TILE_HEIGHT - 1) / TILE_HEIGHT) * p.batch;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, group = warp / 4, row = warp % 4 * 16 + lane / 4;
  T *own = m.wide + (group * 64 + row) * WIDE_ROW + lane % 4 * 2, *shared = m.wide + (128 + row) * WIDE_ROW + group * 32 + lane % 4 * 2;
  Place place(p, blockIdx.x);
  bring_pixels(m.input, p, place);
  copies_commit();
  for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    // Of this thread's four rows of the expanded tile those that are no pixels of the map: the depthwise convolution sees zeros there.
    unsigned outside = 0;
#pragma unroll
    for (int i = 0; i < 4; i++) outside |= static_cast<unsigned>(!place.holds(p, (i < 2 ? group * 64 : 128) + row + i % 2 * 8)) << i;
    copies_wait<0>();
    publish_shared();
    __syncthreads();
    float whole[8][4], part[4][4], out[8][4] = {};
    begin_with(whole, m.expand_bias, lane);
    begin_with(part, m.expand_bias + group * 32, lane);
    settle(out);
    products_begin();
    ask_expanded(m, whole, part, group);
    products_commit();
#pragma unroll 1
    for (int c = 0;; c += CHANNELS) {
      const bool last = c + CHANNELS == p.hidden;
      products_wait<0>();
      settle(whole);
      settle(part);
      settle(out);
      put_wide(own, whole);
      put_wide(shared, part);
      if (outside) clear_wide<8>(own, outside), clear_wide<4>(shared, outside >> 2);
      __syncthreads();
      // All products so far are done: the next weights come while this part is filtered, and the next tile's pixels after them.
      bring_weights(m.project, project + c, p.hidden);
      bring_weights(m.expand, expand + (last ? 0 : (c + CHANNELS) * CHANNELS), CHANNELS);
      copies_commit();
      if (last && tile + gridDim.x < tiles) bring_pixels(m.input, p, Place(p, tile + gridDim.x));
      copies_commit();
      filter(m.wide, m.narrow, m.depthwise + c, m.depthwise_bias + c, warp, lane);
      copies_wait<1>();
      publish_shared();
      __syncthreads();
      const int following = last ? 0 : c + CHANNELS;
      begin_with(whole, m.expand_bias + following, lane);
      begin_with(part, m.expand_bias + following + group * 32, lane);
      const unsigned narrow = shared_address(m.narrow + group * 64 * CHANNELS), weights = shared_address(m.project);
      products_begin();
#pragma unroll
      for (int kk = 0; kk < CHANNELS; kk += 16) multiply_add_tiles(out, tile_descriptor(narrow + kk * 2), tile_descriptor(weights + kk * 2), T());
      products_commit();
      if (last) break;
      products_begin();
      ask_expanded(m, whole, part, group);
      products_commit();
    }
    products_wait<0>();
    settle(out);
    put_out<T>(p, out, m.project_bias, place, group * 4 + warp % 4, lane);
    place = Place(p, tile + gridDim.x);
  }
#endif
}

// Two blocks a multiprocessor: the launch counts on it.
#define BLOCKS(SUFFIX, TYPE)                                                                                                            \
  extern "C" __global__ void __launch_bounds__(THREADS, 2) inverted_residual_##SUFFIX(const __grid_constant__ InvertedResidual p) { inverted_residual<TYPE>(p); }
FOR_HALVES(BLOCKS)
