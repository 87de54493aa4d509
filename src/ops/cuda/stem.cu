// HGNetv2's stem as one kernel: a 3×3 convolution at stride 2 of an image, beside each other a pooling of 2×2 pixels and two 2×2
// convolutions of it, and a 3×3 convolution at stride 2 of both, ReLU after each convolution. The maps between stay on the chip.
//
// A block makes a tile of the output. To shared memory come the weights, and of the image what lies under the tile; then layer after layer
// makes its map there, with as many pixels around as the next layers see. Pixels outside a map are zeros, which is what the next layer has
// there. A map lies in planes of eight channels, eight numbers a pixel, so that the pixels of a fragment lie one after another, as do the
// weights, in planes of eight numbers of k. All convolutions are sums of sixteen pixels at a time on the tensor cores.

#include "gemm_tiles.cuh"

struct Stem {
  // [batch, height, width, channels] and [batch, out_height, out_width, columns].
  const void *image;
  void *out;
  // [columns, k] as in gemm.cuh, and biases in f32, which may be none.
  const void *first, *second_a, *second_b, *third;
  const float *first_bias, *second_a_bias, *second_b_bias, *third_bias;
  // Of the four layers: scale·y + shift after ReLU.
  float scale[4], shift[4];
  // Of the image, of the maps between and of the output.
  int height, width, mid_height, mid_width, out_height, out_width;
};

constexpr int WARPS = 8, THREADS = 32 * WARPS;

// Sizes of a tile of TH × TW pixels of the output, for images of C channels and maps of MID.
template <int C, int MID, int TH, int TW> struct StemTile {
  static constexpr int CHANNELS = C, COLUMNS = MID, HEIGHT = TH, WIDTH = TW;
  // Planes of the maps, and of the narrower one.
  static constexpr int PLANES = MID / 8, NARROW = (MID / 2 + 7) / 8;
  // The first map; what the first 2×2 convolution makes of it; what the second one and the pooling make. Their first pixel is the same.
  static constexpr int ONE_WIDTH = 2 * TW + 3, ONE = (2 * TH + 3) * ONE_WIDTH;
  static constexpr int A_WIDTH = 2 * TW + 2, A = (2 * TH + 2) * A_WIDTH;
  static constexpr int TWO_HEIGHT = 2 * TH + 1, TWO_WIDTH = 2 * TW + 1;
  // Of the last ones rows have the even columns first and the odd ones from ODD on, so that every second pixel is a neighbour; where there
  // is room, such that a row's even and odd pixels are written to different banks.
  static constexpr int ODD = TW + 1 + (MID < 32 ? 3 : 0), TWO_ROW = ODD + TW, TWO = TWO_HEIGHT * TWO_ROW;
  // The image's numbers in a row of the first kernel, with the one before them, which has a weight of zero: so pairs of them are whole words.
  static constexpr int TAPS = C == 3 ? 10 : 4, STEPS = (3 * TAPS + 15) / 16;
  // Numbers before the kernel's first one of the tile's first column, such that a row begins with a multiple of eight of the image's.
  static constexpr int LEAD = C == 3 ? 6 : 4, BEFORE = C == 3 ? 16 : 8;
  static constexpr int IMAGE_HEIGHT = 4 * TH + 7, IMAGE_ROW = (LEAD + 2 * C * (ONE_WIDTH - 1) + TAPS + 7) / 8 * 8;
  // The warps that share the columns of sixteen pixels of the output, and the fragments of each.
  static constexpr int SHARE = WARPS / (TH * TW / 16), FRAGMENTS = (PLANES + SHARE - 1) / SHARE, BIASES = SHARE * FRAGMENTS * 8;
  static_assert(TW % 8 == 0 && TH * TW % 16 == 0 && SHARE * TH * TW == WARPS * 16 && FRAGMENTS <= 2, "tiles consist of fragments, of whole chunks of the image");
  static_assert(IMAGE_HEIGHT * IMAGE_ROW <= PLANES * TWO * 8 && TWO <= ONE, "maps fit where others were");

  static __device__ __forceinline__ constexpr unsigned place_two(unsigned y, unsigned x) { return y * TWO_ROW + x % 2 * ODD + x / 2; }

  // The row of the first kernel, and the number of the image there, that pair `i` of k begins with; row 3 for none. Pairs are in such an
  // order that those of a lane, four apart, lie at the same places of the kernel's rows, but for the last.
  static __device__ __forceinline__ constexpr int2 tap(int i) {
    const int lane = i % 4, group = i / 4;
    if (C == 1) return group == 0 ? int2{lane / 2, lane % 2 * 2} : int2{lane < 2 ? 2 : 3, lane % 2 * 2};
    return group < 3 ? int2{group, 2 * lane} : int2{lane, 8};
  }
};

