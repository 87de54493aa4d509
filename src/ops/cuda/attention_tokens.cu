// Attention among tokens on the tensor cores, of heads of 16 and 32 channels.

#include "attention.cuh"

// Keys in shared memory at a time, queries of a block (two warps' sixteen), and warps that share their keys.
constexpr int MOST_KEYS = 512, QUERIES = 32, SHARERS = 4;

// Sixteen queries of a warp: the running maximum, sum and weighted values of the two rows a thread has a part in.
template <int HEAD> struct Rows {
  float most[2], total[2];
  float values[HEAD / 8][4];
};

// Adds up to 64 keys, sixteen a step, of which the first `valid` count; at least one does in each of the `steps`.
template <typename T, int HEAD> __device__ __forceinline__ void add_steps(Rows<HEAD> &rows, const uint32_t (&q)[HEAD / 16][4], const T *keys, const T *values, int steps, int valid, float scale, int lane) {
  constexpr int ROW = HEAD + 8;
  float s[8][4] = {};
  float most[2] = {rows.most[0], rows.most[1]};
#pragma unroll
  for (int n = 0; n < 8; n += 2) {
    if (n / 2 >= steps) break;
#pragma unroll
    for (int i = 0; i < HEAD / 16; i++) {
      uint32_t k[4];
      if constexpr (HEAD == 16) {
        // Sixteen keys of two chunks.
        load_matrices(k, keys + (n * 8 + (lane & 7) + (lane >> 4) * 8) * ROW + ((lane >> 3) & 1) * 8);
        multiply_add(s[n], q[0], k[0], k[1], T());
        multiply_add(s[n + 1], q[0], k[2], k[3], T());
      } else {
        // Eight keys of four.
        load_matrices(k, keys + ((n + i) * 8 + (lane & 7)) * ROW + (lane >> 3) * 8);
        multiply_add(s[n + i], q[0], k[0], k[1], T());
        multiply_add(s[n + i], q[HEAD / 16 - 1], k[2], k[3], T());
      }
    }
  }
#pragma unroll
  for (int n = 0; n < 8; n++)
#pragma unroll
    for (int i = 0; i < 4; i++) {
      s[n][i] = n * 8 + lane % 4 * 2 + i % 2 < valid ? s[n][i] * scale : -1e30f;
      most[i / 2] = fmaxf(most[i / 2], s[n][i]);
    }
#pragma unroll
  for (int half = 0; half < 2; half++) {
    // The four threads of a row agree on its maximum.
    most[half] = fmaxf(most[half], __shfl_xor_sync(ALL_LANES, most[half], 1));
    most[half] = fmaxf(most[half], __shfl_xor_sync(ALL_LANES, most[half], 2));
    const float c = __expf(rows.most[half] - most[half]);
    rows.most[half] = most[half], rows.total[half] *= c;
#pragma unroll
    for (int n = 0; n < HEAD / 8; n++) rows.values[n][2 * half] *= c, rows.values[n][2 * half + 1] *= c;
  }
#pragma unroll
  for (int n = 0; n < 8; n++)
#pragma unroll
    for (int i = 0; i < 4; i++) {
      s[n][i] = __expf(s[n][i] - most[i / 2]);
      rows.total[i / 2] += s[n][i];
    }
#pragma unroll
  for (int n = 0; n < 4; n++) {
    if (n >= steps) break;
    const uint32_t weights[4] = {pack_2(s[2 * n][0], s[2 * n][1], T()), pack_2(s[2 * n][2], s[2 * n][3], T()), pack_2(s[2 * n + 1][0], s[2 * n + 1][1], T()), pack_2(s[2 * n + 1][2], s[2 * n + 1][3], T())};
#pragma unroll
    for (int half = 0; half < HEAD / 16; half++) {
      uint32_t v[4];
      load_matrices_transposed(v, values + (n * 16 + (lane & 15)) * ROW + half * 16 + (lane >> 4) * 8);
      multiply_add(rows.values[2 * half], weights, v[0], v[1], T());
      multiply_add(rows.values[2 * half + 1], weights, v[2], v[3], T());
    }
  }
}

