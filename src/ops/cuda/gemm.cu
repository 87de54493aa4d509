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

// RUN words of two numbers in one piece.
template <int RUN> struct WordsOf { using type = uint4; };
template <> struct WordsOf<2> { using type = uint2; };
template <int RUN> using Words = typename WordsOf<RUN>::type;

// The four lanes of a quad hold, each for its two columns, a word of RUN neighbouring fragments, and get the words of neighbouring
// columns; and back, this being its own inverse.
template <int RUN> __device__ __forceinline__ void swap_in_quad(uint32_t (&w)[RUN], int lane) {
#pragma unroll
  for (int k = 0; k < RUN; k += 2) {
    const uint32_t got = __shfl_xor_sync(ALL_LANES, lane & 1 ? w[k] : w[k + 1], 1);
    if (lane & 1) w[k] = got;
    else w[k + 1] = got;
  }
  if constexpr (RUN == 4) {
#pragma unroll
    for (int j = 0; j < 2; j++) {
      const uint32_t got = __shfl_xor_sync(ALL_LANES, lane & 2 ? w[j] : w[j + 2], 2);
      if (lane & 2) w[j] = got;
      else w[j + 2] = got;
    }
  }
}

// The first of the columns, counted from the RUN fragments' first, whose words a lane has after swap_in_quad.
template <int RUN> __device__ __forceinline__ int place_in_quad(int lane) {
  return RUN == 4 ? lane % 4 * 8 : lane % 2 * 8 + (lane & 2) * 2;
}

// Two numbers of a row of `columns`, the second where the row has it.
template <typename O> __device__ __forceinline__ void put_2(O *out, float u, float v, int columns, int column) {
  if (columns % 2 == 0) store_2(out, u, v);
  else {
    out[0] = from_float<O>(u);
    if (column + 1 < columns) out[1] = from_float<O>(v);
  }
}

template <int M, int N, typename F> __device__ __forceinline__ void each_sum(float (&sums)[M][N][4], F one) {
#pragma unroll
  for (int m = 0; m < M; m++)
#pragma unroll
    for (int n = 0; n < N; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) sums[m][n][i] = one(sums[m][n][i]);
}

// Adds the residual to a warp's sums, the first of which is that of `row` and `column`.
template <typename T, int M, int N> __device__ __forceinline__ void add_residual(const Product &p, float (&sums)[M][N][4], int row0, int column0, int lane) {
  constexpr int RUN = N % 4 == 0 ? 4 : 2;
  const T *residual = static_cast<const T *>(p.residual);
  const bool eights = p.columns % 8 == 0 && p.residual_stride % 8 == 0 && reinterpret_cast<unsigned long long>(residual) % 16 == 0;
  const bool twos = p.columns % 2 == 0 && p.residual_stride % 2 == 0;
#pragma unroll
  for (int m = 0; m < M; m++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int row = row0 + m * 16 + lane / 4 + half * 8;
      const bool inside = row < p.rows;
      const T *from = residual + (inside ? static_cast<long long>(row % p.residual_rows) * p.residual_stride : 0);
      if (eights) {
#pragma unroll
        for (int n = 0; n < N; n += RUN) {
          Words<RUN> got = {};
          const int column = column0 + n * 8 + place_in_quad<RUN>(lane);
          if (inside && column < p.columns) got = *reinterpret_cast<const Words<RUN> *>(from + column);
          __align__(16) uint32_t words[RUN];
          *reinterpret_cast<Words<RUN> *>(words) = got;
          swap_in_quad(words, lane);
#pragma unroll
          for (int i = 0; i < RUN; i++) {
            const float2 add = load_2(reinterpret_cast<const T *>(&words[i]));
            sums[m][n + i][half * 2] += add.x, sums[m][n + i][half * 2 + 1] += add.y;
          }
        }
        continue;
      }
      if (!inside) continue;
#pragma unroll
      for (int n = 0; n < N; n++) {
        const int column = column0 + n * 8 + lane % 4 * 2;
        if (column >= p.columns) continue;
        const bool two = column + 1 < p.columns;
        const float2 add = twos ? load_2(from + column) : make_float2(to_float(from[column]), two ? to_float(from[column + 1]) : 0.f);
        sums[m][n][half * 2] += add.x, sums[m][n][half * 2 + 1] += add.y;
      }
    }
}

