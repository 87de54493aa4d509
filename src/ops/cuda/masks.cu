// Mask logits to bits at the frame's resolution with area and tight box, in one pass.
//
// The weights and the order of the sums are those of ops::cpu::masks, so that the same logits give the same bits.

#include "common.cuh"

// The numbers that an output number of two linear interpolations in a row is the weighted mean of.
struct Taps {
  int from[4];
  float weight[4];
  int count;
};

// The two neighbours of output i where `from` numbers are brought to `to`.
__device__ __forceinline__ void linear(int i, int from, int to, int (&at)[2], float (&weight)[2]) {
  const float place = fmaxf(__fadd_rn(__fmul_rn(i + 0.5f, static_cast<float>(from) / static_cast<float>(to)), -0.5f), 0.f);
  at[0] = min(static_cast<int>(place), from - 1);
  at[1] = min(at[0] + 1, from - 1);
  weight[1] = __fadd_rn(place, -static_cast<float>(at[0]));
  weight[0] = __fadd_rn(1.f, -weight[1]);
}

// `from` numbers interpolated to `side`, the first `scaled` of these interpolated to `frame`.
__device__ __forceinline__ Taps both_steps(int i, int from, int side, int scaled, int frame) {
  Taps t;
  t.count = 0;
#pragma unroll
  for (int j = 0; j < 4; j++) t.from[j] = 0, t.weight[j] = 0.f;
  int middle[2], source[2];
  float outer[2], inner[2];
  linear(i, scaled, frame, middle, outer);
  for (int m = 0; m < 2; m++) {
    linear(middle[m], from, side, source, inner);
    for (int s = 0; s < 2; s++) {
      const float weight = __fmul_rn(outer[m], inner[s]);
      if (weight == 0.f) continue;
      int at = t.count;
      for (int j = 0; j < t.count; j++)
        if (t.from[j] == source[s]) at = j;
      t.from[at] = source[s];
      t.weight[at] = __fadd_rn(t.weight[at], weight);
      t.count = max(t.count, at + 1);
    }
  }
  return t;
}

constexpr int STATISTICS = 8, SCORE = 5, HEIGHT = 6, WIDTH = 7;
// In the place of HEIGHT once bits are moved together.
constexpr int OFFSET = 6;
// In the place of frame width - left, which it exceeds: a mask with a logit that is not finite.
constexpr unsigned NOT_FINITE = 0xffffffffu;

// For each of `masks` logits [height, width]: area, frame width - left, frame height - top, right, bottom (the box's edges; all
// zero to begin with), score (NaN if that of any mask is not finite), height and width of the frame, then bits by columns, each column in words of 32 rows: rows of `stride` numbers, at least
// STATISTICS + frame_width·words. With `owners`, which are the number of rows in use and the frame of each, rows of frames from `first` to `end` (exclusive) alone.
extern "C" __global__ void __launch_bounds__(128) mask_bits(const float *__restrict__ logits, const float *__restrict__ scores, unsigned *__restrict__ out, const unsigned *__restrict__ owners, int first, int end, long long stride, int masks, int height, int width, int side, int scaled_height, int scaled_width, int frame_height, int frame_width) {
  begin();
  __shared__ Taps down[32];
  if (owners) {
    if (blockIdx.z >= owners[0]) return;
    const int frame = owners[1 + blockIdx.z];
    if (frame < first || frame >= end) return;
  }
  const int x = blockIdx.x * blockDim.x + threadIdx.x, words = (frame_height + 31) / 32, y0 = blockIdx.y * 32;
  unsigned *mask = out + blockIdx.z * stride;
  int best = 0;
  if (scores) {
    scores += static_cast<long long>(blockIdx.z) * masks;
    bool finite = isfinite(scores[0]);
    for (int m = 1; m < masks; m++) {
      finite &= isfinite(scores[m]);
      if (scores[m] > scores[best]) best = m;
    }
    if (blockIdx.x == 0 && blockIdx.y == 0 && threadIdx.x == 0) mask[SCORE] = finite ? __float_as_uint(scores[best]) : 0x7fffffffu;
  }
  if (blockIdx.x == 0 && blockIdx.y == 0 && threadIdx.x == 0) mask[HEIGHT] = frame_height, mask[WIDTH] = frame_width;
  logits += (static_cast<long long>(blockIdx.z) * masks + best) * height * width;
  if (threadIdx.x < 32 && y0 + threadIdx.x < frame_height) down[threadIdx.x] = both_steps(y0 + threadIdx.x, height, side, scaled_height, frame_height);
  __syncthreads();
  unsigned word = 0;
  bool broken = false;
  if (x < frame_width) {
    const Taps across = both_steps(x, width, side, scaled_width, frame_width);
    const int rows = min(32, frame_height - y0);
    for (int i = 0; i < rows; i++) {
      float sum = 0.f;
      for (int r = 0; r < down[i].count; r++) {
        const float *row = logits + down[i].from[r] * width;
        float blend = 0.f;
#pragma unroll
        for (int c = 0; c < 4; c++)
          if (c < across.count) blend = __fadd_rn(blend, __fmul_rn(row[across.from[c]], across.weight[c]));
        sum = __fadd_rn(sum, __fmul_rn(blend, down[i].weight[r]));
      }
      word |= (sum > 0.f ? 1u : 0u) << i, broken |= !isfinite(sum);
    }
    mask[STATISTICS + static_cast<long long>(x) * words + blockIdx.y] = word;
  }
  const unsigned area = __reduce_add_sync(ALL_LANES, __popc(word));
  const unsigned left = __reduce_max_sync(ALL_LANES, word ? frame_width - x : 0);
  const unsigned top = __reduce_max_sync(ALL_LANES, word ? frame_height - (y0 + __ffs(word) - 1) : 0);
  const unsigned right = __reduce_max_sync(ALL_LANES, word ? x + 1 : 0);
  const unsigned bottom = __reduce_max_sync(ALL_LANES, word ? y0 + 32 - __clz(word) : 0);
  if (threadIdx.x % 32 == 0 && area > 0) {
    atomicAdd(mask, area);
    atomicMax(mask + 1, left), atomicMax(mask + 2, top), atomicMax(mask + 3, right), atomicMax(mask + 4, bottom);
  }
  if (__any_sync(ALL_LANES, broken) && threadIdx.x % 32 == 0) atomicMax(mask + 1, NOT_FINITE);
}

