//! Timings of single operations, for work on them: `cargo test --lib ops::cpu::tests::bench -- --ignored --nocapture`.

#![allow(unsafe_code)]

use super::random;
use crate::ops::{
    Activation, Conv2d, Conv2dOptions, LayerNorm, Linear, Normalisation, Padding, Products,
    attention, cpu::window_attention,
};
use candle_core::{DType, Device, Tensor};
use candle_nn::Module;

/// Prints the least processor time of one thread, and the rate for `flops` operations.
pub(super) fn report(name: &str, flops: f64, f: impl Fn() + Sync) {
    rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap()
        .install(|| {
            f();
            let ms = (0..15).fold(f64::INFINITY, |least: f64, _| {
                let start = processor_time();
                f();
                least.min((processor_time() - start) * 1e3)
            });
            println!("{name:36} {ms:8.3} ms {:7.1} GFLOP/s", flops / ms / 1e6);
        });
}

/// Seconds of processor time that this process has used: other programs do not count.
fn processor_time() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call writes the time it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

#[test]
#[ignore = "a measurement"]
fn convolutions() {
    use Activation::{Gelu, Identity, Relu, Silu};
    // Side, channels in and out, kernel, stride, groups.
    for ([side, cin, cout, k, stride, groups], activation) in [
        ([640, 3, 32, 3, 2, 1], Relu),
        ([640, 3, 16, 3, 2, 1], Relu),
        ([1024, 3, 32, 3, 2, 1], Gelu),
        ([160, 64, 64, 3, 1, 1], Relu),
        ([80, 128, 128, 3, 1, 1], Relu),
        ([20, 256, 256, 3, 1, 1], Relu),
        ([20, 512, 1024, 1, 1, 1], Relu),
        ([20, 1024, 512, 1, 1, 1], Relu),
        ([160, 16, 16, 3, 1, 1], Relu),
        ([80, 64, 64, 3, 1, 1], Silu),
        ([80, 32, 32, 3, 1, 1], Relu),
        ([160, 64, 32, 1, 1, 1], Relu),
        ([80, 512, 512, 1, 1, 1], Silu),
        ([256, 64, 256, 1, 1, 1], Gelu),
        ([256, 64, 256, 1, 1, 1], Identity),
        ([40, 256, 256, 5, 1, 256], Relu),
        ([256, 256, 256, 3, 1, 256], Identity),
        ([256, 256, 256, 3, 2, 256], Identity),
        ([64, 320, 320, 3, 1, 320], Identity),
        ([80, 128, 128, 5, 2, 128], Identity),
    ] {
        let options = Conv2dOptions {
            stride,
            padding: Padding::all(k / 2),
            groups,
            activation,
            affine: None,
        };
        let layer = Conv2d::new(
            &random(&[cout, cin / groups, k, k], 1),
            Some(&random(&[cout], 2)),
            options,
        )
        .unwrap();
        let x = random(&[1, side, side, cin], 3);
        let pixels = side.div_ceil(stride) * side.div_ceil(stride);
        let name = format!("{k}×{k} s{stride} {cin}->{cout} {side} g{groups} {activation:?}");
        report(
            &name,
            2.0 * (pixels * cout * (cin / groups) * k * k) as f64,
            || drop(layer.forward(&x).unwrap()),
        );
    }
}

#[test]
#[ignore = "a measurement"]
fn blocks() {
    for [side, cin, wide, cout, stride] in [[256, 64, 256, 64, 1], [256, 64, 128, 128, 2]] {
        let options = |groups, kernel: usize, stride| {
            let activation = Activation::Gelu;
            Conv2dOptions {
                stride,
                padding: Padding::all(kernel / 2),
                groups,
                activation,
                affine: None,
            }
        };
        let layer = |out: usize, inner: usize, kernel: usize, o| {
            Conv2d::new(&random(&[out, inner, kernel, kernel], 1), None, o).unwrap()
        };
        let first = layer(wide, cin, 1, options(1, 1, 1));
        let middle = layer(wide, 1, 3, options(wide, 3, stride));
        let last = layer(cout, wide, 1, options(1, 1, 1));
        let x = random(&[1, side, side, cin], 3);
        let pixels = (side * side) as f64;
        let flops = 2.0
            * pixels
            * wide as f64
            * (cin as f64 + (9 + cout) as f64 / (stride * stride) as f64);
        report(
            &format!("{side} {cin}->{wide}->{cout} s{stride} as a block"),
            flops,
            || {
                drop(crate::ops::inverted_residual(&x, &first, &middle, &last, None).unwrap());
            },
        );
        report(
            &format!("{side} {cin}->{wide}->{cout} s{stride} by layers"),
            flops,
            || {
                drop(
                    last.forward(&middle.forward(&first.forward(&x).unwrap()).unwrap())
                        .unwrap(),
                );
            },
        );
    }
}

