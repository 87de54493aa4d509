//! Convolution and linear layers.

use super::{assert_close, random};
use crate::ops::{
    Activation, Conv2d, Conv2dOptions, Linear, Padding, Part, cpu::simd::for_each_isa,
    inverted_residual, max_pool2d, reference, stem, upsample_nearest2x,
};
use candle_core::Tensor;
use candle_nn::Module;

const ACTIVATIONS: [Activation; 5] = [
    Activation::Identity,
    Activation::Relu,
    Activation::Gelu,
    Activation::Silu,
    Activation::Sigmoid,
];

/// A case of [`check_conv`]: batch, height, width, channels in and out, kernel, and what else there is.
struct Case(
    usize,
    (usize, usize),
    usize,
    usize,
    (usize, usize),
    Conv2dOptions,
);

fn options(
    stride: usize,
    padding: Padding,
    groups: usize,
    activation: Activation,
) -> Conv2dOptions {
    Conv2dOptions {
        stride,
        padding,
        groups,
        activation,
        affine: None,
    }
}

fn check_conv(Case(batch, (h, w), cin, cout, (kh, kw), o): &Case) {
    let weight = random(&[*cout, cin / o.groups, *kh, *kw], 1);
    let bias = random(&[*cout], 2);
    let x = random(&[*batch, *h, *w, *cin], 3);
    let what = format!("{batch}×{h}×{w}×{cin} to {cout} by {kh}×{kw}, {o:?}");
    let expected = reference::conv2d(&x, &weight, Some(&bias), None, o).unwrap();
    let residual = random(expected.dims(), 4);
    let with_residual = reference::conv2d(&x, &weight, None, Some(&residual), o).unwrap();
    // Winograd's sums err about twice as much as direct ones.
    let winograd = (*kh, *kw, o.stride, o.groups) == (3, 3, 1, 1);
    let tolerance = if winograd { 4e-6 } else { 2e-6 };
    for_each_isa(|isa| {
        let layer = Conv2d::new(&weight, Some(&bias), *o).unwrap();
        assert_close(
            &layer.forward(&x).unwrap(),
            &expected,
            tolerance,
            &format!("{isa:?} {what}"),
        );
        let layer = Conv2d::new(&weight, None, *o).unwrap();
        assert_close(
            &layer.forward_add(&x, &residual).unwrap(),
            &with_residual,
            tolerance,
            &format!("{isa:?} residual {what}"),
        );
    });
}

#[test]
fn dense_and_grouped_convolutions_agree() {
    use Activation::{Gelu, Identity, Relu, Sigmoid, Silu};
    let uneven = Padding {
        top: 0,
        bottom: 1,
        left: 0,
        right: 1,
    };
    let cases = [
        Case(
            1,
            (13, 17),
            3,
            32,
            (3, 3),
            options(2, Padding::all(1), 1, Relu),
        ),
        Case(
            2,
            (9, 11),
            1,
            16,
            (3, 3),
            options(2, Padding::all(1), 1, Silu),
        ),
        Case(1, (8, 8), 24, 40, (2, 2), options(1, uneven, 1, Relu)),
        Case(
            2,
            (7, 5),
            33,
            47,
            (3, 3),
            options(1, Padding::all(1), 1, Gelu),
        ),
        Case(
            1,
            (20, 20),
            64,
            64,
            (3, 3),
            options(1, Padding::all(1), 1, Identity),
        ),
        Case(
            1,
            (1, 1),
            16,
            8,
            (3, 3),
            options(1, Padding::all(1), 1, Sigmoid),
        ),
        Case(
            1,
            (1, 1),
            5,
            3,
            (1, 1),
            options(1, Padding::all(0), 1, Identity),
        ),
        Case(
            3,
            (5, 4),
            19,
            100,
            (1, 1),
            options(1, Padding::all(0), 1, Gelu),
        ),
        Case(
            1,
            (9, 9),
            12,
            20,
            (1, 1),
            options(2, Padding::all(0), 1, Relu),
        ),
        Case(
            1,
            (6, 6),
            8,
            24,
            (5, 5),
            options(3, Padding::all(2), 1, Identity),
        ),
        Case(
            1,
            (6, 7),
            4,
            6,
            (6, 7),
            options(1, Padding::all(0), 1, Identity),
        ),
        Case(
            1,
            (4, 4),
            4,
            18,
            (3, 3),
            options(1, Padding::all(3), 1, Relu),
        ),
        Case(2, (11, 14), 20, 40, (3, 3), options(1, uneven, 1, Silu)),
        Case(
            1,
            (3, 2),
            16,
            17,
            (3, 3),
            options(1, Padding::all(1), 1, Relu),
        ),
        Case(
            1,
            (30, 33),
            131,
            70,
            (3, 3),
            options(1, Padding::all(2), 1, Identity),
        ),
        Case(
            2,
            (6, 9),
            12,
            20,
            (3, 3),
            options(1, Padding::all(1), 4, Silu),
        ),
        Case(
            1,
            (6, 9),
            34,
            6,
            (3, 5),
            options(
                2,
                Padding {
                    top: 1,
                    bottom: 1,
                    left: 2,
                    right: 2,
                },
                2,
                Gelu,
            ),
        ),
        Case(
            1,
            (5, 5),
            8,
            16,
            (3, 3),
            options(1, Padding::all(1), 8, Relu),
        ),
        Case(
            1,
            (40, 40),
            32,
            64,
            (3, 3),
            options(2, Padding::all(1), 1, Relu),
        ),
        Case(
            1,
            (3, 3),
            1024,
            33,
            (1, 1),
            options(1, Padding::all(0), 1, Identity),
        ),
    ];
    cases.iter().for_each(check_conv);
}

