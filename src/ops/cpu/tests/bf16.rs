//! Products in bf16. Where factors are numbers of bf16 already, nothing is rounded and results are those of f32; else each factor is off by
//! 2⁻⁹ of itself at most, and a sum by 2⁻⁸ of the sum of its products' sizes.

#![allow(unsafe_code)]

use super::{assert_close, random};
use crate::ops::{
    Activation, Conv2d, Conv2dOptions, Linear, LinearPrecision, Padding, Part, Products,
    attention_in,
    cpu::{
        simd::{Isa, PairKernel, Pairs, for_each_isa_of_bf16, pair},
        window_attention,
    },
    inverted_residual, max_pool2d, reference, stem, upsample_nearest2x,
};
use candle_core::{DType, Tensor};
use candle_nn::Module;

/// Relative error of a product of two rounded factors.
const PRODUCT: f64 = 1.0 / 256.0 + 1.0 / 262_144.0;

/// As [`random`], rounded to bf16.
fn rounded(shape: &[usize], seed: u64) -> Tensor {
    let exact = random(shape, seed).to_dtype(DType::BF16).unwrap();
    exact.to_dtype(DType::F32).unwrap()
}

fn numbers(x: &Tensor) -> Vec<f32> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

/// What a vector of pairs is made of and what becomes of it.
#[derive(Debug, PartialEq)]
struct Outcome {
    dots: Vec<f32>,
    pairs: Vec<u32>,
    interleaved: Vec<u32>,
    stored: Vec<u16>,
}

/// All of [`Pairs`] on the numbers of `a` and `b`, of which there are 32 each.
struct All<'a> {
    a: &'a [f32],
    b: &'a [f32],
    to: &'a mut Outcome,
}

impl PairKernel for All<'_> {
    #[inline(always)]
    unsafe fn run<S: Pairs>(self) {
        let mut at = 0;
        while at < 32 {
            let half = at / 2;
            // SAFETY: all have room for 32 numbers or 16 pairs, and vectors are of 8 or 16.
            unsafe {
                let (a, b) = (self.a.as_ptr().add(at), self.b.as_ptr().add(at));
                let second = |p: *const f32| p.wrapping_add(S::LANES);
                if at % (2 * S::LANES) == 0 {
                    let a_pairs = S::to_pairs(S::load(a), S::load(second(a)));
                    let b_pairs = S::to_pairs(S::load(b), S::load(second(b)));
                    S::store(self.to.pairs.as_mut_ptr().add(half).cast(), a_pairs);
                    let dots = S::dot(a_pairs, b_pairs, S::splat(0.25));
                    S::store(self.to.dots.as_mut_ptr().add(half), dots);
                }
                let interleaved = S::interleave(S::load(a), S::load(b));
                S::store(self.to.interleaved.as_mut_ptr().add(at).cast(), interleaved);
                S::store_rounded(self.to.stored.as_mut_ptr().add(at), S::load(a));
            }
            at += S::LANES;
        }
    }
}

#[test]
fn pairs_are_those_of_the_portable_form() {
    let mut cases: Vec<(Vec<f32>, Vec<f32>)> = (0..40)
        .map(|seed| {
            let scale = 2f32.powi(seed as i32 - 20);
            let numbers = |seed| numbers(&random(&[32], seed)).into_iter().map(|x| x * scale);
            (numbers(seed).collect(), numbers(seed + 100).collect())
        })
        .collect();
    // Ties both ways, the largest that does not become infinite, zeros and infinity.
    let special = [
        0x3F80_8000,
        0x3F81_8000,
        0x3F80_8001,
        0x3F80_7FFF,
        0xBF80_8000,
        0x7F7F_0000,
        0x0000_0000,
        0x8000_0000,
    ];
    let special: Vec<f32> = special
        .iter()
        .cycle()
        .take(32)
        .map(|&bits| f32::from_bits(bits))
        .collect();
    cases.push((special, vec![0.5; 32]));
    for (a, b) in &cases {
        let mut found = Vec::new();
        for isa in Isa::available() {
            let mut outcome = Outcome {
                dots: vec![0.0; 16],
                pairs: vec![0; 16],
                interleaved: vec![0; 32],
                stored: vec![0; 32],
            };
            // SAFETY: the outcome has the room that the kernel needs.
            unsafe {
                isa.run_pairs(All {
                    a,
                    b,
                    to: &mut outcome,
                })
            };
            found.push((isa, outcome));
        }
        for (isa, outcome) in &found {
            let value = |bits: u16| f64::from(f32::from_bits(u32::from(bits) << 16));
            for i in 0..32 {
                assert_eq!(outcome.interleaved[i], pair(a[i], b[i]), "{isa:?} {}", a[i]);
                assert_eq!(
                    u32::from(outcome.stored[i]),
                    pair(a[i], 0.0),
                    "{isa:?} {}",
                    a[i]
                );
            }
            for i in 0..16 {
                assert_eq!(outcome.pairs[i], pair(a[2 * i], a[2 * i + 1]), "{isa:?}");
                let product =
                    |k: usize| value(pair(a[k], 0.0) as u16) * value(pair(b[k], 0.0) as u16);
                let (first, second) = (product(2 * i), product(2 * i + 1));
                let bound = (0.25 + first.abs() + second.abs()) / f64::from(1 << 23);
                let error = f64::from(outcome.dots[i]) - (0.25 + first + second);
                assert!(
                    error.abs() <= bound,
                    "{isa:?}: {} for {first} and {second}",
                    outcome.dots[i]
                );
            }
        }
    }
}

