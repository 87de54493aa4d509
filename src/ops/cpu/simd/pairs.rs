//! Products of numbers of 16 bits (bf16) that lie in pairs: by AVX512-BF16 where the processor has it, else number by number.

#![allow(unsafe_code)]

use super::vector::Simd;

/// A vector each of whose lanes may also hold a pair of bf16, the first in the lower bits.
///
/// # Safety of all functions
/// As for [`Simd`].
pub(crate) trait Pairs: Simd {
    /// `sum + a.0·b.0 + a.1·b.1` in each lane: a and b hold pairs, the sum f32. The order of the additions is the processor's.
    unsafe fn dot(a: Self::V, b: Self::V, sum: Self::V) -> Self::V;
    /// Numbers of both vectors rounded to bf16 (to nearest, ties to even), one after another.
    unsafe fn to_pairs(first: Self::V, second: Self::V) -> Self::V;
    /// Numbers of both vectors rounded likewise, those of each lane as its pair.
    unsafe fn interleave(first: Self::V, second: Self::V) -> Self::V;
    /// All numbers of `v`, rounded as [`Pairs::to_pairs`] rounds them, to memory.
    unsafe fn store_rounded(p: *mut u16, v: Self::V);
}

/// What products multiply: how it lies in memory, and a step along the inner dimension.
///
/// # Safety of all functions
/// As for [`Simd`].
pub(crate) trait Factors<S: Simd> {
    /// `sum + a·b`, or of pairs their dot product.
    unsafe fn step(a: S::V, b: S::V, sum: S::V) -> S::V;
    /// Numbers that one of the inner dimension stands for: 1, or 2 in pairs.
    const NUMBERS: usize;
    /// Rows `a` and `b` of a right factor as one line of pairs, or `a` where lines are rows.
    unsafe fn line(a: S::V, b: S::V) -> S::V;
    /// Puts `v`, of which the first `n` lanes count, from number `at` of `row` on. All lanes may be written.
    unsafe fn put(row: *mut f32, at: usize, v: S::V, n: usize);
}

/// Factors in f32.
pub(crate) struct Singles;
/// Factors in bf16.
pub(crate) struct Halves;

impl<S: Simd> Factors<S> for Singles {
    #[inline(always)]
    unsafe fn step(a: S::V, b: S::V, sum: S::V) -> S::V {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe { S::fma(a, b, sum) }
    }
    const NUMBERS: usize = 1;
    #[inline(always)]
    unsafe fn line(a: S::V, _: S::V) -> S::V {
        a
    }
    #[inline(always)]
    unsafe fn put(row: *mut f32, at: usize, v: S::V, n: usize) {
        // SAFETY: the caller vouches for the instruction set and the memory.
        unsafe {
            if n >= S::LANES {
                S::store(row.wrapping_add(at), v)
            } else {
                S::store_n(row.wrapping_add(at), v, n)
            }
        }
    }
}

impl<S: Pairs> Factors<S> for Halves {
    #[inline(always)]
    unsafe fn step(a: S::V, b: S::V, sum: S::V) -> S::V {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe { S::dot(a, b, sum) }
    }
    const NUMBERS: usize = 2;
    #[inline(always)]
    unsafe fn line(a: S::V, b: S::V) -> S::V {
        // SAFETY: as above.
        unsafe { S::interleave(a, b) }
    }
    #[inline(always)]
    unsafe fn put(row: *mut f32, at: usize, v: S::V, _: usize) {
        // SAFETY: the caller vouches for the instruction set and the memory.
        unsafe { S::store_rounded(row.cast::<u16>().wrapping_add(at), v) }
    }
}

/// Code over [`Pairs`], to be compiled for each instruction set, as [`super::Kernel`] is.
pub(crate) trait PairKernel {
    /// The code. Must be `#[inline(always)]`, as must be all generic functions it calls.
    ///
    /// # Safety
    /// The processor has the instruction set of `S`, and the kernel's pointers are valid as its type says.
    unsafe fn run<S: Pairs>(self);
}

/// The bits of the pair of `first` and `second`, rounded.
pub(crate) fn pair(first: f32, second: f32) -> u32 {
    let bits = |x: f32| u32::from(half::bf16::from_f32(x).to_bits());
    bits(first) | bits(second) << 16
}

