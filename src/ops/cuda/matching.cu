// Exact assignment, one block a problem, and the D-FINE matcher's cost.
//
// The assignment grows by shortest augmenting paths as in ../assignment/shortest_path.rs. The smaller side are the
// `n` rows, the larger the `m` columns. All warps load the costs and give each row its cheapest column where no other
// row wants it; what is left is added row by row by four warps, which share the columns of each scan and need one barrier a
// scan. A row that cannot be paired leaves at a price: the caller's, or one above any sum of costs. Duals are f64: with
// costs of 24 bits even that large price leaves them all their digits that matter.

#include <cstdint>

namespace {

constexpr int kThreads = 512;
constexpr int kSearchThreads = 128;
constexpr int kSearchWarps = kSearchThreads / 32;
constexpr unsigned kAll = 0xffffffffu;
constexpr unsigned kTaken = 1u << 30;
constexpr int kNone = -1;
constexpr int kWaiting = -2;
constexpr int kBatchOfLoads = 8;

constexpr int kSolved = 0;
constexpr int kNotANumber = 1;

// A column and its distance, as three words whose order is theirs: by distance, then free before taken, then by number.
struct Candidate {
    unsigned high, low, index;
};

__device__ __forceinline__ Candidate nothing() { return {0xfff00000u, 0u, kAll}; }

__device__ __forceinline__ Candidate candidate(double distance, unsigned index) {
    const int64_t bits = __double_as_longlong(distance);
    const uint64_t key = static_cast<uint64_t>(bits) ^ (static_cast<uint64_t>(bits >> 63) | 0x8000000000000000ull);
    return {static_cast<unsigned>(key >> 32), static_cast<unsigned>(key), index};
}

__device__ __forceinline__ double distance_of(const Candidate& c) {
    const uint64_t key = (static_cast<uint64_t>(c.high) << 32) | c.low;
    return __longlong_as_double(static_cast<int64_t>(key ^ (((key >> 63) - 1) | 0x8000000000000000ull)));
}

__device__ __forceinline__ bool before(const Candidate& a, const Candidate& b) {
    if (a.high != b.high) return a.high < b.high;
    if (a.low != b.low) return a.low < b.low;
    return a.index < b.index;
}

__device__ __forceinline__ Candidate least_of_warp(const Candidate& mine) {
    Candidate least;
    least.high = __reduce_min_sync(kAll, mine.high);
    least.low = __reduce_min_sync(kAll, mine.high == least.high ? mine.low : kAll);
    least.index = __reduce_min_sync(kAll, mine.high == least.high && mine.low == least.low ? mine.index : kAll);
    return least;
}

__device__ __forceinline__ unsigned ordered(float x) {
    const int bits = __float_as_int(x);
    return static_cast<unsigned>(bits) ^ (static_cast<unsigned>(bits >> 31) | 0x80000000u);
}

__device__ __forceinline__ float unordered(unsigned key) {
    return __uint_as_float(key ^ ((key & 0x80000000u) != 0 ? 0x80000000u : kAll));
}

// Of the warps that search; the others have left.
__device__ __forceinline__ void search_barrier() { asm volatile("bar.sync 1, %0;" ::"n"(kSearchThreads) : "memory"); }

__device__ __forceinline__ bool is_cost(float x) { return x == x && x != -INFINITY; }

// One problem. Forbidden pairs cost INFINITY.
template <bool kCostsShared>
struct Problem {
    int n, m;
    bool transposed;
    int stride;  // of the rows in global memory
    int pitch;   // of the rows in shared memory, odd, so that writing them transposed has no bank conflicts
    float gate;
    const float* global;
    float* shared;

    // By row; rows of n are the smaller side.
    double* row_dual;
    int* col_of;
    // By column.
    double* col_dual;
    double* distance;
    int* from;
    int* row_of;
    int* done;

    __device__ __forceinline__ void place(unsigned char* state, float* costs) {
        col_dual = reinterpret_cast<double*>(state);
        distance = col_dual + m;
        row_dual = distance + m;
        from = reinterpret_cast<int*>(row_dual + n);
        row_of = from + m;
        done = row_of + m;
        col_of = done + m;
        shared = costs != nullptr ? costs : reinterpret_cast<float*>(col_of + n);
        pitch = m | 1;
    }

    __device__ __forceinline__ float gated(float x) const { return x <= gate ? x : INFINITY; }