/// Fails unless each number differs from the expected one by at most [`PRODUCT`] of that of `sizes` and f32's rounding.
#[track_caller]
fn assert_within(found: &Tensor, expected: &Tensor, sizes: &Tensor, what: &str) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    let (found, expected, sizes) = (numbers(found), numbers(expected), numbers(sizes));
    let mut differ = 0;
    for ((f, e), size) in found.iter().zip(&expected).zip(&sizes) {
        let bound = f64::from(*size) * PRODUCT + 1e-6;
        assert!(
            f64::from((f - e).abs()) <= bound,
            "{what}: {f}, not {e} within {bound}"
        );
        differ += usize::from(f != e);
    }
    assert!(differ > 0 || found.len() < 8, "{what}: nothing was rounded");
}

fn linear(weight: &Tensor, bias: Option<&Tensor>, activation: Activation) -> Linear {
    let precision = LinearPrecision::Input;
    Linear::new_in(weight, bias, activation, precision, Products::Bf16).unwrap()
}

#[test]
fn linear_layers_agree() {
    for (rows, inner, columns) in [
        (1, 1, 1),
        (7, 3, 5),
        (12, 32, 33),
        (13, 33, 16),
        (40, 64, 100),
        (25, 298, 128),
        (300, 128, 40),
    ] {
        let what = format!("{rows}×{inner}->{columns}");
        let (x, weight) = (rounded(&[rows, inner], 1), rounded(&[columns, inner], 2));
        let (bias, residual) = (random(&[columns], 3), random(&[rows, columns], 4));
        for activation in [Activation::Identity, Activation::Relu, Activation::Gelu] {
            let expected = reference::linear(&x, &weight, Some(&bias), Some(&residual), activation);
            // GELU is coarse after products in bf16.
            let tolerance = if activation == Activation::Gelu {
                6e-4
            } else {
                2e-6
            };
            for_each_isa_of_bf16(|isa| {
                let layer = linear(&weight, Some(&bias), activation);
                let found = layer.forward_add(&x, &residual).unwrap();
                assert_close(
                    &found,
                    expected.as_ref().unwrap(),
                    tolerance,
                    &format!("{isa:?} {what}"),
                );
            });
        }
        let (x, weight) = (random(&[rows, inner], 5), random(&[columns, inner], 6));
        let plain = Activation::Identity;
        let expected = reference::linear(&x, &weight, None, None, plain).unwrap();
        let (ax, aw) = (x.abs().unwrap(), weight.abs().unwrap());
        let sizes = reference::linear(&ax, &aw, None, None, plain).unwrap();
        for_each_isa_of_bf16(|isa| {
            let found = linear(&weight, None, plain).forward(&x).unwrap();
            assert_within(&found, &expected, &sizes, &format!("{isa:?} {what}"));
        });
    }
}

#[test]
fn layers_that_must_be_f32_are() {
    let (x, weight) = (random(&[9, 40], 1), random(&[20, 40], 2));
    let layer = |precision| {
        Linear::new_in(
            &weight,
            None,
            Activation::Identity,
            precision,
            Products::Bf16,
        )
        .unwrap()
    };
    let exact = Linear::new(&weight, None, Activation::Identity)
        .unwrap()
        .forward(&x)
        .unwrap();
    let found = layer(LinearPrecision::F32).forward(&x).unwrap();
    assert_eq!(numbers(&found), numbers(&exact));
    let found = layer(LinearPrecision::F32Result).forward(&x).unwrap();
    assert_ne!(numbers(&found), numbers(&exact));
}