#[test]
#[ignore = "a measurement"]
fn linears() {
    for (rows, inner, out, activation) in [
        (4096, 320, 1280, Activation::Gelu),
        (4096, 1280, 320, Activation::Identity),
        (4096, 320, 960, Activation::Identity),
        (300, 256, 1024, Activation::Relu),
        (10, 256, 2048, Activation::Relu),
    ] {
        let layer = Linear::new(
            &random(&[out, inner], 1),
            Some(&random(&[out], 2)),
            activation,
        )
        .unwrap();
        let x = random(&[rows, inner], 3);
        let name = format!("linear {rows}×{inner}->{out} {activation:?}");
        report(&name, 2.0 * (rows * inner * out) as f64, || {
            drop(layer.forward(&x).unwrap())
        });
    }
}

#[test]
#[ignore = "a measurement"]
fn attentions() {
    for (b, heads, nq, nk, d, bias) in [
        (361, 4, 49, 49, 32, true),
        (25, 5, 196, 196, 32, true),
        (1, 8, 300, 300, 32, false),
        (1, 8, 400, 400, 16, false),
        (4, 8, 10, 4096, 16, false),
        (4, 8, 4096, 10, 16, false),
    ] {
        let (q, k, v) = (
            random(&[b, nq, heads * d], 1),
            random(&[b, nk, heads * d], 2),
            random(&[b, nk, heads * d], 3),
        );
        let bias = bias.then(|| random(&[heads, nq, nk], 4));
        let name = format!("attention {b}×{heads} {nq}×{nk} d{d}");
        report(&name, 4.0 * (b * heads * nq * nk * d) as f64, || {
            drop(attention(&q, &k, &v, heads, 0.2, bias.as_ref()).unwrap())
        });
    }
    let (qkv, padding, bias) = (
        random(&[1, 128, 128, 384], 1),
        random(&[384], 2),
        random(&[4, 49, 49], 3),
    );
    report(
        "windows of 7 in 128×128, 4 heads",
        4e6 * 444.0 / 4.0,
        || {
            drop(window_attention(&qkv, &padding, 7, 4, 0.2, Some(&bias), Products::F32).unwrap());
        },
    );
}

#[test]
#[ignore = "a measurement"]
fn others() {
    let x = random(&[1, 64, 64, 320], 1);
    let norm = LayerNorm::new(&random(&[320], 1), &random(&[320], 2), 1e-5);
    report("layer norm 4096×320", 0.0, || {
        drop(norm.forward(&x).unwrap())
    });
    report("gelu 1.3 M", 0.0, || {
        drop(crate::ops::activate(&x, Activation::Gelu).unwrap())
    });
    report("add 1.3 M", 0.0, || drop(crate::ops::add(&x, &x).unwrap()));
    report("softmax 4096×320", 0.0, || {
        drop(crate::ops::softmax(&x).unwrap())
    });
    report("concat 2×320", 0.0, || {
        drop(crate::ops::concat_channels(&[&x, &x]).unwrap())
    });
    report("upsample 64² 320", 0.0, || {
        drop(crate::ops::upsample_nearest2x(&x).unwrap())
    });
    report("max pool 2 64² 320", 0.0, || {
        drop(crate::ops::max_pool2d(&x, 2, 1, Padding::default()).unwrap())
    });
    let frame = Tensor::from_vec(
        (0..1080 * 1920 * 3).map(|i| (i * 7 % 251) as u8).collect(),
        (1080, 1920, 3),
        &Device::Cpu,
    )
    .unwrap();
    report("resize 1080p to 640²", 0.0, || {
        drop(
            crate::ops::resize_normalise(
                &frame,
                (640, 640),
                (640, 640),
                3,
                &Normalisation::UNIT,
                DType::F32,
            )
            .unwrap(),
        );
    });
    report("resize 1080p to 576×1024", 0.0, || {
        drop(
            crate::ops::resize_normalise(
                &frame,
                (576, 1024),
                (1024, 1024),
                3,
                &Normalisation::IMAGENET,
                DType::F32,
            )
            .unwrap(),
        );
    });
    let blobs = (random(&[8, 16, 16], 3) * 4.0).unwrap();
    let logits = crate::ops::reference::resize_bilinear(&blobs, (256, 256)).unwrap();
    report("8 masks at 1080p", 0.0, || {
        drop(crate::ops::masks_to_runs(&logits, 1024, (576, 1024), (1080, 1920)).unwrap())
    });
    let value = random(&[1, 8400, 256], 1);
    let at = random(&[1, 300, 8, 12, 2], 2).affine(0.5, 0.5).unwrap();
    let weights = crate::ops::softmax(&random(&[1, 300, 8, 12], 3)).unwrap();
    report("deformable attention", 0.0, || {
        drop(
            crate::ops::deformable_attention(
                &value,
                &[(80, 80), (40, 40), (20, 20)],
                &[4, 4, 4],
                &at,
                &weights,
            )
            .unwrap(),
        );
    });
}
