// 3×3 convolutions of maps of one or three channels, which is what models begin with: too few for the tiles of other kernels.

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

// Channels, columns of a block.
#define CONVOLUTION(C, BN, SUFFIX, TYPE)                                                                                                \
  extern "C" __global__ void __launch_bounds__(256, 3) conv_few_##C##_##BN##_##SUFFIX(const __grid_constant__ Product p) { conv_few<TYPE, C, BN, 4>(p); }
#define CONVOLUTIONS(SUFFIX, TYPE) CONVOLUTION(1, 16, SUFFIX, TYPE) CONVOLUTION(3, 16, SUFFIX, TYPE) CONVOLUTION(1, 32, SUFFIX, TYPE) CONVOLUTION(3, 32, SUFFIX, TYPE)
FOR_HALVES(CONVOLUTIONS)