#[test]
fn depthwise_convolutions_agree() {
    for (kernel, stride) in [(3, 1), (3, 2), (5, 1), (5, 2), (7, 1), (2, 1), (3, 3)] {
        for (side, channels, activation) in [
            ((1, 1), 8, 0),
            ((4, 6), 3, 1),
            ((9, 23), 33, 2),
            ((12, 40), 48, 3),
            ((7, 14), 17, 4),
        ] {
            let padding = Padding::all(kernel / 2);
            let o = options(stride, padding, channels, ACTIVATIONS[activation]);
            if side.0 + 2 * padding.top >= kernel {
                check_conv(&Case(2, side, channels, channels, (kernel, kernel), o));
            }
        }
    }
    let uneven = Padding {
        top: 0,
        bottom: 2,
        left: 2,
        right: 0,
    };
    check_conv(&Case(
        1,
        (11, 21),
        20,
        20,
        (3, 3),
        options(1, uneven, 20, Activation::Relu),
    ));
    check_conv(&Case(
        1,
        (11, 21),
        20,
        20,
        (3, 5),
        options(2, uneven, 20, Activation::Identity),
    ));
}

#[test]
fn affine_follows_the_activation() {
    for activation in ACTIVATIONS {
        for groups in [1, 16] {
            let affine = Some((0.75, -0.25));
            let o = Conv2dOptions {
                stride: 1,
                padding: Padding::all(1),
                groups,
                activation,
                affine,
            };
            check_conv(&Case(1, (6, 10), 16, 16, (3, 3), o));
        }
    }
}

#[test]
fn linear_layers_agree() {
    let shapes: [(&[usize], usize); 8] = [
        (&[7], 5),
        (&[1, 64], 64),
        (&[2, 13, 33], 47),
        (&[300, 256], 91),
        (&[49, 128], 384),
        (&[5, 1024], 16),
        (&[2, 3, 4, 20], 1),
        (&[25, 40], 33),
    ];
    for (shape, out) in shapes {
        let inner = shape[shape.len() - 1];
        let (weight, bias, x) = (
            random(&[out, inner], 1),
            random(&[out], 2),
            random(shape, 3),
        );
        for activation in ACTIVATIONS {
            if shape.len() == 1 {
                continue;
            }
            let expected = reference::linear(&x, &weight, Some(&bias), None, activation).unwrap();
            let residual = random(expected.dims(), 4);
            let with_residual =
                reference::linear(&x, &weight, None, Some(&residual), activation).unwrap();
            for_each_isa(|isa| {
                let what = format!("{isa:?} {shape:?} to {out}, {activation:?}");
                let layer = Linear::new(&weight, Some(&bias), activation).unwrap();
                assert_close(&layer.forward(&x).unwrap(), &expected, 5e-6, &what);
                let layer = Linear::new(&weight, None, activation).unwrap();
                assert_close(
                    &layer.forward_add(&x, &residual).unwrap(),
                    &with_residual,
                    5e-6,
                    &what,
                );
            });
        }
    }
}

