// Fine-grained distributions: boxes and statistics from logits over bins, all in f32.

#include "common.cuh"

// Boxes (cx, cy, w, h) [rows, 4]: each edge of `reference` moved by the mean of `offsets` [bins] under the softmax of its logits
// [rows, 4·bins] (left, top, right, bottom). Eight lanes would do for an edge; a warp makes a box, edge by edge.
extern "C" __global__ void __launch_bounds__(256) refine_boxes(const float *__restrict__ logits, const float *__restrict__ reference, const float *__restrict__ offsets, float *__restrict__ boxes, int rows, int bins, float reg_scale) {
  begin();
  const int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (row >= rows) return;
  // All edges side by side, so that none waits for another.
  const float *x = logits + static_cast<long long>(row) * 4 * bins;
  float most[4], sum[4] = {}, mean[4] = {};
#pragma unroll
  for (int edge = 0; edge < 4; edge++) most[edge] = -INFINITY;
  for (int i = lane; i < bins; i += 32)
#pragma unroll
    for (int edge = 0; edge < 4; edge++) most[edge] = fmaxf(most[edge], x[edge * bins + i]);
#pragma unroll
  for (int edge = 0; edge < 4; edge++) most[edge] = warp_max(most[edge]);
  for (int i = lane; i < bins; i += 32) {
    const float offset = offsets[i];
#pragma unroll
    for (int edge = 0; edge < 4; edge++) {
      const float e = expf(x[edge * bins + i] - most[edge]);
      sum[edge] += e, mean[edge] = fmaf(e, offset, mean[edge]);
    }
  }
  float moved[4];
#pragma unroll
  for (int edge = 0; edge < 4; edge++) moved[edge] = warp_sum(mean[edge]) / warp_sum(sum[edge]) + 0.5f * reg_scale;
  if (lane != 0) return;
  const float4 r = reinterpret_cast<const float4 *>(reference)[row];
  const float ux = r.z / reg_scale, uy = r.w / reg_scale;
  const float x0 = r.x - moved[0] * ux, y0 = r.y - moved[1] * uy, x1 = r.x + moved[2] * ux, y1 = r.y + moved[3] * uy;
  reinterpret_cast<float4 *>(boxes)[row] = make_float4((x0 + x1) * 0.5f, (y0 + y1) * 0.5f, x1 - x0, y1 - y0);
}

// The `top` greatest probabilities of each edge's distribution, greatest first, then their mean: [rows·4, top + 1] from logits
// [rows·4, bins]. A warp an edge; bins up to 1,056.
extern "C" __global__ void __launch_bounds__(256) top_probabilities(const float *__restrict__ logits, float *__restrict__ out, int edges, int bins, int top) {
  begin();
  constexpr int EACH = 33;
  const int edge = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (edge >= edges) return;
  const float *x = logits + static_cast<long long>(edge) * bins;
  float most = -INFINITY, sum = 0.f;
  for (int i = lane; i < bins; i += 32) most = fmaxf(most, x[i]);
  most = warp_max(most);
  for (int i = lane; i < bins; i += 32) sum += expf(x[i] - most);
  const float factor = 1.f / warp_sum(sum);
  // Bins of this lane that were taken: bit j for bin lane + 32·j.
  unsigned long long taken = 0;
  float total = 0.f;
  for (int t = 0; t < top; t++) {
    float best = -1.f;
    int at = -1;
    for (int j = 0; j < EACH && lane + 32 * j < bins; j++) {
      const float v = expf(x[lane + 32 * j] - most) * factor;
      if (!(taken >> j & 1) && v > best) best = v, at = j;
    }
    const float greatest = warp_max(best);
    const unsigned holders = __ballot_sync(ALL_LANES, best == greatest);
    if (lane == __ffs(holders) - 1 && at >= 0) taken |= 1ull << at;
    if (lane == 0) out[static_cast<long long>(edge) * (top + 1) + t] = greatest;
    total += greatest;
  }
  if (lane == 0) out[static_cast<long long>(edge) * (top + 1) + top] = total / top;
}

// log(x / (1 - x)), both held to at least 1e-5.
extern "C" __global__ void inverse_sigmoid(const float *__restrict__ x, float *__restrict__ y, int n) {
  begin();
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const float v = fminf(fmaxf(x[i], 0.f), 1.f);
  y[i] = logf(fmaxf(v, 1e-5f) / fmaxf(1.f - v, 1e-5f));
}
