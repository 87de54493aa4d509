// A picture in RGB or grey to a model's input: antialiased bilinear resampling (resize.cuh), normalised.

#include "resample.cuh"

// A picture as rows of pixels of `channels` bytes.
struct Interleaved {
  static constexpr int COLUMN_STEP = 4, ROW_STEP = 1;
  const unsigned char *image;
  int width, channels;

  __device__ __forceinline__ uchar4 pixel(const unsigned char *from) const {
    return channels == 3 ? make_uchar4(from[0], from[1], from[2], 0) : make_uchar4(from[0], from[0], from[0], 0);
  }

  // Four pixels from three words, the first byte of which is the first pixel's red.
  __device__ __forceinline__ void four(const unsigned *from, uchar4 (&c)[4]) const {
    const unsigned a = from[0], b = from[1], d = from[2];
    c[0] = make_uchar4(a, a >> 8, a >> 16, 0), c[1] = make_uchar4(a >> 24, b, b >> 8, 0);
    c[2] = make_uchar4(b >> 16, b >> 24, d, 0), c[3] = make_uchar4(d >> 8, d >> 16, d >> 24, 0);
  }

  // Four pixels at a time, from words where they lie on these.
  __device__ __forceinline__ void read(uchar4 *pixels, int stride, int left, int columns, int top, int bottom, bool grey, unsigned char *, int thread) const {
    const int fours = (columns + 3) / 4;
    const Divisor across(fours);
    for (int i = thread; i < (bottom - top) * fours; i += THREADS) {
      const int row = across.quotient(i), at = 4 * (i - row * fours), x = left + at;
      const unsigned char *from = image + (static_cast<long long>(top + row) * width + x) * channels;
      uchar4 c[4];
      if (channels == 3 && x + 4 <= width && reinterpret_cast<unsigned long long>(from) % 4 == 0) {
        four(reinterpret_cast<const unsigned *>(from), c);
      } else {
#pragma unroll
        for (int j = 0; j < 4; j++) c[j] = pixel(from + min(j, width - 1 - x) * channels);
      }
      if (grey && channels == 3) {
#pragma unroll
        for (int j = 0; j < 4; j++) c[j] = as_grey(c[j]);
      }
      uchar4 *to = pixels + row * stride + at;
#pragma unroll
      for (int j = 0; j < 4; j++) to[j] = c[j];
    }
  }
};

#define RESIZE(SUFFIX, TYPE)                                                                                                            \
  extern "C" __global__ void __launch_bounds__(THREADS) resize_##SUFFIX(const __grid_constant__ Interleaved picture, const __grid_constant__ Resample p) { begin(); \
    resample<TYPE>(p, picture);                                                                                                         \
  }
FOR_FLOATS(RESIZE)

// ---- pictures of which a block would need more than shared memory holds
//
// Each pixel is read again for each row and column of the output that it counts for.

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
  return as_grey(make_uchar4(rgb[0], rgb[1], rgb[2], 0)).x;
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
template <typename T> __device__ __forceinline__ void resize_large(const Resize &p, int held) {
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

#define RESIZE_LARGE(SUFFIX, TYPE)                                                                                                      \
  extern "C" __global__ void __launch_bounds__(96) resize_large_##SUFFIX(const __grid_constant__ Resize p, int held) { begin(); resize_large<TYPE>(p, held); }
FOR_FLOATS(RESIZE_LARGE)
