// Inverted residual blocks of 64 channels on compute capability 9.0: a 1×1 expansion, a depthwise 3×3 convolution at stride 1 and a 1×1
// projection, GELU after each, in one kernel, so that the wide maps in between stay on the chip. Compiled for other targets the kernels
// are there, and do nothing.

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

struct InvertedResidual {
  // Maps are [batch, height, width, 64].
  const void *input, *residual;
  void *out;
  // [hidden, 64], [9, hidden], [64, hidden], and biases in f32.
  const void *expand, *depthwise, *project;
  const float *expand_bias, *depthwise_bias, *project_bias;
  int batch, height, width, hidden;
};

// As in shared memory; tiles for the tensor cores are in rows of 128 bytes, swizzled (see wgmma.cuh).
template <typename T> struct InvertedMemory {
  T input[AROUND_ROWS * CHANNELS];
  T expand[CHANNELS * CHANNELS];
  T project[2][CHANNELS * CHANNELS];
  T narrow[PIXELS * CHANNELS];
  T wide[AROUND * WIDE_ROW];
  T depthwise[9 * MOST_HIDDEN];
  float expand_bias[MOST_HIDDEN], depthwise_bias[MOST_HIDDEN], project_bias[CHANNELS];
};

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
// Where chunk `chunk` (of eight numbers) of a row of a swizzled tile lies.
__device__ __forceinline__ int swizzled(int row, int chunk) { return row * CHANNELS + (chunk ^ (row & 7)) * 8; }

// 64 rows of 64 numbers to a swizzled tile.
template <typename T> __device__ __forceinline__ void bring_weights(T *tile, const T *from, int stride) {
  for (int i = threadIdx.x; i < CHANNELS * 8; i += THREADS) copy_16(tile + swizzled(i / 8, i % 8), from + static_cast<long long>(i / 8) * stride + i % 8 * 8, true);
}

// Sums of N fragments begin with the bias of their columns.
template <int N> __device__ __forceinline__ void begin_with(float (&sums)[N][4], const float *bias, int lane) {
#pragma unroll
  for (int n = 0; n < N; n++) {
    const float2 b = load_2(bias + n * 8 + lane % 4 * 2);
    sums[n][0] = sums[n][2] = b.x, sums[n][1] = sums[n][3] = b.y;
  }
}

// Writes GELU of N fragments' sums, from `column` on, of the expanded tile's row `row`, and of the row eight further; zero where a row's
// pixel is none of the map, since that is what the depthwise convolution sees there.
template <typename T, int N> __device__ __forceinline__ void put_wide(T *wide, float (&sums)[N][4], int row, int column, int lane, int y0, int x0, const InvertedResidual &p) {
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const int at = row + half * 8, y = y0 + at / AROUND_WIDTH, x = x0 + at % AROUND_WIDTH;
    if (at >= AROUND) continue;
    T *to = wide + at * WIDE_ROW + column + lane % 4 * 2;
    if (y < 0 || y >= p.height || x < 0 || x >= p.width) {
#pragma unroll
      for (int n = 0; n < N; n++) store_2(to + n * 8, 0.f, 0.f);
      continue;
    }
#pragma unroll
    for (int n = 0; n < N; n++) store_2(to + n * 8, gelu_16(sums[n][half * 2]), gelu_16(sums[n][half * 2 + 1]));
  }
}

