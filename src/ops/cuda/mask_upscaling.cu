// The end of SAM's mask decoder in one kernel: pixels of a map of twice the embedding's side are normalised and go through GELU, a transposed
// 2×2 convolution makes four of each, 64 to 32 channels with GELU, and of those only their products with the masks' channels are written. So the
// upscaled map, the largest of the model, is never written.
//
// A warp makes sixteen pixels at a time, in registers from beginning to end. The four lanes of a quad have the numbers of two pixels: they
// normalise them, and what they hold is then a fragment of the left matrix, the convolution's weights lying in that order of k. Sums of the
// convolution, rounded as a map would be, are in turn fragments of the left matrix of the products with the masks. Each number of a mask is there as
// the sum of two of 16 bits, the smaller one FINER times as large as it counts, in neighbouring columns: a lane has the sums of both.
//
// A block takes tiles of 128 pixels one after another. Shared memory holds what stays: the weights, as lanes
// read them, and the constants of the normalisation and the convolution.

#include "pixels.cuh"

constexpr int INPUTS = 64, CHANNELS = 32, COLUMNS = 4 * CHANNELS, WARPS = THREADS / 32;
// Pixels of a warp and of a block.
constexpr int ROWS = 16, TILE = WARPS * ROWS;
constexpr float FINER = 2048.f;

struct MaskUpscaling {
  // [images, side², 2, 2, 64]: pixels of the embedding, row and column within them; 4·side² is a multiple of TILE.
  const void *pixels;
  // Of the normalisation, [64] each.
  const float *scale, *shift;
  // [2, 2, 32][64] and [2, 2, 32]: row and column within a pixel.
  const void *weight;
  const float *bias;
  // [images, masks, 32], at most four masks, and [images, masks, 4·side, 4·side].
  const float *masks;
  float *out;
  unsigned mask_count, side;
  float eps;
};

struct UpscalingMemory {
  // Of eight columns and 32 numbers of k, eight for each lane: those of its column, as many of k as the lanes of a quad have of a pixel.
  uint4 weight[COLUMNS / 8][INPUTS / 32][32];
  // Half of the bias of two columns, twice.
  float4 bias[COLUMNS / 8][4];
  // A quarter of the normalisation's constants.
  float scale[INPUTS], shift[INPUTS];
};

__device__ __forceinline__ float quad_sum(float x) {
  x += __shfl_xor_sync(ALL_LANES, x, 1);
  return x + __shfl_xor_sync(ALL_LANES, x, 2);
}

// Half of GELU of the normalisation of a pixel, of which a lane has eight numbers from its 8·(lane mod 4)th on, and eight from 32 numbers further on.
template <typename T> __device__ __forceinline__ void normalise(const UpscalingMemory &m, float eps, unsigned lane, const uint4 (&raw)[2], uint32_t (&words)[8]) {
  float v[2][8], sum = 0.f, squares = 0.f;
#pragma unroll
  for (int i = 0; i < 2; i++) {
    load_8(reinterpret_cast<const T *>(&raw[i]), v[i]);
#pragma unroll
    for (int j = 0; j < 8; j++) sum += v[i][j];
  }
  const float mean = quad_sum(sum) / INPUTS;
#pragma unroll
  for (int i = 0; i < 2; i++)
#pragma unroll
    for (int j = 0; j < 8; j++) v[i][j] -= mean, squares = fmaf(v[i][j], v[i][j], squares);
  const float factor = rsqrtf(quad_sum(squares) / INPUTS + eps);
#pragma unroll
  for (int i = 0; i < 2; i++) {
    float scale[8], shift[8];
    load_8(m.scale + i * 32 + lane % 4 * 8, scale);
    load_8(m.shift + i * 32 + lane % 4 * 8, shift);
#pragma unroll
    for (int j = 0; j < 8; j++) v[i][j] = gelu_of_part<4>(v[i][j] * factor * scale[j] + shift[j]);
#pragma unroll
    for (int j = 0; j < 4; j++) words[i * 4 + j] = pack_2(v[i][2 * j], v[i][2 * j + 1], T());
  }
}

