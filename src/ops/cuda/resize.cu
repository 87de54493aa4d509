// A decoded picture to a model's input: Pillow's antialiased bilinear resampling in its own fixed-point arithmetic, normalised.
//
// The arithmetic is that of ops::cpu::resize, to the last bit: coefficients of 22 fractional bits made in f64 without fused
// operations, rows first, rounded to 8 bits after each pass.

#include "common.cuh"

constexpr int BITS = 22, COLUMNS = 32, ROWS = 8;

struct Axis {
  // From input to output, and 1 / support.
  double scale, support, inverse;
  int from, to;
  // Most taps of an output pixel.
  int most;
};

struct Resize {
  const unsigned char *image;
  void *out;
  Axis across, down;
  int image_channels, channels;
  int padded_height, padded_width;
  float mean[3], std[3];
};

struct Span {
  int first, count;
  double centre, total;
};

__device__ __forceinline__ double share(const Axis &a, double centre, int x) {
  return fmax(1.0 - fabs(__dmul_rn(__dadd_rn(x - centre, 0.5), a.inverse)), 0.0);
}

__device__ __forceinline__ Span span(const Axis &a, int i) {
  Span s;
  s.centre = __dmul_rn(i + 0.5, a.scale);
  s.first = max(static_cast<int>(__dadd_rn(__dadd_rn(s.centre, -a.support), 0.5)), 0);
  s.count = min(static_cast<int>(__dadd_rn(__dadd_rn(s.centre, a.support), 0.5)), a.from) - s.first;
  s.total = 0.0;
  for (int j = 0; j < s.count; j++) s.total = __dadd_rn(s.total, share(a, s.centre, s.first + j));
  return s;
}

__device__ __forceinline__ int tap(const Axis &a, const Span &s, int j) {
  double part = share(a, s.centre, s.first + j) / s.total;
  return static_cast<int>(__dadd_rn(__dmul_rn(part, 1 << BITS), 0.5));
}

__device__ __forceinline__ int clipped(int sum) { return min(max(sum >> BITS, 0), 255); }

