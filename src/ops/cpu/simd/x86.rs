//! Vectors of AVX-512 and of AVX2 with FMA.

#![allow(unsafe_code)]

use super::vector::{Kernel, Simd};
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub(super) struct Avx512;

#[derive(Clone, Copy)]
pub(super) struct Avx2;

/// # Safety
/// The processor has AVX-512F, AVX2 and FMA; see [`Kernel::run`].
#[target_feature(enable = "avx512f,avx2,fma")]
pub(super) unsafe fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the caller vouches for the instruction set and for the kernel's pointers.
    unsafe { kernel.run::<Avx512>() }
}

/// # Safety
/// The processor has AVX2 and FMA; see [`Kernel::run`].
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the caller vouches for the instruction set and for the kernel's pointers.
    unsafe { kernel.run::<Avx2>() }
}

#[inline(always)]
fn mask16(n: usize) -> __mmask16 {
    if n >= 16 { u16::MAX } else { (1u16 << n) - 1 }
}

const ROUND: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

// SAFETY (all intrinsics and pointers): as the trait says.
impl Simd for Avx512 {
    const LANES: usize = 16;
    const LOOKS_UP: bool = true;
    type V = __m512;

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::V {
        // SAFETY: the caller vouches for the instruction set, and for the pointers over the lanes that are read or written.
        unsafe { _mm512_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Self::V) {
        // SAFETY: the caller vouches for the instruction set, and for the pointers over the lanes that are read or written.
        unsafe { _mm512_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn load_n(p: *const f32, n: usize) -> Self::V {
        // SAFETY: the caller vouches for the instruction set, and for the pointers over the lanes that are read or written.
        unsafe { _mm512_maskz_loadu_ps(mask16(n), p) }
    }
    #[inline(always)]
    unsafe fn store_n(p: *mut f32, v: Self::V, n: usize) {
        // SAFETY: the caller vouches for the instruction set, and for the pointers over the lanes that are read or written.
        unsafe { _mm512_mask_storeu_ps(p, mask16(n), v) }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn abs(v: Self::V) -> Self::V {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe { _mm512_abs_ps(v) }
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe { _mm512_min_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn round(v: Self::V) -> Self::V {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe { _mm512_roundscale_ps::<ROUND>(v) }
    }
    #[inline(always)]
    unsafe fn exp2_integral(v: Self::V) -> Self::V {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe { _mm512_scalef_ps(_mm512_set1_ps(1.0), v) }
    }
    #[inline(always)]
    unsafe fn if_greater(a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b), y, x) }
    }
    #[inline(always)]
    unsafe fn lookup(table: &[f32; 16], lanes: Self::V) -> Self::V {
        // SAFETY: the caller vouches for the instruction set; the table has a vector's numbers.
        unsafe {
            _mm512_permutexvar_ps(_mm512_castps_si512(lanes), _mm512_loadu_ps(table.as_ptr()))
        }
    }
    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f32 {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe { _mm512_reduce_add_ps(v) }
    }
    #[inline(always)]
    unsafe fn greatest(v: Self::V) -> f32 {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe { _mm512_reduce_max_ps(v) }
    }
    #[inline(always)]
    unsafe fn transpose8(from: [*const f32; 8], to: *mut f32, stride: usize) {
        // SAFETY: the caller vouches for the instruction set, and for the pointers over the lanes that are read or written.
        unsafe { Avx2::transpose8(from, to, stride) }
    }
}

// SAFETY (all intrinsics and pointers): as the trait says.
impl Simd for Avx2 {
    const LANES: usize = 8;
    const LOOKS_UP: bool = false;
    type V = __m256;

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::V {
        // SAFETY: the caller vouches for the instruction set, and for the pointers over the lanes that are read or written.
        unsafe { _mm256_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Self::V) {
        // SAFETY: the caller vouches for the instruction set, and for the pointers over the lanes that are read or written.
        unsafe { _mm256_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn load_n(p: *const f32, n: usize) -> Self::V {
        // SAFETY: the caller vouches for the instruction set, and for the pointers over the lanes that are read or written.
        unsafe { _mm256_maskload_ps(p, mask8(n)) }
    }
    #[inline(always)]
    unsafe fn store_n(p: *mut f32, v: Self::V, n: usize) {
        // SAFETY: the caller vouches for the instruction set, and for the pointers over the lanes that are read or written.
        unsafe { _mm256_maskstore_ps(p, mask8(n), v) }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn abs(v: Self::V) -> Self::V {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), v) }
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe { _mm256_div_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe { _mm256_max_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe { _mm256_min_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn round(v: Self::V) -> Self::V {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe { _mm256_round_ps::<ROUND>(v) }
    }
    #[inline(always)]
    unsafe fn exp2_integral(v: Self::V) -> Self::V {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(v), _mm256_set1_epi32(127));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
        }
    }
    #[inline(always)]
    unsafe fn if_greater(a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe { _mm256_blendv_ps(y, x, _mm256_cmp_ps::<_CMP_GT_OQ>(a, b)) }
    }
    #[inline(always)]
    unsafe fn lookup(table: &[f32; 16], lanes: Self::V) -> Self::V {
        // SAFETY: the caller vouches for the instruction set; four bits stay within the table.
        unsafe {
            let index = _mm256_and_si256(_mm256_castps_si256(lanes), _mm256_set1_epi32(15));
            _mm256_i32gather_ps::<4>(table.as_ptr(), index)
        }
    }
    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f32 {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }
    #[inline(always)]
    unsafe fn greatest(v: Self::V) -> f32 {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe {
            let four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }
    #[inline(always)]
    unsafe fn transpose8(from: [*const f32; 8], to: *mut f32, stride: usize) {
        // SAFETY: the caller vouches for the instruction set, and for the pointers over the lanes that are read or written.
        unsafe {
            // No closures: they would be compiled without the instruction set.
            let mut r = [_mm256_setzero_ps(); 8];
            let (mut pairs, mut fours) = (r, r);
            for i in 0..8 {
                r[i] = _mm256_loadu_ps(from[i]);
            }
            // Pairs of rows interleaved, then pairs of pairs, then the halves of 128 bits put together.
            for i in 0..4 {
                pairs[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
                pairs[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
            }
            for i in [0, 4] {
                fours[i] = _mm256_shuffle_ps::<0x44>(pairs[i], pairs[i + 2]);
                fours[i + 1] = _mm256_shuffle_ps::<0xEE>(pairs[i], pairs[i + 2]);
                fours[i + 2] = _mm256_shuffle_ps::<0x44>(pairs[i + 1], pairs[i + 3]);
                fours[i + 3] = _mm256_shuffle_ps::<0xEE>(pairs[i + 1], pairs[i + 3]);
            }
            for i in 0..4 {
                _mm256_storeu_ps(
                    to.add(i * stride),
                    _mm256_permute2f128_ps::<0x20>(fours[i], fours[i + 4]),
                );
                _mm256_storeu_ps(
                    to.add((i + 4) * stride),
                    _mm256_permute2f128_ps::<0x31>(fours[i], fours[i + 4]),
                );
            }
        }
    }
}

/// Lanes of which the sign bit is set in the first `n`.
#[inline(always)]
unsafe fn mask8(n: usize) -> __m256i {
    const LANES: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    // SAFETY: 8 numbers from any index up to 8 lie within the 16.
    unsafe { _mm256_loadu_si256(LANES.as_ptr().add(8 - n.min(8)).cast()) }
}