// The masks of an image as a right matrix: columns 2·m and 2·m + 1 are the greater and the smaller parts of mask m's numbers, which are brought up or
// down by a power of two so that 16 bits hold them.
struct Masks {
  uint32_t words[CHANNELS / 16][2];
  // What sums are to be multiplied with, of the mask whose columns the lane has in them.
  float factor;

  template <typename T> __device__ __forceinline__ void read(const MaskUpscaling &p, unsigned image, unsigned lane, T) {
    const unsigned mask = lane / 8;
    const bool is_small = lane / 4 % 2 == 1;
    float2 v[4] = {};
    if (mask < p.mask_count) {
      const float *from = p.masks + (static_cast<long long>(image) * p.mask_count + mask) * CHANNELS + lane % 4 * 2;
#pragma unroll
      for (int i = 0; i < 4; i++) v[i] = load_2(from + i * 8);
    }
    float most = 0.f;
#pragma unroll
    for (int i = 0; i < 4; i++) most = fmaxf(most, fmaxf(fabsf(v[i].x), fabsf(v[i].y)));
    most = fmaxf(most, __shfl_xor_sync(ALL_LANES, most, 1));
    most = fmaxf(most, __shfl_xor_sync(ALL_LANES, most, 2));
    // The exponent of a float, by which the greatest number becomes one from 2^13 to 2^14.
    const unsigned exponent = min(max(__float_as_uint(most) >> 23, 27u), 254u);
    const float up = __uint_as_float(267 - exponent << 23);
    factor = __shfl_sync(ALL_LANES, __uint_as_float(exponent - 13 << 23), lane % 4 * 8);
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const float x = v[i].x * up, y = v[i].y * up;
      const uint32_t great = pack_2(x, y, T());
      const float2 near = load_2(reinterpret_cast<const T *>(&great));
      words[i / 2][i % 2] = is_small ? pack_2((x - near.x) * FINER, (y - near.y) * FINER, T()) : great;
    }
  }
};

// The two pixels beside each other, of row `down` of the four, that the lane has of the pixels of rows lane / 4 and lane / 4 + 8 of `left`: the logits
// of its mask.
template <typename T> __device__ __forceinline__ void make_row(const UpscalingMemory &m, const uint32_t (&left)[INPUTS / 16][4], const Masks &masks, int down, unsigned lane, float2 (&logits)[2]) {
#pragma unroll
  for (int across = 0; across < 2; across++) {
    const int first = (down * 2 + across) * (CHANNELS / 8);
    float sums[CHANNELS / 8][4], dots[4];
#pragma unroll
    for (int n = 0; n < CHANNELS / 8; n++) {
      const float4 bias = m.bias[first + n][lane % 4];
      sums[n][0] = bias.x, sums[n][1] = bias.y, sums[n][2] = bias.z, sums[n][3] = bias.w;
    }
#pragma unroll
    for (int i = 0; i < INPUTS / 32; i++)
#pragma unroll
      for (int n = 0; n < CHANNELS / 8; n++) {
        const uint4 right = m.weight[first + n][i][lane];
        multiply_add(sums[n], left[2 * i], right.x, right.y, T());
        multiply_add(sums[n], left[2 * i + 1], right.z, right.w, T());
      }
#pragma unroll
    for (int k = 0; k < CHANNELS / 16; k++) {
      uint32_t made[4];
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const float *of = &sums[2 * k + i / 2][i % 2 * 2];
        made[i] = pack_2(gelu_of_part<2>(of[0]), gelu_of_part<2>(of[1]), T());
      }
      if (k == 0) multiply(dots, made, masks.words[k][0], masks.words[k][1], T());
      else multiply_add(dots, made, masks.words[k][0], masks.words[k][1], T());
    }
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const float logit = fmaf(dots[half * 2 + 1], 1.f / FINER, dots[half * 2]) * masks.factor;
      if (across == 0) logits[half].x = logit;
      else logits[half].y = logit;
    }
  }
}