// As in shared memory.
template <typename T, typename S> struct __align__(16) StemMemory {
  // The first map, and where that is no longer needed the one of the second 2×2 convolution.
  T one[S::PLANES * S::ONE * 8];
  T narrow[S::NARROW * S::A * 8];
  // The image, and where that is no longer needed the pooled map.
  T pooled[S::PLANES * S::TWO * 8];
  T first[32 * S::COLUMNS], second_a[4 * S::PLANES * 8 * S::NARROW * 8], second_b[4 * S::NARROW * 8 * S::COLUMNS], third[18 * S::PLANES * 8 * S::COLUMNS];
  float bias[4][S::BIASES];
};

// A block's place: the first pixel of its tile of the output, that of the maps between, and its image.
struct StemPlace {
  int y, x, image, warp, lane;
  // Whether all pixels of the maps between are inside.
  bool whole;

  __device__ __forceinline__ bool outside(const Stem &p, int row, int column) const {
    return static_cast<unsigned>(2 * y - 1 + row) >= static_cast<unsigned>(p.mid_height) || static_cast<unsigned>(2 * x - 1 + column) >= static_cast<unsigned>(p.mid_width);
  }
};

// The place in rows of WIDTH of a lane's first pixel of sixteen, and of its second, eight further; what is beyond COUNT pixels is the last one.
template <unsigned WIDTH, unsigned COUNT> struct StemPixels {
  static_assert(WIDTH > 8, "eight pixels are at most in two rows");
  unsigned y[2], x[2];

  __device__ __forceinline__ StemPixels(unsigned first) {
    y[0] = first / WIDTH, x[0] = first % WIDTH;
    const bool next = x[0] + 8 >= WIDTH;
    y[1] = y[0] + next, x[1] = next ? x[0] + 8 - WIDTH : x[0] + 8;
#pragma unroll
    for (int half = 0; half < 2; half++)
      if (first + half * 8 >= COUNT) y[half] = COUNT / WIDTH - 1, x[half] = WIDTH - 1;
  }
};

// Weights [columns, K] to planes of ROWS columns, those beyond the last being zeros. A warp brings four chunks of eight columns at a time.
template <int K, int ROWS, int COLUMNS, typename T> __device__ __forceinline__ void bring_weights(T *to, const void *weight) {
  static_assert(K % 8 == 0 && ROWS % 8 == 0, "weights in chunks of eight by eight");
  constexpr int AT_ONCE = THREADS / 8;
  const int column = threadIdx.x % 8, chunk = threadIdx.x / 8;
  const T *from = static_cast<const T *>(weight) + column * K + chunk * 8;
  to += (chunk * ROWS + column) * 8;
#pragma unroll
  for (int r = 0; r < ROWS; r += 8)
#pragma unroll
    for (int c = 0; c < K / 8; c += AT_ONCE) {
      const bool there = r + 8 <= COLUMNS || r + column < COLUMNS;
      if (c + AT_ONCE <= K / 8 || c + chunk < K / 8) copy_16(to + (c * ROWS + r) * 8, there ? from + r * K + c * 8 : from, there);
    }
}