// The part of a mask that its tight box reaches into: columns, and words of each.
struct Window {
  int left, columns, first, words;
};

__device__ __forceinline__ Window window(const unsigned *row) {
  if (row[0] == 0 || row[1] == NOT_FINITE) return {0, 0, 0, 0};
  const int left = row[WIDTH] - row[1], first = (row[HEIGHT] - row[2]) / 32;
  return {left, static_cast<int>(row[3]) - left, first, static_cast<int>(row[4] + 31) / 32 - first};
}

// Rows of `mask_bits` moved together: their statistics, with the place of their bits among all, then the bits of their windows, as far as `room`
// numbers go. A block for some columns of each row.
extern "C" __global__ void __launch_bounds__(256) pack_masks(const unsigned *__restrict__ rows, const unsigned *__restrict__ in_use, unsigned *__restrict__ out, long long stride, int count, int room) {
  begin();
  __shared__ unsigned before;
  const int own = blockIdx.x, used = in_use ? min(*in_use, static_cast<unsigned>(count)) : count;
  if (own >= used) return;
  if (threadIdx.x == 0) before = 0;
  __syncthreads();
  for (int i = threadIdx.x; i < own; i += blockDim.x) {
    const Window w = window(rows + i * stride);
    atomicAdd(&before, w.columns * w.words);
  }
  __syncthreads();
  const unsigned *row = rows + own * stride;
  const Window w = window(row);
  const unsigned offset = before;
  if (blockIdx.y == 0 && threadIdx.x < STATISTICS) out[own * STATISTICS + threadIdx.x] = threadIdx.x == OFFSET ? offset : row[threadIdx.x];
  if (offset + w.columns * w.words > static_cast<unsigned>(room)) return;
  unsigned *to = out + count * STATISTICS + offset;
  const int height_words = (row[HEIGHT] + 31) / 32;
  const unsigned *from = row + STATISTICS + static_cast<long long>(w.left) * height_words + w.first;
  for (int i = blockIdx.y * blockDim.x + threadIdx.x; i < w.columns * w.words; i += gridDim.y * blockDim.x)
    to[i] = from[static_cast<long long>(i / w.words) * height_words + i % w.words];
}

// Logits of masks [images, masks, 4·side, 4·side] f32: for each pixel the product of its channels with those of each mask. Pixels
// come as two steps of doubling left them: [images, side², 2, 2, 2, 2, channels], row and column within the pixel of the first step,
// then within that of the second; `weights` is [images, masks, channels] f32.
template <typename T>
__device__ __forceinline__ void mask_logits(const T *__restrict__ pixels, const float *__restrict__ weights, float *__restrict__ out, int masks, int side, int channels) {
  const int width = 4 * side, at = blockIdx.x * blockDim.x + threadIdx.x, image = blockIdx.y;
  if (at >= width * width) return;
  const int y = at / width, x = at % width;
  const int token = y / 4 * side + x / 4, first = y / 2 % 2 * 2 + x / 2 % 2, second = y % 2 * 2 + x % 2;
  const T *from = pixels + (((static_cast<long long>(image) * side * side + token) * 4 + first) * 4 + second) * channels;
  for (int m = 0; m < masks; m++) {
    const float *weight = weights + (static_cast<long long>(image) * masks + m) * channels;
    float sum = 0.f;
    for (int c = 0; c < channels; c += 8) {
      float v[8];
      load_8(from + c, v);
#pragma unroll
      for (int i = 0; i < 8; i++) sum = fmaf(v[i], weight[c + i], sum);
    }
    out[(static_cast<long long>(image) * masks + m) * width * width + at] = sum;
  }
}

#define LOGITS(SUFFIX, TYPE)                                                                                                            \
  extern "C" __global__ void __launch_bounds__(256) mask_logits_##SUFFIX(const TYPE *pixels, const float *weights, float *out, int masks, int side, int channels) { begin(); \
    mask_logits(pixels, weights, out, masks, side, channels);                                                                           \
  }
FOR_FLOATS(LOGITS)
