// From a detector's logits and boxes to the objects of one image, best first, and to the boxes that prompt a segmenter.
//
// The order and the choice are those of models::dfine::postprocess::select, to the last bit.

#include "common.cuh"

constexpr int CHOOSERS = 1024, CANDIDATES = 2048, HEAD = 4, RECORD = 6;

struct Choice {
  // [queries, classes], [queries, 4] as centre and extent in 0..1; for each class whether it may be chosen, or null.
  const float *logits, *boxes;
  const unsigned *classes_allowed;
  // HEAD numbers (objects, logits that are not finite, candidates, coordinates that are not finite), then RECORD numbers an object (logit, place, box).
  unsigned *records;
  // [slots, 4]: corners in pixels of the segmenter's input, or null.
  float *prompts;
  // Of slots that several frames share: how many are taken, then the frame of each slot; null for a frame's own slots.
  unsigned *shared;
  int queries, classes, most, slots;
  // Number of the frame among those that share the slots, and whether it is the last.
  int frame, is_last;
  // Least logit.
  float least;
  // The frame in pixels, and a pixel of it in pixels of the segmenter's input.
  float width, height, across, down;
};

// As IEEE 754's total order, increasing.
__device__ __forceinline__ unsigned in_order(float x) {
  const unsigned bits = __float_as_uint(x);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

__device__ __forceinline__ float held(float x, float most) { return fminf(fmaxf(x, 0.f), most); }

// The corners of a box, cut to the frame, in pixels of the segmenter's input.
__device__ __forceinline__ void prompt(const Choice &p, const float *box, float *corners) {
  const float half_w = box[2] / 2.f, half_h = box[3] / 2.f;
  corners[0] = __fmul_rn(held(__fmul_rn(__fsub_rn(box[0], half_w), p.width), p.width), p.across);
  corners[1] = __fmul_rn(held(__fmul_rn(__fsub_rn(box[1], half_h), p.height), p.height), p.down);
  corners[2] = __fmul_rn(held(__fmul_rn(__fadd_rn(box[0], half_w), p.width), p.width), p.across);
  corners[3] = __fmul_rn(held(__fmul_rn(__fadd_rn(box[1], half_h), p.height), p.height), p.down);
}

extern "C" __global__ void __launch_bounds__(CHOOSERS) choose_objects(const __grid_constant__ Choice p) {
  begin();
  __shared__ unsigned counts[64];
  __shared__ unsigned keys[CANDIDATES], places[CANDIDATES];
  __shared__ unsigned found, broken_logits, broken_boxes, first_slot;
  const int thread = threadIdx.x, lane = thread % 32, n = p.queries * p.classes;
  if (thread < 64) counts[thread] = 0;
  if (thread == 0) found = 0, broken_logits = 0, broken_boxes = 0, first_slot = p.shared && p.frame > 0 ? p.shared[0] : 0;
  __syncthreads();
  // Adds the counts of all threads into one cell, which each thread then reads.
  auto add_up = [&](unsigned count, unsigned *cell) {
    count = __reduce_add_sync(ALL_LANES, count);
    if (lane == 0 && count > 0) atomicAdd(cell, count);
    __syncthreads();
    return *cell;
  };
  auto is_candidate = [&](int i) { return p.logits[i] >= p.least && (!p.classes_allowed || p.classes_allowed[i % p.classes]); };
  unsigned own = 0, wrong_logits = 0, wrong_boxes = 0;
  for (int i = thread; i < n; i += CHOOSERS) own += is_candidate(i), wrong_logits += !isfinite(p.logits[i]);
  for (int i = thread; i < 4 * p.queries; i += CHOOSERS) wrong_boxes += !isfinite(p.boxes[i]);
  add_up(wrong_logits, &broken_logits);
  add_up(wrong_boxes, &broken_boxes);
  const unsigned total = add_up(own, &counts[63]);

  // More candidates than fit beside each other: the greatest key that as many reach as are wanted, and among those that equal it
  // the last position that is taken.
  unsigned bound = 0, last = 0xffffffffu;
  if (total > CANDIDATES) {
    const unsigned wanted = p.most;
    for (int bit = 31; bit >= 0; bit--) {
      const unsigned tried = bound | 1u << bit;
      unsigned count = 0;
      for (int i = thread; i < n; i += CHOOSERS) count += is_candidate(i) && in_order(p.logits[i]) >= tried;
      if (add_up(count, &counts[bit]) >= wanted) bound = tried;
    }
    unsigned above = 0;
    for (int i = thread; i < n; i += CHOOSERS) above += is_candidate(i) && in_order(p.logits[i]) > bound;
    const unsigned equal = wanted - add_up(above, &counts[32]);
    last = 0;
    for (int bit = 29; bit >= 0; bit--) {
      const unsigned tried = last | 1u << bit;
      if (tried >= static_cast<unsigned>(n)) continue;
      unsigned count = 0;
      for (int i = thread; i < static_cast<int>(tried); i += CHOOSERS) count += is_candidate(i) && in_order(p.logits[i]) == bound;
      if (add_up(count, &counts[33 + bit]) < equal) last = tried;
    }
  }
  for (int i = thread; i < n; i += CHOOSERS) {
    if (!is_candidate(i)) continue;
    const unsigned key = in_order(p.logits[i]);
    if (key > bound || (key == bound && static_cast<unsigned>(i) <= last)) {
      const unsigned at = atomicAdd(&found, 1u);
      if (at < CANDIDATES) keys[at] = key, places[at] = i;
    }
  }
  __syncthreads();
  const int candidates = min(found, CANDIDATES), kept = min(candidates, p.most), first = first_slot;
  if (thread == 0 && p.shared) p.shared[0] = first + kept;
  if (thread == 0) p.records[0] = kept, p.records[1] = broken_logits, p.records[2] = total, p.records[3] = broken_boxes;
  for (int i = thread; i < candidates; i += CHOOSERS) {
    const unsigned key = keys[i], place = places[i];
    int before = 0;
    for (int j = 0; j < candidates; j++) before += keys[j] > key || (keys[j] == key && places[j] < place);
    if (before >= kept) continue;
    const float *box = p.boxes + 4 * (place / p.classes);
    unsigned *record = p.records + HEAD + RECORD * before;
    record[0] = __float_as_uint(p.logits[place]), record[1] = place;
#pragma unroll
    for (int c = 0; c < 4; c++) record[2 + c] = __float_as_uint(box[c]);
    const int slot = first + before;
    if (slot >= p.slots) continue;
    prompt(p, box, p.prompts + 4 * slot);
    if (p.shared) p.shared[1 + slot] = p.frame;
  }
  if (!p.is_last) return;
  // Slots without an object are prompted by the whole frame: numbers that do no harm.
  for (int i = first + kept + thread; i < p.slots; i += CHOOSERS) {
    float *corners = p.prompts + 4 * i;
    if (p.shared) p.shared[1 + i] = p.frame;
    corners[0] = 0.f, corners[1] = 0.f, corners[2] = __fmul_rn(p.width, p.across), corners[3] = __fmul_rn(p.height, p.down);
  }
}

// Floats from the bytes of an upload, wherever in it they begin.
extern "C" __global__ void __launch_bounds__(256) floats_of_bytes(const unsigned char *__restrict__ bytes, float *__restrict__ out, int n) {
  begin();
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const unsigned char *b = bytes + 4LL * i;
  out[i] = __uint_as_float(b[0] | b[1] << 8 | b[2] << 16 | static_cast<unsigned>(b[3]) << 24);
}
