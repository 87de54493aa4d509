// What the kernels of 16-bit products share beside gemm.cuh: how tiles get to shared memory, and what follows a warp's sums.
#pragma once

#include "gemm.cuh"

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

// One thread's share of bringing tiles to shared memory: the same chunk of eight numbers of k in A_ROWS rows of A and B_ROWS rows of
// B, tile after tile. A row of a tile takes ROW numbers.
template <typename T, bool CONV, int VEC, int BM, int BN, int BK, int ROW, int THREADS> struct Feeder {
  static constexpr int CHUNKS = BK / 8, STEP = THREADS / CHUNKS, A_ROWS = (BM + STEP - 1) / STEP, B_ROWS = (BN + STEP - 1) / STEP;
  static_assert(THREADS % CHUNKS == 0 && STEP % 8 == 0, "threads share the chunks of whole rows");

  const Product &p;
  // `origin` is where the kernel's first tap lies for a row of a convolution, in the map or not, and (y0, x0) its pixel; of a product y0 is
  // the row. `from` is where the numbers of A come from next, `inside` has a bit for each row that has any, and the chunk's walk stays within a
  // tap or part until it reaches `end`.
  const T *origin[A_ROWS], *from[A_ROWS], *weight[B_ROWS];
  int y0[A_ROWS], x0[A_ROWS], twice[A_ROWS];
  unsigned inside = 0, columns = 0;
  int chunk, first, k, end = 0, channels = 0;
  Walk walk;

  __device__ __forceinline__ Feeder(const Product &product, int row0, int column0)
      : p(product), chunk(threadIdx.x % CHUNKS), first(threadIdx.x / CHUNKS), k(chunk * 8), walk{k, p.second_from > 0 && column0 >= p.second_from, 0} {
    if constexpr (CONV) {
      // Divisions for the first row only: the others follow STEP pixels apart.
      const int row = row0 + first, rest = row / p.out_width;
      int x = row % p.out_width, y = rest % p.out_height, image = rest / p.out_height;
#pragma unroll
      for (int i = 0; i < A_ROWS; i++) {
        y0[i] = y * p.stride - p.top;
        x0[i] = row + i * STEP < p.rows ? x * p.stride - p.left : -(1 << 30);
        origin[i] = static_cast<const T *>(p.parts[0].start) + (static_cast<long long>(image) * p.height * p.width + y0[i] * p.width + x * p.stride - p.left) * p.parts[0].stride;
        x += STEP;
        while (x >= p.out_width) {
          x -= p.out_width;
          if (++y == p.out_height) y = 0, image++;
        }
      }
    } else {
#pragma unroll
      for (int i = 0; i < A_ROWS; i++) {
        const int row = row0 + first + i * STEP;
        y0[i] = row < p.rows ? row : -1;
        twice[i] = p.out_width > 0 && row < p.rows ? doubled_row(p, row) : 0;
      }
    }
#pragma unroll
    for (int i = 0; i < B_ROWS; i++) {
      const int column = column0 + first + i * STEP;
      weight[i] = static_cast<const T *>(p.weight) + (column < p.columns ? static_cast<long long>(column) * p.inner + k : 0);
      columns |= static_cast<unsigned>(column < p.columns) << i;
    }
    locate();
  }

  __device__ __forceinline__ void locate() {
    inside = 0;
    if constexpr (CONV) {
      walk.settle_tap(p);
      end = p.padded, channels = p.channels;
    } else {
      walk.settle_part(p);
      end = channels = walk.ky < p.part_count ? p.parts[walk.ky].channels : 1 << 30;
    }
    const T *start = static_cast<const T *>(p.parts[0].start);
    const long long tap = CONV ? (static_cast<long long>(walk.ky) * p.width + walk.kx) * p.parts[0].stride + walk.c : 0;
#pragma unroll
    for (int i = 0; i < A_ROWS; i++) {
      if constexpr (CONV) {
        const int y = y0[i] + walk.ky, x = x0[i] + walk.kx;
        const bool here = walk.ky < p.kernel_height && y >= 0 && y < p.height && x >= 0 && x < p.width;
        from[i] = here ? origin[i] + tap : start;
        inside |= static_cast<unsigned>(here) << i;
      } else {
        const bool here = y0[i] >= 0 && walk.ky < p.part_count;
        const Part &part = p.parts[here ? walk.ky : 0];
        from[i] = here ? static_cast<const T *>(part.start) + (part.doubled ? twice[i] : y0[i]) * part.stride + walk.c : start;
        inside |= static_cast<unsigned>(here) << i;
      }
    }
  }

  // Where this thread's chunk of a tile's first rows belongs, counted from the tile's start; `slot` is the chunk's place in a row.
  __device__ __forceinline__ int place(int slot) const { return first * ROW + slot * 8; }

  // Brings the next tile of A; `a` is the place of this thread's chunk in it.
  __device__ __forceinline__ void bring_input(T *a) {
#pragma unroll
    for (int i = 0; i < A_ROWS; i++) {
      if (BM % STEP != 0 && first + i * STEP >= BM) break;
      bring<VEC>(a + i * STEP * ROW, from[i], inside >> i & 1 ? channels - walk.c : 0);
      from[i] += BK;
    }
    walk.c += BK;
    if (walk.c >= end) locate();
  }

  // The same of B.
  __device__ __forceinline__ void bring_weights(T *b) {
#pragma unroll
    for (int i = 0; i < B_ROWS; i++) {
      if (BN % STEP != 0 && first + i * STEP >= BN) break;
      copy_16(b + i * STEP * ROW, weight[i], k < p.inner && columns >> i & 1);
      weight[i] += BK;
    }
    k += BK;
  }
};

