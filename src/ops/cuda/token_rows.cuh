// Products of few rows of 16 bits whose weights lie in registers: what a warp needs for sixteen columns is read in one go, also before the kernels before
// are done, and eight rows lie in shared memory. The columns are the rows of the left matrix, the rows its right matrix: eight rows fill a fragment.
//
// k is taken in the order in which a lane reads eight numbers of it at once: an order like any other, as both sides have it.
#pragma once

#include "common.cuh"

constexpr int ROWS = 8, CHANNELS = 256, WARPS = 4, THREADS = WARPS * 32;
// Columns of a warp, and k of a piece: what a quad of lanes reads of a row at once.
constexpr int WIDE = 16, PIECE = 32;
// Numbers from row to row of shared memory: neighbouring rows of a piece are in different banks.
constexpr int PITCH = CHANNELS + 32;

// Which of a warp's columns the first row of the left matrix that a lane has is; the second one is that of two further on. After `turned` a lane then has
// four neighbouring columns.
__device__ __forceinline__ int own_column(int lane) { return lane / 8 * 4 + lane / 4 % 2; }

// The weights of sixteen columns and 32·PIECES of k that a lane has, and the bias of its two columns.
template <int PIECES> struct Columns {
  uint4 of[2][PIECES];
  float bias[2];

  // Those from `column` on of `weight` [columns][32·PIECES]. `from` may be null. Not by __ldg: the assembler moves such loads behind `begin`.
  template <typename T> __device__ __forceinline__ void read(const T *weight, const float *from, int column, int lane) {
    column += own_column(lane);
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const uint4 *there = reinterpret_cast<const uint4 *>(weight + (column + half * 2) * (PIECES * PIECE)) + lane % 4;
#pragma unroll
      for (int i = 0; i < PIECES; i++) of[half][i] = there[i * (PIECE / 8)];
      bias[half] = from ? from[column + half * 2] : 0.f;
    }
  }

  // The products with eight rows of shared memory, `pitch` numbers apart, and the bias: of the lane's first column for rows 2·(lane mod 4) and the next, then
  // of its second column.
  template <typename T> __device__ __forceinline__ void multiply(float (&d)[4], const T *rows, int pitch, int lane) const {
    const T *own = rows + lane / 4 * pitch + lane % 4 * 8;
    float sums[4][4] = {};
#pragma unroll
    for (int i = 0; i < PIECES; i++) {
      const uint4 right = *reinterpret_cast<const uint4 *>(own + i * PIECE);
      const uint32_t first[4] = {of[0][i].x, of[1][i].x, of[0][i].y, of[1][i].y}, second[4] = {of[0][i].z, of[1][i].z, of[0][i].w, of[1][i].w};
      multiply_add(sums[i % 2 * 2], first, right.x, right.y, T());
      multiply_add(sums[i % 2 * 2 + 1], second, right.z, right.w, T());
    }
#pragma unroll
    for (int i = 0; i < 4; i++) d[i] = (sums[0][i] + sums[1][i]) + (sums[2][i] + sums[3][i]) + bias[i / 2];
  }
};

// Numbers as `multiply` leaves them, rounded: a lane gets, of row lane / 4, the four columns from 4·(lane mod 4) on.
template <typename T> __device__ __forceinline__ uint2 turned(const float (&d)[4]) {
  uint32_t words[2];
#pragma unroll
  for (int half = 0; half < 2; half++) {
    words[half] = pack_2(d[half * 2], d[half * 2 + 1], T());
    asm("movmatrix.sync.aligned.m8n8.trans.b16 %0, %0;" : "+r"(words[half]));
  }
  return make_uint2(words[0], words[1]);
}

// The constants of a normalisation that a lane has: those of eight channels.
struct NormOf {
  float scale[8], shift[8];

  __device__ __forceinline__ void read(const float *scales, const float *shifts, int lane) {
    load_8(scales + lane * 8, scale);
    load_8(shifts + lane * 8, shift);
  }
  // Normalises a row of which the lane has eight channels.
  __device__ __forceinline__ void apply(float (&v)[8], float eps) const {
    float sum = 0.f, squares = 0.f;
#pragma unroll
    for (int j = 0; j < 8; j++) sum += v[j];
    const float mean = warp_sum(sum) / CHANNELS;
#pragma unroll
    for (int j = 0; j < 8; j++) v[j] -= mean, squares = fmaf(v[j], v[j], squares);
    const float factor = rsqrtf(warp_sum(squares) / CHANNELS + eps);
#pragma unroll
    for (int j = 0; j < 8; j++) v[j] = v[j] * factor * scale[j] + shift[j];
  }
};
