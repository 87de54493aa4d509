// Decoded video (NV12) to a model's input: conversion to RGB and antialiased bilinear resampling (resize.cuh), normalised.
//
// Pixels are those of ops::nv12, to the last bit: colour at half resolution is interpolated along rows, then along columns, then the
// matrix. A block brings the part of the picture that it needs to RGB in shared memory, some rows at a time, so that each pixel is
// converted about once, and resamples these along rows; when it has all rows, along columns.

#include "resize.cuh"

constexpr int VIDEO_ROWS = 16, THREADS = 256, WARPS = THREADS / 32;
static_assert(COLUMNS == 32, "a lane for each column");

struct Picture {
  const unsigned char *luma, *chroma;
  int luma_pitch, chroma_pitch, width, height;
  // Of ops::nv12::Coefficients.
  int black, bright, red_cr, green_cr, green_cb, blue_cb;
};

struct VideoResize {
  Picture picture;
  void *out;
  Axis across, down;
  int channels, padded_height, padded_width;
  // Most columns of the picture that a block needs, rows that are converted at a time, most rows that it needs.
  int columns, rows, all_rows;
  float mean[3], std[3];
};

struct Turned {
  Picture picture;
  unsigned char *out;
  int transposed, mirrored_across, mirrored_down;
};

// Share of the j-th of the four samples of colour around place `at` of full resolution, as in ops::nv12.
__device__ __forceinline__ int across_share(int at, int j) {
  if (at == 0) return j == 2 ? 17729 : j == 3 ? -1345 : 0;
  if (at == 2) return j == 1 ? 3835 : j == 2 ? 13894 : j == 3 ? -1345 : 0;
  const int k = at & 1 ? 3 - j : j;
  return k == 0 ? -461 : k == 1 ? 3943 : k == 2 ? 14284 : -1382;
}
__device__ __forceinline__ int down_share(int at, int j) {
  if (at == 0) return j == 2 ? 4432 : j == 3 ? -336 : 0;
  if (at == 2) return j == 1 ? 959 : j == 2 ? 3473 : j == 3 ? -336 : 0;
  const int k = at & 1 ? 3 - j : j;
  return k == 0 ? -115 : k == 1 ? 985 : k == 2 ? 3572 : -346;
}

__device__ __forceinline__ int within(int i, int count) { return min(max(i, 0), count - 1); }

__device__ __forceinline__ int level(int sum) { return min(max(sum, 0), (1 << 30) - 1) >> 22; }

// Quotients by a divisor that is known late: exact for numbers below 2^32 / divisor.
struct Divisor {
  unsigned by, inverse;
  __device__ explicit Divisor(int n) : by(n), inverse(0xffffffffu / n + 1) {}
  __device__ int quotient(int i) const { return by == 1 ? i : __umulhi(i, inverse); }
};

// Makes colour of full width for rows y0 to y1 (exclusive) and columns x0 to x0 + columns; gives the first row of pairs it holds. Rows and
// columns begin at even places, and two columns, which have all but one of their pairs in common, are made at a time.
__device__ __forceinline__ int widen(const Picture &p, short4 *held, int stride, int x0, int columns, int y0, int y1, int thread) {
  const int pair_rows = (p.height + 1) >> 1, pair_columns = (p.width + 1) >> 1, twos = (columns + 1) >> 1;
  const int first = within((y0 >> 1) - 2, pair_rows), last = within(((y1 - 1) >> 1) + 2, pair_rows);
  const bool is_even = ((reinterpret_cast<unsigned long long>(p.chroma) | p.chroma_pitch) & 1) == 0;
  const Divisor across(twos);
  for (int i = thread; i < (last - first + 1) * twos; i += THREADS) {
    const int row = across.quotient(i), at = i - row * twos, x = x0 + 2 * at;
    const unsigned char *pairs = p.chroma + static_cast<long long>(first + row) * p.chroma_pitch;
    int cb[5], cr[5];
#pragma unroll
    for (int j = 0; j < 5; j++) {
      const unsigned char *from = pairs + 2 * within((x >> 1) - 2 + j, pair_columns);
      const int pair = is_even ? *reinterpret_cast<const unsigned short *>(from) : from[0] | from[1] << 8;
      cb[j] = pair & 255, cr[j] = pair >> 8;
    }
    int sums[4] = {0, 0, 0, 0};
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const int even = across_share(x, j), odd = across_share(1, j);
      sums[0] += even * cb[j], sums[1] += even * cr[j], sums[2] += odd * cb[j + 1], sums[3] += odd * cr[j + 1];
    }
    held[row * stride + at] = make_short4(min(sums[0] >> 7, 32767), min(sums[1] >> 7, 32767), min(sums[2] >> 7, 32767), min(sums[3] >> 7, 32767));
  }
  return first;
}

