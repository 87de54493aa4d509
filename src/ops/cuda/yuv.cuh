// Decoded video (YCbCr) to RGB, pixel by pixel.
//
// Pixels are those of ops::yuv, to the last bit: colour is interpolated along rows, then along columns, where there is less of it than of
// brightness, then the matrix.

#pragma once
#include "pixels.cuh"

// Samples of colour: half the width and height, half the width, as many as of brightness.
enum Chroma { QUARTER, HALF, FULL };

struct Picture {
  const unsigned char *luma, *chroma;
  // In bytes.
  int luma_pitch, chroma_pitch;
  int width, height;
  // Of samples in 16 bits: their own bits, and those below them.
  int depth, shift;
  // Of ops::types::yuv::YuvCoefficients.
  int black, bright, red_cr, green_cr, green_cb, blue_cb;
};

// Share of the j-th of the four samples of colour around place `at` of full resolution, as in ops::yuv, where the number of places is even
// and at least 14.
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

// A sample, of a byte or two, times shares of 14 fractional bits: cut to 15 bits.
template <typename S> __device__ __forceinline__ int cut(const Picture &p, int sum) {
  return min(sum >> (sizeof(S) == 1 ? 7 : p.depth - 1), 32767);
}

// A sample as 8 bits have it with 9 fractional bits.
template <typename S> __device__ __forceinline__ int nine(const Picture &p, int sample) {
  return sizeof(S) == 1 ? sample << 9 : cut<S>(p, sample << 14) << 2;
}

template <typename S> __device__ __forceinline__ int luma(const Picture &p, const unsigned char *row, int x) {
  const int sample = reinterpret_cast<const S *>(row)[x];
  return nine<S>(p, sizeof(S) == 1 ? sample : sample >> p.shift);
}

// Whether a pair of Cb and Cr can be read at once.
template <typename S> __device__ __forceinline__ bool has_whole_pairs(const Picture &p) {
  return ((reinterpret_cast<unsigned long long>(p.chroma) | p.chroma_pitch) & (2 * sizeof(S) - 1)) == 0;
}

template <typename S> __device__ __forceinline__ void read_pair(const Picture &p, const unsigned char *row, int at, bool is_whole, int &cb, int &cr) {
  const S *from = reinterpret_cast<const S *>(row) + 2 * at;
  if (sizeof(S) == 1) {
    const int pair = is_whole ? *reinterpret_cast<const unsigned short *>(from) : from[0] | from[1] << 8;
    cb = pair & 255, cr = pair >> 8;
  } else {
    const unsigned pair = is_whole ? *reinterpret_cast<const unsigned *>(from) : from[0] | static_cast<unsigned>(from[1]) << 16;
    cb = (pair & 0xffff) >> p.shift, cr = pair >> 16 >> p.shift;
  }
}

// Colour of full width at columns x and x + 1, which have all but one of their pairs in common: Cb and Cr of each. x is even.
template <typename S> __device__ __forceinline__ short4 widened(const Picture &p, const unsigned char *row, int x, int pair_columns, bool is_whole) {
  int cb[5], cr[5];
#pragma unroll
  for (int j = 0; j < 5; j++) read_pair<S>(p, row, within((x >> 1) - 2 + j, pair_columns), is_whole, cb[j], cr[j]);
  int sums[4] = {0, 0, 0, 0};
#pragma unroll
  for (int j = 0; j < 4; j++) {
    const int even = across_share(x, j), odd = across_share(1, j);
    sums[0] += even * cb[j], sums[1] += even * cr[j], sums[2] += odd * cb[j + 1], sums[3] += odd * cr[j + 1];
  }
  return make_short4(cut<S>(p, sums[0]), cut<S>(p, sums[1]), cut<S>(p, sums[2]), cut<S>(p, sums[3]));
}