template <typename T> __device__ __forceinline__ void mask_upscaling(const MaskUpscaling &p) {
  __shared__ UpscalingMemory m;
  const unsigned thread = threadIdx.x, warp = thread / 32, lane = thread % 32, image = blockIdx.y;
  // Weights are there before the kernels before are done.
#pragma unroll
  for (int i = 0; i < COLUMNS * INPUTS / 8; i += THREADS) {
    const unsigned column = (i + thread) / (INPUTS / 8), chunk = thread % (INPUTS / 8);
    copy_16(&m.weight[column / 8][chunk / 4][column % 8 * 4 + chunk % 4], static_cast<const T *>(p.weight) + (i + thread) * 8, true);
  }
  copies_commit();
  if (thread < COLUMNS / 2) {
    const float2 bias = p.bias ? load_2(p.bias + thread * 2) : make_float2(0.f, 0.f);
    m.bias[thread / 4][thread % 4] = make_float4(0.5f * bias.x, 0.5f * bias.y, 0.5f * bias.x, 0.5f * bias.y);
  }
  if (thread < INPUTS) m.scale[thread] = 0.25f * p.scale[thread], m.shift[thread] = 0.25f * p.shift[thread];
  begin();
  const unsigned width = 4 * p.side, count = width / 2 * (width / 2);
  // The lane's numbers of the image's first two pixels, its mask, and where it is in a row of that.
  const T *pixels = static_cast<const T *>(p.pixels) + static_cast<long long>(image) * count * INPUTS + lane / 4 * INPUTS + lane % 4 * 8;
  float *out = p.out + (static_cast<long long>(image) * p.mask_count + lane % 4) * width * width + lane / 8 % 2 * 2 * width + lane / 16 * 4 + lane / 4 % 2 * 2;
  Masks masks;
  masks.read(p, image, lane, T());
  copies_wait<0>();
  __syncthreads();
#pragma unroll 1
  for (unsigned tile = blockIdx.x * TILE; tile < count; tile += gridDim.x * TILE) {
    const unsigned first = tile + warp * ROWS;
    uint4 raw[2][2];
#pragma unroll
    for (int half = 0; half < 2; half++)
#pragma unroll
      for (int i = 0; i < 2; i++) raw[half][i] = *reinterpret_cast<const uint4 *>(pixels + (first + half * 8) * INPUTS + i * 32);
    uint32_t left[INPUTS / 16][4];
#pragma unroll
    for (int half = 0; half < 2; half++) {
      uint32_t words[8];
      normalise<T>(m, p.eps, lane, raw[half], words);
#pragma unroll
      for (int i = 0; i < 8; i++) left[i / 2][i % 2 * 2 + half] = words[i];
    }
    // The embedding's pixels that the warp's are of lie side by side in a row.
    const unsigned row = first / 4 / p.side;
    float *to = out + row * 4 * width + (first / 4 - row * p.side) * 4;
#pragma unroll 1
    for (int down = 0; down < 2; down++, to += width) {
      float2 logits[2];
      make_row<T>(m, left, masks, down, lane, logits);
      if (lane % 4 < p.mask_count) {
#pragma unroll
        for (int half = 0; half < 2; half++) *reinterpret_cast<float2 *>(to + half * 8) = logits[half];
      }
    }
  }
}

#define UPSCALINGS(SUFFIX, TYPE)                                                                                                        \
  extern "C" __global__ void __launch_bounds__(THREADS, 3) mask_upscaling_##SUFFIX(const __grid_constant__ MaskUpscaling p) { mask_upscaling<TYPE>(p); }
FOR_HALVES(UPSCALINGS)
