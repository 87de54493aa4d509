// Perceptrons in f32 of so few rows that most multiprocessors would have none: the columns of each layer are shared by the blocks of a cluster, and within
// a block k is too. See perceptron.cuh for how numbers of f32 go through the tensor cores. Compute capability 9.0.
//
// A cluster takes sixteen rows through all layers. A warp has the weights of sixteen columns and a part of k, and brings them several steps ahead, also
// those of the next layer and before the kernels before are done. The sums of the parts of k meet in shared memory; what the next layer reads is written
// into the shared memory of all blocks of the cluster, each of which waits for the bytes of all.

#include "cluster.cuh"
#include "perceptron.cuh"

#if __CUDA_ARCH__ >= 900

constexpr int SHARES = 4, ROWS = 16, STAGES = 4;
// Columns of a block that one round of its threads completes: four of each row a thread.
constexpr int MOST_COLUMNS = THREADS / ROWS * 4;

// Which part of a layer a warp has. Blocks have neighbouring columns; where there are fewer than warps, several have the same columns and parts of k.
struct Share {
  int tiles, splits, tile, part, first, steps;
  bool works;

  __device__ __forceinline__ Share(const Layer &layer, int block, int warp) {
    const int all = (layer.outputs + WIDE - 1) / WIDE, k = (layer.inner + DEPTH - 1) / DEPTH;
    tiles = (all + SHARES - 1) / SHARES, splits = WARPS / tiles;
    tile = warp % tiles, part = warp / tiles;
    works = part < splits && block * tiles + tile < all;
    first = k * part / splits, steps = works ? k * (part + 1) / splits - first : 0;
  }
};

// A warp's way through its weights, layer by layer.
struct Cursor {
  const Perceptron &p;
  int block, warp, lane, layer = -1, left = 0;
  const __half *from = nullptr;

  __device__ __forceinline__ Cursor(const Perceptron &perceptron, int own_block, int own_warp, int own_lane) : p(perceptron), block(own_block), warp(own_warp), lane(own_lane) { settle(); }
  __device__ __forceinline__ void settle() {
    while (left == 0 && ++layer < p.layer_count) {
      const Layer &next = p.layers[layer];
      const Share share(next, block, warp);
      left = share.steps;
      const int tile = block * share.tiles + share.tile, steps = (next.inner + DEPTH - 1) / DEPTH;
      from = next.weight + static_cast<long long>(tile * steps + share.first) * STEP + lane * 8;
    }
  }
  // Brings the weights of a step to `to`, the place of the lane's first piece, and goes on to the next.
  __device__ __forceinline__ void bring(__half *to) {
    if (layer < p.layer_count) {
#pragma unroll
      for (int i = 0; i < STEP; i += 256) copy_16(to + i, from + i, true);
      from += STEP;
      if (--left == 0) settle();
    }
    copies_commit();
  }
};

// Up to four neighbouring numbers; `whole` where there are four, at a place divisible by four.
template <typename T> __device__ __forceinline__ void load_some(const void *from, long long place, int count, bool whole, float (&v)[4]) {
  const T *at = static_cast<const T *>(from) + place;
  if (whole) load_4(at, v);
  else
    for (int i = 0; i < count; i++) v[i] = to_float(at[i]);
}
template <typename T> __device__ __forceinline__ void store_some(void *to, long long place, int count, bool whole, const float (&v)[4]) {
  T *at = static_cast<T *>(to) + place;
  if (whole) store_4(at, v);
  else
    for (int i = 0; i < count; i++) at[i] = from_float<T>(v[i]);
}