// One 8-bit number of the picture, luma (BT.601) where a colour picture is to become grey.
__device__ __forceinline__ int pixel(const Resize &p, const unsigned char *row, int x, int channel) {
  if (p.image_channels == 1) return row[x];
  const unsigned char *rgb = row + 3 * x;
  if (p.channels == 3) return rgb[channel];
  return (rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16;
}

// What a block's pixels of the output, from (x0, y0) on, are made of.
template <typename P> __device__ __forceinline__ void fill_spans(const P &p, Span *across, Span *down, int x0, int y0, int thread, int threads) {
  for (int i = thread; i < COLUMNS + ROWS; i += threads) {
    if (i < COLUMNS && x0 + i < p.across.to) across[i] = span(p.across, x0 + i);
    if (i >= COLUMNS && y0 + i - COLUMNS < p.down.to) down[i - COLUMNS] = span(p.down, y0 + i - COLUMNS);
  }
}

// Their taps, `most` of each.
template <typename P>
__device__ __forceinline__ void fill_taps(const P &p, const Span *across, const Span *down, int *across_taps, int *down_taps, int x0, int y0, int thread, int threads) {
  for (int i = thread; i < COLUMNS * p.across.most; i += threads) {
    const int at = i / p.across.most, j = i % p.across.most;
    if (x0 + at < p.across.to && j < across[at].count) across_taps[i] = tap(p.across, across[at], j);
  }
  for (int i = thread; i < ROWS * p.down.most; i += threads) {
    const int at = i / p.down.most, j = i % p.down.most;
    if (y0 + at < p.down.to && j < down[at].count) down_taps[i] = tap(p.down, down[at], j);
  }
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
  fill_spans(p, across, down, x0, y0, thread, threads);
  __syncthreads();
  int *down_taps = taps + COLUMNS * p.across.most;
  if (held) {
    fill_taps(p, across, down, taps, down_taps, x0, y0, thread, threads);
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

// ---- decoded video (NV12)
//
// Pixels are those of ops::nv12, to the last bit: colour at half resolution is interpolated along rows, then along columns, then the
// matrix. A block brings the part of the picture that it needs to RGB in shared memory, some rows at a time, so that each pixel is
// converted about once.

constexpr int LANES = 4, THREADS = COLUMNS * LANES;

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
  // Most columns of the picture that a block needs, rows that are converted at a time.
  int columns, rows;
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

// Colour of full width at column x of a row of pairs: 7 fractional bits.
__device__ __forceinline__ short2 wide(const Picture &p, int row, int x) {
  const int columns = (p.width + 1) >> 1, first = (x >> 1) - 2 + (x & 1);
  const unsigned char *pairs = p.chroma + static_cast<long long>(row) * p.chroma_pitch;
  int cb = 0, cr = 0;
#pragma unroll
  for (int j = 0; j < 4; j++) {
    const int at = 2 * within(first + j, columns), by = across_share(x, j);
    cb += by * pairs[at];
    cr += by * pairs[at + 1];
  }
  return make_short2(min(cb >> 7, 32767), min(cr >> 7, 32767));
}

// First row of pairs for row y of the picture, before the clamp to the plane.
__device__ __forceinline__ int first_pair_row(int y) { return (y >> 1) - 2 + (y & 1); }

__device__ __forceinline__ int level(int sum) { return min(max(sum, 0), (1 << 30) - 1) >> 22; }

// Red, green and blue at (x, y); `at(j)` gives the colour of full width of the j-th of the four rows of pairs.
template <typename F> __device__ __forceinline__ uchar3 rgb(const Picture &p, int x, int y, F at) {
  int cb = (1 << 9) - (128 << 19), cr = cb;
#pragma unroll
  for (int j = 0; j < 4; j++) {
    const short2 c = at(j);
    const int by = down_share(y, j);
    cb += by * c.x;
    cr += by * c.y;
  }
  cb >>= 10, cr >>= 10;
  // Sums wrap around for colours that no picture should have, as they do on the host.
  const unsigned bright = static_cast<unsigned>((p.luma[static_cast<long long>(y) * p.luma_pitch + x] << 9) - p.black) * p.bright + (1u << 21);
  const int red = bright + static_cast<unsigned>(cr) * p.red_cr;
  const int green = bright + static_cast<unsigned>(cr) * p.green_cr + static_cast<unsigned>(cb) * p.green_cb;
  const int blue = bright + static_cast<unsigned>(cb) * p.blue_cb;
  return make_uchar3(level(red), level(green), level(blue));
}

// Makes colour of full width for rows y0 to y1 (exclusive) and columns x0 to x0 + columns; gives the first row of pairs it holds.
__device__ __forceinline__ int widen(const Picture &p, short2 *held, int stride, int x0, int columns, int y0, int y1, int thread, int threads) {
  const int pair_rows = (p.height + 1) >> 1;
  const int first = within(first_pair_row(y0), pair_rows), last = within(first_pair_row(y1 - 1) + 3, pair_rows);
  for (int i = thread; i < (last - first + 1) * columns; i += threads) {
    const int row = i / columns, x = i % columns;
    held[row * stride + x] = wide(p, first + row, x0 + x);
  }
  return first;
}

template <typename T> __device__ __forceinline__ void resize_video(const VideoResize &p) {
  extern __shared__ int shared[];
  __shared__ Span across[COLUMNS], down[ROWS];
  const Picture &picture = p.picture;
  const int x0 = blockIdx.x * COLUMNS, y0 = blockIdx.y * ROWS;
  const int column = threadIdx.x, channel = threadIdx.y, thread = channel * COLUMNS + column;
  int *across_taps = shared, *down_taps = across_taps + COLUMNS * p.across.most;
  short2 *colour = reinterpret_cast<short2 *>(down_taps + ROWS * p.down.most);
  unsigned char *pixels = reinterpret_cast<unsigned char *>(colour + (p.rows / 2 + 5) * p.columns);
  fill_spans(p, across, down, x0, y0, thread, THREADS);
  __syncthreads();
  fill_taps(p, across, down, across_taps, down_taps, x0, y0, thread, THREADS);
  const int x = x0 + column, rows = min(ROWS, p.down.to - y0), filled = min(COLUMNS, p.across.to - x0);
  int sums[ROWS];
#pragma unroll
  for (int i = 0; i < ROWS; i++) sums[i] = 1 << (BITS - 1);
  if (rows > 0 && filled > 0) {
    const int left = across[0].first, columns = across[filled - 1].first + across[filled - 1].count - left;
    const int end = down[rows - 1].first + down[rows - 1].count;
    const bool works = channel < p.channels && column < filled;
    const Span s = works ? across[column] : Span{};
    for (int top = down[0].first; top < end; top += p.rows) {
      const int bottom = min(top + p.rows, end);
      __syncthreads();
      const int first = widen(picture, colour, p.columns, left, columns, top, bottom, thread, THREADS);
      __syncthreads();
      const int pair_rows = (picture.height + 1) >> 1;
      for (int i = thread; i < (bottom - top) * columns; i += THREADS) {
        const int row = i / columns, at = i % columns, y = top + row, pairs = first_pair_row(y);
        const uchar3 c = rgb(picture, left + at, y, [&](int j) { return colour[(within(pairs + j, pair_rows) - first) * p.columns + at]; });
        unsigned char *to = pixels + (row * p.columns + at) * p.channels;
        if (p.channels == 3) to[0] = c.x, to[1] = c.y, to[2] = c.z;
        else to[0] = (c.x * 19595 + c.y * 38470 + c.z * 7471 + 0x8000) >> 16;
      }
      __syncthreads();
      if (!works) continue;
      for (int y = top; y < bottom; y++) {
        const unsigned char *row = pixels + ((y - top) * p.columns + s.first - left) * p.channels + channel;
        int sum = 1 << (BITS - 1);
        for (int j = 0; j < s.count; j++) sum += across_taps[column * p.across.most + j] * row[j * p.channels];
        const int value = clipped(sum);
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
          if (i >= rows) continue;
          const int j = y - down[i].first;
          if (j >= 0 && j < down[i].count) sums[i] += down_taps[i * p.down.most + j] * value;
        }
      }
    }
  }
  if (channel >= p.channels || x >= p.padded_width) return;
  store_column<T>(p, sums, x, y0, rows, channel);
}

#define NV12_RESIZE(SUFFIX, TYPE)                                                                                                       \
  extern "C" __global__ void __launch_bounds__(THREADS) nv12_resize_##SUFFIX(const __grid_constant__ VideoResize p) { resize_video<TYPE>(p); }
FOR_FLOATS(NV12_RESIZE)

// A block brings TILE_COLUMNS×TILE_ROWS pixels to RGB, and to where the turn puts them.
constexpr int TILE_COLUMNS = 64, TILE_ROWS = 16;

extern "C" __global__ void __launch_bounds__(256) nv12_rgb(const __grid_constant__ Turned p) {
  __shared__ short2 colour[(TILE_ROWS / 2 + 5) * TILE_COLUMNS];
  const Picture &picture = p.picture;
  const int x0 = blockIdx.x * TILE_COLUMNS, y0 = blockIdx.y * TILE_ROWS;
  const int x1 = min(x0 + TILE_COLUMNS, picture.width), y1 = min(y0 + TILE_ROWS, picture.height), columns = x1 - x0;
  const int first = widen(picture, colour, TILE_COLUMNS, x0, columns, y0, y1, threadIdx.x, 256);
  __syncthreads();
  const int pair_rows = (picture.height + 1) >> 1;
  for (int i = threadIdx.x; i < (y1 - y0) * columns; i += 256) {
    const int at = i % columns, x = x0 + at, y = y0 + i / columns, pairs = first_pair_row(y);
    const uchar3 c = rgb(picture, x, y, [&](int j) { return colour[(within(pairs + j, pair_rows) - first) * TILE_COLUMNS + at]; });
    int to_x = p.transposed ? y : x, to_y = p.transposed ? x : y;
    const int width = p.transposed ? picture.height : picture.width, height = p.transposed ? picture.width : picture.height;
    if (p.mirrored_across) to_x = width - 1 - to_x;
    if (p.mirrored_down) to_y = height - 1 - to_y;
    unsigned char *to = p.out + 3 * (static_cast<long long>(to_y) * width + to_x);
    to[0] = c.x, to[1] = c.y, to[2] = c.z;
  }
}
