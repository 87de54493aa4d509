// Matrix products and convolutions of 16-bit numbers on the tensor cores, sums in f32.
//
// Tiles of both matrices go through shared memory by asynchronous copies, several steps ahead of the products. A convolution
// is the same product whose left matrix is gathered from the map on the way (implicit im2col).

#include "gemm.cuh"

// Numbers of padding after each row of a tile, so that the eight rows of a fragment lie in different banks.
constexpr int SKEW = 8;

// One thread's way along k through the taps of a convolution or the parts of a product.
struct Walk {
  // Channel within the tap or part, tap (row and column of the kernel) or part.
  int c, ky, kx;

  __device__ __forceinline__ void settle_tap(const Product &p) {
    while (c >= p.padded && ky < p.kernel_height) {
      c -= p.padded;
      if (++kx == p.kernel_width) kx = 0, ky++;
    }
  }
  __device__ __forceinline__ void settle_part(const Product &p) {
    while (ky < p.part_count && c >= p.parts[ky].channels) c -= p.parts[ky].channels, ky++;
  }
};

// Eight numbers of 16 bits to shared memory; `left` of them exist. VEC 8 and 4 say how far addresses are aligned.
template <int VEC, typename T> __device__ __forceinline__ void bring(T *to, const T *from, int left) {
  if constexpr (VEC == 8) {
    copy_16(to, from, left > 0);
  } else if constexpr (VEC == 4) {
    copy_8(to, from, left > 0);
    copy_8(to + 4, left > 4 ? from + 4 : from, left > 4);
  } else {
#pragma unroll
    for (int i = 0; i < 8; i++) to[i] = i < left ? from[i] : from_float<T>(0.f);
  }
}

