// Decoded video to upright RGB (yuv.cuh).

#include "yuv.cuh"

struct Turned {
  Picture picture;
  unsigned char *out;
  int transposed, mirrored_across, mirrored_down;
};

// A block brings TILE_COLUMNS×TILE_ROWS pixels to RGB, and to where the turn puts them.
constexpr int TILE_COLUMNS = 64, TILE_ROWS = 16;

__device__ __forceinline__ void put(const Turned &p, int x, int y, uchar4 pixel) {
  const int width = p.transposed ? p.picture.height : p.picture.width, height = p.transposed ? p.picture.width : p.picture.height;
  int to_x = p.transposed ? y : x, to_y = p.transposed ? x : y;
  if (p.mirrored_across) to_x = width - 1 - to_x;
  if (p.mirrored_down) to_y = height - 1 - to_y;
  unsigned char *to = p.out + 3 * (static_cast<long long>(to_y) * width + to_x);
  to[0] = pixel.x, to[1] = pixel.y, to[2] = pixel.z;
}

template <typename S, int CHROMA> __device__ __forceinline__ void to_rgb(const Turned &p) {
  __shared__ short4 colour[CHROMA == QUARTER ? (TILE_ROWS / 2 + 4) * TILE_COLUMNS / 2 : 1];
  const Picture &picture = p.picture;
  const int x0 = blockIdx.x * TILE_COLUMNS, y0 = blockIdx.y * TILE_ROWS;
  const int x1 = min(x0 + TILE_COLUMNS, picture.width), y1 = min(y0 + TILE_ROWS, picture.height);
  int first = 0;
  if (CHROMA == QUARTER) {
    first = widen<S>(picture, colour, TILE_COLUMNS / 2, x0, x1 - x0, y0, y1, threadIdx.x);
    __syncthreads();
  }
  for (int i = threadIdx.x; i < TILE_ROWS / 2 * TILE_COLUMNS / 2; i += THREADS) {
    const int at = i % (TILE_COLUMNS / 2), left = x0 + 2 * at, top = y0 + 2 * (i / (TILE_COLUMNS / 2));
    if (left >= x1 || top >= y1) continue;
    uchar4 c[4];
    four<S, CHROMA>(picture, colour + at, TILE_COLUMNS / 2, first, left, top, c);
#pragma unroll
    for (int j = 0; j < 4; j++)
      if (left + j % 2 < x1 && top + j / 2 < y1) put(p, left + j % 2, top + j / 2, c[j]);
  }
}

// ---- pictures of odd and of small sizes, whose shares are different ones at each place

// Shares of four samples from `first` on, of which those beyond the border are 0.
struct Taps {
  int first, by[4];
};

__device__ __forceinline__ long long cubic(long long distance) {
  constexpr long long BY = 10066329;
  if (distance >= 2ll << 30) return 0;
  const long long square = distance * distance >> 30, cube = square * distance >> 30;
  if (distance < 1ll << 30) return ((12 << 24) - 6 * BY) * cube - ((18 << 24) - 6 * BY) * square + ((6ll << 24) << 30);
  return BY * (30 * square - 6 * cube - 48 * distance) + ((24 * BY) << 30);
}

// As ops::yuv's function of that name.
__device__ __noinline__ Taps taps(int at, int count, int places, int one) {
  constexpr long long NOTHING = 36028797018963;
  const long long step = ((static_cast<long long>(count) << 16) + places / 2) / places, centre = step * (2 * at + 1) - (1 << 16);
  const int considered = min(max(count - 2, 1), 5);
  // Rounded towards 0.
  int first = static_cast<int>((centre - (static_cast<long long>(considered - 2) << 16)) / (1 << 17));
  long long all[5], total = 0;
#pragma unroll
  for (int j = 0; j < 5; j++) all[j] = j < considered ? cubic(llabs((static_cast<long long>(first + j) << 17) - centre) << 13) : 0;
  if (llabs(all[0]) <= NOTHING) {
#pragma unroll
    for (int j = 0; j < 4; j++) all[j] = all[j + 1];
    first++;
  }
#pragma unroll
  for (int j = 0; j < 4; j++) total += all[j];
  total = (total + one / 2) / one;
#pragma unroll
  for (int j = 0; j < 3; j++)
    if (first + j < 0) all[j + 1] += all[j], all[j] = 0;
#pragma unroll
  for (int j = 3; j > 0; j--)
    if (first + j >= count) all[j - 1] += all[j], all[j] = 0;
  Taps found;
  found.first = first;
  long long left_over = 0;
#pragma unroll
  for (int j = 0; j < 4; j++) {
    const long long exact = all[j] + left_over, half = total / 2, rounded = (exact + (exact < 0 ? -half : half)) / total;
    left_over = exact - rounded * total;
    found.by[j] = static_cast<int>(rounded);
  }
  return found;
}