fn options(stride: usize, padding: usize, groups: usize) -> Conv2dOptions {
    Conv2dOptions {
        stride,
        padding: Padding::all(padding),
        groups,
        activation: Activation::Relu,
        affine: None,
    }
}

fn conv(weight: &Tensor, bias: Option<&Tensor>, o: Conv2dOptions) -> Conv2d {
    Conv2d::new_in(weight, bias, o, Products::Bf16).unwrap()
}

#[test]
fn convolutions_agree() {
    for (side, cin, cout, kernel, o) in [
        (9, 24, 40, 1, options(1, 0, 1)),
        (9, 33, 17, 1, options(1, 0, 1)),
        (8, 16, 8, 2, options(1, 1, 1)),
        (11, 32, 16, 3, options(2, 1, 1)),
        (11, 9, 20, 3, options(2, 1, 1)),
        (7, 24, 30, 3, options(2, 1, 2)),
        (10, 12, 20, 5, options(1, 2, 1)),
        (13, 3, 32, 3, options(2, 1, 1)),
    ] {
        let what = format!("{side}²×{cin} to {cout} by {kernel}×{kernel}, {o:?}");
        let (x, weight) = (
            rounded(&[2, side, side, cin], 1),
            rounded(&[cout, cin / o.groups, kernel, kernel], 2),
        );
        let bias = random(&[cout], 3);
        let expected = reference::conv2d(&x, &weight, Some(&bias), None, &o).unwrap();
        for_each_isa_of_bf16(|isa| {
            let found = conv(&weight, Some(&bias), o).forward(&x).unwrap();
            assert_close(&found, &expected, 2e-6, &format!("{isa:?} {what}"));
        });
    }
}

/// Inputs and weights are rounded at Winograd's points, where they are sums of several numbers of both signs: the root of the mean square error
/// is about five times that of direct sums, which is some 2⁻⁹ of the outputs'.
#[test]
fn winograd_agrees() {
    for (side, cin, cout) in [(9, 16, 16), (20, 33, 47), (13, 64, 20)] {
        let (x, weight) = (
            random(&[2, side, side, cin], 1),
            random(&[cout, cin, 3, 3], 2),
        );
        let o = Conv2dOptions {
            activation: Activation::Identity,
            ..options(1, 1, 1)
        };
        let expected = reference::conv2d(&x, &weight, None, None, &o).unwrap();
        let mean_square = |x: &Tensor| {
            let squares = numbers(x).into_iter().map(|x| f64::from(x).powi(2));
            squares.sum::<f64>() / x.elem_count() as f64
        };
        for_each_isa_of_bf16(|isa| {
            let found = conv(&weight, None, o).forward(&x).unwrap();
            let error = mean_square(&(&found - &expected).unwrap()) / mean_square(&expected);
            let error = error.sqrt() * 512.0;
            assert!(
                (2.0..8.0).contains(&error),
                "{isa:?} {side}²×{cin} to {cout}: {error} times 2⁻⁹"
            );
        });
    }
}

#[test]
fn parts_begin_and_end_within_pairs() {
    let (coarse, fine, view) = (
        rounded(&[2, 3, 4, 23], 1),
        rounded(&[2, 6, 8, 21], 2),
        rounded(&[2, 6, 8, 40], 3).narrow(3, 3, 17).unwrap(),
    );
    let doubled = upsample_nearest2x(&coarse).unwrap();
    let part = |map, doubled| Part { map, doubled };
    let (weight, bias) = (rounded(&[35, 61, 1, 1], 4), random(&[35], 5));
    let o = options(1, 0, 1);
    for parts in [
        [part(&fine, false), part(&coarse, true), part(&view, false)],
        [part(&coarse, true), part(&fine, false), part(&view, false)],
        [part(&fine, false), part(&view, false), part(&coarse, true)],
    ] {
        let maps = parts.map(|part| if part.doubled { &doubled } else { part.map });
        let joined = Tensor::cat(&maps, 3).unwrap();
        let expected = reference::conv2d(&joined, &weight, Some(&bias), None, &o).unwrap();
        for_each_isa_of_bf16(|isa| {
            let found = conv(&weight, Some(&bias), o).forward_parts(&parts).unwrap();
            assert_close(&found, &expected, 2e-6, &format!("{isa:?}"));
        });
    }
}

