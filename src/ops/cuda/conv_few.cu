// 3×3 convolutions of maps of one or three channels, which is what models begin with: too few for the tiles of other kernels. Those of images at
// stride 2 read their input from shared memory, others gather it.

#include "gemm_tiles.cuh"

// A block makes BN columns of 16·8·EACH pixels, a warp sixteen pixels at a time on the tensor cores: k are the numbers of the 3×3
// pixels, in the weights' order but without the channels of padding there. `p.inner` is that of the weights.
template <typename T, int C, int BN, int EACH> __device__ __forceinline__ void conv_few(const Product &p) {
  constexpr int INNER = 9 * C, STEPS = (INNER + 15) / 16, N = BN / 8;
  __shared__ __align__(16) T weights[BN][STEPS * 16];
  __shared__ __align__(16) float bias[BN];
  const int column0 = blockIdx.y * BN, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int i = threadIdx.x; i < BN * STEPS * 16; i += blockDim.x) {
    const int k = i % (STEPS * 16), column = i / (STEPS * 16);
    const bool there = k < INNER && column0 + column < p.columns;
    const T *from = static_cast<const T *>(p.weight) + static_cast<long long>(there ? column0 + column : 0) * p.inner;
    weights[column][k] = there ? from[k / C * p.padded + k % C] : from_float<T>(0.f);
  }
  bring_bias(p, bias, column0);
  // Weights are there before the kernels before are done.
  begin();
  __syncthreads();
  uint32_t right[STEPS][N][2];
#pragma unroll
  for (int s = 0; s < STEPS; s++)
#pragma unroll
    for (int n = 0; n < N; n++)
#pragma unroll
      for (int half = 0; half < 2; half++)
        right[s][n][half] = *reinterpret_cast<const uint32_t *>(&weights[n * 8 + lane / 4][s * 16 + half * 8 + lane % 4 * 2]);

  // The eight k of this lane: pixel of the kernel, and place from the first of the nine pixels.
  const int pixel = static_cast<int>(p.parts[0].stride);
  int ky[STEPS * 4], kx[STEPS * 4], place[STEPS * 4];
#pragma unroll
  for (int i = 0; i < STEPS * 4; i++) {
    const int k = i / 4 * 16 + i % 4 / 2 * 8 + lane % 4 * 2 + i % 2;
    // What is beyond the nine pixels lies in no map.
    ky[i] = k < INNER ? k / C / 3 : 1 << 30, kx[i] = k / C % 3;
    place[i] = (k / C / 3 * p.width + kx[i]) * pixel + k % C;
  }
  const T *map = static_cast<const T *>(p.parts[0].start);
#pragma unroll 1
  for (int each = 0; each < EACH; each++) {
    const int first = ((blockIdx.x * EACH + each) * (blockDim.x / 32) + warp) * 16;
    if (first >= p.rows) return;
    uint32_t left[STEPS][4];
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int row = min(first + lane / 4 + half * 8, p.rows - 1);
      const int x = row % p.out_width * p.stride - p.left, rest = row / p.out_width;
      const int y = rest % p.out_height * p.stride - p.top, image = rest / p.out_height;
      const T *from = map + ((static_cast<long long>(image) * p.height + y) * p.width + x) * pixel;
      T v[STEPS * 4];
#pragma unroll
      for (int i = 0; i < STEPS * 4; i++) {
        const bool there = static_cast<unsigned>(y + ky[i]) < static_cast<unsigned>(p.height) && static_cast<unsigned>(x + kx[i]) < static_cast<unsigned>(p.width);
        v[i] = from_float<T>(0.f);
        if (there) v[i] = from[place[i]];
      }
#pragma unroll
      for (int s = 0; s < STEPS; s++)
#pragma unroll
        for (int j = 0; j < 2; j++) {
          const T two[2] = {v[s * 4 + j * 2], v[s * 4 + j * 2 + 1]};
          left[s][j * 2 + half] = *reinterpret_cast<const uint32_t *>(two);
        }
    }
    float sums[1][N][4] = {};
#pragma unroll
    for (int s = 0; s < STEPS; s++)
#pragma unroll
      for (int n = 0; n < N; n++) multiply_add(sums[0][n], left[s], right[s][n][0], right[s][n][1], T());
    finish_sums<T>(p, sums, bias, RowsFrom{first}, column0, lane);
    store_sums<T>(p, sums, RowsFrom{first}, column0, lane);
  }
}

// ---- images: three channels without gaps, at stride 2

// A block's tile of pixels, a row a warp, and the rows of the input that it is made of: numbers from eight before the first pixel on, so
// that all rows start at multiples of 16 bytes.
constexpr int IMAGE_WIDTH = 64, IMAGE_HEIGHT = 8, BEFORE = 8, IMAGE_ROW = BEFORE + 2 * IMAGE_WIDTH * 3, IMAGE_ROWS = 2 * IMAGE_HEIGHT + 1;
// Of k: a row of the kernel is nine numbers that lie side by side in the input, and the one before them, by which they start at an even
// place.
constexpr int RUN = 10, RUNS = 3 * RUN, IMAGE_STEPS = 2;

