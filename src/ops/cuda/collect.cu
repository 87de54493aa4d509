// From a packed result of one frame to tensors of its objects and to masks of a byte a pixel.

#include "common.cuh"

constexpr int COLLECTORS = 1024, MAX_OBJECTS = 2048, HEAD = 4, RECORD = 6, STATISTICS = 8, SCORE = 5;
constexpr unsigned NOT_FINITE = 0xffffffffu;

// `Arguments` of `collect.rs`, field by field.
struct Collect {
  // HEAD numbers and RECORD numbers an object as `objects.cu` writes them; then, with masks, a row of `row` numbers an object as `masks.cu` does.
  const unsigned *packed;
  // [max_objects, 4] corners in pixels; [max_objects] each; one number each.
  float *boxes, *scores, *mask_scores;
  unsigned *classes, *rows, *count, *not_finite;
  long long row;
  int max_objects, class_count, has_masks;
  // The frame in pixels.
  float width, height;
};

__device__ __forceinline__ float held(float x, float max) { return fminf(fmaxf(x, 0.f), max); }

// The corners of the box of a record, cut to the frame, as geometry::BoxCxCyWh::to_pixels and BoxXyxy::clamped; whether it has extent.
__device__ __forceinline__ bool corners(const Collect &p, const unsigned *record, float (&box)[4]) {
  const float cx = __uint_as_float(record[2]), cy = __uint_as_float(record[3]);
  const float half_w = __uint_as_float(record[4]) / 2.f, half_h = __uint_as_float(record[5]) / 2.f;
  box[0] = held(__fmul_rn(__fsub_rn(cx, half_w), p.width), p.width);
  box[1] = held(__fmul_rn(__fsub_rn(cy, half_h), p.height), p.height);
  box[2] = held(__fmul_rn(__fadd_rn(cx, half_w), p.width), p.width);
  box[3] = held(__fmul_rn(__fadd_rn(cy, half_h), p.height), p.height);
  return box[2] > box[0] && box[3] > box[1];
}

// The objects whose boxes have extent move together, in their order; the rows behind them are zero. Where an output of a model is not
// finite all rows are, and `not_finite` counts the outputs. One block.
extern "C" __global__ void __launch_bounds__(COLLECTORS) collect_objects(const __grid_constant__ Collect p) {
  begin();
  __shared__ unsigned char valid[MAX_OBJECTS];
  __shared__ unsigned total, broken;
  const int thread = threadIdx.x, objects = min(static_cast<int>(p.packed[0]), p.max_objects);
  const long long head = HEAD + static_cast<long long>(RECORD) * p.max_objects;
  if (thread == 0) total = 0, broken = p.packed[1] + p.packed[3];
  __syncthreads();
  for (int i = thread; i < objects; i += COLLECTORS) {
    float box[4];
    const bool is_valid = corners(p, p.packed + HEAD + RECORD * i, box);
    valid[i] = is_valid;
    if (!is_valid) continue;
    atomicAdd(&total, 1u);
    if (!p.has_masks) continue;
    const unsigned *mask = p.packed + head + p.row * i;
    if (mask[1] == NOT_FINITE || !isfinite(__uint_as_float(mask[SCORE]))) atomicAdd(&broken, 1u);
  }
  __syncthreads();
  const int count = broken > 0 ? 0 : total;
  if (thread == 0) *p.count = count, *p.not_finite = broken;
  if (count > 0) {
    for (int i = thread; i < objects; i += COLLECTORS) {
      if (!valid[i]) continue;
      int at = 0;
      for (int j = 0; j < i; j++) at += valid[j];
      const unsigned *record = p.packed + HEAD + RECORD * i;
      float box[4];
      corners(p, record, box);
#pragma unroll
      for (int c = 0; c < 4; c++) p.boxes[4 * at + c] = box[c];
      p.scores[at] = 1.f / (1.f + expf(-__uint_as_float(record[0])));
      p.classes[at] = record[1] % p.class_count, p.rows[at] = i;
      if (p.has_masks) p.mask_scores[at] = __uint_as_float(p.packed[head + p.row * i + SCORE]);
    }
  }
  for (int i = count + thread; i < p.max_objects; i += COLLECTORS) {
#pragma unroll
    for (int c = 0; c < 4; c++) p.boxes[4 * i + c] = 0.f;
    p.scores[i] = 0.f, p.classes[i] = 0, p.rows[i] = 0;
    if (p.has_masks) p.mask_scores[i] = 0.f;
  }
}

// A packed result of `n` numbers, in which records and rows behind the objects are zero.
extern "C" __global__ void __launch_bounds__(256) copy_packed(const unsigned *__restrict__ packed, unsigned *__restrict__ out, long long n, int max_objects, long long row) {
  begin();
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const long long head = HEAD + static_cast<long long>(RECORD) * max_objects, objects = packed[0];
  const bool is_used = i < HEAD || (i < head ? (i - HEAD) / RECORD < objects : (i - head) / row < objects);
  out[i] = is_used ? packed[i] : 0;
}

// The masks of the objects from `first` on, [masks, height, width]: 1 inside, 0 outside and behind the objects. A thread makes 32 rows of a
// column from one number.
extern "C" __global__ void __launch_bounds__(128) unpack_masks(const unsigned *__restrict__ masks, const unsigned *__restrict__ rows, const unsigned *__restrict__ count, unsigned char *__restrict__ out, int first, long long row, int height, int width) {
  begin();
  const int x = blockIdx.x * blockDim.x + threadIdx.x, y0 = 32 * blockIdx.y, object = first + blockIdx.z, words = (height + 31) / 32;
  if (x >= width) return;
  unsigned word = 0;
  if (object < static_cast<int>(*count)) word = masks[row * rows[object] + STATISTICS + static_cast<long long>(x) * words + blockIdx.y];
  unsigned char *to = out + (static_cast<long long>(blockIdx.z) * height + y0) * width + x;
  for (int i = 0; i < min(32, height - y0); i++) to[static_cast<long long>(i) * width] = word >> i & 1u;
}
