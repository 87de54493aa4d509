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
// Numbers are keys that order as they do. First a bound that k keys reach is found, two bits at a time, by counting how many threads' greatest
// keys reach it. Little more than k keys reach it too, unless many are equal or lie with the same threads: then the k-th greatest key is
// found, by counting all of them, and the position up to which those equal to it are taken. What is taken is laid side by side by position,
// and put in order by counting, for each, what comes before it. Threads hold their keys where a row has at most HELD a thread (0: they read
// them again each time).
template <int HELD> struct TopK {
  // Each warp's three counts, at most 20 keys a thread, in ten bits each or, where threads hold none, in three words; two rounds' worth.
  unsigned counts[2][3][32];
  // Of rows of keys, a key a thread, what each warp takes.
  static constexpr int ROWS = HELD > 0 ? HELD : 8, PART = ROWS > 10 ? ROWS / 2 : ROWS;
  static_assert(ROWS % PART == 0, "rows are taken in parts");
  unsigned taken[PART][32];
  // Keys that were taken, their positions, and how many come before each.
  __align__(16) unsigned keys[MOST_TOP];
  unsigned places[MOST_TOP], before[MOST_TOP];
};

// One thread's part.
template <int HELD> struct TopKThread {
  static constexpr int ROWS = TopK<HELD>::ROWS, PART = TopK<HELD>::PART;
  TopK<HELD> &m;
  const float *row;
  int n, k, thread, lane, warp, round = 0;
  unsigned held[ROWS];

  __device__ __forceinline__ TopKThread(TopK<HELD> &memory, const float *numbers, int count, int top)
      : m(memory), row(numbers), n(count), k(top), thread(threadIdx.x), lane(thread % 32), warp(thread / 32) {
    if constexpr (HELD > 0) hold(0);
  }

  // The keys of ROWS rows; what is beyond the last is 0.
  __device__ __forceinline__ void hold(int first) {
#pragma unroll
    for (int j = 0; j < ROWS; j++) held[j] = first + thread + j * TOP_THREADS < n ? ordered(row[first + thread + j * TOP_THREADS]) : 0;
  }

  // Gives `one` each of this thread's keys and its position, and keys of 0 that are beyond the last.
  template <typename F> __device__ __forceinline__ void each(F one) const {
    if constexpr (HELD > 0) {
#pragma unroll
      for (int j = 0; j < HELD; j++) one(held[j], thread + j * TOP_THREADS);
    } else {
      for (int i = thread; i < n; i += TOP_THREADS) one(ordered(row[i]), i);
    }
  }

  // The sums of the counts of all threads.
  __device__ __forceinline__ void add_up(unsigned (&count)[3]) {
    auto &cells = m.counts[round++ % 2];
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
  }

  // The greatest number that at least k of the keys that `every` gives reach, or one that no more than `enough` do; `reach` of them do.
  template <typename F> __device__ __forceinline__ unsigned bound(unsigned &reach, unsigned enough, F every) {
    unsigned found = 0;
    for (int bit = 30; bit >= 0 && reach > enough; bit -= 2) {
      unsigned count[3] = {};
      every([&](unsigned key) {
#pragma unroll
        for (unsigned t = 0; t < 3; t++) count[t] += key >= (found | (t + 1) << bit);
      });
      add_up(count);
      unsigned digit = 0;
#pragma unroll
      for (unsigned t = 0; t < 3; t++)
        if (count[t] >= static_cast<unsigned>(k)) digit = t + 1, reach = count[t];
      found |= digit << bit;
    }
    return found;
  }

  // A number that k keys reach, or 0: as many threads' greatest keys do.
  __device__ __forceinline__ unsigned low_bound() {
    unsigned greatest = 0, reach = min(n, TOP_THREADS);
    each([&](unsigned key, int) { greatest = max(greatest, key); });
    return bound(reach, k + k / 8, [&](auto one) { one(greatest); });
  }

  // The k-th greatest key, or a lower number that no more keys reach, and the position of the last one that is taken of those equal to it.
  __device__ __forceinline__ uint2 exact_bound() {
    unsigned reach = n;
    const unsigned kth = bound(reach, k, [&](auto one) { each([&](unsigned key, int) { one(key); }); });
    if (reach == static_cast<unsigned>(k)) return make_uint2(kth, n);
    unsigned above[3] = {};
    each([&](unsigned key, int) { above[0] += key > kth; });
    add_up(above);
    const unsigned equal = k - above[0];
    // The greatest position such that fewer than `equal` of the keys equal to the k-th lie before it.
    unsigned last = 0;
    for (int bit = 30; bit >= 0; bit--) {
      const unsigned tried = last | 1u << bit;
      // No position reaches n.
      if (tried >= static_cast<unsigned>(n)) continue;
      unsigned count[3] = {};
      each([&](unsigned key, int i) { count[0] += key == kth && static_cast<unsigned>(i) < tried; });
      add_up(count);
      if (count[0] < equal) last = tried;
    }
    return make_uint2(kth, last);
  }

  // Lays the keys side by side that are greater than `kth`, or equal and no further than `last`. Hands back how many there are; no more
  // than MOST_TOP are written.
  __device__ __forceinline__ unsigned take(unsigned kth, unsigned last) {
    unsigned count = 0;
    for (int first = 0; first < n; first += ROWS * TOP_THREADS) {
      if constexpr (HELD == 0) hold(first);
#pragma unroll
      for (int part = 0; part < ROWS; part += PART) {
        const int own = first + part * TOP_THREADS + thread;
        unsigned lanes[PART];
#pragma unroll
        for (int j = 0; j < PART; j++) {
          const int i = own + j * TOP_THREADS;
          const unsigned key = held[part + j];
          lanes[j] = __ballot_sync(ALL_LANES, i < n && (key > kth || (key == kth && static_cast<unsigned>(i) <= last)));
          if (lane == 0) m.taken[j][warp] = __popc(lanes[j]);
        }
        __syncthreads();
#pragma unroll
        for (int j = 0; j < PART; j++) {
          // What all warps take of the row, and what those before this one do.
          const unsigned its = m.taken[j][lane], sums = __reduce_add_sync(ALL_LANES, its | (lane < warp ? its << 16 : 0));
          const unsigned at = count + (sums >> 16) + __popc(lanes[j] & ((1u << lane) - 1));
          if ((lanes[j] >> lane & 1) && at < MOST_TOP) m.keys[at] = held[part + j], m.places[at] = own + j * TOP_THREADS;
          count += sums & 0xffff;
        }
        __syncthreads();
      }
    }
    return count;
  }

  // How many of `count` keys, all that were taken, come before each: a warp counts among 32 keys for 32 others at a time.
  __device__ __forceinline__ void rank(int count) {
    const int groups = (count + 31) / 32;
    if (thread >= count % 32 && thread < 32 && count % 32 > 0) m.keys[groups * 32 - 32 + thread] = 0;
    for (int i = thread; i < groups * 32; i += TOP_THREADS) m.before[i] = 0;
    __syncthreads();
    for (int own = warp / groups, other = warp % groups; own < groups;) {
      const unsigned key = m.keys[own * 32 + lane];
      unsigned sum = 0;
      auto add = [&](auto one) {
#pragma unroll
        for (int i = 0; i < 32; i += 4) {
          const uint4 four = *reinterpret_cast<const uint4 *>(m.keys + other * 32 + i);
          one(four.x, i), one(four.y, i + 1), one(four.z, i + 2), one(four.w, i + 3);
        }
      };
      // Equal ones lie by position.
      if (other < own) add([&](unsigned its, int) { count_down_if_less(sum, its, key); }), sum += 32;
      else if (other > own) add([&](unsigned its, int) { count_down_if_less(sum, key, its); }), sum = 0 - sum;
      else add([&](unsigned its, int i) { sum += its > key || (its == key && i < lane); });
      atomicAdd(&m.before[own * 32 + lane], sum);
      for (other += TOP_THREADS / 32; other >= groups; other -= groups) own++;
    }
    __syncthreads();
  }
};

template <int HELD> __device__ __forceinline__ void top_k(const float *__restrict__ x, unsigned *__restrict__ index, int n, int k) {
  __shared__ TopK<HELD> memory;
  TopKThread<HELD> t(memory, x + static_cast<long long>(blockIdx.x) * n, n, k);
  int count = t.take(t.low_bound(), n);
  // More would take longer to put in order than the k-th greatest key to find.
  if (count > min(2 * k + 64, MOST_TOP)) {
    const uint2 exact = t.exact_bound();
    count = t.take(exact.x, exact.y);
  }
  t.rank(count);
  for (int i = t.thread; i < count; i += TOP_THREADS)
    if (memory.before[i] < static_cast<unsigned>(k)) index[static_cast<long long>(blockIdx.x) * k + memory.before[i]] = memory.places[i];
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