// What threads bring that is no whole chunks: the first layer's weights, [columns, 9·8], in the order of the image's pairs, and biases. It is
// asked for early and written late.
template <typename T, typename S> struct StemNumbers {
  static constexpr int COUNT = S::STEPS * 16 * S::COLUMNS, EACH = (COUNT + THREADS - 1) / THREADS;
  T weights[EACH];
  float bias;

  __device__ __forceinline__ explicit StemNumbers(const Stem &p) {
    const T *from = static_cast<const T *>(p.first);
#pragma unroll
    for (int j = 0; j < EACH; j++) {
      const unsigned i = threadIdx.x + j * THREADS, k = i / (8 * S::COLUMNS) * 8 + i % 8, column = i / 8 % S::COLUMNS;
      const int2 tap = S::tap(k / 2);
      const int at = tap.y + k % 2 - 1;
      weights[j] = from_float<T>(0.f);
      if (i < COUNT && tap.x < 3 && at >= 0) weights[j] = from[column * 72 + (tap.x * 3 + at / S::CHANNELS) * 8 + at % S::CHANNELS];
    }
    const int layer = threadIdx.x / S::BIASES, column = threadIdx.x % S::BIASES;
    const float *biases = layer == 0 ? p.first_bias : layer == 1 ? p.second_a_bias : layer == 2 ? p.second_b_bias : p.third_bias;
    bias = layer < 4 && biases && column < (layer == 1 ? S::COLUMNS / 2 : S::COLUMNS) ? biases[column] : 0.f;
  }

  __device__ __forceinline__ void put(StemMemory<T, S> &m) const {
#pragma unroll
    for (int j = 0; j < EACH; j++)
      if (threadIdx.x + j * THREADS < COUNT) m.first[threadIdx.x + j * THREADS] = weights[j];
    if (threadIdx.x < 4 * S::BIASES) m.bias[threadIdx.x / S::BIASES][threadIdx.x % S::BIASES] = bias;
  }
};

// The image's rows under the tile, as many at a time as there are threads for.
template <typename T, typename S> __device__ __forceinline__ void bring_image(T *to, const Stem &p, const StemPlace &place) {
  constexpr int CHUNKS = S::IMAGE_ROW / 8, ACROSS = CHUNKS > 16 ? 32 : CHUNKS > 8 ? 16 : 8, AT_ONCE = THREADS / ACROSS;
  static_assert(CHUNKS <= ACROSS, "a thread for each chunk of a row");
  const int numbers = p.width * S::CHANNELS, chunk = threadIdx.x % ACROSS, row = threadIdx.x / ACROSS;
  const int at = 4 * S::CHANNELS * place.x - S::BEFORE + chunk * 8, y = 4 * place.y - 3 + row;
  const T *image = static_cast<const T *>(p.image) + static_cast<long long>(place.image) * p.height * numbers;
  const bool whole = numbers % 8 == 0 && reinterpret_cast<unsigned long long>(p.image) % 16 == 0;
  if (chunk >= CHUNKS) return;
  to += row * S::IMAGE_ROW + chunk * 8;
#pragma unroll
  for (int r = 0; r < S::IMAGE_HEIGHT; r += AT_ONCE) {
    if (r + AT_ONCE > S::IMAGE_HEIGHT && r + row >= S::IMAGE_HEIGHT) break;
    const bool there = static_cast<unsigned>(y + r) < static_cast<unsigned>(p.height);
    const int first = (y + r) * numbers + at;
    if (whole) {
      const bool all = there && static_cast<unsigned>(at) < static_cast<unsigned>(numbers);
      copy_16(to + r * S::IMAGE_ROW, image + (all ? first : 0), all);
    } else {
      for (int i = 0; i < 8; i++)
        to[r * S::IMAGE_ROW + i] = there && static_cast<unsigned>(at + i) < static_cast<unsigned>(numbers) ? image[first + i] : from_float<T>(0.f);
    }
  }
}

