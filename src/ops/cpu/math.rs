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

/// -Φ(-t) by powers of t's distance from the nearest multiple of ½: a row has the coefficients of one power, a column those around one
/// multiple. Fitted within 4·10⁻⁸ up to 5.5, where it is 0: what it should be there, 2·10⁻⁸, f32 loses beside 1.
#[rustfmt::skip]
static BELOW_BY_HALVES: [[f32; 16]; 6] = [
    [-0.5, -0.308_537_57, -0.158_655_27, -0.066_807_195, -0.022_750_123, -0.006_209_661_2, -0.001_349_898_9,
     -0.000_232_630_45, -3.1671876e-5, -3.3978454e-6, -2.8668308e-7, 0.0, 0.0, 0.0, 0.0, 0.0],
    [0.398_942_26, 0.352_065_32, 0.241_970_75, 0.129_517_62, 0.053_990_964, 0.017_528_294, 0.004_431_846,
     0.000_872_683_25, 0.000_133_830_91, 1.5984002e-5, 1.4867785e-6, 1.6268837e-6, 0.0, 0.0, 0.0, 0.0],
    [1.2146096e-6, -0.088_009_656, -0.120_980_956, -0.097_139_604, -0.053_993_907, -0.021_911_51,
     -0.006_647_538_4, -0.001_526_800_1, -0.000_267_478_3, -3.5913912e-5, -3.7077525e-6, 3.3734286e-5, 0.0,
     0.0, 0.0, 0.0],
    [-0.066_511_23, -0.044_007_056, -2.593534e-6, 0.026_980_935, 0.026_995_873, 0.015_338_154_5,
     0.005_909_422, 0.001_636_209_1, 0.000_334_488_6, 5.1247905e-5, 5.939346e-6, 0.000_311_670_6, 0.0, 0.0,
     0.0, 0.0],
    [0.000_148_484_93, 0.019_884_84, 0.019_976_007, 0.006_131_609_4, -0.004_373_491_7, -0.005_885_735,
     -0.003_333_976_7, -0.001_194_071_3, -0.000_297_729_04, -5.380271e-5, -7.197977e-6, 0.001_243_984_6, 0.0,
     0.0, 0.0, 0.0],
    [0.009_567_583, 0.004_548_598, -0.003_949_596_6, -0.005_807_985_6, -0.002_262_188_6, 0.000_637_861_84,
     0.001_098_674_4, 0.000_580_894_8, 0.000_184_570_48, 3.9898267e-5, 6.1622295e-6, 0.001_811_363_4, 0.0,
     0.0, 0.0, 0.0],
];

/// x·Φ(x) as max(x, 0) - |x|·Φ(-|x|): three fifths of the time of [`gelu_by_erf`], without a division.
///
/// # Safety
/// See [`Simd`].
#[inline(always)]
unsafe fn gelu_by_table<S: Simd>(x: S::V) -> S::V {
    /// f32 counts in halves from here on: in a sum with this the last bits are the number of the nearest half.
    const HALVES: f32 = 1.5 * (1 << 22) as f32;
    // SAFETY: the caller vouches that the processor has the instruction set; no memory is touched.
    unsafe {
        let t = S::min(S::splat(5.5), S::abs(x));
        let nearest = S::add(t, S::splat(HALVES));
        let d = S::sub(t, S::sub(nearest, S::splat(HALVES)));
        let [powers @ .., last] = &BELOW_BY_HALVES;
        let mut p = S::lookup(last, nearest);
        for power in powers.iter().rev() {
            p = S::fma(p, d, S::lookup(power, nearest));
        }
        S::fma(t, p, S::max(S::splat(0.0), x))
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
        if S::LOOKS_UP {
            gelu_by_table::<S>(x)
        } else {
            gelu_by_erf::<S>(x)
        }
    }
}

/// x·Φ(x) by the error function.
///
/// # Safety
/// See [`Simd`].
#[inline(always)]
unsafe fn gelu_by_erf<S: Simd>(x: S::V) -> S::V {
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
