//! Layers that run in bands against the same layers one after another, to the bit: in f32 and in bf16, for batches too.

use super::{assert_close, random};
use crate::ops::{
    Activation, Conv2d, Conv2dOptions, LayerNorm, Linear, LinearPrecision, Padding, PositionBias,
    Products, WindowAttention,
    cpu::simd::{Isa, for_each_isa_of_bf16},
    image_pair, linear_depthwise, local_perceptron, normed_mlp,
};
use candle_core::Tensor;
use candle_nn::Module;

/// Calls `test` for products in f32 and in bf16 on each instruction set; those in bf16 are slow without instructions for them.
/// On two threads, for which there are bands enough.
fn for_each(test: impl Fn(Products, &str) + Sync) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2);
    pool.build().unwrap().install(|| {
        for_each_isa_of_bf16(|isa| {
            test(Products::F32, &format!("{isa:?}"));
            if isa != Isa::Portable {
                test(Products::Bf16, &format!("{isa:?} bf16"));
            }
        });
    });
}

fn conv(shape: [usize; 4], stride: usize, groups: usize, products: Products) -> Conv2d {
    let o = Conv2dOptions {
        stride,
        padding: Padding::all(shape[2] / 2),
        groups,
        activation: Activation::Gelu,
        affine: None,
    };
    let bias = random(&shape[..1], 11);
    Conv2d::new_in(&random(&shape, 12), Some(&bias), o, products).unwrap()
}

fn linear(out: usize, inner: usize, activation: Activation, products: Products) -> Linear {
    let weight = random(&[out, inner], inner as u64);
    let bias = random(&[out], 13);
    let precision = LinearPrecision::Input;
    Linear::new_in(&weight, Some(&bias), activation, precision, products).unwrap()
}

fn norm(channels: usize) -> LayerNorm {
    LayerNorm::new(&random(&[channels], 14), &random(&[channels], 15), 1e-5)
}

/// Fails unless `found` is `expected` to the bit, and that of each image alone what it is in a batch.
#[track_caller]
fn assert_same(x: &Tensor, of: impl Fn(&Tensor) -> Tensor, expected: &Tensor, what: &str) {
    assert_close(&of(x), expected, 0.0, what);
    for image in 0..x.dim(0).unwrap() {
        let alone = of(&x.narrow(0, image, 1).unwrap());
        let expected = expected.narrow(0, image, 1).unwrap();
        assert_close(&alone, &expected, 0.0, &format!("{what}, image {image}"));
    }
}

#[test]
fn a_pair_of_convolutions_is_one_after_the_other() {
    // Height, width, channels between, stride of the second layer and its groups: bands of one row and of many, and a layer not for bands.
    for (h, w, between, stride, groups) in [
        (70, 37, 8, 2, 1),
        (67, 515, 256, 2, 1),
        (9, 8, 32, 3, 1),
        (30, 40, 8, 2, 2),
    ] {
        let x = random(&[2, h, w, 3], 1);
        for_each(|products, what| {
            let first = conv([between, 3, 3, 3], 2, 1, products);
            let second = conv([12, between / groups, 3, 3], stride, groups, products);
            let expected = second.forward(&first.forward(&x).unwrap()).unwrap();
            let of = |x: &Tensor| image_pair(x, &first, &second).unwrap();
            assert_same(&x, of, &expected, &format!("{what} {h}×{w}"));
        });
        let first = conv([between, 3, 3, 3], 2, 1, Products::F32);
        let second = conv([12, 4, 3, 3], 2, 1, Products::F32);
        assert!(image_pair(&x, &first, &second).is_err());
    }
}

#[test]
fn a_depthwise_convolution_between_linear_layers_is_one_after_the_other() {
    // Height, width, channels in, wide and out, stride: one strip of columns and several, and a map too small for bands.
    for (h, w, cin, wide, out, stride) in [
        (90, 60, 12, 200, 24, 1),
        (37, 201, 16, 256, 40, 2),
        (26, 130, 8, 320, 16, 1),
        (9, 9, 8, 32, 8, 2),
    ] {
        let x = random(&[2, h, w, cin], 1);
        for_each(|products, what| {
            let expand = linear(wide, cin, Activation::Gelu, products);
            let depthwise = conv([wide, 1, 3, 3], stride, wide, products);
            let project = linear(out, wide, Activation::Identity, products);
            let y = depthwise.forward(&expand.forward(&x).unwrap()).unwrap();
            let expected = project.forward(&y).unwrap();
            let of = |x: &Tensor| linear_depthwise(x, &expand, &depthwise, &project).unwrap();
            assert_same(&x, of, &expected, &format!("{what} {h}×{w}"));
        });
    }
}

#[test]
fn a_local_perceptron_is_its_layers_one_after_another() {
    // Height, width, channels, wide: bands of one row and of several, the last of fewer.
    for (h, w, c, wide) in [(23, 17, 24, 96), (9, 130, 40, 1100), (1, 1, 16, 20)] {
        let x = random(&[2, h, w, c], 1);
        let norm = norm(c);
        for_each(|products, what| {
            let local = conv([c, 1, 3, 3], 1, c, products);
            let first = linear(wide, c, Activation::Gelu, products);
            let second = linear(c, wide, Activation::Identity, products);
            let y = local.forward(&x).unwrap();
            let expected = normed_mlp(&y, &norm, &first, &second).unwrap();
            let of = |x: &Tensor| local_perceptron(x, &local, &norm, &first, &second).unwrap();
            assert_same(&x, of, &expected, &format!("{what} {h}×{w}"));
        });
        let local = conv([c, 1, 3, 3], 1, c, Products::F32);
        let first = linear(wide, c + 1, Activation::Gelu, Products::F32);
        assert!(local_perceptron(&x, &local, &norm, &first, &first).is_err());
    }
}

#[test]
fn attention_of_windows_is_its_layers_one_after_another() {
    // Height, width, window, heads, channels of a head: groups of several windows and of one, windows that reach over the map.
    for (h, w, window, heads, d) in [
        (9, 13, 4, 3, 8),
        (30, 66, 7, 2, 16),
        (15, 28, 14, 2, 32),
        (3, 2, 7, 1, 16),
    ] {
        let c = heads * d;
        let (x, norm) = (random(&[2, h, w, c], 1), norm(c));
        let padding = random(&[3 * c], 2);
        let distances = random(&[heads, window * window], 3);
        let position = PositionBias::new(&distances, 0.2).unwrap();
        for_each(|products, what| {
            let qkv = linear(3 * c, c, Activation::Identity, products);
            let proj = linear(c, c, Activation::Identity, products);
            for bias in [None, Some(&position)] {
                let attention = WindowAttention::new(&padding, window, heads, 0.2, bias)
                    .unwrap()
                    .with_products(products);
                let y = qkv.forward(&norm.forward(&x).unwrap()).unwrap();
                let expected = proj
                    .forward_add(&attention.forward(&y).unwrap(), &x)
                    .unwrap();
                let of = |x: &Tensor| attention.forward_block(x, &norm, &qkv, &proj).unwrap();
                assert_same(
                    &x,
                    of,
                    &expected,
                    &format!("{what} {h}×{w} window {window}"),
                );
            }
        });
        let attention = WindowAttention::new(&padding, window, heads + 1, 0.2, None).unwrap();
        let qkv = linear(3 * c, c, Activation::Identity, Products::F32);
        let proj = linear(c, c, Activation::Identity, Products::F32);
        let fits = c % (heads + 1) == 0;
        assert_eq!(
            attention.forward_block(&x, &norm, &qkv, &proj).is_ok(),
            fits
        );
    }
}