// A lane's part of the weights of N fragments, in planes of ROWS columns.
template <int ROWS, int STEPS, int N, typename T> __device__ __forceinline__ void take_weights(uint32_t (&right)[STEPS][N][2], const T *weights, int lane) {
#pragma unroll
  for (int i = 0; i < STEPS * N * 2; i++) {
    const int s = i / (2 * N), n = i / 2 % N, half = i % 2;
    right[s][n][half] = *reinterpret_cast<const uint32_t *>(weights + ((2 * s + half) * ROWS + n * 8 + lane / 4) * 8 + lane % 4 * 2);
  }
}

// Adds the products of sixteen pixels. `from` is the pixel of row lane % 16; from there on chunk i of k lies at `chunk`(i).
template <int STEPS, int N, typename T, typename F> __device__ __forceinline__ void multiply(float (&sums)[N][4], const T *from, const uint32_t (&right)[STEPS][N][2], int lane, F chunk) {
#pragma unroll
  for (int s = 0; s < STEPS; s++) {
    uint32_t left[4];
    load_matrices(left, from + chunk(2 * s) + (lane < 16 ? 0 : chunk(2 * s + 1) - chunk(2 * s)));
#pragma unroll
    for (int n = 0; n < N; n++) multiply_add(sums[n], left, right[s][n][0], right[s][n][1], T());
  }
}

// Sums begin with the bias of their columns.
template <int N> __device__ __forceinline__ void take_bias(float2 (&own)[N], const float *bias, int lane) {
#pragma unroll
  for (int n = 0; n < N; n++) own[n] = load_2(bias + n * 8 + lane % 4 * 2);
}
template <int N> __device__ __forceinline__ void begin_with(float (&sums)[N][4], const float2 (&bias)[N]) {
#pragma unroll
  for (int n = 0; n < N; n++) sums[n][0] = sums[n][2] = bias[n].x, sums[n][1] = sums[n][3] = bias[n].y;
}

// What follows the sums of layer LAYER.
template <int LAYER> __device__ __forceinline__ float finished(const Stem &p, float sum) { return activated(sum, RELU) * p.scale[LAYER] + p.shift[LAYER]; }

// What follows half of the N fragments' sums of layer LAYER, to pixel `pixel` of a map of planes of PIXELS pixels.
template <int LAYER, int PIXELS, int N, typename T> __device__ __forceinline__ void put(T *map, const Stem &p, const float (&sums)[N][4], int half, int pixel, bool zero, int lane) {
  uint32_t words[N];
#pragma unroll
  for (int n = 0; n < N; n++) words[n] = pack_2(finished<LAYER>(p, sums[n][half * 2]), finished<LAYER>(p, sums[n][half * 2 + 1]), T());
  if (zero) {
#pragma unroll
    for (int n = 0; n < N; n++) words[n] = 0;
  }
#pragma unroll
  for (int n = 0; n < N; n++) *reinterpret_cast<uint32_t *>(map + (n * PIXELS + pixel) * 8 + lane % 4 * 2) = words[n];
}

template <typename T, typename S> __device__ __forceinline__ void make_first(StemMemory<T, S> &m, const Stem &p, const StemPlace &place) {
  const int lane = place.lane;
  uint32_t right[S::STEPS][S::PLANES][2];
  float2 bias[S::PLANES];
  take_weights<S::COLUMNS>(right, m.first, lane);
  take_bias(bias, m.bias[0], lane);
  // Where pairs of k lie from the kernel's first number; those that are none have weights of zero.
  int pairs[S::STEPS * 2];
#pragma unroll
  for (int i = 0; i < S::STEPS * 2; i++) {
    const int2 own = S::tap(lane % 4), tap = S::tap(lane % 4 + 4 * i);
    // Of three channels all but the last are as far from the first one for all lanes.
    pairs[i] = S::CHANNELS == 3 && i < 3 ? own.y + i * S::IMAGE_ROW : tap.x < 3 ? tap.x * S::IMAGE_ROW + tap.y : 0;
  }
#pragma unroll 1
  for (unsigned first = place.warp * 16; first < S::ONE; first += WARPS * 16) {
    uint32_t left[S::STEPS][4];
    const StemPixels<S::ONE_WIDTH, S::ONE> at(first + lane / 4);
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const T *from = m.pooled + (2 * at.y[half] * S::IMAGE_ROW + S::LEAD + 2 * S::CHANNELS * at.x[half]);
#pragma unroll
      for (int i = 0; i < S::STEPS * 2; i++) left[i / 2][i % 2 * 2 + half] = *reinterpret_cast<const uint32_t *>(from + pairs[i]);
    }
    float sums[S::PLANES][4];
    begin_with(sums, bias);
#pragma unroll
    for (int s = 0; s < S::STEPS; s++)
#pragma unroll
      for (int n = 0; n < S::PLANES; n++) multiply_add(sums[n], left[s], right[s][n][0], right[s][n][1], T());
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const unsigned pixel = first + lane / 4 + half * 8;
      if (pixel < S::ONE) put<0, S::ONE>(m.one, p, sums, half, pixel, !place.whole && place.outside(p, at.y[half], at.x[half]), lane);
    }
  }
}

