//! Exponential and error function on vectors, and the activations made of them.
//!
//! The polynomials were fitted for this crate: exp to 3·10⁻⁹ and erf to 2·10⁻⁸ relative error before rounding, so that
//! what remains is f32's rounding, a few 10⁻⁷ (the tests hold that).

#![allow(unsafe_code)]

use super::simd::{Kernel, Simd};
use crate::ops::types::activation::Activation;

/// e^x within f32's rounding for x in -87..88; beyond, the value at the bound (never 0 or infinite).
///
/// # Safety
/// See [`Simd`].
#[inline(always)]
pub(super) unsafe fn exp<S: Simd>(x: S::V) -> S::V {
    const LN2_HIGH: f32 = 0.693_145_75;
    const LN2_LOW: f32 = 1.428_606_8e-6;
    // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
    unsafe {
        let x = S::min(S::splat(88.0), S::max(S::splat(-87.3), x));
        let n = S::round(S::mul(x, S::splat(std::f32::consts::LOG2_E)));
        let r = S::fma(n, S::splat(-LN2_HIGH), x);
        let r = S::fma(n, S::splat(-LN2_LOW), r);
        // e^r = 1 + r + r²·q(r) for |r| ≤ ln 2 / 2.
        let q = S::splat(0.001_381_459_6);
        let q = S::fma(q, r, S::splat(0.008_368_717_5));
        let q = S::fma(q, r, S::splat(0.041_668_39));
        let q = S::fma(q, r, S::splat(0.166_665_21));
        let q = S::fma(q, r, S::splat(0.499_999_94));
        let p = S::add(S::fma(S::mul(r, r), q, r), S::splat(1.0));
        S::mul(p, S::exp2_integral(n))
    }
}

/// 1 / (1 + e^-x).
///
/// # Safety
/// See [`Simd`].
#[inline(always)]
pub(super) unsafe fn sigmoid<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
    unsafe {
        let one = S::splat(1.0);
        S::div(one, S::add(one, exp::<S>(S::sub(S::splat(0.0), x))))
    }
}

/// The error function: z·P(z²)/Q(z²), and ±1 from |z| = 3.92 on.
///
/// # Safety
/// See [`Simd`].
#[inline(always)]
pub(super) unsafe fn erf<S: Simd>(z: S::V) -> S::V {
    const P: [f32; 6] = [
        2.050_090_6e-6,
        0.000_284_879_43,
        0.003_765_515_3,
        0.052_748_4,
        0.190_404_24,
        std::f32::consts::FRAC_2_SQRT_PI,
    ];
    const Q: [f32; 6] = [
        3.809_158e-5,
        0.001_162_509_1,
        0.014_969_012,
        0.114_108_17,
        0.502_074_1,
        1.0,
    ];
    // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
    unsafe {
        let t = S::min(S::splat(16.0), S::mul(z, z));
        let (mut p, mut q) = (S::splat(P[0]), S::splat(Q[0]));
        for i in 1..6 {
            p = S::fma(p, t, S::splat(P[i]));
            q = S::fma(q, t, S::splat(Q[i]));
        }
        let y = S::div(S::mul(z, p), q);
        let y = S::if_greater(z, S::splat(3.92), S::splat(1.0), y);
        S::if_greater(S::splat(-3.92), z, S::splat(-1.0), y)
    }
}

/// x·Φ(x).
///
/// # Safety
/// See [`Simd`].
#[inline(always)]
pub(super) unsafe fn gelu<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
    unsafe {
        let half = S::mul(x, S::splat(0.5));
        S::fma(
            half,
            erf::<S>(S::mul(x, S::splat(std::f32::consts::FRAC_1_SQRT_2))),
            half,
        )
    }
}

