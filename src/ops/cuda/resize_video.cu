// Decoded video to a model's input: conversion to RGB (yuv.cuh) and antialiased bilinear resampling (resize.cuh), normalised.
//
// A block brings the part of the picture that it needs to RGB in shared memory, some rows at a time, so that each pixel is converted about
// once, and resamples these along rows; when it has all rows, along columns.

#include "resize.cuh"
#include "yuv.cuh"

constexpr int VIDEO_ROWS = 16, WARPS = THREADS / 32;
static_assert(COLUMNS == 32, "a lane for each column");

struct VideoResize {
  Picture picture;
  void *out;
  Axis across, down;
  int channels, padded_height, padded_width;
  // Most columns of the picture that a block needs, rows that are converted at a time, most rows that it needs.
  int columns, rows, all_rows;
  float mean[3], std[3];
};

// Taps times pixels, `stride` apart, rounded to 8 bits.
__device__ __forceinline__ uchar4 resampled(const uchar4 *pixels, int stride, const int *taps, int count) {
  int red = 1 << (BITS - 1), green = red, blue = red;
  for (int j = 0; j < count; j++) {
    const uchar4 c = pixels[j * stride];
    const int by = taps[j];
    red += by * c.x, green += by * c.y, blue += by * c.z;
  }
  return make_uchar4(clipped(red), clipped(green), clipped(blue), 0);
}

// Normalises and stores a row of a block's pixels; `line` is the warp's own. Lanes hold a pixel each, `inside` the picture.
template <typename T, int CHANNELS> __device__ __forceinline__ void store_row(const VideoResize &p, T *line, uchar4 pixel, bool inside, int x0, int y, int lane) {
  const unsigned char value[3] = {pixel.x, pixel.y, pixel.z};
#pragma unroll
  for (int c = 0; c < CHANNELS; c++) line[lane * CHANNELS + c] = from_float<T>(inside ? (value[c] - p.mean[c]) / p.std[c] : 0.f);
  __syncwarp();
  T *to = static_cast<T *>(p.out) + (static_cast<long long>(y) * p.padded_width + x0) * CHANNELS;
  const int count = min(COLUMNS, p.padded_width - x0) * CHANNELS;
  for (int i = lane; i < count; i += 32) to[i] = line[i];
  __syncwarp();
}

__device__ __forceinline__ uchar4 as_grey(uchar4 c) {
  return make_uchar4((c.x * 19595 + c.y * 38470 + c.z * 7471 + 0x8000) >> 16, 0, 0, 0);
}

template <typename T, typename S, int CHROMA> __device__ __forceinline__ void resize_video(const VideoResize &p) {
  extern __shared__ __align__(16) unsigned char shared[];
  __shared__ Span across[COLUMNS], down[VIDEO_ROWS];
  __shared__ T lines[WARPS][3 * COLUMNS];
  const Picture &picture = p.picture;
  const int x0 = blockIdx.x * COLUMNS, y0 = blockIdx.y * VIDEO_ROWS;
  const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
  // A pixel has 4 bytes: rows that are resampled along rows, those that are converted, then colour of full width (of 4:2:0), then taps.
  uchar4 *narrow = reinterpret_cast<uchar4 *>(shared), *pixels = narrow + p.all_rows * COLUMNS;
  short4 *colour = reinterpret_cast<short4 *>(pixels + p.rows * p.columns);
  const int twos = p.columns / 2;
  int *across_taps = reinterpret_cast<int *>(colour + (CHROMA == QUARTER ? (p.rows / 2 + 4) * twos : 0)), *down_taps = across_taps + COLUMNS * p.across.most;
  fill_spans<VIDEO_ROWS>(p, across, down, x0, y0, thread, THREADS);
  __syncthreads();
  fill_taps<VIDEO_ROWS>(p, across, down, across_taps, down_taps, x0, y0, thread, THREADS);
  const int rows = min(VIDEO_ROWS, p.down.to - y0), filled = min(COLUMNS, p.across.to - x0);
  const bool has_pixels = rows > 0 && filled > 0;
  // Two rows and two columns are made at a time.
  const int begin = has_pixels ? down[0].first & ~1 : 0;
  if (has_pixels) {
    const int left = across[0].first & ~1, columns = across[filled - 1].first + across[filled - 1].count - left;
    const int end = down[rows - 1].first + down[rows - 1].count;
    const int own = lane < filled ? across[lane].first - left : 0, count = lane < filled ? across[lane].count : 0;
    const Divisor pairs((columns + 1) >> 1);
    for (int top = begin; top < end; top += p.rows) {
      const int bottom = min(top + p.rows, end);
      int first = 0;
      if (CHROMA == QUARTER) first = widen<S>(picture, colour, twos, left, columns, top, bottom, thread);
      __syncthreads();
      for (int i = thread; i < ((bottom - top + 1) >> 1) * static_cast<int>(pairs.by); i += THREADS) {
        const int row = pairs.quotient(i), at = i - row * pairs.by;
        uchar4 c[4];
        four<S, CHROMA>(picture, colour + at, twos, first, left + 2 * at, top + 2 * row, c);
        if (p.channels == 1) {
#pragma unroll
          for (int j = 0; j < 4; j++) c[j] = as_grey(c[j]);
        }
        uchar4 *to = pixels + 2 * row * p.columns + 2 * at;
        to[0] = c[0], to[1] = c[1], to[p.columns] = c[2], to[p.columns + 1] = c[3];
      }
      __syncthreads();
      for (int y = top + warp; y < bottom; y += WARPS)
        narrow[(y - begin) * COLUMNS + lane] = resampled(pixels + (y - top) * p.columns + own, 1, across_taps + lane * p.across.most, count);
    }
    __syncthreads();
  }
  const bool inside = lane < filled;
  for (int i = warp; i < VIDEO_ROWS && y0 + i < p.padded_height; i += WARPS) {
    const bool is_row = has_pixels && i < rows;
    const uchar4 pixel = is_row ? resampled(narrow + (down[i].first - begin) * COLUMNS + lane, COLUMNS, down_taps + i * p.down.most, down[i].count) : make_uchar4(0, 0, 0, 0);
    if (p.channels == 3) store_row<T, 3>(p, lines[warp], pixel, is_row && inside, x0, y0 + i, lane);
    else store_row<T, 1>(p, lines[warp], pixel, is_row && inside, x0, y0 + i, lane);
  }
}

#define RESIZE(NAME, TYPE, SAMPLE, CHROMA) \
  extern "C" __global__ void __launch_bounds__(THREADS) NAME(const __grid_constant__ VideoResize p) { resize_video<TYPE, SAMPLE, CHROMA>(p); }
// Of samples of a byte, and of 16 bits.
#define RESIZE_ALL(NAME, CHROMA) \
  RESIZE(NAME##_resize_f32, float, unsigned char, CHROMA) \
  RESIZE(NAME##_resize_f16, __half, unsigned char, CHROMA) \
  RESIZE(NAME##_resize_bf16, __nv_bfloat16, unsigned char, CHROMA) \
  RESIZE(NAME##_16_resize_f32, float, unsigned short, CHROMA) \
  RESIZE(NAME##_16_resize_f16, __half, unsigned short, CHROMA) \
  RESIZE(NAME##_16_resize_bf16, __nv_bfloat16, unsigned short, CHROMA)
RESIZE_ALL(yuv420, QUARTER)
RESIZE_ALL(yuv422, HALF)
RESIZE_ALL(yuv444, FULL)