__device__ __forceinline__ uchar4 rgb(const Picture &p, int luma, int cb, int cr) {
  cb >>= 10, cr >>= 10;
  // Sums wrap around for colours that no picture should have, as they do on the host.
  const unsigned bright = static_cast<unsigned>((luma << 9) - p.black) * p.bright + (1u << 21);
  const int red = bright + static_cast<unsigned>(cr) * p.red_cr;
  const int green = bright + static_cast<unsigned>(cr) * p.green_cr + static_cast<unsigned>(cb) * p.green_cb;
  const int blue = bright + static_cast<unsigned>(cb) * p.blue_cb;
  return make_uchar4(level(red), level(green), level(blue), 0);
}

// Red, green and blue at (x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1), where x and y are even and the picture's last column and row stand for
// those beyond. `colour` is the column of what `widen` made for rows of pairs from `first` on.
__device__ __forceinline__ void four(const Picture &p, const short4 *colour, int stride, int first, int x, int y, uchar4 (&out)[4]) {
  const int pair_rows = (p.height + 1) >> 1;
  int cb[4], cr[4];
#pragma unroll
  for (int i = 0; i < 4; i++) cb[i] = cr[i] = (1 << 9) - (128 << 19);
#pragma unroll
  for (int j = 0; j < 5; j++) {
    const short4 c = colour[(within((y >> 1) - 2 + j, pair_rows) - first) * stride];
    if (j < 4) {
      const int by = down_share(y, j);
      cb[0] += by * c.x, cr[0] += by * c.y, cb[1] += by * c.z, cr[1] += by * c.w;
    }
    if (j > 0) {
      const int by = down_share(1, j - 1);
      cb[2] += by * c.x, cr[2] += by * c.y, cb[3] += by * c.z, cr[3] += by * c.w;
    }
  }
  const unsigned char *upper = p.luma + static_cast<long long>(y) * p.luma_pitch, *lower = upper + (y + 1 < p.height ? p.luma_pitch : 0);
  const int right = min(x + 1, p.width - 1);
  out[0] = rgb(p, upper[x], cb[0], cr[0]);
  out[1] = rgb(p, upper[right], cb[1], cr[1]);
  out[2] = rgb(p, lower[x], cb[2], cr[2]);
  out[3] = rgb(p, lower[right], cb[3], cr[3]);
}

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

