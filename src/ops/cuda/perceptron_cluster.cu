// Perceptrons in f32 of so few rows that most multiprocessors would have none: the columns of each layer are shared by the blocks of a cluster, and within
// a block k is too. See perceptron.cuh for how numbers of f32 go through the tensor cores. Compute capability 9.0.
//
// A cluster takes sixteen rows through all layers. A warp has the weights of sixteen columns and a part of k, which go from memory to registers two steps
// ahead, also those of the next layer and before the kernels before are done: nothing else reads them, and the way through shared memory would take longer
// than the products. The sums of the parts of k meet in shared memory; what the next layer reads is written into the shared memory of all blocks of the
// cluster, each of which waits for the bytes of all.

#include "cluster.cuh"
#include "perceptron.cuh"

#if __CUDA_ARCH__ >= 900

constexpr int SHARES = 4, ROWS = 16, WARPS_LOG = 4;
static_assert(1 << WARPS_LOG == WARPS);
// Sums of parts of k that a layer has at most.
constexpr int SUMS = WARPS * ROWS * (WIDE + 4);
// Columns of a block at most: its threads complete them at once, eight of a row each; and of all layers.
constexpr int MOST_COLUMNS = 128, ALL_COLUMNS = 512;
static_assert(MOST_COLUMNS / 8 * ROWS <= THREADS && ALL_COLUMNS <= THREADS);

// Which part of a layer a warp has. Blocks have neighbouring columns; where there are fewer than warps, several have the same columns and parts of k.
// Without divisions, which would take longer than the products.
struct Share {
  int tiles, splits, tile, part, first, steps;
  bool works;

  __device__ __forceinline__ Share(const Layer &layer, int block, int warp) {
    const int k = (layer.inner + DEPTH - 1) / DEPTH, down = WARPS_LOG - layer.share;
    tiles = 1 << layer.share, splits = 1 << down;
    tile = warp & (tiles - 1), part = warp >> layer.share;
    works = (block * tiles + tile) * WIDE < layer.outputs;
    first = k * part >> down, steps = works ? (k * (part + 1) >> down) - first : 0;
  }
};

// The weights of a step that a lane has: of each part those of two columns, eight numbers of k of each.
struct Weights {
  uint4 of[2][2];
};

// A warp's way through its weights, layer by layer, by two steps at a time, the second of which may be none.
struct Cursor {
  const Perceptron &p;
  int block, warp, lane, layer = -1, left = 0;
  const __half *from = nullptr;

  __device__ __forceinline__ Cursor(const Perceptron &perceptron, int own_block, int own_warp, int own_lane) : p(perceptron), block(own_block), warp(own_warp), lane(own_lane) { settle(); }
  __device__ __forceinline__ void settle() {
    while (left <= 0 && ++layer < p.layer_count) {
      const Layer &next = p.layers[layer];
      const Share share(next, block, warp);
      left = share.steps;
      const int tile = block * share.tiles + share.tile, steps = (next.inner + DEPTH - 1) / DEPTH;
      // A row of a step has four pieces of eight numbers, exchanged as perceptron_weights does it.
      const int row = lane / 4;
      from = next.weight + static_cast<long long>(tile * steps + share.first) * STEP + row * DEPTH + ((lane & 3) ^ (row >> 1 & 3)) * 8;
    }
  }
  // Brings the weights of a step, the first or the second of two.
  __device__ __forceinline__ void bring(Weights &weights, bool second) {
    if (layer < p.layer_count && left > second) {
#pragma unroll
      for (int part = 0; part < 2; part++)
#pragma unroll
        for (int n = 0; n < 2; n++) weights.of[part][n] = __ldg(reinterpret_cast<const uint4 *>(from + second * STEP + part * WIDE * DEPTH + n * 8 * DEPTH));
    }
    if (second) from += 2 * STEP, left -= 2, settle();
  }
};