// What follows the sums of a warp, the first of which is that of `row0` and `column0`. What is asked for is chosen once, so that
// only that code is fetched.
template <typename T, int M, int N> __device__ __forceinline__ void finish_sums(const Product &p, float (&sums)[M][N][4], int row0, int column0, int lane) {
  if (p.bias) {
#pragma unroll
    for (int n = 0; n < N; n++) {
      const int column = column0 + n * 8 + lane % 4 * 2;
      const float b0 = column < p.columns ? p.bias[column] : 0.f, b1 = column + 1 < p.columns ? p.bias[column + 1] : 0.f;
#pragma unroll
      for (int m = 0; m < M; m++) sums[m][n][0] += b0, sums[m][n][1] += b1, sums[m][n][2] += b0, sums[m][n][3] += b1;
    }
  }
  if (p.residual && !p.residual_last) add_residual<T>(p, sums, row0, column0, lane);
  switch (p.activation) {
  case RELU: each_sum(sums, [](float x) { return activated(x, RELU); }); break;
  case GELU: each_sum(sums, [](float x) { return activated(x, GELU); }); break;
  case SILU: each_sum(sums, [](float x) { return activated(x, SILU); }); break;
  case SIGMOID: each_sum(sums, [](float x) { return activated(x, SIGMOID); }); break;
  case CLAMP: each_sum(sums, [&](float x) { return activated(x, CLAMP, p.limit); }); break;
  default: break;
  }
  if (p.scale != 1.f || p.shift != 0.f) each_sum(sums, [&](float x) { return x * p.scale + p.shift; });
  if (p.residual && p.residual_last) add_residual<T>(p, sums, row0, column0, lane);
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

  // What this thread copies: the same chunk of k in A_ROWS rows of A and B_ROWS rows of B. `from` is where the numbers of A come from
  // next, `inside` has a bit for each row that has any, and the chunk's walk stays within a tap or part until it reaches `end`.
  const T *base[A_ROWS], *from[A_ROWS], *weight[B_ROWS];
  int y0[A_ROWS], x0[A_ROWS], twice[A_ROWS];
  unsigned inside = 0, columns = 0;
  int end = 0, channels = 0;
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
  int k = chunk * 8;
#pragma unroll
  for (int i = 0; i < B_ROWS; i++) {
    const int column = column0 + first + i * STEP;
    weight[i] = static_cast<const T *>(p.weight) + (column < p.columns ? static_cast<long long>(column) * p.inner + k : 0);
    columns |= static_cast<unsigned>(column < p.columns) << i;
  }
  Walk walk = {k, 0, 0};
  auto locate = [&] {
    inside = 0;
    if constexpr (CONV) {
      walk.settle_tap(p);
      end = p.padded, channels = p.channels;
    } else {
      walk.settle_part(p);
      end = channels = walk.ky < p.part_count ? p.parts[walk.ky].channels : 1 << 30;
    }
#pragma unroll
    for (int i = 0; i < A_ROWS; i++) {
      const T *start = static_cast<const T *>(p.parts[0].start);
      if constexpr (CONV) {
        const int y = y0[i] + walk.ky, x = x0[i] + walk.kx;
        const bool here = walk.ky < p.kernel_height && y >= 0 && y < p.height && x >= 0 && x < p.width;
        from[i] = here ? base[i] + static_cast<long long>(y * p.width + x) * p.parts[0].stride + walk.c : start;
        inside |= static_cast<unsigned>(here) << i;
      } else {
        const bool here = y0[i] >= 0 && walk.ky < p.part_count;
        const Part &part = p.parts[here ? walk.ky : 0];
        from[i] = here ? static_cast<const T *>(part.start) + (part.doubled ? twice[i] : y0[i]) * part.stride + walk.c : start;
        inside |= static_cast<unsigned>(here) << i;
      }
    }
  };
  locate();

  auto bring_tiles = [&](int stage) {
    T *a = a_tiles + stage * BM * ROW + chunk * 8, *b = b_tiles + stage * BN * ROW + chunk * 8;
#pragma unroll
    for (int i = 0; i < A_ROWS; i++) {
      int r = first + i * STEP;
      if (BM % STEP != 0 && r >= BM) break;
      bring<VEC>(a + r * ROW, from[i], inside >> i & 1 ? channels - walk.c : 0);
      from[i] += BK;
    }
#pragma unroll
    for (int i = 0; i < B_ROWS; i++) {
      int r = first + i * STEP;
      if (BN % STEP != 0 && r >= BN) break;
      copy_16(b + r * ROW, weight[i], k < p.inner && columns >> i & 1);
      weight[i] += BK;
    }
    k += BK;
    walk.c += BK;
    if (walk.c >= end) locate();
  };

  const int steps = (p.inner + BK - 1) / BK;
#pragma unroll
  for (int s = 0; s < STAGES - 1; s++) {
    if (s < steps) bring_tiles(s);
    copies_commit();
  }

  const int warp = thread / 32, lane = thread % 32;
  const int m0 = warp / (BN / WN) * WM, n0 = warp % (BN / WN) * WN;
  // Neighbouring fragments that go to memory together.
  constexpr int M = WM / 16, N = WN / 8, RUN = N % 4 == 0 ? 4 : 2;
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
    if (step + STAGES - 1 < steps) bring_tiles(at == 0 ? STAGES - 1 : at - 1);
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

  finish_sums<T>(p, sums, row0 + m0, column0 + n0, lane);
  const bool eights = p.columns % 8 == 0;
#pragma unroll
  for (int m = 0; m < M; m++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int row = row0 + m0 + m * 16 + lane / 4 + half * 8;
      const long long out_row = static_cast<long long>(row) * p.columns;
      if (!p.out_f32 && eights) {
        T *out = static_cast<T *>(p.out) + out_row;
#pragma unroll
        for (int n = 0; n < N; n += RUN) {
          __align__(16) uint32_t words[RUN];
#pragma unroll
          for (int i = 0; i < RUN; i++) words[i] = pack_2(sums[m][n + i][half * 2], sums[m][n + i][half * 2 + 1], T());
          swap_in_quad(words, lane);
          const int column = column0 + n0 + n * 8 + place_in_quad<RUN>(lane);
          if (row < p.rows && column < p.columns) *reinterpret_cast<Words<RUN> *>(out + column) = *reinterpret_cast<Words<RUN> *>(words);
        }
        continue;
      }
      if (row >= p.rows) continue;
#pragma unroll
      for (int n = 0; n < N; n++) {
        const int column = column0 + n0 + n * 8 + lane % 4 * 2;
        if (column >= p.columns) continue;
        const float u = sums[m][n][half * 2], v = sums[m][n][half * 2 + 1];
        if (p.out_f32) put_2(static_cast<float *>(p.out) + out_row + column, u, v, p.columns, column);
        else put_2(static_cast<T *>(p.out) + out_row + column, u, v, p.columns, column);
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
