// The end of SAM's tokens in one kernel: the last attention's projection with what is added to it, the normalisation, and of some tokens a perceptron each
// of three layers, which gives a mask's channels or the estimates of quality. Compute capability 9.0.
//
// A cluster of four blocks takes one token of eight objects through all of it, a block a quarter of each layer's columns and a warp sixteen of them. All
// weights of a lane, those of four layers, go to registers at once, before the kernels before are done. The columns of a layer are written into the shared
// memory of all blocks of the cluster, each of which waits for the bytes of all; each layer has a buffer of its own there, so that no block waits for
// another to have read. Blocks normalise all rows on their own.

#include "cluster.cuh"
#include "token_rows.cuh"

#if __CUDA_ARCH__ >= 900

constexpr int MOST_HEADS = 4, SHARES = 4;
// Numbers of a row of attention, and from row to row of them.
constexpr int ATTENDED = 128, ATTENDED_PITCH = ATTENDED + 32;
// Columns that a block makes of the last layer.
constexpr int LAST = 8;
static_assert(SHARES * WARPS * WIDE == CHANNELS && ROWS * ATTENDED / 8 == THREADS && ROWS % WARPS == 0);

struct HeadLayer {
  // [outputs][256] and [outputs].
  const void *weight;
  const float *bias;
};

struct Head {
  HeadLayer layers[3];
  // The last layer's outputs of an object, at most 32 of them, are written here, objects `stride` numbers apart.
  float *out;
  long long stride;
  int token, outputs;
};

struct MaskHeads {
  Head heads[MOST_HEADS];
  // [objects][tokens][128] and [objects][tokens][256].
  const void *attended, *residual;
  // Of the projection, [256][128] and [256].
  const void *weight;
  const float *bias;
  // Of the normalisation, [256].
  const float *scale, *shift;
  int objects, tokens;
  float eps;
};

// Rounds the columns that a warp made and writes them into the buffers of all blocks. Each pair of lanes has eight neighbouring columns then, and each lane
// of it writes them to two blocks.
template <typename T> __device__ __forceinline__ void share(const T *rows, const uint64_t *arrived, const float (&d)[4], int column, int lane) {
  const uint2 own = turned<T>(d);
  const uint2 other = make_uint2(__shfl_xor_sync(ALL_LANES, own.x, 1), __shfl_xor_sync(ALL_LANES, own.y, 1));
  const bool odd = lane % 2 == 1;
  const uint4 eight = odd ? make_uint4(other.x, other.y, own.x, own.y) : make_uint4(own.x, own.y, other.x, other.y);
  const T *there = rows + lane / 4 * PITCH + column + lane % 4 / 2 * 8;
#pragma unroll
  for (int i = 0; i < SHARES / 2; i++) send_16(there, arrived, lane % 2 * (SHARES / 2) + i, eight);
}

// What is added to the numbers that `Columns::multiply` gives: rows that there are not add nothing.
template <typename T> __device__ __forceinline__ void bring_residual(const MaskHeads &p, int first, int token, int column, int lane, float (&v)[4]) {
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const int object = first + lane % 4 * 2 + i % 2;
    const long long at = (static_cast<long long>(object) * p.tokens + token) * CHANNELS + column + own_column(lane) + i / 2 * 2;
    v[i] = object < p.objects ? to_float(static_cast<const T *>(p.residual)[at]) : 0.f;
  }
}

// The last layer's columns of a block, at most eight, whose weights a warp has for 64 of k: sums of the warps meet in shared memory.
struct LastColumns {
  uint4 of[2];
  float bias;

  template <typename T> __device__ __forceinline__ void read(const Head &head, int column, int warp, int lane, int thread) {
    const HeadLayer &layer = head.layers[2];
    const uint4 *there = reinterpret_cast<const uint4 *>(static_cast<const T *>(layer.weight) + (column + lane / 4) * CHANNELS + warp * 2 * PIECE) + lane % 4;
#pragma unroll
    for (int i = 0; i < 2; i++) of[i] = column + lane / 4 < head.outputs ? there[i * (PIECE / 8)] : make_uint4(0, 0, 0, 0);
    bias = layer.bias && column + thread % LAST < head.outputs ? layer.bias[column + thread % LAST] : 0.f;
  }
  // Writes the warp's sums, row by row.
  template <typename T> __device__ __forceinline__ void multiply(float (*sums)[LAST], const T *rows, int warp, int lane) const {
    const T *own = rows + lane / 4 * PITCH + warp * 2 * PIECE + lane % 4 * 8;
    float d[2][4] = {};
#pragma unroll
    for (int i = 0; i < 2; i++) {
      const uint4 right = *reinterpret_cast<const uint4 *>(own + i * PIECE);
      const uint32_t first[4] = {of[i].x, 0, of[i].y, 0}, second[4] = {of[i].z, 0, of[i].w, 0};
      multiply_add(d[0], first, right.x, right.y, T());
      multiply_add(d[1], second, right.z, right.w, T());
    }
#pragma unroll
    for (int i = 0; i < 2; i++) sums[lane % 4 * 2 + i][lane / 4] = d[0][i] + d[1][i];
  }
};