/// x·Φ(x) within 6·10⁻⁴, and of small numbers within 3·10⁻⁴ of themselves: for results that bf16 rounds more coarsely.
///
/// # Safety
/// See [`Simd`].
#[inline(always)]
pub(super) unsafe fn gelu_coarse<S: Simd>(x: S::V) -> S::V {
    /// Φ(x) - ½ is x·P(x²) up to the end.
    const P: [f32; 7] = [
        4.721_382e-8,
        -2.673_862e-6,
        6.638_447e-5,
        -0.000_968_493_9,
        0.009_421_655,
        -0.065_812_85,
        0.398_657_92,
    ];
    const END: f32 = 3.6;
    // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
    unsafe {
        let z = S::min(S::splat(END), S::max(S::splat(-END), x));
        let t = S::mul(z, z);
        let mut p = S::splat(P[0]);
        for c in &P[1..] {
            p = S::fma(p, t, S::splat(*c));
        }
        S::mul(x, S::fma(z, p, S::splat(0.5)))
    }
}

/// The activation of one vector.
///
/// # Safety
/// See [`Simd`].
#[inline(always)]
pub(super) unsafe fn activate<S: Simd>(x: S::V, activation: Activation) -> S::V {
    // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
    unsafe {
        match activation {
            Activation::Identity => x,
            Activation::Relu => S::max(S::splat(0.0), x),
            Activation::Gelu => gelu::<S>(x),
            Activation::Silu => S::mul(x, sigmoid::<S>(x)),
            Activation::Sigmoid => sigmoid::<S>(x),
            Activation::Clamp(limit) => S::max(
                S::splat(-limit),
                S::sub(
                    S::splat(0.0),
                    S::max(S::splat(-limit), S::sub(S::splat(0.0), x)),
                ),
            ),
        }
    }
}

/// `to[i] = scale·activation(from[i]) + shift` for `len` numbers; both may be the same memory.
pub(super) struct Activate {
    pub(super) from: *const f32,
    pub(super) to: *mut f32,
    pub(super) len: usize,
    pub(super) activation: Activation,
    pub(super) affine: Option<(f32, f32)>,
    /// Whether the result is one of products in bf16, so that it need not be exact in f32.
    pub(super) coarse: bool,
}

const IDENTITY: u8 = 0;
const RELU: u8 = 1;
const GELU: u8 = 2;
const SILU: u8 = 3;
const SIGMOID: u8 = 4;
const CLAMP: u8 = 5;
const GELU_COARSE: u8 = 6;

impl Activate {
    // The function is a constant, not a closure: a closure would be compiled without the instruction set.
    #[inline(always)]
    unsafe fn one<S: Simd, const F: u8>(&self, v: S::V) -> S::V {
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe {
            let y = match F {
                RELU => activate::<S>(v, Activation::Relu),
                GELU => activate::<S>(v, Activation::Gelu),
                GELU_COARSE => gelu_coarse::<S>(v),
                SILU => activate::<S>(v, Activation::Silu),
                SIGMOID => activate::<S>(v, Activation::Sigmoid),
                CLAMP => activate::<S>(v, self.activation),
                _ => v,
            };
            match self.affine {
                Some((scale, shift)) => S::fma(y, S::splat(scale), S::splat(shift)),
                None => y,
            }
        }
    }

    #[inline(always)]
    unsafe fn pass<S: Simd, const F: u8>(&self) {
        let mut i = 0;
        // SAFETY: i stays below `len`, for which the caller vouched.
        unsafe {
            while i + S::LANES <= self.len {
                S::store(
                    self.to.wrapping_add(i),
                    self.one::<S, F>(S::load(self.from.wrapping_add(i))),
                );
                i += S::LANES;
            }
            if i < self.len {
                let n = self.len - i;
                S::store_n(
                    self.to.wrapping_add(i),
                    self.one::<S, F>(S::load_n(self.from.wrapping_add(i), n)),
                    n,
                );
            }
        }
    }
}

impl Kernel for Activate {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // One loop for each, so that the choice is not within it.
        // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
        unsafe {
            match self.activation {
                Activation::Identity => self.pass::<S, IDENTITY>(),
                Activation::Relu => self.pass::<S, RELU>(),
                Activation::Gelu if self.coarse => self.pass::<S, GELU_COARSE>(),
                Activation::Gelu => self.pass::<S, GELU>(),
                Activation::Silu => self.pass::<S, SILU>(),
                Activation::Sigmoid => self.pass::<S, SIGMOID>(),
                Activation::Clamp(_) => self.pass::<S, CLAMP>(),
            }
        }
    }
}
