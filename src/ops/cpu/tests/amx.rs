//! Tiles of AMX against AVX512-BF16, and how fast both are. Without AMX the tiles are emulated, which tests all but the instructions.
//!
//! On a processor that has it, all about it: `cargo test --release --lib amx -- --include-ignored --nocapture --test-threads 1`.

#![cfg(target_arch = "x86_64")]

use super::{bench, random};
use crate::ops::{
    Activation, Conv2d, Conv2dOptions, Linear, LinearPrecision, Padding, Products, attention_in,
    cpu::{
        amx,
        simd::{Isa, with_isa},
    },
};
use candle_core::Tensor;
use candle_nn::Module;

fn numbers(x: &Tensor) -> Vec<f32> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

/// Fails unless the tiles' results differ by no more than the order of sums can make them, `count` products of numbers below `size`.
fn compare(what: &str, count: usize, size: f32, work: impl Fn() -> Tensor) {
    let (expected, found) = (with_isa(Isa::Avx512, &work), with_isa(Isa::Amx, &work));
    let bound = 4e-7 * count as f32 * size;
    for (i, (f, e)) in numbers(&found).iter().zip(numbers(&expected)).enumerate() {
        assert!((f - e).abs() <= bound, "{what}: number {i} is {f}, not {e}");
    }
}

/// Says what the tiles of these tests are.
fn which() -> &'static str {
    if amx::usable() {
        "the processor's tiles"
    } else {
        "emulated tiles"
    }
}

fn linear(weight: &Tensor, bias: Option<&Tensor>, activation: Activation) -> Linear {
    let precision = LinearPrecision::Input;
    Linear::new_in(weight, bias, activation, precision, Products::Bf16).unwrap()
}

#[test]
fn amx_products_are_those_of_avx512() {
    println!("{}", which());
    let inner = [2, 3, 16, 31, 32, 33, 63, 64, 65, 100, 127, 199, 200];
    let columns = [1, 5, 16, 17, 31, 32, 33, 47, 64, 70];
    for rows in 1..=70 {
        for (i, &inner) in inner.iter().enumerate() {
            // Each number of rows meets a few of the columns, each of these all numbers of rows in turn.
            for &columns in columns.iter().skip((rows + i) % 4).step_by(4) {
                let (x, weight) = (random(&[rows, inner], 1), random(&[columns, inner], 2));
                let (bias, residual) = (random(&[columns], 3), random(&[rows, columns], 4));
                let what = format!("{rows}×{inner}->{columns}");
                let plain = linear(&weight, None, Activation::Identity);
                compare(&what, inner, 1.0, || {
                    plain.forward_add(&x, &residual).unwrap()
                });
                let relu = linear(&weight, Some(&bias), Activation::Relu);
                compare(&what, inner, 1.0, || {
                    relu.forward_add(&x, &residual).unwrap()
                });
            }
        }
    }
}

#[test]
fn amx_convolutions_are_those_of_avx512() {
    println!("{}", which());
    for (side, cin, cout, kernel, stride) in [
        (9, 24, 40, 1, 1),
        (23, 16, 16, 3, 1),
        (19, 33, 47, 3, 1),
        (40, 64, 64, 3, 1),
        (21, 20, 36, 3, 2),
        (33, 9, 20, 5, 2),
    ] {
        let options = Conv2dOptions {
            stride,
            padding: Padding::all(kernel / 2),
            activation: Activation::Relu,
            ..Conv2dOptions::default()
        };
        let weight = random(&[cout, cin, kernel, kernel], 1);
        let layer = Conv2d::new_in(&weight, None, options, Products::Bf16).unwrap();
        let x = random(&[2, side, side, cin], 2);
        let what = format!("{side}²×{cin} to {cout} by {kernel}×{kernel}");
        // Winograd's numbers are sums of several.
        compare(&what, cin * kernel * kernel, 10.0, || {
            layer.forward(&x).unwrap()
        });
    }
}