#[test]
fn bands_give_what_the_layers_give() {
    let corner = Padding {
        top: 0,
        bottom: 1,
        left: 0,
        right: 1,
    };
    let o = |kernel: usize, stride| Conv2dOptions {
        padding: if kernel == 2 {
            corner
        } else {
            Padding::all(kernel / 2)
        },
        ..options(stride, 0, 1)
    };
    let x = random(&[2, 45, 38, 3], 1);
    let weight = |out: usize, inner: usize, k: usize| random(&[out, inner, k, k], 2);
    for_each_isa_of_bf16(|isa| {
        let first = conv(&weight(16, 3, 3), None, o(3, 2));
        let second = [
            conv(&weight(8, 16, 2), None, o(2, 1)),
            conv(&weight(16, 8, 2), None, o(2, 1)),
        ];
        let third = conv(&weight(24, 32, 3), None, o(3, 2));
        let y = first.forward(&x).unwrap();
        let pooled = max_pool2d(&y, 2, 1, corner).unwrap();
        let convolved = second[1].forward(&second[0].forward(&y).unwrap()).unwrap();
        let joined = Tensor::cat(&[&pooled, &convolved], 3).unwrap();
        let expected = third.forward(&joined).unwrap();
        let found = stem(&x, &first, [&second[0], &second[1]], (2, corner), &third).unwrap();
        assert_close(&found, &expected, 0.0, &format!("{isa:?} stem"));
    });
    let (side, channels, wide) = (96, 24, 128);
    let x = random(&[1, side, side, channels], 3);
    for_each_isa_of_bf16(|isa| {
        if isa == Isa::Portable {
            return;
        }
        let expand = conv(&weight(wide, channels, 1), None, options(1, 0, 1));
        let depthwise = conv(&random(&[wide, 1, 3, 3], 4), None, options(1, 1, wide));
        let project = conv(&weight(channels, wide, 1), None, options(1, 0, 1));
        let y = depthwise.forward(&expand.forward(&x).unwrap()).unwrap();
        let expected = project.forward_add(&y, &x).unwrap();
        let found = inverted_residual(&x, &expand, &depthwise, &project, Some(&x)).unwrap();
        assert_close(
            &found,
            &expected,
            1e-6,
            &format!("{isa:?} inverted residual"),
        );
    });
}

/// Queries, keys and values are exact here; weights of the keys are rounded, by 2⁻⁹ of themselves, and their sum is 1.
#[test]
fn attention_agrees() {
    for (b, heads, nq, nk, d, dv) in [
        (1, 1, 1, 1, 1, 1),
        (2, 3, 5, 7, 8, 8),
        (7, 4, 49, 49, 32, 32),
        (1, 8, 100, 133, 16, 16),
        (1, 2, 33, 17, 20, 9),
        (1, 2, 40, 31, 5, 33),
    ] {
        let (q, k, v) = (
            rounded(&[b, nq, heads * d], 1),
            rounded(&[b, nk, heads * d], 2),
            rounded(&[b, nk, heads * dv], 3),
        );
        let bias = random(&[heads, nq, nk], 4);
        for bias in [None, Some(&bias)] {
            let expected = reference::attention(&q, &k, &v, heads, 0.7, bias).unwrap();
            for_each_isa_of_bf16(|isa| {
                let found = attention_in(&q, &k, &v, heads, 0.7, bias, Products::Bf16).unwrap();
                let what = format!("{isa:?} {b}×{heads} heads {nq}×{nk} d {d} {dv}");
                assert_close(&found, &expected, 1.0 / 512.0 + 1e-5, &what);
            });
        }
    }
    let (qkv, padding, bias) = (
        rounded(&[1, 9, 11, 96], 1),
        rounded(&[96], 2),
        random(&[2, 25, 25], 3),
    );
    let expected = reference::window_attention(&qkv, &padding, 5, 2, 0.2, Some(&bias)).unwrap();
    for_each_isa_of_bf16(|isa| {
        let found =
            window_attention(&qkv, &padding, 5, 2, 0.2, Some(&bias), Products::Bf16).unwrap();
        assert_close(
            &found,
            &expected,
            1.0 / 512.0 + 1e-5,
            &format!("{isa:?} windows"),
        );
    });
}