// BM×BN tile of the output a block; a warp makes WM×WN of it; k goes by BK; STAGES tiles are in shared memory.
template <typename T, bool CONV, int VEC, int BM, int BN, int WM, int WN, int BK, int STAGES>
__device__ __forceinline__ void product(const Product &p) {
  constexpr int THREADS = (BM / WM) * (BN / WN) * 32, CHUNKS = BK / 8, STEP = THREADS / CHUNKS, ROW = BK + SKEW;
  constexpr int A_ROWS = (BM + STEP - 1) / STEP, B_ROWS = (BN + STEP - 1) / STEP;
  static_assert(THREADS % CHUNKS == 0 && WM % 16 == 0 && WN % 16 == 0, "tiles of fragments");
  extern __shared__ __align__(16) unsigned char memory[];
  T *a_tiles = reinterpret_cast<T *>(memory), *b_tiles = a_tiles + STAGES * BM * ROW;
  const int thread = threadIdx.x, chunk = thread % CHUNKS, first = thread / CHUNKS;
  const int row0 = blockIdx.x * BM, column0 = blockIdx.y * BN;

  // What this thread copies: the same chunk of k in A_ROWS rows of A and B_ROWS rows of B.
  const T *base[A_ROWS];
  int y0[A_ROWS], x0[A_ROWS], twice[A_ROWS];
#pragma unroll
  for (int i = 0; i < A_ROWS; i++) {
    int row = row0 + first + i * STEP;
    if constexpr (CONV) {
      int x = row % p.out_width, rest = row / p.out_width;
      int y = rest % p.out_height, image = rest / p.out_height;
      y0[i] = y * p.stride - p.top;
      x0[i] = row < p.rows ? x * p.stride - p.left : -(1 << 30);
      base[i] = static_cast<const T *>(p.parts[0].start) + static_cast<long long>(row < p.rows ? image : 0) * p.height * p.width * p.parts[0].stride;
    } else {
      y0[i] = row < p.rows ? row : -1;
      twice[i] = p.out_width > 0 && row < p.rows ? doubled_row(p, row) : 0;
    }
  }
  Walk walk = {chunk * 8, 0, 0};
  if constexpr (CONV) walk.settle_tap(p);
  else walk.settle_part(p);
  int k = chunk * 8;

  auto bring_tiles = [&](int stage) {
    T *a = a_tiles + stage * BM * ROW + chunk * 8, *b = b_tiles + stage * BN * ROW + chunk * 8;
#pragma unroll
    for (int i = 0; i < A_ROWS; i++) {
      int r = first + i * STEP;
      if (BM % STEP != 0 && r >= BM) break;
      if constexpr (CONV) {
        int y = y0[i] + walk.ky, x = x0[i] + walk.kx;
        bool inside = walk.ky < p.kernel_height && y >= 0 && y < p.height && x >= 0 && x < p.width;
        const T *from = inside ? base[i] + static_cast<long long>(y * p.width + x) * p.parts[0].stride + walk.c : static_cast<const T *>(p.parts[0].start);
        bring<VEC>(a + r * ROW, from, inside ? p.channels - walk.c : 0);
      } else {
        bool inside = y0[i] >= 0 && walk.ky < p.part_count;
        const Part &part = p.parts[inside ? walk.ky : 0];
        const T *start = static_cast<const T *>(part.start);
        const T *from = inside ? start + (part.doubled ? twice[i] : y0[i]) * part.stride + walk.c : start;
        bring<VEC>(a + r * ROW, from, inside ? part.channels - walk.c : 0);
      }
    }
#pragma unroll
    for (int i = 0; i < B_ROWS; i++) {
      int r = first + i * STEP;
      if (BN % STEP != 0 && r >= BN) break;
      int column = column0 + r;
      bool inside = column < p.columns && k < p.inner;
      const T *weight = static_cast<const T *>(p.weight);
      copy_16(b + r * ROW, inside ? weight + static_cast<long long>(column) * p.inner + k : weight, inside);
    }
    k += BK;
    walk.c += BK;
    if constexpr (CONV) walk.settle_tap(p);
    else walk.settle_part(p);
  };

  const int steps = (p.inner + BK - 1) / BK;
#pragma unroll
  for (int s = 0; s < STAGES - 1; s++) {
    if (s < steps) bring_tiles(s);
    copies_commit();
  }

  const int warp = thread / 32, lane = thread % 32;
  const int m0 = warp / (BN / WN) * WM, n0 = warp % (BN / WN) * WN;
  float sums[WM / 16][WN / 8][4];
#pragma unroll
  for (int m = 0; m < WM / 16; m++)
#pragma unroll
    for (int n = 0; n < WN / 8; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) sums[m][n][i] = 0.f;

  for (int step = 0; step < steps; step++) {
    copies_wait<STAGES - 2>();
    __syncthreads();
    // The tile that is overwritten was used in the step before, which all threads have left.
    if (step + STAGES - 1 < steps) bring_tiles((step + STAGES - 1) % STAGES);
    copies_commit();
    const T *a = a_tiles + step % STAGES * BM * ROW, *b = b_tiles + step % STAGES * BN * ROW;
#pragma unroll
    for (int kk = 0; kk < BK; kk += 16) {
      uint32_t left[WM / 16][4];
#pragma unroll
      for (int m = 0; m < WM / 16; m++) load_matrices(left[m], a + (m0 + m * 16 + (lane & 15)) * ROW + kk + (lane >> 4) * 8);
#pragma unroll
      for (int n = 0; n < WN / 16; n++) {
        uint32_t right[4];
        load_matrices(right, b + (n0 + n * 16 + (lane & 7) + (lane >> 4) * 8) * ROW + kk + ((lane >> 3) & 1) * 8);
#pragma unroll
        for (int m = 0; m < WM / 16; m++) {
          multiply_add(sums[m][2 * n], left[m], right[0], right[1], T());
          multiply_add(sums[m][2 * n + 1], left[m], right[2], right[3], T());
        }
      }
    }
  }

  const T *residual = static_cast<const T *>(p.residual);
  const bool even = p.columns % 2 == 0;
#pragma unroll
  for (int m = 0; m < WM / 16; m++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      int row = row0 + m0 + m * 16 + lane / 4 + half * 8;
      if (row >= p.rows) continue;
      long long out_row = static_cast<long long>(row) * p.columns;
      long long residual_row = residual ? static_cast<long long>(row % p.residual_rows) * p.residual_stride : 0;
#pragma unroll
      for (int n = 0; n < WN / 8; n++) {
        int column = column0 + n0 + n * 8 + lane % 4 * 2;
        if (column >= p.columns) continue;
        bool two = even || column + 1 < p.columns;
        float bias0 = p.bias ? p.bias[column] : 0.f, bias1 = p.bias && two ? p.bias[column + 1] : 0.f;
        float2 add = make_float2(0.f, 0.f);
        if (residual) {
          if (even && p.residual_stride % 2 == 0) add = load_2(residual + residual_row + column);
          else add = make_float2(to_float(residual[residual_row + column]), two ? to_float(residual[residual_row + column + 1]) : 0.f);
        }
        float u = finished(p, sums[m][n][half * 2], bias0, add.x), v = finished(p, sums[m][n][half * 2 + 1], bias1, add.y);
        if (p.out_f32) {
          float *out = static_cast<float *>(p.out) + out_row + column;
          if (even) store_2(out, u, v);
          else {
            out[0] = u;
            if (two) out[1] = v;
          }
        } else {
          T *out = static_cast<T *>(p.out) + out_row + column;
          if (even) store_2(out, u, v);
          else {
            out[0] = from_float<T>(u);
            if (two) out[1] = from_float<T>(v);
          }
        }
      }
    }
}

// Shared memory of a tile in bytes: STAGES · (BM + BN) · (BK + SKEW) · 2. The table of tiles in gemm.rs has the same numbers.
#define TILE(NAME, TYPE, SUFFIX, CONV, VEC, BM, BN, WM, WN, BK, STAGES)                                                                 \
  extern "C" __global__ void __launch_bounds__((BM / WM) * (BN / WN) * 32) NAME##_##SUFFIX(const __grid_constant__ Product p) {       \
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
