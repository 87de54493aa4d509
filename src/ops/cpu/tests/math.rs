//! Exponential, error function and activations against f64.

#![allow(unsafe_code)]

use crate::ops::{
    Activation,
    cpu::{
        math,
        simd::{Isa, Kernel, Simd, for_each_isa},
    },
};

struct Apply<'a> {
    numbers: &'a mut [f32],
    erf: bool,
}

impl Kernel for Apply<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for chunk in self.numbers.chunks_exact_mut(S::LANES) {
            // SAFETY: a chunk is as long as a vector.
            unsafe {
                let v = S::load(chunk.as_ptr());
                S::store(
                    chunk.as_mut_ptr(),
                    if self.erf {
                        math::erf::<S>(v)
                    } else {
                        math::exp::<S>(v)
                    },
                );
            }
        }
    }
}

fn apply(isa: Isa, numbers: &[f32], erf: bool) -> Vec<f32> {
    let mut y = numbers.to_vec();
    // SAFETY: the numbers are borrowed for the call.
    unsafe {
        isa.run(Apply {
            numbers: &mut y,
            erf,
        })
    };
    y
}

fn steps(from: f32, to: f32) -> Vec<f32> {
    let n = 1 << 18;
    (0..n)
        .map(|i| from + (to - from) * i as f32 / (n - 1) as f32)
        .collect()
}

/// erf in f64: its series where |z| is small, else by the continued fraction of erfc.
fn erf(z: f64) -> f64 {
    if z < 0.0 {
        return -erf(-z);
    }
    if z < 2.5 {
        let (mut term, mut sum) = (z, z);
        for n in 1..200 {
            term *= -z * z / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return sum * std::f64::consts::FRAC_2_SQRT_PI;
    }
    let tail = (1..120)
        .rev()
        .fold(z, |tail, n| z + f64::from(n) / 2.0 / tail);
    1.0 - (-z * z).exp() / tail / std::f64::consts::PI.sqrt()
}

#[test]
fn exp_is_within_rounding_of_f64() {
    let x = steps(-87.0, 87.9);
    for_each_isa(|isa| {
        for (x, y) in x.iter().zip(apply(isa, &x, false)) {
            let exact = f64::from(*x).exp();
            assert!(
                (f64::from(y) / exact - 1.0).abs() < 2.5e-7,
                "{isa:?}: exp({x}) = {y}, {exact}"
            );
        }
        let wild = [
            f32::NEG_INFINITY,
            -1e30,
            -88.0,
            0.0,
            1.0,
            88.0,
            1e30,
            f32::INFINITY,
            f32::NAN,
            -0.0,
            0.0,
            0.0,
            0.0,
            0.0,
            0.0,
            0.0,
        ];
        let y = apply(isa, &wild, false);
        assert!(
            y[..3].iter().all(|v| (0.0..2e-38).contains(v)) && y[3] == 1.0 && y[9] == 1.0,
            "{isa:?}: {y:?}"
        );
        assert!(
            y[5..8].iter().all(|v| *v > 1e38) && y[8].is_nan(),
            "{isa:?}: {y:?}"
        );
    });
}

#[test]
fn erf_is_within_rounding_of_f64() {
    let x = steps(-6.0, 6.0);
    for_each_isa(|isa| {
        for (x, y) in x.iter().zip(apply(isa, &x, true)) {
            let exact = erf(f64::from(*x));
            assert!(
                (f64::from(y) - exact).abs() <= 4e-7 * exact.abs(),
                "{isa:?}: erf({x}) = {y}, {exact}"
            );
        }
        let wild = [
            f32::NEG_INFINITY,
            -1e30,
            -4.0,
            4.0,
            1e30,
            f32::INFINITY,
            f32::NAN,
            0.0,
            0.0,
            0.0,
            0.0,
            0.0,
            0.0,
            0.0,
            0.0,
            0.0,
        ];
        let y = apply(isa, &wild, true);
        assert!(
            y[..3] == [-1.0; 3] && y[3..6] == [1.0; 3] && y[6].is_nan() && y[7] == 0.0,
            "{isa:?}: {y:?}"
        );
    });
}

#[test]
fn activations_are_right_everywhere() {
    let x = steps(-30.0, 30.0);
    let exact = |activation, x: f64| match activation {
        Activation::Identity => x,
        Activation::Relu => x.max(0.0),
        Activation::Gelu => x * 0.5 * (1.0 + erf(x / std::f64::consts::SQRT_2)),
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Activation::Clamp(limit) => x.clamp(-f64::from(limit), f64::from(limit)),
    };
    for activation in [
        Activation::Identity,
        Activation::Relu,
        Activation::Gelu,
        Activation::Silu,
        Activation::Sigmoid,
        Activation::Clamp(0.5),
    ] {
        for_each_isa(|isa| {
            let mut y = vec![0f32; x.len() - 3];
            let kernel = math::Activate {
                from: x.as_ptr(),
                to: y.as_mut_ptr(),
                len: y.len(),
                activation,
                affine: Some((2.0, -1.0)),
                coarse: false,
            };
            // SAFETY: both have `len` numbers.
            unsafe { isa.run(kernel) };
            for (x, y) in x.iter().zip(&y) {
                let expected = exact(activation, f64::from(*x)) * 2.0 - 1.0;
                assert!(
                    (f64::from(*y) - expected).abs() < 4e-7 * (1.0 + f64::from(x.abs())),
                    "{isa:?} {activation:?}({x}) = {y}, {expected}"
                );
            }
        });
    }
}

#[test]
fn gelu_is_within_rounding_of_f64() {
    let x = steps(-6.0, 6.0);
    for_each_isa(|isa| {
        for (x, y) in x.iter().zip(gelu(isa, &x)) {
            let x = f64::from(*x);
            let exact = x * 0.5 * (1.0 + erf(x / std::f64::consts::SQRT_2));
            assert!(
                (f64::from(y) - exact).abs() <= 3e-7 * x.abs(),
                "{isa:?}: gelu({x}) = {y}, {exact}"
            );
        }
        let wild = [-1e30, -7.0, -0.0, 0.0, 7.0, 1e30, f32::INFINITY, f32::NAN];
        let y = gelu(isa, &wild);
        assert!(
            y[..7] == [0.0, 0.0, 0.0, 0.0, 7.0, 1e30, f32::INFINITY] && y[7].is_nan(),
            "{isa:?}: {y:?}"
        );
    });
}

fn gelu(isa: Isa, x: &[f32]) -> Vec<f32> {
    let mut y = vec![0f32; x.len()];
    let kernel = math::Activate {
        from: x.as_ptr(),
        to: y.as_mut_ptr(),
        len: y.len(),
        activation: Activation::Gelu,
        affine: None,
        coarse: false,
    };
    // SAFETY: both have `len` numbers.
    unsafe { isa.run(kernel) };
    y
}

/// Looks up lanes in a table.
struct LookUp<'a> {
    table: &'a [f32; 16],
    lanes: &'a mut [f32; 16],
}