// SAFETY (all pointers): as the trait says.
impl Pairs for super::portable::Portable {
    #[inline(always)]
    unsafe fn dot(a: Self::V, b: Self::V, sum: Self::V) -> Self::V {
        let first = |x: f32| f32::from_bits(x.to_bits() << 16);
        let second = |x: f32| f32::from_bits(x.to_bits() & 0xFFFF_0000);
        std::array::from_fn(|i| sum[i] + second(a[i]) * second(b[i]) + first(a[i]) * first(b[i]))
    }
    #[inline(always)]
    unsafe fn to_pairs(first: Self::V, second: Self::V) -> Self::V {
        let all = |i: usize| if i < 8 { first[i] } else { second[i - 8] };
        std::array::from_fn(|i| f32::from_bits(pair(all(2 * i), all(2 * i + 1))))
    }
    #[inline(always)]
    unsafe fn interleave(first: Self::V, second: Self::V) -> Self::V {
        std::array::from_fn(|i| f32::from_bits(pair(first[i], second[i])))
    }
    #[inline(always)]
    unsafe fn store_rounded(p: *mut u16, v: Self::V) {
        for (i, &x) in v.iter().enumerate() {
            // SAFETY: the caller vouches for the memory of all lanes.
            unsafe { p.add(i).write_unaligned(pair(x, 0.0) as u16) };
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::run_avx512_bf16;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{PairKernel, Pairs, Simd};
    use crate::ops::cpu::simd::x86::Avx512;
    use std::arch::x86_64::*;

    /// # Safety
    /// The processor has AVX512-BF16, AVX-512F, AVX2 and FMA; see [`PairKernel::run`].
    #[target_feature(enable = "avx512bf16,avx512f,avx2,fma")]
    pub(in crate::ops::cpu::simd) unsafe fn run_avx512_bf16<K: PairKernel>(kernel: K) {
        // SAFETY: the caller vouches for the instruction set and for the kernel's pointers.
        unsafe { kernel.run::<Avx512>() }
    }

    /// The same bits.
    #[inline(always)]
    unsafe fn pairs(v: __m512) -> __m512bh {
        // SAFETY: both types are 512 bits, of which any pattern is a value.
        unsafe { std::mem::transmute(v) }
    }

    // SAFETY (all intrinsics): as the trait says.
    impl Pairs for Avx512 {
        #[inline(always)]
        unsafe fn dot(
            a: <Self as Simd>::V,
            b: <Self as Simd>::V,
            sum: <Self as Simd>::V,
        ) -> <Self as Simd>::V {
            // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
            unsafe { _mm512_dpbf16_ps(sum, pairs(a), pairs(b)) }
        }
        #[inline(always)]
        unsafe fn to_pairs(
            first: <Self as Simd>::V,
            second: <Self as Simd>::V,
        ) -> <Self as Simd>::V {
            // SAFETY: as above, and both types are 512 bits, of which any pattern is a value.
            unsafe { std::mem::transmute(_mm512_cvtne2ps_pbh(second, first)) }
        }
        #[inline(always)]
        unsafe fn interleave(
            first: <Self as Simd>::V,
            second: <Self as Simd>::V,
        ) -> <Self as Simd>::V {
            // SAFETY: the caller vouches that the processor has the instruction set; both types of halves are 256 bits.
            unsafe {
                let first: __m256i = std::mem::transmute(_mm512_cvtneps_pbh(first));
                let second: __m256i = std::mem::transmute(_mm512_cvtneps_pbh(second));
                let second = _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(second));
                _mm512_castsi512_ps(_mm512_or_si512(_mm512_cvtepu16_epi32(first), second))
            }
        }
        #[inline(always)]
        unsafe fn store_rounded(p: *mut u16, v: <Self as Simd>::V) {
            // SAFETY: the caller vouches for the instruction set and the memory; both types are 256 bits.
            unsafe {
                let halves: __m256i = std::mem::transmute(_mm512_cvtneps_pbh(v));
                _mm256_storeu_si256(p.cast(), halves);
            }
        }
    }
}
