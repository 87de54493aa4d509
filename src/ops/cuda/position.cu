// Embeddings of positions, in f32.

#include "common.cuh"

// Sine and cosine of 2π·(2·at - 1)·frequencies[.][c] for at = scale·(x, y) + shift. The products are rounded before they are added, as on
// the CPU, however many points there are.
__device__ __forceinline__ void features(float x, float y, const float *__restrict__ frequencies, int half, int c, float scale, float shift, float &sine, float &cosine) {
  constexpr float TAU = 6.283185307179586f;
  x = __fadd_rn(__fmul_rn(__fadd_rn(__fmul_rn(x, scale), shift), 2.f), -1.f);
  y = __fadd_rn(__fmul_rn(__fadd_rn(__fmul_rn(y, scale), shift), 2.f), -1.f);
  const float phase = __fmul_rn(__fadd_rn(__fmul_rn(x, frequencies[c]), __fmul_rn(y, frequencies[half + c])), TAU);
  sincosf(phase, &sine, &cosine);
}

// Sines, then cosines, plus `added` [kinds, 2·half] (0 for none), whose rows follow each other over the points: [count, 2·half] from points
// [count, 2] and frequencies [2, half].
extern "C" __global__ void __launch_bounds__(256) fourier_features(const float *__restrict__ points, const float *__restrict__ frequencies, const float *__restrict__ added, float *__restrict__ out, int count, int half, int kinds, float scale, float shift) {
  begin();
  const int i = blockIdx.x * blockDim.x + threadIdx.x, point = i / half, c = i % half;
  if (point >= count) return;
  const float2 p = load_2(points + 2 * point);
  float sine, cosine;
  features(p.x, p.y, frequencies, half, c, scale, shift, sine, cosine);
  const int at = point % kinds * 2 * half + c;
  if (added != nullptr) sine += added[at], cosine += added[at + half];
  float *to = out + static_cast<long long>(point) * 2 * half + c;
  to[0] = sine, to[half] = cosine;
}

// The same of tokens [count, width], a point and numbers of kinds each: times 1 less the first of these, plus all of these times the rows
// of `kinds` [width - 2, 2·half].
extern "C" __global__ void __launch_bounds__(256) token_features(const float *__restrict__ tokens, const float *__restrict__ frequencies, const float *__restrict__ kinds, float *__restrict__ out, int count, int half, int width, float scale, float shift) {
  begin();
  const int i = blockIdx.x * blockDim.x + threadIdx.x, item = i / half, c = i % half;
  if (item >= count) return;
  const float *token = tokens + static_cast<long long>(item) * width;
  float sine, cosine, first = 0.f, second = 0.f;
  features(token[0], token[1], frequencies, half, c, scale, shift, sine, cosine);
  for (int j = 2; j < width; j++) {
    const float *kind = kinds + (j - 2) * 2 * half + c;
    first = __fadd_rn(first, __fmul_rn(token[j], kind[0]));
    second = __fadd_rn(second, __fmul_rn(token[j], kind[half]));
  }
  const float is_point = 1.f - token[2];
  float *to = out + static_cast<long long>(item) * 2 * half + c;
  to[0] = __fadd_rn(__fmul_rn(sine, is_point), first), to[half] = __fadd_rn(__fmul_rn(cosine, is_point), second);
}
