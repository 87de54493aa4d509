// Products of a warpgroup (four warps), from tiles in shared memory. Compute capability 9.0 alone (sm_90a).
#pragma once

#include "ptx.cuh"

// A tile's rows are 128 bytes; the eight 16-byte chunks of row r lie exchanged by r mod 8 ("128-byte swizzle"), so that eight rows of a
// column of chunks are in different banks. The tile starts at a multiple of 1024 bytes; `at` may be its start plus a chunk of k.
__device__ __forceinline__ uint64_t tile_descriptor(unsigned at) {
  constexpr uint64_t EIGHT_ROWS = 1024 >> 4, SWIZZLE_128 = 1;
  return static_cast<uint64_t>((at & 0x3ffff) >> 4) | 1ull << 16 | EIGHT_ROWS << 32 | SWIZZLE_128 << 62;
}

// Makes this thread's writes to shared memory known to the tensor cores, which read it past the ordinary path.
__device__ __forceinline__ void publish_shared() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// Registers may be taken for products from here on.
__device__ __forceinline__ void products_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void products_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int LEFT> __device__ __forceinline__ void products_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(LEFT) : "memory"); }

// After products_wait: the compiler must not use the sums before.
template <int N> __device__ __forceinline__ void settle(float (&d)[N][4]) {
#pragma unroll
  for (int n = 0; n < N; n++)
#pragma unroll
    for (int i = 0; i < 4; i++) asm volatile("" : "+f"(d[n][i])::"memory");
}

// The sums of fragment n, and of more from there on.
#define SUMS_1(n) "+f"(d[n][0]), "+f"(d[n][1]), "+f"(d[n][2]), "+f"(d[n][3])
#define SUMS_2(n) SUMS_1(n), SUMS_1(n + 1)
#define SUMS_4(n) SUMS_2(n), SUMS_2(n + 2)
#define SUMS_8(n) SUMS_4(n), SUMS_4(n + 4)
#define REGISTERS_8 "%0, %1, %2, %3, %4, %5, %6, %7"
#define REGISTERS_16 REGISTERS_8 ", %8, %9, %10, %11, %12, %13, %14, %15"
#define REGISTERS_32 REGISTERS_16 ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define REGISTERS_40 REGISTERS_32 ", %32, %33, %34, %35, %36, %37, %38, %39"
#define REGISTERS_48 REGISTERS_40 ", %40, %41, %42, %43, %44, %45, %46, %47"
#define REGISTERS_64 REGISTERS_48 ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define REGISTERS_80 REGISTERS_64 ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79"
#define REGISTERS_128 REGISTERS_80 ", %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"

// d += a·b for a of 64 rows and b of 8·N columns, 16 numbers of k. A warp has 16 rows of d, in fragments as those of multiply_add.
#define MULTIPLY_ADD(COLUMNS, REGISTERS, A, B, TYPE, NAME, ...)                                                                          \
  __device__ __forceinline__ void multiply_add_tiles(float (&d)[COLUMNS / 8][4], uint64_t a, uint64_t b, TYPE) {                      \
    asm volatile("wgmma.mma_async.sync.aligned.m64n" #COLUMNS "k16.f32." NAME "." NAME " {" REGISTERS "}, " A ", " B ", 1, 1, 1, 0, 0;" \
                 : __VA_ARGS__                                                                                                        \
                 : "l"(a), "l"(b));                                                                                                   \
  }
#define MULTIPLY_ADD_BOTH(COLUMNS, REGISTERS, A, B, ...)                                                                                \
  MULTIPLY_ADD(COLUMNS, REGISTERS, A, B, __half, "f16", __VA_ARGS__)                                                                     \
  MULTIPLY_ADD(COLUMNS, REGISTERS, A, B, __nv_bfloat16, "bf16", __VA_ARGS__)
MULTIPLY_ADD_BOTH(16, REGISTERS_8, "%8", "%9", SUMS_2(0))
MULTIPLY_ADD_BOTH(32, REGISTERS_16, "%16", "%17", SUMS_4(0))
MULTIPLY_ADD_BOTH(64, REGISTERS_32, "%32", "%33", SUMS_8(0))
MULTIPLY_ADD_BOTH(80, REGISTERS_40, "%40", "%41", SUMS_8(0), SUMS_2(8))
MULTIPLY_ADD_BOTH(96, REGISTERS_48, "%48", "%49", SUMS_8(0), SUMS_4(8))
MULTIPLY_ADD_BOTH(128, REGISTERS_64, "%64", "%65", SUMS_8(0), SUMS_8(8))
MULTIPLY_ADD_BOTH(160, REGISTERS_80, "%80", "%81", SUMS_8(0), SUMS_8(8), SUMS_4(16))
MULTIPLY_ADD_BOTH(256, REGISTERS_128, "%128", "%129", SUMS_8(0), SUMS_8(8), SUMS_8(16), SUMS_8(24))

// As multiply_add_tiles, with a in registers: fragments of 16 numbers of k as those of multiply_add, a warp's 16 rows.
#define MULTIPLY_ADD_ROWS(COLUMNS, REGISTERS, A0, A1, A2, A3, B, TYPE, NAME, ...)                                                        \
  __device__ __forceinline__ void multiply_add_rows(float (&d)[COLUMNS / 8][4], const uint32_t (&a)[4], uint64_t b, TYPE) {           \
    asm volatile("wgmma.mma_async.sync.aligned.m64n" #COLUMNS "k16.f32." NAME "." NAME " {" REGISTERS "}, {" A0 ", " A1 ", " A2 ", " A3 "}, " B ", 1, 1, 1, 0;" \
                 : __VA_ARGS__                                                                                                        \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));                                                               \
  }
#define MULTIPLY_ADD_ROWS_BOTH(COLUMNS, REGISTERS, A0, A1, A2, A3, B, ...)                                                               \
  MULTIPLY_ADD_ROWS(COLUMNS, REGISTERS, A0, A1, A2, A3, B, __half, "f16", __VA_ARGS__)                                                   \
  MULTIPLY_ADD_ROWS(COLUMNS, REGISTERS, A0, A1, A2, A3, B, __nv_bfloat16, "bf16", __VA_ARGS__)
MULTIPLY_ADD_ROWS_BOTH(128, REGISTERS_64, "%64", "%65", "%66", "%67", "%68", SUMS_8(0), SUMS_8(8))
MULTIPLY_ADD_ROWS_BOTH(160, REGISTERS_80, "%80", "%81", "%82", "%83", "%84", SUMS_8(0), SUMS_8(8), SUMS_4(16))
