// A picture in RGB or grey to a model's input: antialiased bilinear resampling (resize.cuh), normalised.

#include "resize.cuh"

constexpr int ROWS = 8;

struct Resize {
  const unsigned char *image;
  void *out;
  Axis across, down;
  int image_channels, channels;
  int padded_height, padded_width;
  float mean[3], std[3];
};

// One 8-bit number of the picture, luma (BT.601) where a colour picture is to become grey.
__device__ __forceinline__ int pixel(const Resize &p, const unsigned char *row, int x, int channel) {
  if (p.image_channels == 1) return row[x];
  const unsigned char *rgb = row + 3 * x;
  if (p.channels == 3) return rgb[channel];
  return (rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16;
}

// Normalises and stores one channel of a column of `rows` pixels, with zeros around the picture.
template <typename T, typename P> __device__ __forceinline__ void store_column(const P &p, const int (&sums)[ROWS], int x, int y0, int rows, int channel) {
#pragma unroll
  for (int i = 0; i < ROWS; i++) {
    const int y = y0 + i;
    if (y >= p.padded_height) continue;
    const bool inside = x < p.across.to && i < rows;
    const float v = inside ? (clipped(sums[i]) - p.mean[channel]) / p.std[channel] : 0.f;
    static_cast<T *>(p.out)[(static_cast<long long>(y) * p.padded_width + x) * p.channels + channel] = from_float<T>(v);
  }
}

// A block makes COLUMNS×ROWS pixels of the output, a thread one channel of a column of them. `held` says that the block's taps fit
// into shared memory.
template <typename T> __device__ __forceinline__ void resize(const Resize &p, int held) {
  extern __shared__ int taps[];
  __shared__ Span across[COLUMNS], down[ROWS];
  const int x0 = blockIdx.x * COLUMNS, y0 = blockIdx.y * ROWS;
  const int thread = threadIdx.y * COLUMNS + threadIdx.x, threads = COLUMNS * blockDim.y;
  fill_spans<ROWS>(p, across, down, x0, y0, thread, threads);
  __syncthreads();
  int *down_taps = taps + COLUMNS * p.across.most;
  if (held) {
    fill_taps<ROWS>(p, across, down, taps, down_taps, x0, y0, thread, threads);
    __syncthreads();
  }
  const int column = threadIdx.x, channel = threadIdx.y, x = x0 + column;
  if (x >= p.padded_width) return;
  const int rows = min(ROWS, p.down.to - y0);
  int sums[ROWS];
#pragma unroll
  for (int i = 0; i < ROWS; i++) sums[i] = 1 << (BITS - 1);
  if (x < p.across.to && rows > 0) {
    const Span s = across[column];
    const int end = down[rows - 1].first + down[rows - 1].count;
    for (int y = down[0].first; y < end; y++) {
      const unsigned char *row = p.image + static_cast<long long>(y) * p.across.from * p.image_channels;
      int sum = 1 << (BITS - 1);
      for (int j = 0; j < s.count; j++) {
        const int by = held ? taps[column * p.across.most + j] : tap(p.across, s, j);
        sum += by * pixel(p, row, s.first + j, channel);
      }
      const int value = clipped(sum);
#pragma unroll
      for (int i = 0; i < ROWS; i++) {
        if (i >= rows) continue;
        const int j = y - down[i].first;
        if (j >= 0 && j < down[i].count) sums[i] += (held ? down_taps[i * p.down.most + j] : tap(p.down, down[i], j)) * value;
      }
    }
  }
  store_column<T>(p, sums, x, y0, rows, channel);
}

#define RESIZE(SUFFIX, TYPE)                                                                                                            \
  extern "C" __global__ void __launch_bounds__(96) resize_##SUFFIX(const __grid_constant__ Resize p, int held) { resize<TYPE>(p, held); }
FOR_FLOATS(RESIZE)
