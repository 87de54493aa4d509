// Products of the same few rows of 256 channels with several layers' weights, after a normalisation and with what is added to its result: what lies between
// two attentions of a mask decoder's tokens. Each product is of the normalised rows, or of their sum with the rows of another tensor.
//
// A block makes 64 columns of one product for eight rows, a warp sixteen of them. All weights of a lane go to registers at once, before the kernels before
// are done. Every block normalises its rows on its own, two of them a warp, into shared memory; the first one of each eight rows also writes them out.

#include "token_rows.cuh"

// OWN: rows that a warp normalises.
constexpr int MOST_PRODUCTS = 6, COLUMNS = WARPS * WIDE, OWN = ROWS / WARPS;
static_assert(CHANNELS == 32 * 8 && OWN * WARPS == ROWS);

struct TokenProduct {
  // [columns][256] and [columns], a multiple of COLUMNS.
  const void *weight;
  const float *bias;
  // [rows][columns].
  void *out;
  int columns;
  // Whether the product is of the sum.
  int of_sum;
  int activation;
};

struct TokenProducts {
  TokenProduct products[MOST_PRODUCTS];
  // [rows][256]; `normalised` and the two of the normalisation, [256], are null where there is none, `added` where there are no sums.
  const void *x, *added;
  void *normalised;
  const float *scale, *shift;
  int rows;
  float eps;
};

__device__ __forceinline__ uint4 eight_at(const void *from, long long bytes) { return *reinterpret_cast<const uint4 *>(static_cast<const char *>(from) + bytes); }

// The sums of eight numbers each, rounded.
template <typename T> __device__ __forceinline__ uint4 sum_of(const uint4 &a, const uint4 &b) {
  uint4 result;
  float v[8], w[8];
  load_8(reinterpret_cast<const T *>(&a), v);
  load_8(reinterpret_cast<const T *>(&b), w);
#pragma unroll
  for (int j = 0; j < 8; j++) v[j] += w[j];
  store_8(reinterpret_cast<T *>(&result), v);
  return result;
}

template <typename T> __device__ __forceinline__ void token_products(const TokenProducts &p) {
  __shared__ __align__(16) T rows[ROWS * PITCH];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, first = blockIdx.y * ROWS;
  int product = 0, column = blockIdx.x * COLUMNS;
  while (column >= p.products[product].columns) column -= p.products[product++].columns;
  const TokenProduct &own = p.products[product];
  column += warp * WIDE;
  // Weights are there before the kernels before are done.
  Columns<CHANNELS / PIECE> weights;
  weights.read(static_cast<const T *>(own.weight), own.bias, column, lane);
  NormOf norm;
  if (p.scale) norm.read(p.scale, p.shift, lane);
  begin();

  uint4 x[OWN], added[OWN];
#pragma unroll
  for (int i = 0; i < OWN; i++) {
    const int row = first + i * WARPS + warp;
    const long long at = (static_cast<long long>(row) * CHANNELS + lane * 8) * sizeof(T);
    x[i] = row < p.rows ? eight_at(p.x, at) : make_uint4(0, 0, 0, 0);
    added[i] = row < p.rows && own.of_sum ? eight_at(p.added, at) : make_uint4(0, 0, 0, 0);
  }
#pragma unroll
  for (int i = 0; i < OWN; i++) {
    const int row = i * WARPS + warp;
    uint4 result = x[i];
    if (p.scale) {
      float v[8];
      load_8(reinterpret_cast<const T *>(&x[i]), v);
      norm.apply(v, p.eps);
      store_8(reinterpret_cast<T *>(&result), v);
      if (blockIdx.x == 0 && first + row < p.rows) *reinterpret_cast<uint4 *>(static_cast<T *>(p.normalised) + static_cast<long long>(first + row) * CHANNELS + lane * 8) = result;
    }
    // The sum is of what is written out, which is rounded.
    if (own.of_sum) result = sum_of<T>(result, added[i]);
    *reinterpret_cast<uint4 *>(rows + row * PITCH + lane * 8) = result;
  }
  __syncthreads();

  float d[4];
  weights.multiply(d, rows, PITCH, lane);
  if (own.activation == RELU) {
#pragma unroll
    for (int i = 0; i < 4; i++) d[i] = fmaxf(d[i], 0.f);
  }
  const uint2 four = turned<T>(d);
  const int row = first + lane / 4;
  if (row < p.rows) *reinterpret_cast<uint2 *>(static_cast<T *>(own.out) + static_cast<long long>(row) * own.columns + column + lane % 4 * 4) = four;
}

#define TOKEN_PRODUCTS(SUFFIX, TYPE)                                                                                                    \
  extern "C" __global__ void __launch_bounds__(THREADS) token_products_##SUFFIX(const __grid_constant__ TokenProducts p) { token_products<TYPE>(p); }
FOR_HALVES(TOKEN_PRODUCTS)
