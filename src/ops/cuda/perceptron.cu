// Perceptrons in f32 of few rows, all layers in one kernel, on the tensor cores: see perceptron.cuh for how.
//
// A block takes sixteen or 32 rows through all layers. Their numbers are in shared memory; each warp brings the weights of its own columns, several
// steps ahead and also those of the next layer. The code is short: most of it runs once, and is fetched for that.

#include "perceptron.cuh"

// A warp's way through the weights of its columns: layer by layer, columns by columns, along k.
struct Cursor {
  const Perceptron &p;
  int warp, warps, lane, layer = 0, tile, left = 0;
  const __half *from = nullptr;

  __device__ __forceinline__ Cursor(const Perceptron &perceptron, int own, int all, int lane_) : p(perceptron), warp(own), warps(all), lane(lane_), tile(own) { settle(); }
  __device__ __forceinline__ static int tiles(const Layer &layer) { return (layer.outputs + WIDE - 1) / WIDE; }
  __device__ __forceinline__ static int steps(const Layer &layer) { return (layer.inner + DEPTH - 1) / DEPTH; }
  // Goes to the beginning of the columns. A layer may have fewer than there are warps.
  __device__ __forceinline__ void settle() {
    while (layer < p.layer_count && tile >= tiles(p.layers[layer])) layer++, tile = warp;
    if (layer >= p.layer_count) return;
    left = steps(p.layers[layer]);
    from = p.layers[layer].weight + static_cast<long long>(tile) * left * STEP + lane * 8;
  }
  // Brings the weights of a step to `to`, the place of the lane's first piece, and goes on to the next.
  __device__ __forceinline__ void bring(__half *to) {
    if (layer < p.layer_count) {
#pragma unroll
      for (int i = 0; i < STEP; i += 256) copy_16(to + i, from + i, true);
      from += STEP;
      if (--left == 0) tile += warps, settle();
    }
    copies_commit();
  }
};

// Several blocks may share the columns of a perceptron of one layer. Shared memory: two buffers of 16·HIGH rows, the greater parts before the smaller ones, then STAGES steps of weights for each warp.
template <typename T, int HIGH, int STAGES> __device__ __forceinline__ void perceptron(const Perceptron &p) {
  constexpr int ROWS = 16 * HIGH;
  extern __shared__ __align__(16) __half memory[];
  __shared__ float maxima[WARPS], facts[MOST_LAYERS][3];
  const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32, plane = ROWS * p.pitch, row0 = blockIdx.x * ROWS;
  __half *weights = memory + 4 * plane + warp * STAGES * STEP;
  // Where a lane writes weights within a step, and where it reads them.
  const int writes = lane * 8, reads = ((lane & 7) + (lane >> 4) * 8) * DEPTH;
  const int own_warp = warp * gridDim.y + blockIdx.y, warps = WARPS * gridDim.y;
  Cursor cursor(p, own_warp, warps, lane);
  // Weights and facts are there before the kernels before are done.
#pragma unroll 1
  for (int s = 0; s < STAGES - 1; s++) cursor.bring(weights + s * STEP + writes);
  if (thread < p.layer_count * 3) facts[thread / 3][thread % 3] = p.layers[thread / 3].facts[thread % 3];
  begin();
  float bound = bring_rows<T, ROWS>(p, memory, maxima, row0);
  __syncthreads();

  int at = 0;
#pragma unroll 1
  for (int l = 0; l < p.layer_count; l++) {
    const Layer &layer = p.layers[l];
    const __half *from = memory + l % 2 * 2 * plane + (lane & 15) * p.pitch + (lane >> 4) * 8;
    __half *to = memory + (l + 1) % 2 * 2 * plane;
    const bool is_last = l + 1 == p.layer_count;
    const float factor = facts[l][0] / scale_for(bound);
    bound = bound * facts[l][1] + facts[l][2];
    const float scale = is_last ? 1.f : scale_for(bound);
#pragma unroll 1
    for (int tile = own_warp; tile < Cursor::tiles(layer); tile += warps) {
      // A lane has two neighbouring columns of each fragment; they are even, so that a row without the second ends there.
      const int column0 = tile * WIDE + lane % 4 * 2;
      float bias[2][2], sums[HIGH][2][4] = {}, fine[HIGH][2][4] = {};
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int column = column0 + i / 2 * 8 + i % 2;
        bias[i / 2][i % 2] = layer.bias && column < layer.outputs ? layer.bias[column] : 0.f;
      }
#pragma unroll 1
      for (int k = 0; k < layer.inner; k += DEPTH) {
        copies_wait<STAGES - 2>();
        __syncwarp();
        Fragments<HIGH> fragments;
        fragments.read(from + k, plane, p.pitch, weights + at * STEP + reads, lane);
        // To the place of the step before, which all lanes have left.
        cursor.bring(weights + (at == 0 ? STAGES - 1 : at - 1) * STEP + writes);
        fragments.multiply(sums, fine);
        at = at + 1 == STAGES ? 0 : at + 1;
      }
#pragma unroll
      for (int m = 0; m < HIGH; m++)
#pragma unroll
        for (int i = 0; i < 8; i++) {
          const int n = i / 4, row = row0 + m * 16 + lane / 4 + i % 4 / 2 * 8, column = column0 + n * 8 + i % 2;
          float &sum = sums[m][n][i % 4];
          sum = fmaf(fmaf(fine[m][n][i % 4], 1.f / FINER, sum), factor, bias[n][i % 2]);
          if (is_last && p.residual && row < p.rows && column < layer.outputs) sum += p.residual[static_cast<long long>(row) * layer.outputs + column];
        }
      switch (layer.activation) {
      case RELU: each(sums, [](float x) { return fmaxf(x, 0.f); }); break;
      case SIGMOID: each(sums, [](float x) { return activated(x, SIGMOID); }); break;
      case CLAMP: each(sums, [&](float x) { return activated(x, CLAMP, layer.limit); }); break;
      default: break;
      }
#pragma unroll
      for (int m = 0; m < HIGH; m++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
          const int n = i / 2, own = m * 16 + lane / 4 + i % 2 * 8, row = row0 + own, column = column0 + n * 8;
          const bool one = column < layer.outputs, two = column + 1 < layer.outputs;
          const float2 v = make_float2(sums[m][n][i % 2 * 2], sums[m][n][i % 2 * 2 + 1]);
          if (is_last) {
            float *out = p.out + static_cast<long long>(row) * layer.outputs + column;
            if (row < p.rows && one) out[0] = v.x;
            if (row < p.rows && two) out[1] = v.y;
          } else if (one) {
            __half2 great, small;
            split(v.x * scale, great.x, small.x), split(two ? v.y * scale : 0.f, great.y, small.y);
            __half *there = to + own * p.pitch + column;
            *reinterpret_cast<__half2 *>(there) = great, *reinterpret_cast<__half2 *>(there + plane) = small;
          }
        }
    }
    if (is_last) break;
    // The next layer reads whole steps: zeros behind the columns.
    const int first = (layer.outputs + 1) / 2 * 2, end = (layer.outputs + DEPTH - 1) / DEPTH * DEPTH;
#pragma unroll 1
    for (int own = warp; own < 2 * ROWS; own += WARPS)
      if (first + lane < end) to[own * p.pitch + first + lane] = __float2half_rn(0.f);
    __syncthreads();
  }
}

