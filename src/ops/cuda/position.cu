// Embeddings of positions, in f32.

#include "common.cuh"

// Sines, then cosines, of 2π·(2·at - 1)·frequencies for at = scale·points + shift, plus `added` [kinds, 2·half] (0 for none), whose rows
// follow each other over the points: [count, 2·half] from points [count, 2] and frequencies [2, half]. The products are rounded before
// they are added, as on the CPU, however many points there are.
extern "C" __global__ void __launch_bounds__(256) fourier_features(const float *__restrict__ points, const float *__restrict__ frequencies, const float *__restrict__ added, float *__restrict__ out, int count, int half, int kinds, float scale, float shift) {
  constexpr float TAU = 6.283185307179586f;
  const int i = blockIdx.x * blockDim.x + threadIdx.x, point = i / half, c = i % half;
  if (point >= count) return;
  const float2 p = load_2(points + 2 * point);
  const float x = __fadd_rn(__fmul_rn(__fadd_rn(__fmul_rn(p.x, scale), shift), 2.f), -1.f);
  const float y = __fadd_rn(__fmul_rn(__fadd_rn(__fmul_rn(p.y, scale), shift), 2.f), -1.f);
  const float phase = __fmul_rn(__fadd_rn(__fmul_rn(x, frequencies[c]), __fmul_rn(y, frequencies[half + c])), TAU);
  float sine, cosine;
  sincosf(phase, &sine, &cosine);
  const int at = point % kinds * 2 * half + c;
  if (added != nullptr) sine += added[at], cosine += added[at + half];
  float *to = out + static_cast<long long>(point) * 2 * half + c;
  to[0] = sine, to[half] = cosine;
}
