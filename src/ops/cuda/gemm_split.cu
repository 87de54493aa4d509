// Matrix products of f32 numbers on the tensor cores: each number as the sum of three bf16 ones, which hold its 24 bits. Of the nine
// products of such parts the six largest are summed, in f32: what is left out is below the rounding of f32.

#include "gemm.cuh"

constexpr int DEPTH = 64, PARTS = 3, THREADS = 256;
// Numbers of padding after each row, so that a fragment's rows lie in different banks.
constexpr int B_ROW = DEPTH + 8;

// Two neighbouring f32 numbers as three registers of a matrix fragment, greatest parts first.
__device__ __forceinline__ void split(float2 v, uint32_t (&parts)[PARTS]) {
#pragma unroll
  for (int i = 0; i < PARTS; i++) {
    __nv_bfloat162 h = __floats2bfloat162_rn(v.x, v.y);
    float2 taken = __bfloat1622float2(h);
    parts[i] = *reinterpret_cast<uint32_t *>(&h);
    v.x -= taken.x, v.y -= taken.y;
  }
}

// A block makes a SIDE×SIDE tile of the output, a warp 16 rows of it by 8·N columns; where fewer than all warps cover the tile, half of
// them take the second half of each step's k. The weight is [PARTS][columns][inner] bf16. Shared memory holds STAGES steps, as
// `split_kernel` in product.rs counts them.
template <typename T, int SIDE, int N, int STAGES> __device__ __forceinline__ void product_split(const Product &p) {
  // Numbers of the left matrix that one copy brings, and copies a row.
  constexpr int EACH = 16 / sizeof(T), A_CHUNKS = DEPTH / EACH, A_ROW = DEPTH + EACH, B_CHUNKS = DEPTH / 8;
  constexpr int A_TILE = SIDE * A_ROW, B_TILE = SIDE * B_ROW;
  // Warps side by side, warps that cover the tile, and k of a step that a warp takes.
  constexpr int ACROSS = SIDE / (8 * N), COVER = SIDE / 16 * ACROSS, OWN_DEPTH = DEPTH / (THREADS / 32 / COVER);
  static_assert(COVER == THREADS / 32 || COVER == THREADS / 64, "warps cover the tile once or twice");
  extern __shared__ __align__(16) unsigned char memory[];
  __shared__ float others[COVER < THREADS / 32 ? COVER : 1][N * 4][32];
  T *a_tiles = reinterpret_cast<T *>(memory);
  __nv_bfloat16 *b_tiles = reinterpret_cast<__nv_bfloat16 *>(a_tiles + STAGES * A_TILE);
  const int thread = threadIdx.x, row0 = blockIdx.x * SIDE, column0 = blockIdx.y * SIDE;
  const T *input = static_cast<const T *>(p.parts[0].start);
  const __nv_bfloat16 *weight = static_cast<const __nv_bfloat16 *>(p.weight);
  const long long part = static_cast<long long>(p.columns) * p.inner;
  const int channels = p.parts[0].channels;

  auto bring_input = [&](int stage, int k0) {
#pragma unroll
    for (int i = thread; i < SIDE * A_CHUNKS; i += THREADS) {
      const int r = i / A_CHUNKS, k = k0 + i % A_CHUNKS * EACH, row = row0 + r;
      const bool inside = row < p.rows && k < channels;
      copy_16(a_tiles + stage * A_TILE + r * A_ROW + i % A_CHUNKS * EACH, inside ? input + row * p.parts[0].stride + k : input, inside);
    }
  };
  auto bring_weights = [&](int stage, int k0) {
#pragma unroll
    for (int i = thread; i < PARTS * SIDE * B_CHUNKS; i += THREADS) {
      const int which = i / (SIDE * B_CHUNKS), r = i / B_CHUNKS % SIDE, k = k0 + i % B_CHUNKS * 8, column = column0 + r;
      const bool inside = column < p.columns && k < p.inner;
      copy_16(b_tiles + (stage * PARTS + which) * B_TILE + r * B_ROW + i % B_CHUNKS * 8, inside ? weight + which * part + static_cast<long long>(column) * p.inner + k : weight, inside);
    }
  };

  const int steps = (p.inner + DEPTH - 1) / DEPTH;
  // Weights are there before the kernels before are done.
#pragma unroll
  for (int s = 0; s < STAGES; s++)
    if (s < steps) bring_weights(s, s * DEPTH);
  begin();
#pragma unroll
  for (int s = 0; s < STAGES; s++) {
    if (s < steps) bring_input(s, s * DEPTH);
    copies_commit();
  }
  const int warp = thread / 32, lane = thread % 32, m0 = warp % COVER / ACROSS * 16, n0 = warp % ACROSS * 8 * N, own_k = warp / COVER * OWN_DEPTH;
  // By size of the products, so that few depend on each other.
  float partial[PARTS][N][4] = {};
  for (int step = 0; step < steps; step++) {
    copies_wait<STAGES - 1>();
    __syncthreads();
    const T *a = a_tiles + step % STAGES * A_TILE + (m0 + lane / 4) * A_ROW + lane % 4 * 2 + own_k;
    const __nv_bfloat16 *b = b_tiles + step % STAGES * PARTS * B_TILE + (n0 + (lane & 7) + (lane >> 4) * 8) * B_ROW + ((lane >> 3) & 1) * 8 + own_k;
#pragma unroll
    for (int kk = 0; kk < OWN_DEPTH; kk += 16) {
      // By part, then by register of the fragment.
      uint32_t left[PARTS][4], right[PARTS][N / 2][4];
#pragma unroll
      for (int i = 0; i < 4; i++) {
        uint32_t parts[PARTS];
        split(load_2(a + i % 2 * 8 * A_ROW + kk + i / 2 * 8), parts);
#pragma unroll
        for (int j = 0; j < PARTS; j++) left[j][i] = parts[j];
      }
#pragma unroll
      for (int j = 0; j < PARTS; j++)
#pragma unroll
        for (int n = 0; n < N / 2; n++) load_matrices(right[j][n], b + j * B_TILE + n * 16 * B_ROW + kk);
#pragma unroll
      for (int sum = PARTS - 1; sum >= 0; sum--)
#pragma unroll
        for (int j = 0; j <= sum; j++)
#pragma unroll
          for (int n = 0; n < N / 2; n++) {
            multiply_add(partial[sum][2 * n], left[j], right[sum - j][n][0], right[sum - j][n][1], __nv_bfloat16());
            multiply_add(partial[sum][2 * n + 1], left[j], right[sum - j][n][2], right[sum - j][n][3], __nv_bfloat16());
          }
    }
    // Few products have more steps than there are stages.
    if (step + STAGES < steps) {
      __syncthreads();
      bring_input(step % STAGES, (step + STAGES) * DEPTH);
      bring_weights(step % STAGES, (step + STAGES) * DEPTH);
    }
    copies_commit();
  }
  // Smallest products first.
  float sums[N][4];
#pragma unroll
  for (int i = 0; i < N * 4; i++) sums[i / 4][i % 4] = (partial[2][i / 4][i % 4] + partial[1][i / 4][i % 4]) + partial[0][i / 4][i % 4];
  if constexpr (COVER < THREADS / 32) {
    if (warp >= COVER) {
#pragma unroll
      for (int i = 0; i < N * 4; i++) others[warp - COVER][i][lane] = sums[i / 4][i % 4];
    }
    __syncthreads();
    if (warp >= COVER) return;
#pragma unroll
    for (int i = 0; i < N * 4; i++) sums[i / 4][i % 4] += others[warp][i][lane];
  }
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const int row = row0 + m0 + lane / 4 + half * 8;
    if (row >= p.rows) continue;
    const long long residual_row = p.residual ? static_cast<long long>(row % p.residual_rows) * p.residual_stride : 0;
#pragma unroll
    for (int n = 0; n < 2 * N; n++) {
      const int column = column0 + n0 + n / 2 * 8 + lane % 4 * 2 + n % 2;
      if (column >= p.columns) continue;
      const float bias = p.bias ? p.bias[column] : 0.f;
      const float add = p.residual ? static_cast<const float *>(p.residual)[residual_row + column] : 0.f;
      static_cast<float *>(p.out)[static_cast<long long>(row) * p.columns + column] = finished(p, sums[n / 2][half * 2 + n % 2], bias, add);
    }
  }
}

// Side, fragments of a warp, stages.
#define PRODUCTS(SUFFIX, TYPE)                                                                                                          \
  extern "C" __global__ void __launch_bounds__(THREADS) split_32_##SUFFIX(const __grid_constant__ Product p) { product_split<TYPE, 32, 2, 4>(p); } \
  extern "C" __global__ void __launch_bounds__(THREADS) split_64_##SUFFIX(const __grid_constant__ Product p) { product_split<TYPE, 64, 4, 2>(p); }
FOR_FLOATS(PRODUCTS)