// The bias of a block's columns to shared memory, zeros beyond the last.
template <int BN> __device__ __forceinline__ void bring_bias(const Product &p, float (&bias)[BN], int column0) {
  if (!p.bias) return;
  for (int i = threadIdx.x; i < BN; i += blockDim.x) bias[i] = column0 + i < p.columns ? p.bias[column0 + i] : 0.f;
}

// RUN words of two numbers in one piece.
template <int RUN> struct WordsOf { using type = uint4; };
template <> struct WordsOf<2> { using type = uint2; };
template <int RUN> using Words = typename WordsOf<RUN>::type;

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

// The output's rows that a warp makes, where they lie one after another; those beyond the last are no rows of it.
struct RowsFrom {
  int first;
  __device__ __forceinline__ int operator()(int row) const { return first + row; }
};

// Adds the residual to a warp's sums, `rows` of the output from column `column0` on.
template <typename T, int M, int N, typename Rows> __device__ __forceinline__ void add_residual(const Product &p, float (&sums)[M][N][4], const Rows &rows, int column0, int lane) {
  constexpr int RUN = N % 4 == 0 ? 4 : 2;
  const T *residual = static_cast<const T *>(p.residual);
  const bool eights = p.columns % 8 == 0 && p.residual_stride % 8 == 0 && reinterpret_cast<unsigned long long>(residual) % 16 == 0;
  const bool twos = p.columns % 2 == 0 && p.residual_stride % 2 == 0;
#pragma unroll
  for (int m = 0; m < M; m++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int row = rows(m * 16 + lane / 4 + half * 8);
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

// What follows the sums of a warp, `rows` of the output from column `column0` on. What is asked for is chosen once, so that
// only that code is fetched. `bias` is that of the warp's columns, in shared memory.
template <typename T, int M, int N, typename Rows> __device__ __forceinline__ void finish_sums(const Product &p, float (&sums)[M][N][4], const float *bias, const Rows &rows, int column0, int lane) {
  if (p.bias) {
#pragma unroll
    for (int n = 0; n < N; n++) {
      const float2 b = load_2(bias + n * 8 + lane % 4 * 2);
#pragma unroll
      for (int m = 0; m < M; m++) sums[m][n][0] += b.x, sums[m][n][1] += b.y, sums[m][n][2] += b.x, sums[m][n][3] += b.y;
    }
  }
  if (p.residual && !p.residual_last) add_residual<T>(p, sums, rows, column0, lane);
  switch (p.activation) {
  case RELU: each_sum(sums, [](float x) { return activated(x, RELU); }); break;
  case GELU:
    if (p.out_f32) each_sum(sums, [](float x) { return gelu(x); });
    else each_sum(sums, [](float x) { return gelu_16(x); });
    break;
  case SILU: each_sum(sums, [](float x) { return activated(x, SILU); }); break;
  case SIGMOID: each_sum(sums, [](float x) { return activated(x, SIGMOID); }); break;
  case CLAMP: each_sum(sums, [&](float x) { return activated(x, CLAMP, p.limit); }); break;
  default: break;
  }
  if (p.scale != 1.f || p.shift != 0.f) each_sum(sums, [&](float x) { return x * p.scale + p.shift; });
  if (p.residual && p.residual_last) add_residual<T>(p, sums, rows, column0, lane);
}

// Writes a warp's finished sums, `rows` of the output from column `column0` on.
template <typename T, int M, int N, typename Rows> __device__ __forceinline__ void store_sums(const Product &p, float (&sums)[M][N][4], const Rows &rows, int column0, int lane) {
  constexpr int RUN = N % 4 == 0 ? 4 : 2;
  const bool eights = p.columns % 8 == 0;
#pragma unroll
  for (int m = 0; m < M; m++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int row = rows(m * 16 + lane / 4 + half * 8);
      const long long out_row = static_cast<long long>(row) * p.columns;
      if (!p.out_f32 && eights) {
        T *out = static_cast<T *>(p.out) + out_row;
#pragma unroll
        for (int n = 0; n < N; n += RUN) {
          __align__(16) uint32_t words[RUN];
#pragma unroll
          for (int i = 0; i < RUN; i++) words[i] = pack_2(sums[m][n + i][half * 2], sums[m][n + i][half * 2 + 1], T());
          swap_in_quad(words, lane);
          const int column = column0 + n * 8 + place_in_quad<RUN>(lane);
          if (row < p.rows && column < p.columns) *reinterpret_cast<Words<RUN> *>(out + column) = *reinterpret_cast<Words<RUN> *>(words);
        }
        continue;
      }
      if (row >= p.rows) continue;
#pragma unroll
      for (int n = 0; n < N; n++) {
        const int column = column0 + n * 8 + lane % 4 * 2;
        if (column >= p.columns) continue;
        const float u = sums[m][n][half * 2], v = sums[m][n][half * 2 + 1];
        if (p.out_f32) put_2(static_cast<float *>(p.out) + out_row + column, u, v, p.columns, column);
        else put_2(static_cast<T *>(p.out) + out_row + column, u, v, p.columns, column);
      }
    }
}