#define PERCEPTRONS(SUFFIX, TYPE)                                                                                                       \
  extern "C" __global__ void __launch_bounds__(THREADS) perceptron_16_##SUFFIX(const __grid_constant__ Perceptron p) { perceptron<TYPE, 1, 4>(p); } \
  extern "C" __global__ void __launch_bounds__(THREADS) perceptron_32_##SUFFIX(const __grid_constant__ Perceptron p) { perceptron<TYPE, 2, 3>(p); }
FOR_FLOATS(PERCEPTRONS)

// Weights [outputs][inner] and bias as the kernels above take them, by one block: [columns / WIDE][k / DEPTH][2][WIDE][DEPTH], the greater parts before
// the smaller ones, zeros beyond the weights. Pieces of eight numbers of k lie exchanged, so that the rows of a fragment are in different banks.
extern "C" __global__ void __launch_bounds__(1024) perceptron_weights(const float *weight, const float *bias, __half *out, float *facts, int outputs, int inner) {
  wait_for_kernels();
  __shared__ float most[3][32];
  const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
  float found[3] = {};
  for (int column = warp; column < outputs; column += 32) {
    float sum = 0.f;
    for (int k = lane; k < inner; k += 32) {
      const float v = fabsf(weight[static_cast<long long>(column) * inner + k]);
      found[0] = fmaxf(found[0], v), sum += v;
    }
    found[1] = fmaxf(found[1], warp_sum(sum));
    if (bias) found[2] = fmaxf(found[2], fabsf(bias[column]));
  }
#pragma unroll
  for (int i = 0; i < 3; i++) {
    found[i] = warp_max(found[i]);
    if (lane == 0) most[i][warp] = found[i];
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 3; i++) found[i] = warp_max(most[i][lane]);
  const float up = found[0] > 0.f ? exp2f(13.f - static_cast<float>(ilogbf(found[0]))) : 1.f;
  if (thread == 0) facts[0] = 1.f / up, facts[1] = found[1], facts[2] = found[2];
  const int steps = (inner + DEPTH - 1) / DEPTH, count = (outputs + WIDE - 1) / WIDE * steps * WIDE * DEPTH;
  for (int i = thread; i < count; i += 1024) {
    const int row = i / DEPTH % WIDE, step = i / (WIDE * DEPTH), column = step / steps * WIDE + row, k = step % steps * DEPTH + i % DEPTH;
    const float v = column < outputs && k < inner ? weight[static_cast<long long>(column) * inner + k] * up : 0.f;
    __half *to = out + static_cast<long long>(step) * STEP + row * DEPTH + (i % DEPTH / 8 ^ (row >> 1 & 3)) * 8 + i % 8;
    split(v, to[0], to[WIDE * DEPTH]);
  }
}
