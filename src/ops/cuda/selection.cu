// Choosing among many: greatest number of rows, top-k in a fixed order, and rows by index.

#include "common.cuh"

// As IEEE 754's total order, increasing.
__device__ __forceinline__ unsigned ordered(float x) {
  unsigned bits = __float_as_uint(x);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

// The greatest number of each row of x; that of `blank`[0] where `valid`[row % period] is 0. A warp a row.
template <typename T>
__device__ __forceinline__ void row_max(const T *__restrict__ x, const float *__restrict__ valid, const float *__restrict__ blank, float *__restrict__ y, int rows, int n, int period) {
  const int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (row >= rows) return;
  float most = -INFINITY;
  for (int i = lane; i < n; i += 32) most = fmaxf(most, to_float(x[static_cast<long long>(row) * n + i]));
  most = warp_max(most);
  if (lane == 0) y[row] = valid && valid[row % period] == 0.f ? blank[0] : most;
}

constexpr int TOP_THREADS = 1024, MOST_TOP = 2048;

// Positions of the k greatest of n numbers, greatest first, equal ones by position; a block a row, k up to MOST_TOP.
//
// The k-th greatest number is found bit by bit, by counting; then the position below which numbers equal to it are taken. The
// chosen ones are put in order by counting, for each, those before it. `held` says that the row fits into shared memory.
extern "C" __global__ void __launch_bounds__(TOP_THREADS) top_k(const float *__restrict__ x, unsigned *__restrict__ index, int n, int k, int held) {
  __shared__ unsigned counts[64];
  __shared__ unsigned chosen_keys[MOST_TOP], chosen_places[MOST_TOP];
  __shared__ unsigned found;
  extern __shared__ unsigned keys[];
  const float *row = x + static_cast<long long>(blockIdx.x) * n;
  const int thread = threadIdx.x, lane = thread % 32;
  if (thread < 64) counts[thread] = 0;
  if (thread == 0) found = 0;
  if (held)
    for (int i = thread; i < n; i += TOP_THREADS) keys[i] = ordered(row[i]);
  __syncthreads();
  auto key_at = [&](int i) { return held ? keys[i] : ordered(row[i]); };
  // Adds the counts of all threads into one cell, which each thread then reads.
  auto add_up = [&](unsigned count, int cell) {
    count = __reduce_add_sync(ALL_LANES, count);
    if (lane == 0 && count > 0) atomicAdd(&counts[cell], count);
    __syncthreads();
    return counts[cell];
  };

  // The greatest key that at least k keys reach.
  unsigned bound = 0;
  for (int bit = 31; bit >= 0; bit--) {
    const unsigned tried = bound | 1u << bit;
    unsigned count = 0;
    for (int i = thread; i < n; i += TOP_THREADS) count += key_at(i) >= tried;
    if (add_up(count, bit) >= static_cast<unsigned>(k)) bound = tried;
  }
  unsigned above = 0;
  for (int i = thread; i < n; i += TOP_THREADS) above += key_at(i) > bound;
  const unsigned equal = k - add_up(above, 32);
  // The greatest position p such that fewer than `equal` of the keys equal to the bound lie before it: the last one taken.
  unsigned last = 0;
  for (int bit = 30; bit >= 0; bit--) {
    const unsigned tried = last | 1u << bit;
    // No position reaches n.
    if (tried >= static_cast<unsigned>(n)) continue;
    unsigned count = 0;
    for (int i = thread; i < static_cast<int>(tried); i += TOP_THREADS) count += key_at(i) == bound;
    if (add_up(count, 33 + bit) < equal) last = tried;
  }
  for (int i = thread; i < n; i += TOP_THREADS) {
    const unsigned key = key_at(i);
    if (key > bound || (key == bound && static_cast<unsigned>(i) <= last)) {
      const unsigned at = atomicAdd(&found, 1u);
      if (at < MOST_TOP) chosen_keys[at] = key, chosen_places[at] = i;
    }
  }
  __syncthreads();
  for (int i = thread; i < k; i += TOP_THREADS) {
    const unsigned key = chosen_keys[i], place = chosen_places[i];
    int before = 0;
    for (int j = 0; j < k; j++) before += chosen_keys[j] > key || (chosen_keys[j] == key && chosen_places[j] < place);
    index[static_cast<long long>(blockIdx.x) * k + before] = place;
  }
}

// Rows of x [batch, n, channels] by index [batch, k], and those of `anchors` [n, 4] f32; where `valid` [n] is 0, `blank` [channels]
// stands for the row of x.
template <typename T>
__device__ __forceinline__ void gather_queries(const T *__restrict__ x, const unsigned *__restrict__ index, const float *__restrict__ valid, const T *__restrict__ blank, const float *__restrict__ anchors, T *__restrict__ content, float *__restrict__ places, int n, int k, int channels) {
  const int item = blockIdx.x, image = item / k;
  const unsigned from = index[item];
  const T *row = valid[from] == 0.f ? blank : x + (static_cast<long long>(image) * n + from) * channels;
  for (int c = threadIdx.x; c < channels; c += blockDim.x) content[static_cast<long long>(item) * channels + c] = row[c];
  if (threadIdx.x < 4) places[4 * item + threadIdx.x] = anchors[4LL * from + threadIdx.x];
}

#define SELECT(SUFFIX, TYPE)                                                                                                            \
  extern "C" __global__ void __launch_bounds__(256) row_max_##SUFFIX(const TYPE *x, const float *valid, const float *blank, float *y, int rows, int n, int period) { \
    row_max(x, valid, blank, y, rows, n, period);                                                                                       \
  }                                                                                                                                     \
  extern "C" __global__ void __launch_bounds__(256) gather_queries_##SUFFIX(const TYPE *x, const unsigned *index, const float *valid, const TYPE *blank, const float *anchors, TYPE *content, float *places, int n, int k, int channels) { \
    gather_queries(x, index, valid, blank, anchors, content, places, n, k, channels);                                                   \
  }
FOR_FLOATS(SELECT)