#[test]
fn views_of_channels_and_permuted_inputs_are_taken() {
    let x = random(&[2, 6, 7, 24], 1);
    let o = options(1, Padding::all(1), 1, Activation::Relu);
    let (dense, depthwise) = (random(&[10, 8, 3, 3], 2), random(&[8, 1, 3, 3], 3));
    let part = x.narrow(3, 8, 8).unwrap();
    let turned = x.permute((0, 2, 1, 3)).unwrap().narrow(3, 3, 8).unwrap();
    let rows = x.narrow(1, 1, 4).unwrap().narrow(3, 0, 8).unwrap();
    for view in [&part, &turned, &rows] {
        for (weight, o) in [(&dense, o), (&depthwise, Conv2dOptions { groups: 8, ..o })] {
            let found = Conv2d::new(weight, None, o).unwrap().forward(view).unwrap();
            assert_close(
                &found,
                &reference::conv2d(view, weight, None, None, &o).unwrap(),
                2e-6,
                "view",
            );
        }
        let weight = random(&[5, 8], 4);
        let found = Linear::new(&weight, None, Activation::Identity)
            .unwrap()
            .forward(view)
            .unwrap();
        assert_close(
            &found,
            &reference::linear(view, &weight, None, None, Activation::Identity).unwrap(),
            2e-6,
            "view",
        );
    }
}

#[test]
fn parts_are_read_where_they_lie() {
    let (coarse, fine, view) = (
        random(&[2, 3, 4, 24], 1),
        random(&[2, 6, 8, 21], 2),
        random(&[2, 6, 8, 40], 3).narrow(3, 3, 16).unwrap(),
    );
    let doubled = upsample_nearest2x(&coarse).unwrap();
    let joined = Tensor::cat(&[&fine, &doubled, &view], 3).unwrap();
    let whole = |map| Part {
        map,
        doubled: false,
    };
    let parts = [
        whole(&fine),
        Part {
            map: &coarse,
            doubled: true,
        },
        whole(&view),
    ];
    let (weight, bias) = (random(&[35, 61, 1, 1], 4), random(&[35], 5));
    for activation in ACTIVATIONS {
        let o = options(1, Padding::all(0), 1, activation);
        let expected = reference::conv2d(&joined, &weight, Some(&bias), None, &o).unwrap();
        for_each_isa(|isa| {
            let layer = Conv2d::new(&weight, Some(&bias), o).unwrap();
            let found = layer.forward_parts(&parts).unwrap();
            assert_close(&found, &expected, 2e-6, &format!("{isa:?} {activation:?}"));
            assert!(layer.forward_parts(&parts[1..]).is_err());
            assert!(
                layer
                    .forward_parts(&[parts[0], whole(&coarse), parts[2]])
                    .is_err()
            );
        });
    }
    let flat = weight.reshape((35, 61)).unwrap();
    let linear = Linear::new(&flat, Some(&bias), Activation::Sigmoid).unwrap();
    assert_close(
        &linear.forward_parts(&[&fine, &doubled, &view]).unwrap(),
        &linear.forward(&joined).unwrap(),
        2e-6,
        "tokens",
    );
}

#[test]
fn a_stem_is_its_layers_one_after_another() {
    let corner = Padding {
        bottom: 1,
        right: 1,
        ..Padding::default()
    };
    let relu = |stride, padding| options(stride, padding, 1, Activation::Relu);
    let layer = |shape: [usize; 4], seed, o| {
        let bias = random(&shape[..1], seed + 1);
        Conv2d::new(&random(&shape, seed), Some(&bias), o).unwrap()
    };
    // Kernels above and below the rows of a band, and a last layer that is not dense.
    for (side, groups) in [((70, 37), 1), ((9, 8), 1), ((130, 16), 1), ((20, 20), 2)] {
        let x = random(&[2, side.0, side.1, 3], 1);
        let first = layer([8, 3, 3, 3], 2, relu(2, Padding::all(1)));
        let second = [
            layer([4, 8, 2, 2], 4, relu(1, corner)),
            layer([8, 4, 2, 2], 6, relu(1, corner)),
        ];
        let o = Conv2dOptions {
            groups,
            ..relu(2, Padding::all(1))
        };
        let third = layer([12, 16 / groups, 3, 3], 8, o);
        for_each_isa(|isa| {
            let y = first.forward(&x).unwrap();
            let convolved = second[1].forward(&second[0].forward(&y).unwrap()).unwrap();
            let pooled = max_pool2d(&y, 2, 1, corner).unwrap();
            let joined = Tensor::cat(&[&pooled, &convolved], 3).unwrap();
            let found = stem(&x, &first, [&second[0], &second[1]], (2, corner), &third).unwrap();
            let expected = third.forward(&joined).unwrap();
            assert_close(&found, &expected, 0.0, &format!("{isa:?} {side:?}"));
        });
        let wrong = (2, Padding::default());
        assert!(stem(&x, &first, [&second[0], &second[1]], wrong, &third).is_err());
    }
}

