//! Normalisation, softmax, activations and deformable attention.

use super::{assert_close, random};
use crate::ops::{
    Activation, LayerNorm, activate, add, cpu::simd::for_each_isa, deformable_attention,
    deformable_attention_around, reference, softmax,
};
use candle_core::{DType, Device, Tensor};
use candle_nn::Module;

#[test]
fn layer_norm_agrees() {
    for shape in [
        vec![1, 1],
        vec![3, 7],
        vec![2, 49, 64],
        vec![1, 5, 6, 160],
        vec![300, 256],
        vec![4, 33],
    ] {
        let len = shape[shape.len() - 1];
        let (weight, bias) = (random(&[len], 1), random(&[len], 2));
        // Far from zero, where a variance by the sum of squares would be lost.
        let x = (random(&shape, 3) + 50.0).unwrap();
        let expected = reference::layer_norm(&x, &weight, &bias, 1e-5).unwrap();
        for_each_isa(|isa| {
            let found = LayerNorm::new(&weight, &bias, 1e-5).forward(&x).unwrap();
            assert_close(&found, &expected, 2e-5, &format!("{isa:?} {shape:?}"));
        });
    }
    assert!(
        LayerNorm::new(&random(&[4], 1), &random(&[4], 1), 1e-5)
            .forward(&random(&[2, 5], 1))
            .is_err()
    );
}

#[test]
fn softmax_agrees() {
    for shape in [vec![1], vec![5, 33], vec![2, 3, 16], vec![4, 1, 91]] {
        let x = (random(&shape, 1) * 30.0).unwrap();
        let expected = reference::softmax(&x).unwrap();
        for_each_isa(|isa| {
            assert_close(
                &softmax(&x).unwrap(),
                &expected,
                1e-6,
                &format!("{isa:?} {shape:?}"),
            )
        });
    }
}

#[test]
fn activations_and_sums_agree() {
    let (x, y) = (random(&[3, 5, 1001], 1), random(&[3, 5, 1001], 2));
    for activation in [
        Activation::Identity,
        Activation::Relu,
        Activation::Gelu,
        Activation::Silu,
        Activation::Sigmoid,
        Activation::Clamp(0.5),
    ] {
        let expected = reference::activate(&x, activation).unwrap();
        for_each_isa(|isa| {
            assert_close(
                &activate(&x, activation).unwrap(),
                &expected,
                1e-6,
                &format!("{isa:?} {activation:?}"),
            )
        });
    }
    for_each_isa(|isa| {
        assert_close(
            &add(&x, &y).unwrap(),
            &(&x + &y).unwrap(),
            0.0,
            &format!("{isa:?}"),
        )
    });
    assert!(add(&x, &random(&[3, 5, 1000], 1)).is_err());
}

#[test]
fn sigmoid_ends_at_zero_and_one() {
    let x = Tensor::new(
        &[-1e30f32, -200.0, -90.0, 0.0, 90.0, 200.0, 1e30],
        &Device::Cpu,
    )
    .unwrap();
    let expected = Tensor::new(&[0f32, 0.0, 0.0, 0.5, 1.0, 1.0, 1.0], &Device::Cpu).unwrap();
    assert_close(
        &reference::sigmoid(&x).unwrap(),
        &expected,
        1e-30,
        "reference",
    );
    for_each_isa(|isa| {
        assert_close(
            &activate(&x, Activation::Sigmoid).unwrap(),
            &expected,
            1e-30,
            &format!("{isa:?}"),
        )
    });
}

#[test]
fn deformable_attention_agrees() {
    for (b, q, heads, d, levels, points) in [
        (1, 300, 8, 32, vec![(20, 20), (10, 10)], vec![3, 6]),
        (2, 7, 8, 16, vec![(8, 6), (4, 3), (2, 1)], vec![4, 4, 4]),
        (1, 3, 2, 5, vec![(1, 1)], vec![2]),
        (1, 5, 1, 40, vec![(3, 9)], vec![1]),
    ] {
        let tokens = levels.iter().map(|(h, w)| h * w).sum::<usize>();
        let p = points.iter().sum::<usize>();
        let value = random(&[b, tokens, heads * d], 1);
        // From outside the map on one side to outside on the other.
        let locations = random(&[b, q, heads, p, 2], 2).affine(0.7, 0.5).unwrap();
        let weights = softmax(&random(&[b, q, heads, p], 3)).unwrap();
        let expected =
            reference::deformable_attention(&value, &levels, &points, &locations, &weights)
                .unwrap();
        for_each_isa(|isa| {
            let found =
                deformable_attention(&value, &levels, &points, &locations, &weights).unwrap();
            assert_close(&found, &expected, 2e-6, &format!("{isa:?} {levels:?}"));
        });
    }
}