template <typename T, typename S> __device__ __forceinline__ void make_narrow(StemMemory<T, S> &m, const Stem &p, const StemPlace &place) {
  const int lane = place.lane;
  uint32_t right[2 * S::PLANES][S::NARROW][2];
  float2 bias[S::NARROW];
  take_weights<S::NARROW * 8>(right, m.second_a, lane);
  take_bias(bias, m.bias[1], lane);
#pragma unroll 1
  for (unsigned first = place.warp * 16; first < S::A; first += WARPS * 16) {
    const unsigned own = min(first + lane % 16, S::A - 1u);
    float sums[S::NARROW][4];
    begin_with(sums, bias);
    multiply(sums, m.one + (own / S::A_WIDTH * S::ONE_WIDTH + own % S::A_WIDTH) * 8, right, lane, [](int i) {
      const int tap = i / S::PLANES;
      return (i % S::PLANES * S::ONE + tap / 2 * S::ONE_WIDTH + tap % 2) * 8;
    });
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const unsigned pixel = first + lane / 4 + half * 8;
      if (pixel < S::A) put<1, S::A>(m.narrow, p, sums, half, pixel, !place.whole && place.outside(p, pixel / S::A_WIDTH, pixel % S::A_WIDTH), lane);
    }
  }
}

template <typename T> struct TwoOf { using type = __half2; };
template <> struct TwoOf<__nv_bfloat16> { using type = __nv_bfloat162; };

// The greater ones of eight numbers each.
template <typename T> __device__ __forceinline__ uint4 greater(uint4 a, uint4 b, T) {
  using Two = typename TwoOf<T>::type;
#pragma unroll
  for (int i = 0; i < 4; i++) reinterpret_cast<Two *>(&a)[i] = __hmax2(reinterpret_cast<const Two *>(&a)[i], reinterpret_cast<const Two *>(&b)[i]);
  return a;
}

// A thread makes some rows of a column of eight channels.
template <typename T, typename S> __device__ __forceinline__ void pool(StemMemory<T, S> &m, const Stem &p, const StemPlace &place) {
  constexpr unsigned COLUMNS = S::TWO_WIDTH * S::PLANES, ROWS = (S::TWO_HEIGHT + THREADS / COLUMNS - 1) / (THREADS / COLUMNS);
  const unsigned column = threadIdx.x % COLUMNS, x = column % S::TWO_WIDTH, plane = column / S::TWO_WIDTH, y0 = threadIdx.x / COLUMNS * ROWS;
  if (y0 >= S::TWO_HEIGHT) return;
  const uint4 *one = reinterpret_cast<const uint4 *>(m.one) + plane * S::ONE + y0 * S::ONE_WIDTH + x;
  uint4 *pooled = reinterpret_cast<uint4 *>(m.pooled) + plane * S::TWO + S::place_two(y0, x);
  uint4 above = greater(one[0], one[1], T());
#pragma unroll
  for (unsigned i = 0; i < ROWS; i++) {
    if (y0 + i >= S::TWO_HEIGHT) break;
    const uint4 *next = one + (i + 1) * S::ONE_WIDTH;
    const uint4 below = greater(next[0], next[1], T());
    uint4 most = greater(above, below, T());
    if (!place.whole && place.outside(p, y0 + i, x)) most = make_uint4(0, 0, 0, 0);
    pooled[i * S::TWO_ROW] = most;
    above = below;
  }
}

