// Attention of few queries to many keys, heads of 16 channels, on the tensor cores: warps take a part of the keys each, and a second kernel
// puts the parts together.

#include "attention.cuh"

// Channels of a head, keys of a part (a warp's), warps of a block.
constexpr int HEAD = 16, PART_KEYS = 64, WARPS = 4;
// A part's row of a query: values weighted by exp(score - greatest score), the greatest score, and the sum of the weights.
constexpr int PART_ROW = HEAD + 2;
// Numbers from key to key in shared memory, so that rows lie in different banks.
constexpr int VALUE_ROW = HEAD + 8;

// Writes [batch, heads, part, query, PART_ROW].
template <typename T> __device__ __forceinline__ void attend_parts(const Attention &p, float *__restrict__ parts) {
  __shared__ __align__(16) T shared[WARPS][PART_KEYS * VALUE_ROW];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, part = blockIdx.x * WARPS + warp, head = blockIdx.y, set = blockIdx.z;
  const int count = min(PART_KEYS, p.keys - part * PART_KEYS);
  if (count <= 0) return;
  T *values = shared[warp];
  const T *key = static_cast<const T *>(p.k) + set * p.k_batch + static_cast<long long>(part) * PART_KEYS * p.k_token + head * HEAD;
  const T *value = static_cast<const T *>(p.v) + set * p.v_batch + static_cast<long long>(part) * PART_KEYS * p.v_token + head * HEAD;
#pragma unroll
  for (int i = lane; i < PART_KEYS * 2; i += 32) {
    const int j = i / 2, c = i % 2 * 8;
    copy_16(values + j * VALUE_ROW + c, value + min(j, count - 1) * p.v_token + c, j < count);
  }
  copies_commit();
  uint32_t q[4];
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const int query = min(lane / 4 + half * 8, p.queries - 1);
    const T *from = static_cast<const T *>(p.q) + set * p.q_batch + query * p.q_token + head * HEAD + lane % 4 * 2;
    q[half] = *reinterpret_cast<const uint32_t *>(from), q[half + 2] = *reinterpret_cast<const uint32_t *>(from + 8);
  }
  float s[8][4], most[2] = {-1e30f, -1e30f}, total[2] = {}, sums[2][4] = {};
#pragma unroll
  for (int n = 0; n < 8; n++) {
    const T *from = key + min(n * 8 + lane / 4, count - 1) * p.k_token + lane % 4 * 2;
    s[n][0] = s[n][1] = s[n][2] = s[n][3] = 0.f;
    multiply_add(s[n], q, *reinterpret_cast<const uint32_t *>(from), *reinterpret_cast<const uint32_t *>(from + 8), T());
#pragma unroll
    for (int i = 0; i < 4; i++) {
      s[n][i] = n * 8 + lane % 4 * 2 + i % 2 < count ? s[n][i] * p.scale : -1e30f;
      most[i / 2] = fmaxf(most[i / 2], s[n][i]);
    }
  }
#pragma unroll
  for (int half = 0; half < 2; half++) {
    // The four threads of a row agree on its maximum.
    most[half] = fmaxf(most[half], __shfl_xor_sync(ALL_LANES, most[half], 1));
    most[half] = fmaxf(most[half], __shfl_xor_sync(ALL_LANES, most[half], 2));
  }
#pragma unroll
  for (int n = 0; n < 8; n++)
#pragma unroll
    for (int i = 0; i < 4; i++) {
      s[n][i] = __expf(s[n][i] - most[i / 2]);
      total[i / 2] += s[n][i];
    }
  copies_wait<0>();
  __syncwarp();
#pragma unroll
  for (int n = 0; n < 4; n++) {
    const uint32_t weights[4] = {pack_2(s[2 * n][0], s[2 * n][1], T()), pack_2(s[2 * n][2], s[2 * n][3], T()), pack_2(s[2 * n + 1][0], s[2 * n + 1][1], T()), pack_2(s[2 * n + 1][2], s[2 * n + 1][3], T())};
    uint32_t v[4];
    load_matrices_transposed(v, values + (n * 16 + (lane & 15)) * VALUE_ROW + (lane >> 4) * 8);
    multiply_add(sums[0], weights, v[0], v[1], T());
    multiply_add(sums[1], weights, v[2], v[3], T());
  }
  const int all = (p.keys + PART_KEYS - 1) / PART_KEYS;
  float *to = parts + ((static_cast<long long>(set) * p.heads + head) * all + part) * p.queries * PART_ROW;
#pragma unroll
  for (int half = 0; half < 2; half++) {
    total[half] += __shfl_xor_sync(ALL_LANES, total[half], 1);
    total[half] += __shfl_xor_sync(ALL_LANES, total[half], 2);
    const int query = lane / 4 + half * 8;
    if (query >= p.queries) continue;
    float *row = to + query * PART_ROW;
    store_2(row + lane % 4 * 2, sums[0][2 * half], sums[0][2 * half + 1]);
    store_2(row + 8 + lane % 4 * 2, sums[1][2 * half], sums[1][2 * half + 1]);
    if (lane % 4 == 0) store_2(row + HEAD, most[half], total[half]);
  }
}

// A warp puts the parts of one query of one head together, each thread every 32nd part.
template <typename T> __device__ __forceinline__ void attend_join(const Attention &p, const float *__restrict__ parts) {
  const int lane = threadIdx.x % 32, item = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, all = (p.keys + PART_KEYS - 1) / PART_KEYS;
  if (item >= p.batch * p.heads * p.queries) return;
  const int query = item % p.queries, head = item / p.queries % p.heads, set = item / p.queries / p.heads;
  const float *from = parts + ((static_cast<long long>(set) * p.heads + head) * all * p.queries + query) * PART_ROW;
  const long long next = static_cast<long long>(p.queries) * PART_ROW;
  float most = -1e30f, total = 0.f, sums[HEAD] = {};
  for (int i = lane; i < all; i += 32) most = fmaxf(most, from[i * next + HEAD]);
  most = warp_max(most);
  for (int i = lane; i < all; i += 32) {
    const float *part = from + i * next;
    const float factor = __expf(part[HEAD] - most);
    total = fmaf(factor, part[HEAD + 1], total);
#pragma unroll
    for (int c = 0; c < HEAD; c += 2) {
      const float2 two = load_2(part + c);
      sums[c] = fmaf(factor, two.x, sums[c]), sums[c + 1] = fmaf(factor, two.y, sums[c + 1]);
    }
  }
  total = warp_sum(total);
  float own = 0.f;
#pragma unroll
  for (int c = 0; c < HEAD; c++) {
    const float sum = warp_sum(sums[c]);
    if (lane == c) own = sum;
  }
  if (lane < HEAD) static_cast<T *>(p.out)[((static_cast<long long>(set) * p.queries + query) * p.heads + head) * HEAD + lane] = from_float<T>(own / total);
}

#define PARTS(SUFFIX, TYPE)                                                                                                             \
  extern "C" __global__ void __launch_bounds__(WARPS * 32) attend_parts_16_##SUFFIX(const __grid_constant__ Attention p, float *parts) { begin(); attend_parts<TYPE>(p, parts); } \
  extern "C" __global__ void __launch_bounds__(256) attend_join_16_##SUFFIX(const __grid_constant__ Attention p, const float *parts) { begin(); attend_join<TYPE>(p, parts); }
FOR_HALVES(PARTS)