// A step's products. `rows` is the place of the lane's piece in the first of its rows, of the greater parts. k is taken in the order in which eight numbers
// of it lie in a lane's piece: an order like any other, as both sides have it.
__device__ __forceinline__ void multiply(float (&sums)[2][4], float (&fine)[2][4], const __half *rows, int plane, int pitch, const Weights &weights) {
  __align__(16) uint32_t a[2][2][4], b[2][2][4];
#pragma unroll
  for (int part = 0; part < 2; part++)
#pragma unroll
    for (int m = 0; m < 2; m++) {
      *reinterpret_cast<uint4 *>(a[part][m]) = *reinterpret_cast<const uint4 *>(rows + part * plane + m * 8 * pitch);
      *reinterpret_cast<uint4 *>(b[part][m]) = weights.of[part][m];
    }
#pragma unroll
  for (int i = 0; i < 2; i++) {
    uint32_t both[2][4];
#pragma unroll
    for (int part = 0; part < 2; part++)
      both[part][0] = a[part][0][2 * i], both[part][1] = a[part][1][2 * i], both[part][2] = a[part][0][2 * i + 1], both[part][3] = a[part][1][2 * i + 1];
#pragma unroll
    for (int n = 0; n < 2; n++) {
      multiply_add(fine[n], both[1], b[0][n][2 * i], b[0][n][2 * i + 1], __half());
      multiply_add(sums[n], both[0], b[0][n][2 * i], b[0][n][2 * i + 1], __half());
      multiply_add(fine[n], both[0], b[1][n][2 * i], b[1][n][2 * i + 1], __half());
    }
  }
}

// The input of a warp's own row, in parts in shared memory; what bounds the numbers of all rows. Up to 512 numbers a row.
template <typename T> __device__ __forceinline__ float bring_row(const Perceptron &p, __half *memory, float *maxima, int row0) {
  const int width = (p.inputs + DEPTH - 1) / DEPTH * DEPTH, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  float v[4][4] = {}, most = 0.f;
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const int k = i * 128 + lane * 4;
    if (row0 + warp < p.rows && k < p.inputs) {
      const long long at = static_cast<long long>(row0 + warp) * p.inputs + k;
      float add[4] = {};
      load_4(static_cast<const T *>(p.x) + at, v[i]);
      if (p.added) {
        if (p.added_f32) load_4(static_cast<const float *>(p.added) + at, add);
        else load_4(static_cast<const T *>(p.added) + at, add);
      }
#pragma unroll
      for (int j = 0; j < 4; j++) v[i][j] += add[j];
    }
  }
#pragma unroll
  for (int i = 0; i < 4; i++)
#pragma unroll
    for (int j = 0; j < 4; j++) most = fmaxf(most, fabsf(v[i][j]));
  most = warp_max(most);
  if (lane == 0) maxima[warp] = most;
  __syncthreads();
  most = warp_max(maxima[lane % WARPS]);
  const float scale = scale_for(most);
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const int k = i * 128 + lane * 4;
    if (k >= width) break;
    __align__(8) __half great[4], small[4];
#pragma unroll
    for (int j = 0; j < 4; j++) split(v[i][j] * scale, great[j], small[j]);
    __half *to = memory + warp * p.pitch + k;
    *reinterpret_cast<uint2 *>(to) = *reinterpret_cast<const uint2 *>(great);
    *reinterpret_cast<uint2 *>(to + ROWS * p.pitch) = *reinterpret_cast<const uint2 *>(small);
  }
  return most;
}

template <typename F> __device__ __forceinline__ void each(float (&v)[8], F one) {
#pragma unroll
  for (int i = 0; i < 8; i++) v[i] = one(v[i]);
}