#[test]
fn residuals_are_added_last_where_asked_for() {
    for (groups, kernel, activation) in [
        (1, 1, Activation::Relu),
        (1, 1, Activation::Gelu),
        (1, 3, Activation::Silu),
        (2, 3, Activation::Silu),
        (32, 3, Activation::Relu),
    ] {
        let x = random(&[1, 6, 7, 32], 1);
        let weight = random(&[32, 32 / groups, kernel, kernel], 2);
        let residual = random(&[1, 6, 7, 70], 3).narrow(3, 5, 32).unwrap();
        let affine = Some((0.75, -0.25));
        let o = Conv2dOptions {
            affine,
            ..options(1, Padding::all(kernel / 2), groups, activation)
        };
        let plain = reference::conv2d(&x, &weight, None, None, &o).unwrap();
        let expected = (plain + &residual).unwrap();
        for_each_isa(|isa| {
            let layer = Conv2d::new(&weight, None, o).unwrap();
            let found = layer.forward_then_add(&x, &residual).unwrap();
            assert_close(&found, &expected, 4e-6, &format!("{isa:?} {o:?}"));
        });
    }
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let layer = Conv2d::new(&random(&[4, 8, 3, 3], 1), None, Conv2dOptions::default()).unwrap();
    for shape in [[1, 5, 5, 7], [1, 2, 5, 8]] {
        assert!(layer.forward(&random(&shape, 1)).is_err(), "{shape:?}");
    }
    let x = random(&[1, 5, 5, 8], 1);
    assert!(layer.forward_add(&x, &random(&[1, 5, 5, 4], 1)).is_err());
    assert!(
        layer
            .forward(&x.to_dtype(candle_core::DType::F64).unwrap())
            .is_err()
    );
    assert!(
        layer
            .forward(&Tensor::zeros((1, 0, 5, 8), candle_core::DType::F32, x.device()).unwrap())
            .is_err()
    );
    let layer = Linear::new(&random(&[4, 8], 1), None, Activation::Relu).unwrap();
    assert!(layer.forward(&random(&[3, 7], 1)).is_err());
    assert_eq!(layer.forward(&random(&[0, 8], 1)).unwrap().dims(), [0, 4]);
}

#[test]
fn inverted_residuals_are_the_layers_one_after_another() {
    // Batch, height, width, channels in, wide and out, kernel, stride; the first two are large enough for bands.
    for [b, h, w, cin, wide, cout, kernel, stride] in [
        [1, 90, 100, 16, 160, 24, 3, 1],
        [2, 71, 130, 8, 144, 8, 3, 2],
        [1, 33, 37, 8, 900, 8, 5, 1],
        [1, 9, 9, 8, 32, 8, 3, 1],
    ] {
        let pointwise = |activation| Conv2dOptions {
            activation,
            ..Conv2dOptions::default()
        };
        let (first, last) = (pointwise(Activation::Gelu), pointwise(Activation::Gelu));
        let middle = options(stride, Padding::all(kernel / 2), wide, Activation::Gelu);
        let layer = |out: usize, inner: usize, kernel: usize, o| {
            Conv2d::new(
                &random(&[out, inner, kernel, kernel], out as u64),
                Some(&random(&[out], 2)),
                o,
            )
            .unwrap()
        };
        for_each_isa(|isa| {
            let layers = (
                layer(wide, cin, 1, first),
                layer(wide, 1, kernel, middle),
                layer(cout, wide, 1, last),
            );
            let x = random(&[b, h, w, cin], 3);
            let y = layers.1.forward(&layers.0.forward(&x).unwrap()).unwrap();
            let expected = layers.2.forward(&y).unwrap();
            let residual = random(expected.dims(), 4);
            let found = inverted_residual(&x, &layers.0, &layers.1, &layers.2, None).unwrap();
            assert_close(&found, &expected, 1e-6, &format!("{isa:?} {h}×{w}"));
            let expected = layers.2.forward_add(&y, &residual).unwrap();
            let found =
                inverted_residual(&x, &layers.0, &layers.1, &layers.2, Some(&residual)).unwrap();
            assert_close(
                &found,
                &expected,
                1e-6,
                &format!("{isa:?} {h}×{w} residual"),
            );
        });
    }
}