// Rows of colour that a block's pixels are made of, at most.
constexpr int MOST_ROWS = 16;

template <typename S, int CHROMA> __device__ __forceinline__ void any_to_rgb(const Turned &p) {
  __shared__ Taps across[TILE_COLUMNS], down[TILE_ROWS];
  __shared__ short2 colour[MOST_ROWS * TILE_COLUMNS];
  const Picture &picture = p.picture;
  const int x0 = blockIdx.x * TILE_COLUMNS, y0 = blockIdx.y * TILE_ROWS;
  const int x1 = min(x0 + TILE_COLUMNS, picture.width), y1 = min(y0 + TILE_ROWS, picture.height);
  const int pair_columns = (picture.width + 1) >> 1, pair_rows = (picture.height + 1) >> 1;
  for (int i = threadIdx.x; i < TILE_COLUMNS + TILE_ROWS; i += THREADS) {
    const int x = x0 + i, y = y0 + i - TILE_COLUMNS;
    if (i < TILE_COLUMNS) {
      if (x < x1) across[i] = taps(x, pair_columns, picture.width, 1 << 14);
    } else if (CHROMA == QUARTER && y < y1) {
      down[i - TILE_COLUMNS] = taps(y, pair_rows, picture.height, 1 << 12);
    }
  }
  __syncthreads();
  int first = y0, last = y1 - 1;
  if (CHROMA == QUARTER) {
    const bool has_few = pair_rows <= MOST_ROWS;
    first = has_few ? 0 : within(down[0].first, pair_rows);
    last = has_few ? pair_rows - 1 : within(down[y1 - 1 - y0].first + 3, pair_rows);
  }
  const bool is_whole = has_whole_pairs<S>(picture);
  for (int i = threadIdx.x; i < (last - first + 1) * TILE_COLUMNS; i += THREADS) {
    const int at = i % TILE_COLUMNS;
    if (x0 + at >= x1) continue;
    const unsigned char *row = picture.chroma + static_cast<long long>(first + i / TILE_COLUMNS) * picture.chroma_pitch;
    int sums[2] = {0, 0};
#pragma unroll
    for (int j = 0; j < 4; j++) {
      int cb, cr;
      read_pair<S>(picture, row, within(across[at].first + j, pair_columns), is_whole, cb, cr);
      sums[0] += across[at].by[j] * cb, sums[1] += across[at].by[j] * cr;
    }
    colour[i] = make_short2(cut<S>(picture, sums[0]), cut<S>(picture, sums[1]));
  }
  __syncthreads();
  for (int i = threadIdx.x; i < TILE_ROWS * TILE_COLUMNS; i += THREADS) {
    const int at = i % TILE_COLUMNS, row = i / TILE_COLUMNS, x = x0 + at, y = y0 + row;
    if (x >= x1 || y >= y1) continue;
    int cb = (1 << 9) - (128 << 19), cr = cb;
    if (CHROMA == QUARTER) {
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const short2 c = colour[(within(down[row].first + j, pair_rows) - first) * TILE_COLUMNS + at];
        cb += down[row].by[j] * c.x, cr += down[row].by[j] * c.y;
      }
    } else {
      cb += colour[i].x << 12, cr += colour[i].y << 12;
    }
    put(p, x, y, rgb(picture, luma<S>(picture, picture.luma + static_cast<long long>(y) * picture.luma_pitch, x), cb >> 10, cr >> 10));
  }
}

#define RGB(NAME, WORK, SAMPLE, CHROMA) \
  extern "C" __global__ void __launch_bounds__(THREADS) NAME(const __grid_constant__ Turned p) { begin(); WORK<SAMPLE, CHROMA>(p); }
// Of samples of a byte, and of 16 bits.
RGB(yuv420_rgb, to_rgb, unsigned char, QUARTER)
RGB(yuv422_rgb, to_rgb, unsigned char, HALF)
RGB(yuv444_rgb, to_rgb, unsigned char, FULL)
RGB(yuv420_16_rgb, to_rgb, unsigned short, QUARTER)
RGB(yuv422_16_rgb, to_rgb, unsigned short, HALF)
RGB(yuv444_16_rgb, to_rgb, unsigned short, FULL)
RGB(yuv420_any_rgb, any_to_rgb, unsigned char, QUARTER)
RGB(yuv422_any_rgb, any_to_rgb, unsigned char, HALF)
RGB(yuv420_16_any_rgb, any_to_rgb, unsigned short, QUARTER)
RGB(yuv422_16_any_rgb, any_to_rgb, unsigned short, HALF)