// Up to eight neighbouring numbers; `whole` where there are eight, at a place divisible by four.
template <typename T> __device__ __forceinline__ void load_some(const void *from, long long place, int count, bool whole, float (&v)[8]) {
  const T *at = static_cast<const T *>(from) + place;
  if (whole) {
#pragma unroll
    for (int half = 0; half < 2; half++) load_4(at + half * 4, *reinterpret_cast<float(*)[4]>(v + half * 4));
  } else {
#pragma unroll
    for (int i = 0; i < 8; i++)
      if (i < count) v[i] = to_float(at[i]);
  }
}
template <typename T> __device__ __forceinline__ void store_some(void *to, long long place, int count, bool whole, const float (&v)[8]) {
  T *at = static_cast<T *>(to) + place;
  if (whole) {
#pragma unroll
    for (int half = 0; half < 2; half++) store_4(at + half * 4, *reinterpret_cast<const float(*)[4]>(v + half * 4));
  } else {
#pragma unroll
    for (int i = 0; i < 8; i++)
      if (i < count) at[i] = from_float<T>(v[i]);
  }
}

// Shared memory: two buffers of sixteen rows, the greater parts before the smaller ones; twice sums of parts of k, rows of which are four numbers longer than a block's columns, so that those of a fragment lie in different banks.
template <typename T> __device__ __forceinline__ void perceptron(const Perceptron &p) {
  extern __shared__ __align__(16) __half memory[];
  __shared__ float maxima[WARPS], facts[MOST_LAYERS][3], biases[ALL_COLUMNS];
  __shared__ __align__(8) uint64_t arrived[MOST_LAYERS - 1];
  const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32, block = block_in_cluster(), plane = ROWS * p.pitch, row0 = blockIdx.x / SHARES * ROWS;
  float *sums_of_parts = reinterpret_cast<float *>(memory + 4 * plane);
  Cursor cursor(p, block, warp, lane);
  // Weights, biases and facts are there before the kernels before are done.
  Weights first = {}, second = {};
  cursor.bring(first, false);
  cursor.bring(second, true);
  if (thread < p.layer_count * 3) facts[thread / 3][thread % 3] = p.layers[thread / 3].facts[thread % 3];
  // A column of a layer each.
  int own_column = thread, own_layer = 0;
  while (own_layer < p.layer_count && own_column >= WIDE << p.layers[own_layer].share) own_column -= WIDE << p.layers[own_layer].share, own_layer++;
  if (own_layer < p.layer_count) {
    const Layer &layer = p.layers[own_layer];
    const int column = (block * WIDE << layer.share) + own_column;
    biases[thread] = layer.bias && column < layer.outputs ? layer.bias[column] : 0.f;
  }
  if (thread == 0) {
    for (int l = 0; l + 1 < p.layer_count; l++) await_bytes(&arrived[l], ROWS * p.layers[l].outputs * 4);
    publish_barriers();
  }
  begin();
  float bound = bring_row<T>(p, memory, maxima, row0);
  __syncthreads();
  // From here on the other blocks may write into this one's buffers.
  if (p.layer_count > 1) cluster_arrive();

  const float *bias = biases;
#pragma unroll 1
  for (int l = 0; l < p.layer_count; l++) {
    const Layer &layer = p.layers[l];
    const Share share(layer, block, warp);
    const bool is_last = l + 1 == p.layer_count;
    const __half *from = memory + l % 2 * 2 * plane + lane / 4 * p.pitch + (lane & 3) * 8 + share.first * DEPTH;
    __half *to = memory + (l + 1) % 2 * 2 * plane;
    const float factor = facts[l][0] / scale_for(bound);
    bound = bound * facts[l][1] + facts[l][2];
    const float scale = is_last ? 1.f : scale_for(bound);

    // The eight columns of a row that this thread will complete, and what comes to them.
    const int own = thread >> (layer.share + 1), quad = (thread & (2 * share.tiles - 1)) * 8, column = block * share.tiles * WIDE + quad, row = row0 + own;
    const int count = min(8, layer.outputs - column);
    const bool completes = own < ROWS && count > 0, whole = count == 8 && layer.outputs % 4 == 0;
    const long long place = static_cast<long long>(row) * layer.outputs + column;
    float extra[8] = {};
    if (is_last && completes && row < p.rows) {
      // One of them at most.
      const void *from_there = p.residual ? p.residual : p.beside;
      const int type = p.residual ? 0 : p.beside_type;
      if (from_there) {
        if (type == 0) load_some<float>(from_there, place, count, whole, extra);
        else if (type == 1) load_some<__half>(from_there, place, count, whole, extra);
        else load_some<__nv_bfloat16>(from_there, place, count, whole, extra);
      }
    }

    float sums[2][4] = {}, fine[2][4] = {};
#pragma unroll 1
    for (int k = 0; k < share.steps; k += 2) {
      multiply(sums, fine, from + k * DEPTH, plane, p.pitch, first);
      cursor.bring(first, false);
      if (k + 1 < share.steps) multiply(sums, fine, from + (k + 1) * DEPTH, plane, p.pitch, second);
      cursor.bring(second, true);
    }
    const int pitch = share.tiles * WIDE + 4;
    // Two in turn: of the layer before some threads may still read theirs.
    float *parts = sums_of_parts + l % 2 * SUMS;
    if (share.works) {
      float *there = parts + (share.part * ROWS + lane / 4) * pitch + share.tile * WIDE + lane % 4 * 2;
#pragma unroll
      for (int n = 0; n < 2; n++)
#pragma unroll
        for (int i = 0; i < 2; i++)
          store_2(there + i * 8 * pitch + n * 8, fmaf(fine[n][2 * i], 1.f / FINER, sums[n][2 * i]), fmaf(fine[n][2 * i + 1], 1.f / FINER, sums[n][2 * i + 1]));
    }
    __syncthreads();
    if (l == 0 && !is_last) cluster_wait();
    if (completes) {
      float v[8] = {};
#pragma unroll 4
      for (int part = 0; part < share.splits; part++) {
        float add[8];
        load_8(parts + (part * ROWS + own) * pitch + quad, add);
#pragma unroll
        for (int i = 0; i < 8; i++) v[i] += add[i];
      }
#pragma unroll
      for (int i = 0; i < 8; i++) v[i] = fmaf(v[i], factor, bias[quad + i]) + (p.residual ? extra[i] : 0.f);
      // Those that perceptron.rs lets through.
      switch (layer.activation) {
      case RELU: each(v, [](float x) { return fmaxf(x, 0.f); }); break;
      case SIGMOID: each(v, [](float x) { return activated(x, SIGMOID); }); break;
      case CLAMP: each(v, [&](float x) { return activated(x, CLAMP, layer.limit); }); break;
      default: break;
      }
      if (is_last) {
        if (row < p.rows) {
          store_some<float>(p.out, place, count, whole, v);
#pragma unroll
          for (int i = 0; i < 8; i++) v[i] += extra[i];
          if (p.sum) {
            if (p.beside_type == 0) store_some<float>(p.sum, place, count, whole, v);
            else if (p.beside_type == 1) store_some<__half>(p.sum, place, count, whole, v);
            else store_some<__nv_bfloat16>(p.sum, place, count, whole, v);
          }
        }
      } else {
        __align__(16) __half great[8], small[8];
#pragma unroll
        for (int i = 0; i < 8; i++) split(v[i] * scale, great[i], small[i]);
        const uint4 greater = *reinterpret_cast<const uint4 *>(great), smaller = *reinterpret_cast<const uint4 *>(small);
        const __half *there = to + own * p.pitch + column;
#pragma unroll
        for (int other = 0; other < SHARES; other++) {
          send_16(there, &arrived[l], other, greater);
          send_16(there + plane, &arrived[l], other, smaller);
        }
      }
    }
    bias += share.tiles * WIDE;
    if (is_last) break;
    wait_for_bytes(&arrived[l]);
  }
}

#define PERCEPTRONS(SUFFIX, TYPE)                                                                                                                    \
  extern "C" __global__ void __cluster_dims__(SHARES, 1, 1) __launch_bounds__(THREADS) perceptron_cluster_##SUFFIX(const __grid_constant__ Perceptron p) { perceptron<TYPE>(p); }
FOR_FLOATS(PERCEPTRONS)

#endif