    __device__ __forceinline__ float cost(int row, int col) const {
        if (kCostsShared) return shared[row * pitch + col];
        const size_t at = transposed ? size_t(col) * stride + row : size_t(row) * stride + col;
        return gated(__ldg(global + at));
    }
};

// Reads all costs, once; copies them to shared memory where they are kept there. Sets bit 0 of `flags` if one is NaN or
// minus infinity, and `largest` to the bits of the largest magnitude of those allowed.
template <bool kCostsShared>
__device__ void load(const Problem<kCostsShared>& p, int* flags, unsigned* largest) {
    const int height = p.transposed ? p.m : p.n, width = p.transposed ? p.n : p.m;
    const int rows_a_turn = kThreads / width, cols_a_turn = kThreads % width;
    int row = threadIdx.x / width, col = threadIdx.x % width;
    bool bad = false;
    float magnitude = 0.0f;
    while (row < height) {
        float values[kBatchOfLoads];
        int places[kBatchOfLoads];
#pragma unroll
        for (int k = 0; k < kBatchOfLoads; ++k) {
            places[k] = row < height ? (p.transposed ? col * p.pitch + row : row * p.pitch + col) : kNone;
            values[k] = row < height ? __ldg(p.global + size_t(row) * p.stride + col) : 0.0f;
            row += rows_a_turn;
            col += cols_a_turn;
            if (col >= width) {
                col -= width;
                ++row;
            }
        }
#pragma unroll
        for (int k = 0; k < kBatchOfLoads; ++k) {
            if (places[k] == kNone) continue;
            bad |= !is_cost(values[k]);
            const float allowed = p.gated(values[k]);
            if (allowed < INFINITY) magnitude = fmaxf(magnitude, fabsf(allowed));
            if (kCostsShared) p.shared[places[k]] = allowed;
        }
    }
    const unsigned of_warp = __reduce_max_sync(kAll, __float_as_uint(magnitude));
    if ((threadIdx.x & 31) == 0) atomicMax(largest, of_warp);
    if (bad) atomicOr(flags, 1);
}

// Gives each row its cheapest column where that is not a lower row's. Of several cheapest ones rows prefer different ones.
template <bool kCostsShared>
__device__ void take_cheapest(const Problem<kCostsShared>& p) {
    for (int col = threadIdx.x; col < p.m; col += kThreads) {
        p.col_dual[col] = 0.0;
        p.distance[col] = INFINITY;
        p.from[col] = INT32_MAX;
        p.row_of[col] = kNone;
        p.done[col] = 0;
    }
    const int lane = threadIdx.x & 31;
    for (int row = threadIdx.x / 32; row < p.n; row += kThreads / 32) {
        float least = INFINITY;
        unsigned turn = kAll;
        for (int col = lane; col < p.m; col += 32) {
            const float cost = p.cost(row, col);
            const unsigned of_col = col >= row ? col - row : col - row + p.m;
            if (cost < least || (cost == least && of_col < turn)) {
                least = cost;
                turn = of_col;
            }
        }
        const unsigned key = ordered(least), least_key = __reduce_min_sync(kAll, key);
        turn = __reduce_min_sync(kAll, key == least_key ? turn : kAll);
        if (lane == 0) {
            const float cheapest = unordered(least_key);
            const int col = int(turn) + row < p.m ? int(turn) + row : int(turn) + row - p.m;
            p.row_dual[row] = cheapest < INFINITY ? cheapest : 0.0;
            p.col_of[row] = cheapest < INFINITY ? col : kNone;
        }
    }
    __syncthreads();
    for (int row = threadIdx.x; row < p.n; row += kThreads) {
        if (p.col_of[row] != kNone) atomicMin(p.from + p.col_of[row], row);
    }
    __syncthreads();
    for (int row = threadIdx.x; row < p.n; row += kThreads) {
        const int col = p.col_of[row];
        if (col == kNone) continue;
        if (p.from[col] == row) {
            p.row_of[col] = row;
        } else {
            p.col_of[row] = kWaiting;
        }
    }
    __syncthreads();
}

// Turns a path round: each row on it takes the column it reached. It ends at a free column or at a row that leaves.
template <bool kCostsShared>
__device__ void augment(const Problem<kCostsShared>& p, int start, int sink, int leaving) {
    int col = sink;
    if (sink == kNone) {
        col = leaving == start ? kNone : p.col_of[leaving];
        p.col_of[leaving] = kNone;
    }
    while (col != kNone) {
        const int row = p.from[col];
        const int next = p.col_of[row];
        p.row_of[col] = row;
        p.col_of[row] = col;
        if (row == start) break;
        col = next;
    }
}

// Adds the rows that wait, by the first kSearchThreads threads. Each column's numbers are touched by one thread.
template <bool kCostsShared>
__device__ void search(const Problem<kCostsShared>& p, double price) {
    __shared__ uint4 least_of[2][kSearchWarps];
    const int thread = threadIdx.x, warp = thread / 32;
    int turn = 0;
    for (int start = 0; start < p.n; ++start) {
        if (p.col_of[start] != kWaiting) continue;
        double at = 0.0, leave = INFINITY, length;
        int row = start, leaving = start, sink = kNone;
        while (true) {
            const double base = at - p.row_dual[row];
            if (base + price < leave) {
                leave = base + price;
                leaving = row;
            }
            Candidate least = nothing();
            for (int col = thread; col < p.m; col += kSearchThreads) {
                if (p.done[col]) continue;
                double distance = p.distance[col];
                const double through = base + static_cast<double>(p.cost(row, col)) - p.col_dual[col];
                if (through < distance) {
                    p.distance[col] = distance = through;
                    p.from[col] = row;
                }
                const Candidate c = candidate(distance, p.row_of[col] == kNone ? col : col | kTaken);
                if (distance < INFINITY && before(c, least)) least = c;
            }
            least = least_of_warp(least);
            if ((thread & 31) == 0) least_of[turn][warp] = make_uint4(least.high, least.low, least.index, 0u);
            search_barrier();
            // Written again only after the barrier of the next scan.
#pragma unroll
            for (int w = 0; w < kSearchWarps; ++w) {
                const uint4 other = least_of[turn][w];
                const Candidate c = {other.x, other.y, other.z};
                if (before(c, least)) least = c;
            }
            turn ^= 1;
            at = distance_of(least);
            if (least.index == kAll || leave < at) {
                length = leave;
                break;
            }
            const int col = least.index & ~kTaken;
            if ((least.index & kTaken) == 0) {
                length = at;
                sink = col;
                break;
            }
            if (col % kSearchThreads == thread) p.done[col] = 1;
            row = p.row_of[col];
        }
        for (int col = thread; col < p.m; col += kSearchThreads) {
            if (p.done[col]) {
                const double step = length - p.distance[col];
                p.col_dual[col] -= step;
                p.row_dual[p.row_of[col]] += step;
                p.done[col] = 0;
            }
            p.distance[col] = INFINITY;
        }
        if (thread == 0) p.row_dual[start] += length;
        search_barrier();
        if (thread == 0) augment(p, start, sink, leaving);
        search_barrier();
    }
}

template <bool kCostsShared, bool kStateShared>
__device__ void assign(const float* costs, int rows, int cols, const unsigned* row_counts, const unsigned* col_counts, float gate,
                       double price, unsigned char* workspace, size_t workspace_stride, int* row_to_col, int* status) {
    extern __shared__ double dynamic[];
    __shared__ int flags;
    __shared__ unsigned largest;
    const int problem = blockIdx.x;
    const int used_rows = row_counts == nullptr ? rows : int(min(row_counts[problem], unsigned(rows)));
    const int used_cols = col_counts == nullptr ? cols : int(min(col_counts[problem], unsigned(cols)));
    row_to_col += size_t(problem) * rows;

    Problem<kCostsShared> p;
    p.transposed = used_rows > used_cols;
    p.n = min(used_rows, used_cols);
    p.m = max(used_rows, used_cols);
    p.stride = cols;
    p.gate = gate;
    p.global = costs + size_t(problem) * rows * cols;
    unsigned char* state = kStateShared ? reinterpret_cast<unsigned char*>(dynamic) : workspace + problem * workspace_stride;
    p.place(state, nullptr);

    if (threadIdx.x == 0) {
        flags = 0;
        largest = 0u;
    }
    __syncthreads();
    if (p.n > 0) load(p, &flags, &largest);
    __syncthreads();
    const bool bad = flags != 0;
    if (bad || p.n == 0) {
        for (int row = threadIdx.x; row < rows; row += kThreads) row_to_col[row] = kNone;
        if (threadIdx.x == 0) status[problem] = bad ? kNotANumber : kSolved;
        return;
    }
    take_cheapest(p);
    if (threadIdx.x >= kSearchThreads) return;
    if (!(price < INFINITY)) {
        const double magnitude = __uint_as_float(largest);
        price = magnitude > 0.0 ? (2.0 * p.n + 1.0) * magnitude : 1.0;
    }
    search(p, price);
    const int* of_row = p.transposed ? p.row_of : p.col_of;
    for (int row = threadIdx.x; row < rows; row += kSearchThreads) row_to_col[row] = row < used_rows ? of_row[row] : kNone;
    if (threadIdx.x == 0) status[problem] = kSolved;
}

// Index of a box's coordinates: centre x, centre y, width, height.
struct Corners {
    float x0, y0, x1, y1;
    __device__ __forceinline__ explicit Corners(const float4& b)
        : x0(b.x - 0.5f * b.z), y0(b.y - 0.5f * b.w), x1(b.x + 0.5f * b.z), y1(b.y + 0.5f * b.w) {}
    __device__ __forceinline__ float area() const { return fmaxf(x1 - x0, 0.0f) * fmaxf(y1 - y0, 0.0f); }
};

__device__ __forceinline__ float generalised_iou(const float4& first, const float4& second) {
    const Corners a(first), b(second);
    const float width = fmaxf(fminf(a.x1, b.x1) - fmaxf(a.x0, b.x0), 0.0f);
    const float height = fmaxf(fminf(a.y1, b.y1) - fmaxf(a.y0, b.y0), 0.0f);
    const float common = width * height, all = a.area() + b.area() - common;
    const float hull = fmaxf(fmaxf(a.x1, b.x1) - fminf(a.x0, b.x0), 0.0f) * fmaxf(fmaxf(a.y1, b.y1) - fminf(a.y0, b.y0), 0.0f);
    const float iou = all > 0.0f ? common / all : 0.0f;
    return hull > 0.0f ? iou - (hull - all) / hull : iou;
}

__device__ __forceinline__ float focal(float logit, float alpha, float gamma) {
    const float p = 1.0f / (1.0f + expf(-logit)), rest = 1.0f - p;
    const float p_power = gamma == 2.0f ? p * p : powf(p, gamma), rest_power = gamma == 2.0f ? rest * rest : powf(rest, gamma);
    return alpha * rest_power * -logf(p + 1e-8f) - (1.0f - alpha) * p_power * -logf(rest + 1e-8f);
}

}  // namespace

