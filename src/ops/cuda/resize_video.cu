// Decoded video to a model's input: conversion to RGB (yuv.cuh) and antialiased bilinear resampling (resample.cuh), normalised.

#include "resample.cuh"
#include "yuv.cuh"

// A picture of samples S whose colour is held at full width, where it is of 4:2:0, in the scratch memory.
template <typename S, int CHROMA> struct Video {
  // Two rows and two columns are made at a time.
  static constexpr int COLUMN_STEP = 2, ROW_STEP = 2;
  const Picture &picture;

  __device__ __forceinline__ void read(uchar4 *pixels, int stride, int left, int columns, int top, int bottom, bool grey, unsigned char *scratch, int thread) const {
    short4 *colour = reinterpret_cast<short4 *>(scratch);
    const int twos = stride / 2;
    int first = 0;
    if (CHROMA == QUARTER) {
      first = widen<S>(picture, colour, twos, left, columns, top, bottom, thread);
      __syncthreads();
    }
    const Divisor pairs((columns + 1) >> 1);
    for (int i = thread; i < ((bottom - top + 1) >> 1) * static_cast<int>(pairs.by); i += THREADS) {
      const int row = pairs.quotient(i), at = i - row * pairs.by;
      uchar4 c[4];
      four<S, CHROMA>(picture, colour + at, twos, first, left + 2 * at, top + 2 * row, c);
      if (grey) {
#pragma unroll
        for (int j = 0; j < 4; j++) c[j] = as_grey(c[j]);
      }
      uchar4 *to = pixels + 2 * row * stride + 2 * at;
      to[0] = c[0], to[1] = c[1], to[stride] = c[2], to[stride + 1] = c[3];
    }
  }
};

#define RESIZE(NAME, TYPE, SAMPLE, CHROMA)                                                                                              \
  extern "C" __global__ void __launch_bounds__(THREADS) NAME(const __grid_constant__ Picture picture, const __grid_constant__ Resample p) { \
    begin();                                                                                                                            \
    resample<TYPE>(p, Video<SAMPLE, CHROMA>{picture});                                                                                  \
  }
// Of samples of a byte, and of 16 bits.
#define RESIZE_ALL(NAME, CHROMA)                                                                                                        \
  RESIZE(NAME##_resize_f32, float, unsigned char, CHROMA)                                                                               \
  RESIZE(NAME##_resize_f16, __half, unsigned char, CHROMA)                                                                              \
  RESIZE(NAME##_resize_bf16, __nv_bfloat16, unsigned char, CHROMA)                                                                      \
  RESIZE(NAME##_16_resize_f32, float, unsigned short, CHROMA)                                                                           \
  RESIZE(NAME##_16_resize_f16, __half, unsigned short, CHROMA)                                                                          \
  RESIZE(NAME##_16_resize_bf16, __nv_bfloat16, unsigned short, CHROMA)
RESIZE_ALL(yuv420, QUARTER)
RESIZE_ALL(yuv422, HALF)
RESIZE_ALL(yuv444, FULL)