// As conv_few, with the input in shared memory. The width is divisible by eight, the output's by sixteen; one column of zeros on the left.
template <typename T, int BN> __device__ __forceinline__ void conv_image(const Product &p) {
  constexpr int N = BN / 8, K = IMAGE_STEPS * 16;
  __shared__ __align__(16) T input[IMAGE_ROWS * IMAGE_ROW], weights[BN][K];
  __shared__ __align__(16) float bias[BN];
  const int column0 = blockIdx.y * BN, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int i = threadIdx.x; i < BN * K; i += blockDim.x) {
    const int k = i % K, column = i / K, at = k % RUN - 1;
    const bool there = k < RUNS && at >= 0 && column0 + column < p.columns;
    const T *from = static_cast<const T *>(p.weight) + static_cast<long long>(there ? column0 + column : 0) * p.inner;
    weights[column][k] = there ? from[(k / RUN * 3 + at / 3) * p.padded + at % 3] : from_float<T>(0.f);
  }
  bring_bias(p, bias, column0);
  // Weights are there before the kernels before are done.
  begin();
  const int across = (p.out_width + IMAGE_WIDTH - 1) / IMAGE_WIDTH, down = (p.out_height + IMAGE_HEIGHT - 1) / IMAGE_HEIGHT;
  const int x0 = blockIdx.x % across * IMAGE_WIDTH, rest = blockIdx.x / across, y0 = rest % down * IMAGE_HEIGHT, image = rest / down;
  const T *map = static_cast<const T *>(p.parts[0].start) + static_cast<long long>(image) * p.height * p.width * 3;
  for (int i = threadIdx.x; i < IMAGE_ROWS * IMAGE_ROW / 8; i += blockDim.x) {
    const int row = i / (IMAGE_ROW / 8), y = y0 * 2 - p.top + row, at = x0 * 6 - BEFORE + i % (IMAGE_ROW / 8) * 8;
    const bool there = static_cast<unsigned>(y) < static_cast<unsigned>(p.height) && static_cast<unsigned>(at) < static_cast<unsigned>(p.width * 3);
    copy_16(input + i * 8, there ? map + static_cast<long long>(y) * p.width * 3 + at : map, there);
  }
  copies_commit();
  copies_wait<0>();
  __syncthreads();
  uint32_t right[IMAGE_STEPS][N][2];
  // This lane's pairs of k, from a pixel's first number on; beyond the last any will do.
  int place[IMAGE_STEPS][2];
#pragma unroll
  for (int s = 0; s < IMAGE_STEPS; s++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int k = min(s * 16 + half * 8 + lane % 4 * 2, RUNS - 2);
      place[s][half] = k / RUN * IMAGE_ROW + k % RUN;
#pragma unroll
      for (int n = 0; n < N; n++) right[s][n][half] = *reinterpret_cast<const uint32_t *>(&weights[n * 8 + lane / 4][s * 16 + half * 8 + lane % 4 * 2]);
    }
  const int y = y0 + warp;
  if (y >= p.out_height) return;
#pragma unroll 1
  for (int x = 0; x < IMAGE_WIDTH && x0 + x < p.out_width; x += 16) {
    // The number before the pixel left of the first one under the kernel.
    const T *from = input + warp * 2 * IMAGE_ROW + BEFORE - 4 + (x + lane / 4) * 6;
    float sums[1][N][4] = {};
#pragma unroll
    for (int s = 0; s < IMAGE_STEPS; s++) {
      uint32_t left[4];
#pragma unroll
      for (int i = 0; i < 4; i++) left[i] = *reinterpret_cast<const uint32_t *>(from + i % 2 * 48 + place[s][i / 2]);
#pragma unroll
      for (int n = 0; n < N; n++) multiply_add(sums[0][n], left, right[s][n][0], right[s][n][1], T());
    }
    const int first = (image * p.out_height + y) * p.out_width + x0 + x;
    finish_sums<T>(p, sums, bias, RowsFrom{first}, column0, lane);
    store_sums<T>(p, sums, RowsFrom{first}, column0, lane);
  }
}

// Columns of a block.
#define IMAGE(BN, SUFFIX, TYPE)                                                                                                         \
  extern "C" __global__ void __launch_bounds__(256, 4) conv_image_##BN##_##SUFFIX(const __grid_constant__ Product p) { conv_image<TYPE, BN>(p); }
#define IMAGES(SUFFIX, TYPE) IMAGE(16, SUFFIX, TYPE) IMAGE(32, SUFFIX, TYPE)
FOR_HALVES(IMAGES)

// Channels, columns of a block.
#define CONVOLUTION(C, BN, SUFFIX, TYPE)                                                                                                \
  extern "C" __global__ void __launch_bounds__(256, 3) conv_few_##C##_##BN##_##SUFFIX(const __grid_constant__ Product p) { conv_few<TYPE, C, BN, 4>(p); }
#define CONVOLUTIONS(SUFFIX, TYPE) CONVOLUTION(1, 16, SUFFIX, TYPE) CONVOLUTION(3, 16, SUFFIX, TYPE) CONVOLUTION(1, 32, SUFFIX, TYPE) CONVOLUTION(3, 32, SUFFIX, TYPE)
FOR_HALVES(CONVOLUTIONS)