// The second 2×2 convolution, to where the first map was.
template <typename T, typename S> __device__ __forceinline__ void make_second(StemMemory<T, S> &m, const Stem &p, const StemPlace &place) {
  constexpr unsigned PIXELS = S::TWO_HEIGHT * S::TWO_WIDTH;
  const int lane = place.lane;
  uint32_t right[2 * S::NARROW][S::PLANES][2];
  float2 bias[S::PLANES];
  take_weights<S::COLUMNS>(right, m.second_b, lane);
  take_bias(bias, m.bias[2], lane);
#pragma unroll 1
  for (unsigned first = place.warp * 16; first < PIXELS; first += WARPS * 16) {
    const unsigned own = min(first + lane % 16, PIXELS - 1);
    float sums[S::PLANES][4];
    begin_with(sums, bias);
    multiply(sums, m.narrow + (own / S::TWO_WIDTH * S::A_WIDTH + own % S::TWO_WIDTH) * 8, right, lane, [](int i) {
      const int tap = i / S::NARROW;
      return (i % S::NARROW * S::A + tap / 2 * S::A_WIDTH + tap % 2) * 8;
    });
    const StemPixels<S::TWO_WIDTH, PIXELS> at(first + lane / 4);
#pragma unroll
    for (int half = 0; half < 2; half++)
      if (first + lane / 4 + half * 8 < PIXELS) put<2, S::TWO>(m.one, p, sums, half, S::place_two(at.y[half], at.x[half]), !place.whole && place.outside(p, at.y[half], at.x[half]), lane);
  }
}

// The output: sixteen pixels a warp, and some of the columns where warps share those.
template <typename T, typename S> __device__ __forceinline__ void make_third(const StemMemory<T, S> &m, const Stem &p, const StemPlace &place) {
  constexpr int N = S::FRAGMENTS;
  const int lane = place.lane, pixel0 = place.warp / S::SHARE * 16, column0 = place.warp % S::SHARE * N;
  const int own = pixel0 + lane % 16, pixel = (2 * (own / S::WIDTH) * S::TWO_ROW + own % S::WIDTH) * 8;
  // Of the 8×8 weights that lane / 8 stands for; columns that are not there are computed from others and not written.
  const T *weights = m.third + ((lane / 8 % 2 * S::PLANES + min(column0 + lane / 16, S::PLANES - 1)) * 8 + lane % 8) * 8;
  auto chunk = [](int i) -> int {
    const int tap = i / (2 * S::PLANES), plane = i % (2 * S::PLANES);
    return (plane % S::PLANES * S::TWO + S::place_two(tap / 3, tap % 3)) * 8;
  };
  float sums[N][4];
  float2 bias[N];
  take_bias(bias, m.bias[3] + column0 * 8, lane);
  begin_with(sums, bias);
#pragma unroll
  for (int s = 0; s < 9 * S::PLANES; s++) {
    const bool high = lane >= 16;
    uint32_t left[4], right[4];
    // Chunks of pooled numbers come first.
    const bool convolved[2] = {2 * s % (2 * S::PLANES) >= S::PLANES, (2 * s + 1) % (2 * S::PLANES) >= S::PLANES};
    const T *map = (high ? convolved[1] : convolved[0]) ? m.one : m.pooled;
    load_matrices(left, map + pixel + chunk(2 * s) + (high ? chunk(2 * s + 1) - chunk(2 * s) : 0));
    load_matrices(right, weights + s * 2 * S::COLUMNS * 8);
#pragma unroll
    for (int n = 0; n < N; n++) multiply_add(sums[n], left, right[n * 2], right[n * 2 + 1], T());
  }
#pragma unroll
  for (int i = 0; i < N * 4; i++) sums[i / 4][i % 4] = finished<3>(p, sums[i / 4][i % 4]);
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const int at = pixel0 + lane / 4 + half * 8, y = place.y + at / S::WIDTH, x = place.x + at % S::WIDTH;
    const bool there = y < p.out_height && x < p.out_width;
    T *out = static_cast<T *>(p.out) + ((static_cast<long long>(place.image) * p.out_height + y) * p.out_width + x) * S::COLUMNS + column0 * 8;
    if (N == 2 && column0 + 1 < S::PLANES) {
      __align__(8) uint32_t words[2] = {pack_2(sums[0][half * 2], sums[0][half * 2 + 1], T()), pack_2(sums[N - 1][half * 2], sums[N - 1][half * 2 + 1], T())};
      swap_in_quad(words, lane);
      if (there) *reinterpret_cast<uint2 *>(out + place_in_quad<2>(lane)) = *reinterpret_cast<const uint2 *>(words);
    } else if (there) {
      store_2(out + lane % 4 * 2, sums[0][half * 2], sums[0][half * 2 + 1]);
    }
  }
}