template <typename T> __device__ __forceinline__ void mask_heads(const MaskHeads &p) {
  __shared__ __align__(16) T attended[ROWS * ATTENDED_PITCH], projected[ROWS * PITCH], hidden[2][ROWS * PITCH];
  __shared__ float sums[WARPS][ROWS][LAST];
  __shared__ __align__(8) uint64_t arrived[3];
  const Head &head = p.heads[blockIdx.x / SHARES];
  const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32, block = block_in_cluster(), first = blockIdx.y * ROWS;
  const int column = (block * WARPS + warp) * WIDE, last_column = block * LAST;
  // Weights are there before the kernels before are done.
  Columns<ATTENDED / PIECE> project;
  project.read(static_cast<const T *>(p.weight), p.bias, column, lane);
  Columns<CHANNELS / PIECE> layers[2];
#pragma unroll
  for (int l = 0; l < 2; l++) layers[l].read(static_cast<const T *>(head.layers[l].weight), head.layers[l].bias, column, lane);
  LastColumns last = {};
  last.read<T>(head, last_column, warp, lane, thread);
  if (thread == 0) {
#pragma unroll
    for (int i = 0; i < 3; i++) await_bytes(&arrived[i], ROWS * CHANNELS * sizeof(T));
    publish_barriers();
  }
  __syncthreads();
  // From the wait below on the blocks may write into each other's buffers.
  cluster_arrive();
  begin();

  // A thread brings eight numbers of attention.
  const int own = thread / (ATTENDED / 8), piece = thread % (ATTENDED / 8) * 8;
  uint4 raw = make_uint4(0, 0, 0, 0);
  if (first + own < p.objects) {
    const long long row = static_cast<long long>(first + own) * p.tokens + head.token;
    raw = *reinterpret_cast<const uint4 *>(static_cast<const T *>(p.attended) + row * ATTENDED + piece);
  }
  float residual[4], d[4];
  bring_residual<T>(p, first, head.token, column, lane, residual);
  NormOf norm;
  norm.read(p.scale, p.shift, lane);
  *reinterpret_cast<uint4 *>(attended + own * ATTENDED_PITCH + piece) = raw;
  __syncthreads();

  project.multiply(d, attended, ATTENDED_PITCH, lane);
#pragma unroll
  for (int i = 0; i < 4; i++) d[i] += residual[i];
  cluster_wait();
  share(projected, &arrived[0], d, column, lane);
  wait_for_bytes(&arrived[0]);
#pragma unroll
  for (int i = 0; i < ROWS / WARPS; i++) {
    T *row = projected + (i * WARPS + warp) * PITCH + lane * 8;
    float v[8];
    load_8(row, v);
    norm.apply(v, p.eps);
    store_8(row, v);
  }
  __syncthreads();

#pragma unroll
  for (int l = 0; l < 2; l++) {
    layers[l].multiply(d, l == 0 ? projected : hidden[0], PITCH, lane);
#pragma unroll
    for (int i = 0; i < 4; i++) d[i] = fmaxf(d[i], 0.f);
    share(hidden[l], &arrived[l + 1], d, column, lane);
    // Also blocks without columns of the last layer: they may not end before all has been written to them.
    wait_for_bytes(&arrived[l + 1]);
  }
  if (last_column >= head.outputs) return;
  last.multiply(sums[warp], hidden[1], warp, lane);
  __syncthreads();
  const int row = thread / LAST, at = last_column + thread % LAST;
  if (row < ROWS && first + row < p.objects && at < head.outputs) {
    float y = last.bias;
#pragma unroll
    for (int i = 0; i < WARPS; i++) y += sums[i][row][thread % LAST];
    head.out[(first + row) * head.stride + at] = y;
  }
}

#define MASK_HEADS(SUFFIX, TYPE)                                                                                                                    \
  extern "C" __global__ void __cluster_dims__(SHARES, 1, 1) __launch_bounds__(THREADS) mask_heads_##SUFFIX(const __grid_constant__ MaskHeads p) { mask_heads<TYPE>(p); }
FOR_HALVES(MASK_HEADS)

#endif