#[test]
fn deformable_attention_around_boxes_is_that_at_their_points() {
    let (levels, points, heads) = ([(8, 6), (4, 3)], [3, 6], 4);
    let value = random(&[2, 60, 64], 1);
    let boxes = random(&[2, 7, 4], 2).affine(0.5, 0.5).unwrap();
    let sampled = random(&[2, 7, 3 * 4 * 9], 3);
    let part = |first: usize, shape: &[usize]| {
        let count = shape[2..].iter().product();
        let part = sampled.narrow(2, first, count).unwrap();
        part.reshape(shape).unwrap()
    };
    let side = |first| boxes.narrow(2, first, 2).unwrap().reshape((2, 7, 1, 1, 2));
    let offsets = part(0, &[2, 7, heads, 9, 2]);
    let locations = offsets
        .broadcast_mul(&side(2).unwrap())
        .and_then(|at| at.broadcast_add(&side(0).unwrap()))
        .unwrap();
    let weights = softmax(&part(2 * 4 * 9, &[2, 7, heads, 9])).unwrap();
    let expected =
        reference::deformable_attention(&value, &levels, &points, &locations, &weights).unwrap();
    let around = |boxes: &Tensor, sampled: &Tensor| {
        deformable_attention_around(&value, &levels, &points, heads, boxes, sampled)
    };
    for_each_isa(|isa| {
        let found = around(&boxes, &sampled).unwrap();
        assert_close(&found, &expected, 2e-6, &format!("{isa:?}"));
    });
    assert!(around(&boxes.narrow(1, 0, 6).unwrap(), &sampled).is_err());
    assert!(around(&boxes, &sampled.narrow(2, 0, 96).unwrap()).is_err());
}

#[test]
fn normalisation_takes_held_and_gated_inputs() {
    let (x, seen) = (random(&[2, 5, 37], 1), random(&[2, 5, 37], 2));
    let gates = random(&[2, 5, 74], 3);
    let (weight, bias) = (random(&[37], 4), random(&[37], 5));
    let norm = LayerNorm::new(&weight, &bias, 1e-5);
    let plain = |x: &Tensor| reference::layer_norm(x, &weight, &bias, 1e-5).unwrap();
    let weigh = |first, x: &Tensor| (gates.narrow(2, first, 37).unwrap() * x).unwrap();
    let weighed = (weigh(0, &x) + weigh(37, &seen)).unwrap();
    for_each_isa(|isa| {
        let found = norm.forward_held(&x, 0.25).unwrap();
        let expected = plain(&x.clamp(-0.25f32, 0.25f32).unwrap());
        assert_close(&found, &expected, 2e-6, &format!("{isa:?} held"));
        let found = norm.forward_gated(&gates, &x, &seen).unwrap();
        assert_close(&found, &plain(&weighed), 2e-6, &format!("{isa:?} gated"));
    });
    assert!(norm.forward_gated(&x, &x, &seen).is_err());
    let other = seen.narrow(1, 0, 4).unwrap();
    assert!(norm.forward_gated(&gates, &x, &other).is_err());
}

#[test]
fn deformable_attention_ignores_what_is_nowhere() {
    let value = random(&[1, 4, 8], 1);
    let at = Tensor::new(
        &[
            f32::NAN,
            0.5,
            f32::INFINITY,
            0.5,
            -1e30,
            1e30,
            0.5,
            f32::NEG_INFINITY,
        ],
        &Device::Cpu,
    )
    .unwrap();
    let (at, weights) = (
        at.reshape((1, 1, 1, 4, 2)).unwrap(),
        Tensor::ones((1, 1, 1, 4), DType::F32, &Device::Cpu).unwrap(),
    );
    let found = deformable_attention(&value, &[(2, 2)], &[4], &at, &weights).unwrap();
    assert_close(&found, &found.zeros_like().unwrap(), 0.0, "outside");
    assert!(deformable_attention(&value, &[(2, 3)], &[4], &at, &weights).is_err());
    assert!(deformable_attention(&value, &[(2, 2)], &[3], &at, &weights).is_err());
}