template <typename T, typename S> __device__ __forceinline__ void stem(const Stem &p) {
  extern __shared__ __align__(16) unsigned char memory[];
  StemMemory<T, S> &m = *reinterpret_cast<StemMemory<T, S> *>(memory);
  const int thread = threadIdx.x;
  const int y = static_cast<int>(blockIdx.y) * S::HEIGHT, x = static_cast<int>(blockIdx.x) * S::WIDTH;
  const bool whole = y > 0 && x > 0 && 2 * (y + S::HEIGHT) < p.mid_height - 1 && 2 * (x + S::WIDTH) < p.mid_width - 1;
  const StemPlace place{y, x, static_cast<int>(blockIdx.z), thread / 32, thread % 32, whole};
  bring_weights<4 * S::COLUMNS, S::NARROW * 8, S::COLUMNS / 2>(m.second_a, p.second_a);
  bring_weights<4 * S::NARROW * 8, S::COLUMNS, S::COLUMNS>(m.second_b, p.second_b);
  bring_weights<18 * S::COLUMNS, S::COLUMNS, S::COLUMNS>(m.third, p.third);
  const StemNumbers<T, S> numbers(p);
  begin();
  bring_image<T, S>(m.pooled, p, place);
  copies_commit();
  numbers.put(m);
  copies_wait<0>();
  __syncthreads();
  make_first(m, p, place);
  __syncthreads();
  make_narrow(m, p, place);
  pool(m, p, place);
  __syncthreads();
  make_second(m, p, place);
  __syncthreads();
  make_third(m, p, place);
}

// Channels of the maps, height and width of the tile, blocks on a multiprocessor, shared memory in bytes as in stem.rs.
#define STEM(C, MID, TH, TW, BLOCKS, SHARED, SUFFIX, TYPE)                                                                              \
  static_assert(sizeof(StemMemory<TYPE, StemTile<C, MID, TH, TW>>) == SHARED, "what launches ask for");                                \
  extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) stem_##C##_##MID##_##TH##x##TW##_##SUFFIX(const __grid_constant__ Stem p) { stem<TYPE, StemTile<C, MID, TH, TW>>(p); }
#define STEMS(SUFFIX, TYPE)                                                                                                             \
  STEM(1, 16, 8, 8, 4, 40160, SUFFIX, TYPE) STEM(3, 16, 8, 8, 4, 40160, SUFFIX, TYPE)                                                  \
  STEM(1, 16, 8, 16, 3, 63200, SUFFIX, TYPE) STEM(3, 16, 8, 16, 3, 63200, SUFFIX, TYPE)                                                \
  STEM(1, 24, 8, 8, 3, 72944, SUFFIX, TYPE) STEM(3, 24, 8, 8, 3, 72944, SUFFIX, TYPE)                                                  \
  STEM(1, 32, 8, 8, 2, 99584, SUFFIX, TYPE) STEM(3, 32, 8, 8, 2, 99584, SUFFIX, TYPE)
FOR_HALVES(STEMS)
