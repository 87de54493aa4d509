// Multi-scale deformable attention: a block makes one query, first the weighted pixels of all heads, then their sums.

#include "common.cuh"

constexpr int MOST_LEVELS = 4;

struct Deformable {
  const void *value;
  // f32; rows of all heads' points, `location_row` and `weight_row` numbers apart.
  const float *locations, *weights;
  // f32 [batch·queries, 4] (cx, cy, w, h) or none. With boxes, locations are in units of a box's extent from its centre, and weights
  // are yet to go through the softmax.
  const float *boxes;
  void *out;
  long long token, image;
  int location_row, weight_row;
  int queries, heads, head, points, levels;
  int heights[MOST_LEVELS], widths[MOST_LEVELS], starts[MOST_LEVELS], level_points[MOST_LEVELS];
};

template <typename T> __device__ __forceinline__ void deformable_attention(const Deformable &p) {
  // For each head and point, tokens and shares of the four pixels around it.
  extern __shared__ __align__(16) unsigned char memory[];
  const int all = p.heads * p.points, query = blockIdx.x;
  int4 *tokens = reinterpret_cast<int4 *>(memory);
  float4 *shares = reinterpret_cast<float4 *>(tokens + all);
  const float *locations = p.locations + static_cast<long long>(query) * p.location_row;
  const float *weights = p.weights + static_cast<long long>(query) * p.weight_row;

  for (int i = threadIdx.x; i < all; i += blockDim.x) {
    const int head = i / p.points, point = i % p.points;
    float weight = weights[i], x = locations[2 * i], y = locations[2 * i + 1];
    if (p.boxes) {
      float most = -INFINITY, sum = 0.f;
      for (int j = 0; j < p.points; j++) most = fmaxf(most, weights[head * p.points + j]);
      for (int j = 0; j < p.points; j++) sum += __expf(weights[head * p.points + j] - most);
      weight = __expf(weight - most) / sum;
      const float4 box = reinterpret_cast<const float4 *>(p.boxes)[query];
      x = box.x + x * box.z, y = box.y + y * box.w;
    }
    int level = 0, left = point;
    while (level + 1 < p.levels && left >= p.level_points[level]) left -= p.level_points[level++];
    const int h = p.heights[level], w = p.widths[level], start = p.starts[level];
    x = x * w - 0.5f, y = y * h - 0.5f;
    const float x0 = floorf(x), y0 = floorf(y), fx = x - x0, fy = y - y0;
    // Comparisons in f32, so that places far outside do not overflow.
    auto token = [&](float cx, float cy) { return cx >= 0.f && cx < w && cy >= 0.f && cy < h ? start + static_cast<int>(cy) * w + static_cast<int>(cx) : -1; };
    tokens[i] = make_int4(token(x0, y0), token(x0 + 1.f, y0), token(x0, y0 + 1.f), token(x0 + 1.f, y0 + 1.f));
    shares[i] = make_float4((1.f - fx) * (1.f - fy) * weight, fx * (1.f - fy) * weight, (1.f - fx) * fy * weight, fx * fy * weight);
  }
  __syncthreads();

  const int channels = p.heads * p.head;
  const T *value = static_cast<const T *>(p.value) + query / p.queries * p.image;
  T *out = static_cast<T *>(p.out) + static_cast<long long>(query) * channels;
  // Two channels a thread; heads have an even number of them.
  for (int c = 2 * threadIdx.x; c < channels; c += 2 * blockDim.x) {
    const int first = c / p.head * p.points;
    float a = 0.f, b = 0.f;
    auto add = [&](int token, float share) {
      if (token < 0) return;
      const float2 v = load_2(value + token * p.token + c);
      a = fmaf(v.x, share, a), b = fmaf(v.y, share, b);
    };
    for (int i = first; i < first + p.points; i++) {
      const int4 at = tokens[i];
      const float4 by = shares[i];
      add(at.x, by.x), add(at.y, by.y), add(at.z, by.z), add(at.w, by.w);
    }
    store_2(out + c, a, b);
  }
}

#define DEFORMABLE(SUFFIX, TYPE)                                                                                                        \
  extern "C" __global__ void __launch_bounds__(256) deformable_##SUFFIX(const __grid_constant__ Deformable p) { begin(); deformable_attention<TYPE>(p); }
FOR_FLOATS(DEFORMABLE)