// Two channels of 4×4 pixels of the depthwise convolution, from the expanded tile to the one that is projected.
template <typename T> __device__ __forceinline__ void filter(const T *wide, T *narrow, const T *weight, const float *bias) {
  const int pair = threadIdx.x % 32, group = threadIdx.x / 32, y0 = group / 4 * 4, x0 = group % 4 * 4;
  const float2 b = load_2(bias + pair * 2);
  float2 sums[4][4], weights[9];
#pragma unroll
  for (int i = 0; i < 16; i++) sums[i / 4][i % 4] = b;
#pragma unroll
  for (int i = 0; i < 9; i++) weights[i] = load_2(weight + i * MOST_HIDDEN + pair * 2);
#pragma unroll
  for (int iy = 0; iy < 6; iy++) {
    float2 v[6];
#pragma unroll
    for (int j = 0; j < 6; j++) v[j] = load_2(wide + ((y0 + iy) * AROUND_WIDTH + x0 + j) * WIDE_ROW + pair * 2);
#pragma unroll
    for (int py = 0; py < 4; py++) {
      const int ky = iy - py;
      if (ky < 0 || ky > 2) continue;
#pragma unroll
      for (int kx = 0; kx < 3; kx++)
#pragma unroll
        for (int px = 0; px < 4; px++) {
          sums[py][px].x = fmaf(v[px + kx].x, weights[ky * 3 + kx].x, sums[py][px].x);
          sums[py][px].y = fmaf(v[px + kx].y, weights[ky * 3 + kx].y, sums[py][px].y);
        }
    }
    // The last input row of output row iy - 2.
    if (iy < 2) continue;
#pragma unroll
    for (int px = 0; px < 4; px++) {
      const int row = (y0 + iy - 2) * TILE_WIDTH + x0 + px;
      store_2(narrow + swizzled(row, pair / 4) + pair % 4 * 2, gelu_16(sums[iy - 2][px].x), gelu_16(sums[iy - 2][px].y));
    }
  }
}
#endif

template <typename T> __device__ __forceinline__ void inverted_residual(const InvertedResidual &p) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  extern __shared__ unsigned char memory[];
  InvertedMemory<T> &m = *reinterpret_cast<InvertedMemory<T> *>(memory + (1024 - shared_address(memory) % 1024) % 1024);
  const int across = (p.width + TILE_WIDTH - 1) / TILE_WIDTH, down = (p.height + TILE_HEIGHT - 1) / TILE_HEIGHT;
  const int x0 = blockIdx.x % across * TILE_WIDTH, y0 = blockIdx.x / across % down * TILE_HEIGHT, image = blockIdx.x / across / down;
  const T *map = static_cast<const T *>(p.input) + static_cast<long long>(image) * p.height * p.width * CHANNELS;
  const T *expand = static_cast<const T *>(p.expand), *project = static_cast<const T *>(p.project), *depthwise = static_cast<const T *>(p.depthwise);

  for (int i = threadIdx.x; i < AROUND_ROWS * 8; i += THREADS) {
    const int row = i / 8, y = y0 - 1 + row / AROUND_WIDTH, x = x0 - 1 + row % AROUND_WIDTH;
    const bool there = row < AROUND && y >= 0 && y < p.height && x >= 0 && x < p.width;
    copy_16(m.input + swizzled(row, i % 8), there ? map + (static_cast<long long>(y) * p.width + x) * CHANNELS + i % 8 * 8 : map, there);
  }
  bring_weights(m.expand, expand, CHANNELS);
  bring_weights(m.project[0], project, p.hidden);
  for (int i = threadIdx.x; i < 9 * p.hidden / 8; i += THREADS) {
    const int tap = i / (p.hidden / 8), c = i % (p.hidden / 8) * 8;
    copy_16(m.depthwise + tap * MOST_HIDDEN + c, depthwise + tap * p.hidden + c, true);
  }
  copies_commit();
  for (int i = threadIdx.x; i < p.hidden; i += THREADS) {
    m.expand_bias[i] = p.expand_bias ? p.expand_bias[i] : 0.f;
    m.depthwise_bias[i] = p.depthwise_bias[i];
    if (i < CHANNELS) m.project_bias[i] = p.project_bias ? p.project_bias[i] : 0.f;
  }

  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, group = warp / 4, row = warp % 4 * 16 + lane / 4;
  float out[1][8][4] = {};
  for (int c = 0; c < p.hidden; c += CHANNELS) {
    copies_wait<0>();
    publish_shared();
    __syncthreads();
    // Each warpgroup expands 64 of the pixels and, of the last 64, half of the channels.
    float whole[8][4], part[4][4];
    begin_with(whole, m.expand_bias + c, lane);
    begin_with(part, m.expand_bias + c + group * 32, lane);
    const unsigned own = shared_address(m.input + group * 64 * CHANNELS), shared = shared_address(m.input + 128 * CHANNELS);
    const unsigned weights = shared_address(m.expand), half = shared_address(m.expand + group * 32 * CHANNELS);
    products_begin();
#pragma unroll
    for (int kk = 0; kk < CHANNELS; kk += 16) {
      multiply_add_tiles(whole, tile_descriptor(own + kk * 2), tile_descriptor(weights + kk * 2), T());
      multiply_add_tiles(part, tile_descriptor(shared + kk * 2), tile_descriptor(half + kk * 2), T());
    }
    products_commit();
    products_wait<0>();
    settle(whole);
    settle(part);
    put_wide(m.wide, whole, group * 64 + row, 0, lane, y0 - 1, x0 - 1, p);
    put_wide(m.wide, part, 128 + row, group * 32, lane, y0 - 1, x0 - 1, p);
    __syncthreads();
    // All products so far are done: the next weights come while this part is filtered.
    if (c + CHANNELS < p.hidden) {
      bring_weights(m.expand, expand + static_cast<long long>(c + CHANNELS) * CHANNELS, CHANNELS);
      bring_weights(m.project[(c / CHANNELS + 1) % 2], project + c + CHANNELS, p.hidden);
    }
    copies_commit();
    filter(m.wide, m.narrow, m.depthwise + c, m.depthwise_bias + c);
    publish_shared();
    __syncthreads();
    const unsigned narrow = shared_address(m.narrow + group * 64 * CHANNELS), last = shared_address(m.project[c / CHANNELS % 2]);
    products_begin();
#pragma unroll
    for (int kk = 0; kk < CHANNELS; kk += 16) multiply_add_tiles(out[0], tile_descriptor(narrow + kk * 2), tile_descriptor(last + kk * 2), T());
    products_commit();
    products_wait<0>();
    settle(out[0]);
  }