// Makes colour of full width for rows y0 to y1 (exclusive) and columns x0 to x0 + columns of a picture in 4:2:0; gives the first row of pairs
// it holds. Rows and columns begin at even places.
template <typename S>
__device__ __forceinline__ int widen(const Picture &p, short4 *held, int stride, int x0, int columns, int y0, int y1, int thread) {
  const int pair_rows = (p.height + 1) >> 1, pair_columns = (p.width + 1) >> 1, twos = (columns + 1) >> 1;
  const int first = within((y0 >> 1) - 2, pair_rows), last = within(((y1 - 1) >> 1) + 2, pair_rows);
  const bool is_whole = has_whole_pairs<S>(p);
  const Divisor across(twos);
  for (int i = thread; i < (last - first + 1) * twos; i += THREADS) {
    const int row = across.quotient(i), at = i - row * twos;
    const unsigned char *pairs = p.chroma + static_cast<long long>(first + row) * p.chroma_pitch;
    held[row * stride + at] = widened<S>(p, pairs, x0 + 2 * at, pair_columns, is_whole);
  }
  return first;
}

// All of 9 fractional bits, colour around 0.
__device__ __forceinline__ uchar4 rgb(const Picture &p, int luma, int cb, int cr) {
  // Sums wrap around for colours that no picture should have, as they do on the host.
  const unsigned bright = static_cast<unsigned>(luma - p.black) * p.bright + (1u << 21);
  const int red = bright + static_cast<unsigned>(cr) * p.red_cr;
  const int green = bright + static_cast<unsigned>(cr) * p.green_cr + static_cast<unsigned>(cb) * p.green_cb;
  const int blue = bright + static_cast<unsigned>(cb) * p.blue_cb;
  return make_uchar4(level(red), level(green), level(blue), 0);
}

// Colour at (x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1), of 9 fractional bits around 0, where x and y are even. Of 4:2:0, `colour` is the
// column of what `widen` made for rows of pairs from `first` on.
template <typename S, int CHROMA>
__device__ __forceinline__ void colours(const Picture &p, const short4 *colour, int stride, int first, int x, int y, int (&cb)[4], int (&cr)[4]) {
  constexpr int MIDDLE = 128 << 9;
  if (CHROMA == QUARTER) {
    const int pair_rows = (p.height + 1) >> 1;
#pragma unroll
    for (int i = 0; i < 4; i++) cb[i] = cr[i] = (1 << 9) - (MIDDLE << 10);
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
#pragma unroll
    for (int i = 0; i < 4; i++) cb[i] >>= 10, cr[i] >>= 10;
    return;
  }
  const bool is_whole = has_whole_pairs<S>(p);
#pragma unroll
  for (int i = 0; i < 4; i += 2) {
    const unsigned char *row = p.chroma + static_cast<long long>(min(y + i / 2, p.height - 1)) * p.chroma_pitch;
    if (CHROMA == HALF) {
      const short4 c = widened<S>(p, row, x, (p.width + 1) >> 1, is_whole);
      cb[i] = 4 * c.x - MIDDLE, cr[i] = 4 * c.y - MIDDLE, cb[i + 1] = 4 * c.z - MIDDLE, cr[i + 1] = 4 * c.w - MIDDLE;
    } else {
#pragma unroll
      for (int j = i; j < i + 2; j++) {
        read_pair<S>(p, row, min(x + j - i, p.width - 1), is_whole, cb[j], cr[j]);
        cb[j] = nine<S>(p, cb[j]) - MIDDLE, cr[j] = nine<S>(p, cr[j]) - MIDDLE;
      }
    }
  }
}

// Red, green and blue at the same four places; the picture's last column and row stand for those beyond.
template <typename S, int CHROMA>
__device__ __forceinline__ void four(const Picture &p, const short4 *colour, int stride, int first, int x, int y, uchar4 (&out)[4]) {
  int cb[4], cr[4];
  colours<S, CHROMA>(p, colour, stride, first, x, y, cb, cr);
  const unsigned char *upper = p.luma + static_cast<long long>(y) * p.luma_pitch, *lower = upper + (y + 1 < p.height ? p.luma_pitch : 0);
  const int right = min(x + 1, p.width - 1);
  out[0] = rgb(p, luma<S>(p, upper, x), cb[0], cr[0]);
  out[1] = rgb(p, luma<S>(p, upper, right), cb[1], cr[1]);
  out[2] = rgb(p, luma<S>(p, lower, x), cb[2], cr[2]);
  out[3] = rgb(p, luma<S>(p, lower, right), cb[3], cr[3]);
}
