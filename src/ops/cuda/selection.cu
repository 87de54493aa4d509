// Choosing among many: greatest number of rows, top-k in a fixed order, and rows by index.

#include "common.cuh"

// As IEEE 754's total order, increasing.
__device__ __forceinline__ unsigned ordered(float x) {
  unsigned bits = __float_as_uint(x);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

// The greatest number of each row of x, or the NaN that is the greatest of all where one of them is not finite; that of `blank`[0] where
// `valid`[row % period] is 0. A warp a row.
template <typename T>
__device__ __forceinline__ void row_max(const T *__restrict__ x, const float *__restrict__ valid, const float *__restrict__ blank, float *__restrict__ y, int rows, int n, int period) {
  const int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (row >= rows) return;
  float most = -INFINITY;
  bool broken = false;
  for (int i = lane; i < n; i += 32) {
    const float value = to_float(x[static_cast<long long>(row) * n + i]);
    broken |= !isfinite(value), most = fmaxf(most, value);
  }
  most = __any_sync(ALL_LANES, broken) ? __uint_as_float(0x7fffffffu) : warp_max(most);
  if (lane == 0) y[row] = valid && valid[row % period] == 0.f ? blank[0] : most;
}

constexpr int TOP_THREADS = 1024, MOST_TOP = 2048;

// Positions of the k greatest of n numbers, greatest first, equal ones by position; a block a row, k up to MOST_TOP.
//
// The k-th greatest number is found two bits at a time, by counting; then the position below which numbers equal to it are taken. The
// chosen ones are put in order by counting, for each, those before it. Threads hold their numbers where a row has at most HELD a thread
// (0: they read them again each time).
template <int HELD> __device__ __forceinline__ void top_k(const float *__restrict__ x, unsigned *__restrict__ index, int n, int k) {
  // Each warp's three counts, at most 20 numbers a thread, in ten bits each or, where threads hold none, in three words; two rounds' worth.
  __shared__ unsigned counts[2][3][32];
  // Number and, smaller first, position as one.
  __shared__ unsigned long long chosen[MOST_TOP];
  __shared__ unsigned found;
  const float *row = x + static_cast<long long>(blockIdx.x) * n;
  const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
  unsigned held[HELD > 0 ? HELD : 1];
#pragma unroll
  for (int j = 0; j < HELD; j++) held[j] = thread + j * TOP_THREADS < n ? ordered(row[thread + j * TOP_THREADS]) : 0;
  if (thread == 0) found = 0;
  // Gives `one` each of this thread's numbers and its position.
  auto each = [&](auto one) {
    if constexpr (HELD > 0) {
#pragma unroll
      for (int j = 0; j < HELD; j++)
        if (thread + j * TOP_THREADS < n) one(held[j], thread + j * TOP_THREADS);
    } else {
      for (int i = thread; i < n; i += TOP_THREADS) one(ordered(row[i]), i);
    }
  };
  // The sums of the counts of all threads.
  int round = 0;
  auto add_up = [&](unsigned (&count)[3]) {
    auto &cells = counts[round++ % 2];
    if constexpr (HELD > 0) {
      const unsigned packed = __reduce_add_sync(ALL_LANES, count[0] | count[1] << 10 | count[2] << 20);
      if (lane == 0) cells[0][warp] = packed;
      __syncthreads();
      const unsigned got = cells[0][lane], low = __reduce_add_sync(ALL_LANES, (got & 1023) | (got >> 10 & 1023) << 16);
      count[0] = low & 0xffff, count[1] = low >> 16, count[2] = __reduce_add_sync(ALL_LANES, got >> 20);
    } else {
#pragma unroll
      for (int t = 0; t < 3; t++) {
        const unsigned sum = __reduce_add_sync(ALL_LANES, count[t]);
        if (lane == 0) cells[t][warp] = sum;
      }
      __syncthreads();
#pragma unroll
      for (int t = 0; t < 3; t++) count[t] = __reduce_add_sync(ALL_LANES, cells[t][lane]);
    }
  };

  // The greatest key that at least k keys reach, and how many do.
  unsigned bound = 0, reach = n;
  for (int bit = 30; bit >= 0; bit -= 2) {
    unsigned count[3] = {};
    each([&](unsigned key, int) {
#pragma unroll
      for (unsigned t = 0; t < 3; t++) count[t] += key >= (bound | (t + 1) << bit);
    });
    add_up(count);
    unsigned digit = 0;
#pragma unroll
    for (unsigned t = 0; t < 3; t++)
      if (count[t] >= static_cast<unsigned>(k)) digit = t + 1, reach = count[t];
    bound |= digit << bit;
  }
  unsigned above[3] = {};
  each([&](unsigned key, int) { above[0] += key > bound; });
  add_up(above);
  const unsigned equal = k - above[0];
  // The greatest position p such that fewer than `equal` of the keys equal to the bound lie before it: the last one taken.
  unsigned last = n;
  if (reach > static_cast<unsigned>(k)) {
    last = 0;
    for (int bit = 30; bit >= 0; bit--) {
      const unsigned tried = last | 1u << bit;
      // No position reaches n.
      if (tried >= static_cast<unsigned>(n)) continue;
      unsigned count[3] = {};
      each([&](unsigned key, int i) { count[0] += key == bound && static_cast<unsigned>(i) < tried; });
      add_up(count);
      if (count[0] < equal) last = tried;
    }
  }
  each([&](unsigned key, int i) {
    if (key > bound || (key == bound && static_cast<unsigned>(i) <= last)) {
      const unsigned at = atomicAdd(&found, 1u);
      if (at < MOST_TOP) chosen[at] = static_cast<unsigned long long>(key) << 32 | ~static_cast<unsigned>(i);
    }
  });
  __syncthreads();
  for (int i = warp; i < k; i += TOP_THREADS / 32) {
    const unsigned long long own = chosen[i];
    unsigned before = 0;
    for (int j = lane; j < k; j += 32) before += chosen[j] > own;
    before = __reduce_add_sync(ALL_LANES, before);
    if (lane == 0) index[static_cast<long long>(blockIdx.x) * k + before] = ~static_cast<unsigned>(own);
  }
}

#define TOP_K(HELD)                                                                                                                     \
  extern "C" __global__ void __launch_bounds__(TOP_THREADS) top_k_##HELD(const float *x, unsigned *index, int n, int k) { begin(); top_k<HELD>(x, index, n, k); }
TOP_K(0) TOP_K(2) TOP_K(9) TOP_K(20)

// Rows of x [batch, n, channels] by index [batch, k], and those of `anchors` [n, 4] f32; where `valid` [n] is 0, `blank` [channels]
// f32 stands for the row of x.
template <typename T>
__device__ __forceinline__ void gather_queries(const T *__restrict__ x, const unsigned *__restrict__ index, const float *__restrict__ valid, const float *__restrict__ blank, const float *__restrict__ anchors, T *__restrict__ content, float *__restrict__ places, int n, int k, int channels) {
  const int item = blockIdx.x, image = item / k;
  const unsigned from = index[item];
  const bool is_blank = valid[from] == 0.f;
  const T *row = x + (static_cast<long long>(image) * n + from) * channels;
  for (int c = threadIdx.x; c < channels; c += blockDim.x)
    content[static_cast<long long>(item) * channels + c] = is_blank ? from_float<T>(blank[c]) : row[c];
  if (threadIdx.x < 4) places[4 * item + threadIdx.x] = anchors[4LL * from + threadIdx.x];
}

#define SELECT(SUFFIX, TYPE)                                                                                                            \
  extern "C" __global__ void __launch_bounds__(256) row_max_##SUFFIX(const TYPE *x, const float *valid, const float *blank, float *y, int rows, int n, int period) { begin(); \
    row_max(x, valid, blank, y, rows, n, period);                                                                                       \
  }                                                                                                                                     \
  extern "C" __global__ void __launch_bounds__(256) gather_queries_##SUFFIX(const TYPE *x, const unsigned *index, const float *valid, const float *blank, const float *anchors, TYPE *content, float *places, int n, int k, int channels) { begin(); \
    gather_queries(x, index, valid, blank, anchors, content, places, n, k, channels);                                                   \
  }
FOR_FLOATS(SELECT)