#[test]
fn amx_attention_is_that_of_avx512() {
    println!("{}", which());
    for (queries, keys, d) in [
        (1, 1, 1),
        (49, 49, 32),
        (100, 133, 16),
        (33, 17, 20),
        (70, 300, 64),
    ] {
        let (q, k, v) = (
            random(&[2, queries, 3 * d], 1),
            random(&[2, keys, 3 * d], 2),
            random(&[2, keys, 3 * d], 3),
        );
        // Weights of the keys are rounded again after the scores, so a sum's order can move them by 2⁻⁸.
        let size = (1.0 / 256.0 + 1e-5) / (4e-7 * keys as f32);
        compare(&format!("{queries}×{keys}, {d}"), keys, size, || {
            attention_in(&q, &k, &v, 3, 0.3, None, Products::Bf16).unwrap()
        });
    }
}

/// The greatest rates: f32, AVX512-BF16, tiles.
#[test]
#[ignore = "a measurement"]
fn amx_rates() {
    println!("{}", which());
    for (rows, inner, columns) in [
        (1600, 704, 256),
        (400, 512, 1024),
        (6400, 64, 64),
        (6400, 128, 256),
        (300, 256, 256),
        (7, 256, 256),
    ] {
        let (x, weight) = (random(&[rows, inner], 1), random(&[columns, inner], 2));
        let flops = 2.0 * (rows * inner * columns) as f64;
        let name = format!("{rows}×{inner}->{columns}");
        in_turn(&name, flops, |products| {
            let plain = Activation::Identity;
            let precision = LinearPrecision::Input;
            let layer = Linear::new_in(&weight, None, plain, precision, products).unwrap();
            let x = x.clone();
            Box::new(move || drop(layer.forward(&x).unwrap()))
        });
    }
    for (side, cin, cout, stride) in [
        (80, 64, 64, 1),
        (80, 128, 128, 1),
        (64, 256, 256, 1),
        (160, 32, 64, 2),
        (320, 32, 16, 2),
    ] {
        let (x, weight) = (
            random(&[1, side, side, cin], 1),
            random(&[cout, cin, 3, 3], 2),
        );
        let options = Conv2dOptions {
            stride,
            padding: Padding::all(1),
            ..Conv2dOptions::default()
        };
        let flops = 18.0 * (side * side / stride / stride * cin * cout) as f64;
        let name = format!("3×3/{stride} {side}²×{cin}->{cout}");
        in_turn(&name, flops, |products| {
            let layer = Conv2d::new_in(&weight, None, options, products).unwrap();
            let x = x.clone();
            Box::new(move || drop(layer.forward(&x).unwrap()))
        });
    }
    for (b, heads, n, d) in [(1, 8, 300, 32), (25, 4, 49, 32), (1, 8, 400, 16)] {
        let [q, k, v] = [1, 2, 3].map(|seed| random(&[b, n, heads * d], seed));
        let flops = 4.0 * (b * heads * n * n * d) as f64;
        in_turn(
            &format!("attention {b}×{heads} {n}² d{d}"),
            flops,
            |products| {
                let (q, k, v) = (q.clone(), k.clone(), v.clone());
                Box::new(move || {
                    drop(attention_in(&q, &k, &v, heads, 0.2, None, products).unwrap())
                })
            },
        );
    }
}

/// Reports a layer in f32, by AVX512-BF16 and by tiles.
fn in_turn(name: &str, flops: f64, layer: impl Fn(Products) -> Box<dyn Fn() + Sync>) {
    for (kind, isa, products) in [
        ("f32", Isa::Avx512, Products::F32),
        ("AVX512-BF16", Isa::Avx512, Products::Bf16),
        ("AMX", Isa::Amx, Products::Bf16),
    ] {
        if isa == Isa::Amx && !amx::usable() {
            continue;
        }
        let work = layer(products);
        bench::report(&format!("{name} {kind}"), flops, || with_isa(isa, &work));
    }
}