// Shared memory: two buffers of sixteen rows, the greater parts before the smaller ones; STAGES steps of weights for each warp; sums of parts of k, rows
// of which are four numbers longer than a block's columns, so that those of a fragment lie in different banks.
template <typename T> __device__ __forceinline__ void perceptron(const Perceptron &p) {
  extern __shared__ __align__(16) __half memory[];
  __shared__ float maxima[WARPS], facts[MOST_LAYERS][3], biases[MOST_LAYERS][MOST_COLUMNS];
  __shared__ __align__(8) uint64_t arrived[MOST_LAYERS - 1];
  const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32, block = block_in_cluster(), plane = ROWS * p.pitch, row0 = blockIdx.x / SHARES * ROWS;
  __half *weights = memory + 4 * plane + warp * STAGES * STEP;
  float *parts = reinterpret_cast<float *>(memory + 4 * plane + WARPS * STAGES * STEP);
  // Where a lane writes weights within a step, and where it reads them.
  const int writes = lane * 8, reads = ((lane & 7) + (lane >> 4) * 8) * DEPTH;
  Cursor cursor(p, block, warp, lane);
  // Weights, biases and facts are there before the kernels before are done.
#pragma unroll 1
  for (int s = 0; s < STAGES - 1; s++) cursor.bring(weights + s * STEP + writes);
  if (thread < p.layer_count * 3) facts[thread / 3][thread % 3] = p.layers[thread / 3].facts[thread % 3];
#pragma unroll 1
  for (int l = 0; l < p.layer_count; l++) {
    const Layer &layer = p.layers[l];
    const int columns = Share(layer, block, 0).tiles * WIDE, column = block * columns + thread;
    if (thread < columns) biases[l][thread] = layer.bias && column < layer.outputs ? layer.bias[column] : 0.f;
  }
  if (thread == 0) {
    for (int l = 0; l + 1 < p.layer_count; l++) await_bytes(&arrived[l], ROWS * p.layers[l].outputs * 4);
    publish_barriers();
  }
  begin();
  float bound = bring_rows<T, ROWS>(p, memory, maxima, row0);
  __syncthreads();
  // From here on the other blocks may write into this one's second buffer.
  if (p.layer_count > 1) cluster_arrive();

  int at = 0;
#pragma unroll 1
  for (int l = 0; l < p.layer_count; l++) {
    const Layer &layer = p.layers[l];
    const Share share(layer, block, warp);
    const bool is_last = l + 1 == p.layer_count;
    const __half *from = memory + l % 2 * 2 * plane + (lane & 15) * p.pitch + (lane >> 4) * 8 + share.first * DEPTH;
    __half *to = memory + (l + 1) % 2 * 2 * plane;
    const float factor = facts[l][0] / scale_for(bound);
    bound = bound * facts[l][1] + facts[l][2];
    const float scale = is_last ? 1.f : scale_for(bound);

    // The four columns of a row that this thread will complete, and what comes to them.
    const int quads = share.tiles * (WIDE / 4), own = thread / quads, quad = thread % quads * 4, column = block * share.tiles * WIDE + quad, row = row0 + own;
    const int count = min(4, layer.outputs - column);
    const bool completes = own < ROWS && count > 0, whole = layer.outputs % 4 == 0;
    const long long place = static_cast<long long>(row) * layer.outputs + column;
    float residual[4] = {}, beside[4] = {};
    if (is_last && completes && row < p.rows) {
      if (p.residual) load_some<float>(p.residual, place, count, whole, residual);
      if (p.beside) {
        if (p.beside_type == 0) load_some<float>(p.beside, place, count, whole, beside);
        else if (p.beside_type == 1) load_some<__half>(p.beside, place, count, whole, beside);
        else load_some<__nv_bfloat16>(p.beside, place, count, whole, beside);
      }
    }

    float sums[1][2][4] = {}, fine[1][2][4] = {};
#pragma unroll 1
    for (int k = 0; k < share.steps; k++) {
      copies_wait<STAGES - 2>();
      __syncwarp();
      Fragments<1> fragments;
      fragments.read(from + k * DEPTH, plane, p.pitch, weights + at * STEP + reads, lane);
      // To the place of the step before, which all lanes have left.
      cursor.bring(weights + (at == 0 ? STAGES - 1 : at - 1) * STEP + writes);
      fragments.multiply(sums, fine);
      at = at + 1 == STAGES ? 0 : at + 1;
    }
    const int pitch = share.tiles * WIDE + 4;
    if (share.works) {
      float *there = parts + (share.part * ROWS + lane / 4) * pitch + share.tile * WIDE + lane % 4 * 2;
#pragma unroll
      for (int n = 0; n < 2; n++)
#pragma unroll
        for (int i = 0; i < 2; i++)
          store_2(there + i * 8 * pitch + n * 8, fmaf(fine[0][n][2 * i], 1.f / FINER, sums[0][n][2 * i]), fmaf(fine[0][n][2 * i + 1], 1.f / FINER, sums[0][n][2 * i + 1]));
    }
    __syncthreads();
    if (l == 0 && !is_last) cluster_wait();
    if (completes) {
      float v[4] = {};
      for (int part = 0; part < share.splits; part++) {
        float add[4];
        load_4(parts + (part * ROWS + own) * pitch + quad, add);
#pragma unroll
        for (int i = 0; i < 4; i++) v[i] += add[i];
      }
#pragma unroll
      for (int i = 0; i < 4; i++) v[i] = fmaf(v[i], factor, biases[l][quad + i]) + residual[i];
      activate(v, layer.activation, layer.limit);
      if (is_last) {
        if (row < p.rows) {
          store_some<float>(p.out, place, count, whole, v);
#pragma unroll
          for (int i = 0; i < 4; i++) v[i] += beside[i];
          if (p.sum) {
            if (p.beside_type == 0) store_some<float>(p.sum, place, count, whole, v);
            else if (p.beside_type == 1) store_some<__half>(p.sum, place, count, whole, v);
            else store_some<__nv_bfloat16>(p.sum, place, count, whole, v);
          }
        }
      } else {
        __half great[4], small[4];
#pragma unroll
        for (int i = 0; i < 4; i++) split(v[i] * scale, great[i], small[i]);
        const uint2 greater = make_uint2(halves(great[0], great[1]), halves(great[2], great[3])), smaller = make_uint2(halves(small[0], small[1]), halves(small[2], small[3]));
        const __half *there = to + own * p.pitch + column;
#pragma unroll
        for (int other = 0; other < SHARES; other++) {
          send_8(there, &arrived[l], other, greater);
          send_8(there + plane, &arrived[l], other, smaller);
        }
      }
    }
    if (is_last) break;
    // Also until all threads of this block have read the sums.
    wait_for_bytes(&arrived[l]);
  }
}

#define PERCEPTRONS(SUFFIX, TYPE)                                                                                                                    \
  extern "C" __global__ void __cluster_dims__(SHARES, 1, 1) __launch_bounds__(THREADS) perceptron_cluster_##SUFFIX(const __grid_constant__ Perceptron p) { perceptron<TYPE>(p); }
FOR_FLOATS(PERCEPTRONS)

#endif