#pragma unroll
  for (int half = 0; half < 2; half++) {
    const int at = group * 64 + row + half * 8, y = y0 + at / TILE_WIDTH, x = x0 + at % TILE_WIDTH;
    const bool there = y < p.height && x < p.width;
    const long long pixel = ((static_cast<long long>(image) * p.height + y) * p.width + x) * CHANNELS;
#pragma unroll
    for (int n = 0; n < 8; n += 4) {
      const int column = n * 8 + place_in_quad<4>(lane);
      __align__(16) uint32_t words[4] = {};
      if (p.residual && there) *reinterpret_cast<uint4 *>(words) = *reinterpret_cast<const uint4 *>(static_cast<const T *>(p.residual) + pixel + column);
      swap_in_quad(words, lane);
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const float2 add = load_2(reinterpret_cast<const T *>(&words[i])), b = load_2(m.project_bias + (n + i) * 8 + lane % 4 * 2);
        words[i] = pack_2(gelu_16(out[0][n + i][half * 2] + b.x + add.x), gelu_16(out[0][n + i][half * 2 + 1] + b.y + add.y), T());
      }
      swap_in_quad(words, lane);
      if (there) *reinterpret_cast<uint4 *>(static_cast<T *>(p.out) + pixel + column) = *reinterpret_cast<const uint4 *>(words);
    }
  }
#endif
}

#define BLOCKS(SUFFIX, TYPE)                                                                                                            \
  extern "C" __global__ void __launch_bounds__(THREADS, 2) inverted_residual_##SUFFIX(const __grid_constant__ InvertedResidual p) { begin(); inverted_residual<TYPE>(p); }
FOR_HALVES(BLOCKS)