// A block makes QUERIES of a head. Shared memory holds the keys and values of a pass, then each warp's part of the result.
template <typename T, int HEAD> __device__ __forceinline__ void attend_tiles(const Attention &p) {
  extern __shared__ __align__(16) unsigned char memory[];
  constexpr int ROW = HEAD + 8, OUT_ROW = HEAD + 2, CHUNKS = HEAD / 8;
  const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32, group = warp / SHARERS, sharer = warp % SHARERS;
  const int head = blockIdx.y, set = blockIdx.z, first = blockIdx.x * QUERIES + group * 16;
  const int room = min(MOST_KEYS, (p.keys + 15) / 16 * 16);
  T *keys = reinterpret_cast<T *>(memory), *values = keys + room * ROW;
  const T *from_k = static_cast<const T *>(p.k) + set * p.k_batch + head * HEAD, *from_v = static_cast<const T *>(p.v) + set * p.v_batch + head * HEAD;
  uint32_t q[HEAD / 16][4];
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const int query = min(first + lane / 4 + half * 8, p.queries - 1);
    const T *from = static_cast<const T *>(p.q) + set * p.q_batch + query * p.q_token + head * HEAD + lane % 4 * 2;
#pragma unroll
    for (int k = 0; k < HEAD / 16; k++) {
      q[k][half] = *reinterpret_cast<const uint32_t *>(from + k * 16);
      q[k][half + 2] = *reinterpret_cast<const uint32_t *>(from + k * 16 + 8);
    }
  }
  Rows<HEAD> rows = {{-1e30f, -1e30f}, {0.f, 0.f}, {}};
  for (int base = 0; base < p.keys; base += MOST_KEYS) {
    const int count = min(MOST_KEYS, p.keys - base), steps = (count + 15) / 16;
    for (int i = thread; i < steps * 16 * 2 * CHUNKS; i += blockDim.x) {
      // Chunks of eight numbers of a key, then of its value.
      const int j = i / (2 * CHUNKS), chunk = i % (2 * CHUNKS);
      const long long at = base + min(j, count - 1);
      const T *from = chunk < CHUNKS ? from_k + at * p.k_token : from_v + at * p.v_token;
      copy_16((chunk < CHUNKS ? keys : values) + j * ROW + chunk % CHUNKS * 8, from + chunk % CHUNKS * 8, j < count);
    }
    copies_commit();
    copies_wait<0>();
    __syncthreads();
    const int each = (steps + SHARERS - 1) / SHARERS, last = min(steps, (sharer + 1) * each);
    for (int s = sharer * each; s < last; s += 4)
      add_steps<T, HEAD>(rows, q, keys + s * 16 * ROW, values + s * 16 * ROW, min(4, last - s), min(count, last * 16) - s * 16, p.scale, lane);
    __syncthreads();
  }
  float *parts = reinterpret_cast<float *>(memory);
#pragma unroll
  for (int half = 0; half < 2; half++) {
    float total = rows.total[half];
    total += __shfl_xor_sync(ALL_LANES, total, 1);
    total += __shfl_xor_sync(ALL_LANES, total, 2);
    float *part = parts + (warp * 16 + lane / 4 + half * 8) * OUT_ROW;
#pragma unroll
    for (int n = 0; n < HEAD / 8; n++) store_2(part + n * 8 + lane % 4 * 2, rows.values[n][2 * half], rows.values[n][2 * half + 1]);
    if (lane % 4 == 0) part[HEAD] = rows.most[half], part[HEAD + 1] = total;
  }
  __syncthreads();
  // Each thread puts four channels of a query together.
  constexpr int EACH = HEAD / 4;
  const int own = thread / EACH, column = thread % EACH * 4, query = blockIdx.x * QUERIES + own;
  if (own >= QUERIES || query >= p.queries) return;
  const float *part = parts + (own / 16 * SHARERS * 16 + own % 16) * OUT_ROW;
  float most = -1e30f, total = 0.f, sums[4] = {};
#pragma unroll
  for (int i = 0; i < SHARERS; i++) most = fmaxf(most, part[i * 16 * OUT_ROW + HEAD]);
#pragma unroll
  for (int i = 0; i < SHARERS; i++) {
    const float *one = part + i * 16 * OUT_ROW;
    const float factor = __expf(one[HEAD] - most);
    total = fmaf(factor, one[HEAD + 1], total);
#pragma unroll
    for (int c = 0; c < 4; c++) sums[c] = fmaf(factor, one[column + c], sums[c]);
  }
#pragma unroll
  for (int c = 0; c < 4; c++) sums[c] /= total;
  store_4(static_cast<T *>(p.out) + (static_cast<long long>(set) * p.queries + query) * p.heads * HEAD + head * HEAD + column, sums);
}

#define TILES(SUFFIX, TYPE)                                                                                                             \
  extern "C" __global__ void __launch_bounds__(256) attend_tiles_16_##SUFFIX(const __grid_constant__ Attention p) { begin(); attend_tiles<TYPE, 16>(p); } \
  extern "C" __global__ void __launch_bounds__(256) attend_tiles_32_##SUFFIX(const __grid_constant__ Attention p) { begin(); attend_tiles<TYPE, 32>(p); }
FOR_HALVES(TILES)
