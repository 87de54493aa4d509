// The block of a kernel that brings a picture to a model's input by antialiased bilinear resampling (resize.cuh), normalised.
//
// A block brings the part of the picture that it needs to shared memory, some rows at a time, so that each pixel is read and converted about
// once, and resamples these along rows; when it has all rows, along columns.

#pragma once
#include "resize.cuh"

constexpr int TILE_HEIGHT = 16, WARPS = THREADS / 32;
static_assert(COLUMNS == 32, "a lane for each column");

// `Resample` of `resample.rs`, field by field.
struct Resample {
  void *out;
  Axis across, down;
  int channels, padded_height, padded_width;
  // Most columns of the picture that a block needs, rows that it brings to shared memory at a time, most rows that it needs.
  int columns, rows, all_rows;
  // Bytes that the source needs while it does so.
  int scratch;
  float mean[3], std[3];
};

__device__ __forceinline__ uchar4 as_grey(uchar4 c) {
  return make_uchar4((c.x * 19595 + c.y * 38470 + c.z * 7471 + 0x8000) >> 16, 0, 0, 0);
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
template <typename T, int CHANNELS> __device__ __forceinline__ void store_row(const Resample &p, T *line, uchar4 pixel, bool inside, int x0, int y, int lane) {
  const unsigned char value[3] = {pixel.x, pixel.y, pixel.z};
#pragma unroll
  for (int c = 0; c < CHANNELS; c++) line[lane * CHANNELS + c] = from_float<T>(inside ? (value[c] - p.mean[c]) / p.std[c] : 0.f);
  __syncwarp();
  T *to = static_cast<T *>(p.out) + (static_cast<long long>(y) * p.padded_width + x0) * CHANNELS;
  const int count = min(COLUMNS, p.padded_width - x0) * CHANNELS;
  for (int i = lane; i < count; i += 32) to[i] = line[i];
  __syncwarp();
}

// A block makes COLUMNS×TILE_HEIGHT pixels of the output. `source.read(pixels, stride, left, columns, top, bottom, grey, scratch, thread)` brings
// columns left to left + columns of rows top to bottom to `pixels`, rows `stride` apart; `left` is a multiple of SOURCE::COLUMN_STEP, `top` of
// SOURCE::ROW_STEP.
template <typename T, typename SOURCE> __device__ __forceinline__ void resample(const Resample &p, const SOURCE &source) {
  extern __shared__ __align__(16) unsigned char shared[];
  __shared__ Span across[COLUMNS], down[TILE_HEIGHT];
  __shared__ T lines[WARPS][3 * COLUMNS];
  const int x0 = blockIdx.x * COLUMNS, y0 = blockIdx.y * TILE_HEIGHT;
  const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
  // Pixels of 4 bytes: rows that are resampled along rows, and those that are brought here; what the source needs; then taps.
  uchar4 *narrow = reinterpret_cast<uchar4 *>(shared), *pixels = narrow + p.all_rows * COLUMNS;
  unsigned char *scratch = reinterpret_cast<unsigned char *>(pixels + p.rows * p.columns);
  int *across_taps = reinterpret_cast<int *>(scratch + p.scratch), *down_taps = across_taps + COLUMNS * p.across.most;
  fill_spans<TILE_HEIGHT>(p, across, down, x0, y0, thread, THREADS);
  __syncthreads();
  fill_taps<TILE_HEIGHT>(p, across, down, across_taps, down_taps, x0, y0, thread, THREADS);
  const int rows = min(TILE_HEIGHT, p.down.to - y0), filled = min(COLUMNS, p.across.to - x0);
  const bool has_pixels = rows > 0 && filled > 0;
  const int begin = has_pixels ? down[0].first / SOURCE::ROW_STEP * SOURCE::ROW_STEP : 0;
  if (has_pixels) {
    const int left = across[0].first / SOURCE::COLUMN_STEP * SOURCE::COLUMN_STEP, columns = across[filled - 1].first + across[filled - 1].count - left;
    const int end = down[rows - 1].first + down[rows - 1].count;
    const int own = lane < filled ? across[lane].first - left : 0, count = lane < filled ? across[lane].count : 0;
    for (int top = begin; top < end; top += p.rows) {
      const int bottom = min(top + p.rows, end);
      source.read(pixels, p.columns, left, columns, top, bottom, p.channels == 1, scratch, thread);
      __syncthreads();
      for (int y = top + warp; y < bottom; y += WARPS)
        narrow[(y - begin) * COLUMNS + lane] = resampled(pixels + (y - top) * p.columns + own, 1, across_taps + lane * p.across.most, count);
      __syncthreads();
    }
  }
  const bool inside = lane < filled;
  for (int i = warp; i < TILE_HEIGHT && y0 + i < p.padded_height; i += WARPS) {
    const bool is_row = has_pixels && i < rows;
    const uchar4 pixel = is_row ? resampled(narrow + (down[i].first - begin) * COLUMNS + lane, COLUMNS, down_taps + i * p.down.most, down[i].count) : make_uchar4(0, 0, 0, 0);
    if (p.channels == 3) store_row<T, 3>(p, lines[warp], pixel, is_row && inside, x0, y0 + i, lane);
    else store_row<T, 1>(p, lines[warp], pixel, is_row && inside, x0, y0 + i, lane);
  }
}