template <typename T> __device__ __forceinline__ void resize_video(const VideoResize &p) {
  extern __shared__ __align__(16) unsigned char shared[];
  __shared__ Span across[COLUMNS], down[VIDEO_ROWS];
  __shared__ T lines[WARPS][3 * COLUMNS];
  const Picture &picture = p.picture;
  const int x0 = blockIdx.x * COLUMNS, y0 = blockIdx.y * VIDEO_ROWS;
  const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
  // A pixel has 4 bytes: rows that are resampled along rows, those that are converted, then colour of full width, then taps.
  uchar4 *narrow = reinterpret_cast<uchar4 *>(shared), *pixels = narrow + p.all_rows * COLUMNS;
  short4 *colour = reinterpret_cast<short4 *>(pixels + p.rows * p.columns);
  const int twos = p.columns / 2;
  int *across_taps = reinterpret_cast<int *>(colour + (p.rows / 2 + 4) * twos), *down_taps = across_taps + COLUMNS * p.across.most;
  fill_spans<VIDEO_ROWS>(p, across, down, x0, y0, thread, THREADS);
  __syncthreads();
  fill_taps<VIDEO_ROWS>(p, across, down, across_taps, down_taps, x0, y0, thread, THREADS);
  const int rows = min(VIDEO_ROWS, p.down.to - y0), filled = min(COLUMNS, p.across.to - x0);
  const bool has_pixels = rows > 0 && filled > 0;
  // Two rows and two columns have their colour in common.
  const int begin = has_pixels ? down[0].first & ~1 : 0;
  if (has_pixels) {
    const int left = across[0].first & ~1, columns = across[filled - 1].first + across[filled - 1].count - left;
    const int end = down[rows - 1].first + down[rows - 1].count;
    const int own = lane < filled ? across[lane].first - left : 0, count = lane < filled ? across[lane].count : 0;
    const Divisor pairs((columns + 1) >> 1);
    for (int top = begin; top < end; top += p.rows) {
      const int bottom = min(top + p.rows, end);
      const int first = widen(picture, colour, twos, left, columns, top, bottom, thread);
      __syncthreads();
      for (int i = thread; i < ((bottom - top + 1) >> 1) * static_cast<int>(pairs.by); i += THREADS) {
        const int row = pairs.quotient(i), at = i - row * pairs.by;
        uchar4 c[4];
        four(picture, colour + at, twos, first, left + 2 * at, top + 2 * row, c);
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

#define NV12_RESIZE(SUFFIX, TYPE)                                                                                                       \
  extern "C" __global__ void __launch_bounds__(THREADS) nv12_resize_##SUFFIX(const __grid_constant__ VideoResize p) { begin(); resize_video<TYPE>(p); }
FOR_FLOATS(NV12_RESIZE)

// A block brings TILE_COLUMNS×TILE_ROWS pixels to RGB, and to where the turn puts them.
constexpr int TILE_COLUMNS = 64, TILE_ROWS = 16;

extern "C" __global__ void __launch_bounds__(THREADS) nv12_rgb(const __grid_constant__ Turned p) {
  begin();
  __shared__ short4 colour[(TILE_ROWS / 2 + 4) * TILE_COLUMNS / 2];
  const Picture &picture = p.picture;
  const int x0 = blockIdx.x * TILE_COLUMNS, y0 = blockIdx.y * TILE_ROWS;
  const int x1 = min(x0 + TILE_COLUMNS, picture.width), y1 = min(y0 + TILE_ROWS, picture.height);
  const int first = widen(picture, colour, TILE_COLUMNS / 2, x0, x1 - x0, y0, y1, threadIdx.x);
  __syncthreads();
  const int width = p.transposed ? picture.height : picture.width, height = p.transposed ? picture.width : picture.height;
  for (int i = threadIdx.x; i < TILE_ROWS / 2 * TILE_COLUMNS / 2; i += THREADS) {
    const int at = i % (TILE_COLUMNS / 2), left = x0 + 2 * at, top = y0 + 2 * (i / (TILE_COLUMNS / 2));
    if (left >= x1 || top >= y1) continue;
    uchar4 c[4];
    four(picture, colour + at, TILE_COLUMNS / 2, first, left, top, c);
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const int x = left + j % 2, y = top + j / 2;
      if (x >= x1 || y >= y1) continue;
      int to_x = p.transposed ? y : x, to_y = p.transposed ? x : y;
      if (p.mirrored_across) to_x = width - 1 - to_x;
      if (p.mirrored_down) to_y = height - 1 - to_y;
      unsigned char *to = p.out + 3 * (static_cast<long long>(to_y) * width + to_x);
      to[0] = c[j].x, to[1] = c[j].y, to[2] = c[j].z;
    }
  }
}