#define ASSIGN(name, costs_shared, state_shared)                                                                                     \
    extern "C" __global__ void __launch_bounds__(kThreads)                                                                           \
        name(const float* costs, int rows, int cols, const unsigned* row_counts, const unsigned* col_counts, float gate,             \
             double price, unsigned char* workspace, unsigned long long workspace_stride, int* row_to_col, int* status) {            \
        assign<costs_shared, state_shared>(costs, rows, cols, row_counts, col_counts, gate, price, workspace, workspace_stride,      \
                                           row_to_col, status);                                                                      \
    }

ASSIGN(assign_in_shared, true, true)
ASSIGN(assign_state_in_shared, false, true)
ASSIGN(assign_in_global, false, false)

// costs [B, queries, targets]; logits [B, queries, classes]; boxes [B, queries, 4]; target_boxes [B, targets, 4]; blockIdx.y is
// the image. A target past the image's count costs INFINITY, one of a class that there is not costs NaN.
extern "C" __global__ void __launch_bounds__(256)
    detection_cost(const float* logits, const float4* boxes, const unsigned* target_classes, const float4* target_boxes,
                   const unsigned* counts, int queries, int classes, int targets, float class_weight, float l1_weight, float giou_weight,
                   float alpha, float gamma, float* costs) {
    const unsigned at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= unsigned(queries) * unsigned(targets)) return;
    const size_t image = blockIdx.y;
    const unsigned query = at / targets, target = at % targets;
    float cost = INFINITY;
    if (counts == nullptr || target < counts[image]) {
        const unsigned label = target_classes[image * targets + target];
        const float4 a = boxes[image * queries + query], b = target_boxes[image * targets + target];
        const float l1 = fabsf(a.x - b.x) + fabsf(a.y - b.y) + fabsf(a.z - b.z) + fabsf(a.w - b.w);
        cost = __int_as_float(0x7fffffff);
        if (label < unsigned(classes)) {
            const float logit = logits[(image * queries + query) * classes + label];
            cost = class_weight * focal(logit, alpha, gamma) + l1_weight * l1 - giou_weight * generalised_iou(a, b);
        }
    }
    costs[image * queries * targets + at] = cost;
}