impl Kernel for LookUp<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for chunk in self.lanes.chunks_exact_mut(S::LANES) {
            // SAFETY: a chunk is as long as a vector.
            unsafe {
                let found = S::lookup(self.table, S::load(chunk.as_ptr()));
                S::store(chunk.as_mut_ptr(), found);
            }
        }
    }
}

#[test]
fn tables_are_looked_up_by_the_last_four_bits() {
    let table = std::array::from_fn(|i| i as f32 * 3.0 - 7.0);
    for_each_isa(|isa| {
        // Bits above the last four are those of a number.
        let bits = |i: usize| 1.5f32.to_bits() + 32 + (i as u32 * 5) % 16;
        let mut lanes = std::array::from_fn(|i| f32::from_bits(bits(i)));
        let kernel = LookUp {
            table: &table,
            lanes: &mut lanes,
        };
        // SAFETY: the kernel has its numbers.
        unsafe { isa.run(kernel) };
        let expected: [f32; 16] = std::array::from_fn(|i| table[i * 5 % 16]);
        assert_eq!(lanes, expected, "{isa:?}");
    });
}

#[test]
fn coarse_gelu_is_within_what_bf16_rounds() {
    let x = steps(-30.0, 30.0);
    for_each_isa(|isa| {
        let mut y = vec![0f32; x.len()];
        let kernel = math::Activate {
            from: x.as_ptr(),
            to: y.as_mut_ptr(),
            len: y.len(),
            activation: Activation::Gelu,
            affine: None,
            coarse: true,
        };
        // SAFETY: both have `len` numbers.
        unsafe { isa.run(kernel) };
        for (x, y) in x.iter().zip(&y) {
            let x = f64::from(*x);
            let expected = x * 0.5 * (1.0 + erf(x / std::f64::consts::SQRT_2));
            let error = (f64::from(*y) - expected).abs();
            assert!(
                error < 6e-4 && (x.abs() > 0.5 || error <= 3e-4 * expected.abs()),
                "{isa:?} {x}: {y}, {expected}"
            );
        }
    });
}
