//! Vectors of f32 of the width the machine has: AVX-512, AVX2 with FMA, or plain arrays that the compiler vectorises.
//!
//! A [`Kernel`] is written once, generic over [`Simd`]; [`Isa::run`] calls it compiled for the instruction set.

#![allow(unsafe_code)]

mod pairs;
mod portable;
mod vector;
#[cfg(target_arch = "x86_64")]
mod x86;

use super::amx;
use crate::{engine::multiplies_bf16, ops::types::convolution::Products};
pub(crate) use pairs::{Factors, Halves, PairKernel, Pairs, Singles, pair};
use std::sync::OnceLock;
pub(crate) use vector::{Kernel, Simd};

/// An instruction set that this processor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isa {
    /// AVX-512, and AMX for products in bf16.
    #[cfg(target_arch = "x86_64")]
    Amx,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Isa {
    /// All that this processor has for whatever is computed, best first.
    pub(crate) fn available() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if avx2 && is_x86_feature_detected!("avx512f") {
                all.push(Self::Avx512);
            }
            if avx2 {
                all.push(Self::Avx2);
            }
        }
        all.push(Self::Portable);
        all
    }

    /// The best that this processor has.
    pub(crate) fn best() -> Self {
        #[cfg(test)]
        if let Some(isa) = FORCED.with(std::cell::Cell::get) {
            return isa.without_amx();
        }
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| Self::available().first().copied().unwrap_or(Self::Portable))
    }

    /// The best that this processor has where these products are among what is computed.
    pub(crate) fn best_for(products: Products) -> Self {
        match products {
            Products::F32 => Self::best(),
            Products::Bf16 => Self::best_in_bf16(),
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn best_in_bf16() -> Self {
        #[cfg(test)]
        if let Some(isa) = FORCED.with(std::cell::Cell::get) {
            return isa;
        }
        match Self::best() {
            Self::Avx512 if amx::usable() => Self::Amx,
            isa => isa,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn best_in_bf16() -> Self {
        Self::best()
    }

    /// What is the same but for products in bf16.
    #[cfg(test)]
    fn without_amx(self) -> Self {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx => Self::Avx512,
            isa => isa,
        }
    }

    /// Its name, for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx => "AMX",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "AVX2",
            Self::Portable => "portable vectors",
        }
    }

    /// Runs `kernel` compiled for this instruction set.
    ///
    /// # Safety
    /// The kernel's pointers are valid as its type says.
    pub(crate) unsafe fn run<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: a value of `Isa` other than `Portable` only comes from `available` and `best_in_bf16`, which asked the processor.
        unsafe {
            match self {
                #[cfg(target_arch = "x86_64")]
                Self::Amx | Self::Avx512 => x86::run_avx512(kernel),
                #[cfg(target_arch = "x86_64")]
                Self::Avx2 => x86::run_avx2(kernel),
                Self::Portable => kernel.run::<portable::Portable>(),
            }
        }
    }

    /// Whether [`Isa::run_pairs`] has the vectors of [`Isa::run`]: code that only rounds results in pairs is as fast there, and gives the same.
    pub(crate) fn has_pairs(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx | Self::Avx512 => multiplies_bf16(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => false,
            Self::Portable => true,
        }
    }

    /// Runs `kernel` compiled for this instruction set and AVX512-BF16, or without vectors of its own where the processor lacks that.
    ///
    /// # Safety
    /// The kernel's pointers are valid as its type says.
    pub(crate) unsafe fn run_pairs<K: PairKernel>(self, kernel: K) {
        // SAFETY: as for `run`; AVX512-BF16 is asked for here.
        unsafe {
            match self {
                #[cfg(target_arch = "x86_64")]
                Self::Amx | Self::Avx512 if multiplies_bf16() => pairs::run_avx512_bf16(kernel),
                _ => kernel.run::<portable::Portable>(),
            }
        }
    }
}

/// The vector instructions in use.
pub(crate) fn instruction_set() -> &'static str {
    Isa::best().name()
}

/// Asks for the cache line at `p`, which need not be valid.
#[inline(always)]
pub(crate) fn prefetch(p: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch never faults, and SSE is there on all processors of the architecture.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(p.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}

#[cfg(test)]
thread_local! {
    static FORCED: std::cell::Cell<Option<Isa>> = const { std::cell::Cell::new(None) };
}

/// Calls `test` once for each instruction set that the processor has, each chosen by [`Isa::best`] on this thread.
#[cfg(test)]
pub(crate) fn for_each_isa(test: impl Fn(Isa)) {
    for isa in Isa::available() {
        with_isa(isa, || test(isa));
    }
}

/// As [`for_each_isa`], and for AMX, which is emulated where the processor lacks it.
#[cfg(test)]
pub(crate) fn for_each_isa_of_bf16(test: impl Fn(Isa)) {
    #[cfg(target_arch = "x86_64")]
    if Isa::available().contains(&Isa::Avx512) {
        with_isa(Isa::Amx, || test(Isa::Amx));
    }
    for_each_isa(test);
}

/// Calls `work`, for which [`Isa::best`] and [`Isa::best_for`] choose `isa` on this thread.
#[cfg(test)]
pub(crate) fn with_isa<T>(isa: Isa, work: impl FnOnce() -> T) -> T {
    FORCED.with(|forced| forced.set(Some(isa)));
    let result = work();
    FORCED.with(|forced| forced.set(None));
    result
}
