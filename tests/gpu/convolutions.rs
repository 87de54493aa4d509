//! Convolutions on the device against the CPU's, and what is made of them.

use crate::report::{Outcome, Report, TYPES, random, rounded, text, wanted, with_tiles};
use candle_core::{DType, Tensor};
use candle_nn::Module;
use ultramotion::{
    engine::Engine,
    ops::{self, Activation, Conv2d, Conv2dOptions, Padding},
};

struct Conv {
    size: (usize, usize),
    channels: (usize, usize),
    kernel: usize,
    groups: usize,
    options: Conv2dOptions,
}

fn conv(report: &mut Report<'_>, c: &Conv) -> Result<(), String> {
    for (dtype, tolerance) in TYPES {
        let (inner, out) = c.channels;
        let x = rounded(&random(&[2, c.size.0, c.size.1, inner], 1), dtype);
        let weight = rounded(
            &random(&[out, inner / c.groups, c.kernel, c.kernel], 2),
            dtype,
        );
        let bias = random(&[out], 3);
        let options = Conv2dOptions {
            groups: c.groups,
            ..c.options
        };
        let cpu = Conv2d::new(&weight, Some(&bias), options).map_err(text)?;
        let gpu = Conv2d::new(
            &report.up(&weight, DType::F32)?,
            Some(&report.up(&bias, DType::F32)?),
            options,
        )
        .map_err(text)?;
        let expected = cpu.forward(&x).map_err(text)?;
        let gx = report.up(&x, dtype)?;
        let name = format!(
            "{:?} {:?} k{} s{} g{} {:?} {dtype:?}",
            c.size, c.channels, c.kernel, options.stride, c.groups, options.activation
        );
        report.compare(&name, gpu.forward(&gx).map_err(text), &expected, tolerance);
        let residual = rounded(&random(expected.dims(), 4), dtype);
        let found = report
            .up(&residual, dtype)
            .and_then(|r| gpu.forward_add(&gx, &r).map_err(text));
        report.compare(
            &format!("{name} + residual"),
            found,
            &cpu.forward_add(&x, &residual).map_err(text)?,
            tolerance,
        );
    }
    Ok(())
}

fn options(stride: usize, padding: Padding, activation: Activation) -> Conv2dOptions {
    Conv2dOptions {
        stride,
        padding,
        activation,
        affine: Some((1.25, -0.5)),
        ..Conv2dOptions::default()
    }
}

pub(crate) fn conv2d(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let corner = Padding {
        top: 0,
        bottom: 1,
        left: 0,
        right: 1,
    };
    let cases = [
        (
            (64, 64),
            (3, 16),
            3,
            options(2, Padding::all(1), Activation::Relu),
        ),
        (
            (37, 160),
            (3, 32),
            3,
            options(2, Padding::all(1), Activation::Gelu),
        ),
        (
            (61, 67),
            (3, 40),
            3,
            options(2, Padding::all(1), Activation::Gelu),
        ),
        (
            (61, 67),
            (1, 24),
            3,
            options(2, Padding::all(1), Activation::Relu),
        ),
        ((40, 41), (16, 8), 2, options(1, corner, Activation::Relu)),
        ((40, 41), (24, 12), 2, options(1, corner, Activation::Relu)),
        ((40, 41), (12, 24), 2, options(1, corner, Activation::Relu)),
        (
            (40, 40),
            (32, 16),
            3,
            options(2, Padding::all(1), Activation::Relu),
        ),
        (
            (80, 80),
            (64, 64),
            3,
            options(1, Padding::all(1), Activation::Silu),
        ),
        (
            (20, 20),
            (128, 128),
            3,
            options(1, Padding::all(1), Activation::Silu),
        ),
        (
            (20, 21),
            (256, 256),
            3,
            options(1, Padding::all(1), Activation::Identity),
        ),
        (
            (128, 128),
            (32, 64),
            3,
            options(2, Padding::all(1), Activation::Gelu),
        ),
        (
            (20, 20),
            (96, 130),
            1,
            options(1, Padding::default(), Activation::Silu),
        ),
        (
            (9, 9),
            (1, 4),
            2,
            options(2, Padding::default(), Activation::Identity),
        ),
        (
            (12, 12),
            (48, 40),
            5,
            options(1, Padding::all(2), Activation::Relu),
        ),
    ];
    let work =
        |((h, w), (inner, out), k, o): &((usize, usize), (usize, usize), usize, Conv2dOptions)| {
            h * w * inner * out * k * k / (o.stride * o.stride)
        };
    for (i, (size, channels, kernel, options)) in wanted(cases, work) {
        let case = Conv {
            size,
            channels,
            kernel,
            groups: 1,
            options,
        };
        with_tiles(i, || conv(&mut report, &case))?;
    }
    report.finish()
}

pub(crate) fn depthwise(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let cases = [
        (32, 3, 1, 1),
        (64, 3, 2, 1),
        (128, 5, 1, 2),
        (12, 3, 1, 1),
        (24, 5, 2, 2),
        (256, 3, 1, 1),
        (9, 7, 1, 3),
    ];
    for (channels, kernel, stride, padding) in cases {
        for activation in [Activation::Identity, Activation::Gelu] {
            let options = options(stride, Padding::all(padding), activation);
            conv(
                &mut report,
                &Conv {
                    size: (21, 33),
                    channels: (channels, channels),
                    kernel,
                    groups: channels,
                    options,
                },
            )?;
        }
    }
    report.finish()
}

/// Weights `[out, in / groups, kernel, kernel]` and biases of three layers, small enough for sums to stay in range.
type InvertedLayers = [(Tensor, Tensor, Conv2dOptions); 3];

fn inverted_layers(channels: usize, hidden: usize) -> Result<InvertedLayers, String> {
    let layer = |shape: &[usize], padding: usize, groups: usize, seed: u64| -> Result<_, String> {
        let size = (shape[1..].iter().product::<usize>() as f64).sqrt();
        let weight = random(shape, seed).affine(1.5 / size, 0.0).map_err(text)?;
        let o = Conv2dOptions {
            groups,
            ..options(1, Padding::all(padding), Activation::Gelu)
        };
        Ok((weight, random(&[shape[0]], seed + 1), o))
    };
    Ok([
        layer(&[hidden, channels, 1, 1], 0, 1, 1)?,
        layer(&[hidden, 1, 3, 3], 1, hidden, 3)?,
        layer(&[channels, hidden, 1, 1], 0, 1, 5)?,
    ])
}

pub(crate) fn inverted_residual(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let cases = [
        (2, (37, 50), 64, 256),
        (1, (64, 64), 64, 128),
        (3, (5, 7), 64, 64),
        (8, (100, 75), 64, 192),
        (1, (256, 256), 64, 256),
        (1, (16, 24), 32, 64),
        (1, (11, 13), 64, 128),
    ];
    let work = |(b, (h, w), c, n): &(usize, (usize, usize), usize, usize)| 2 * b * h * w * c * n;
    for (_, (batch, size, channels, hidden)) in wanted(cases, work) {
        let layers = inverted_layers(channels, hidden)?;
        let build =
            |(w, b, o): &(Tensor, Tensor, Conv2dOptions)| Conv2d::new(w, Some(b), *o).map_err(text);
        let on_cpu = layers.iter().map(build).collect::<Result<Vec<_>, _>>()?;
        let up = |(w, b, o): &(Tensor, Tensor, Conv2dOptions)| {
            build(&(report.up(w, DType::F32)?, report.up(b, DType::F32)?, *o))
        };
        let on_gpu = layers.iter().map(up).collect::<Result<Vec<_>, _>>()?;
        for (dtype, tolerance) in TYPES {
            let x = rounded(&random(&[batch, size.0, size.1, channels], 7), dtype);
            let gx = report.up(&x, dtype)?;
            for added in [false, true] {
                let expected = ops::inverted_residual(
                    &x,
                    &on_cpu[0],
                    &on_cpu[1],
                    &on_cpu[2],
                    added.then_some(&x),
                )
                .map_err(text)?;
                let found = ops::inverted_residual(
                    &gx,
                    &on_gpu[0],
                    &on_gpu[1],
                    &on_gpu[2],
                    added.then_some(&gx),
                )
                .map_err(text);
                report.compare(
                    &format!("{batch}×{size:?} {channels}→{hidden} {dtype:?}, added {added}"),
                    found,
                    &expected,
                    tolerance,
                );
            }
        }
    }
    report.finish()
}

/// Weights, biases and options of HGNetv2's stem for images of `channels` and maps of `mid`.
fn stem_layers(
    channels: usize,
    mid: usize,
) -> Result<[(Tensor, Tensor, Conv2dOptions); 4], String> {
    let corner = Padding {
        bottom: 1,
        right: 1,
        ..Padding::default()
    };
    let layer = |shape: [usize; 4], stride, padding, seed| -> Result<_, String> {
        let size = (shape[1..].iter().product::<usize>() as f64).sqrt();
        let weight = random(&shape, seed).affine(2.0 / size, 0.0).map_err(text)?;
        let o = options(stride, padding, Activation::Relu);
        Ok((weight, random(&shape[..1], seed + 1), o))
    };
    Ok([
        layer([mid, channels, 3, 3], 2, Padding::all(1), 1)?,
        layer([mid / 2, mid, 2, 2], 1, corner, 3)?,
        layer([mid, mid / 2, 2, 2], 1, corner, 5)?,
        layer([mid, 2 * mid, 3, 3], 2, Padding::all(1), 7)?,
    ])
}

pub(crate) fn stem(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let corner = Padding {
        bottom: 1,
        right: 1,
        ..Padding::default()
    };
    // Both tiles of 16 channels, sizes that are no multiples of anything, maps smaller than a tile, and widths without a kernel of their own.
    let cases = [
        (1, (64, 96), 3, 16),
        (8, (328, 320), 3, 16),
        (32, (330, 331), 1, 16),
        (8, (640, 640), 3, 16),
        (3, (37, 61), 3, 16),
        (2, (45, 50), 1, 24),
        (1, (72, 136), 3, 24),
        (3, (64, 72), 3, 32),
        (2, (1, 3), 1, 32),
        (2, (40, 33), 3, 8),
    ];
    let work = |(b, (h, w), _, mid): &(usize, (usize, usize), usize, usize)| b * h * w * mid * mid;
    for (_, (batch, size, channels, mid)) in wanted(cases, work) {
        let layers = stem_layers(channels, mid)?;
        let build =
            |(w, b, o): &(Tensor, Tensor, Conv2dOptions)| Conv2d::new(w, Some(b), *o).map_err(text);
        let up = |(w, b, o): &(Tensor, Tensor, Conv2dOptions)| {
            build(&(report.up(w, DType::F32)?, report.up(b, DType::F32)?, *o))
        };
        let on_cpu = layers.iter().map(build).collect::<Result<Vec<_>, _>>()?;
        let on_gpu = layers.iter().map(up).collect::<Result<Vec<_>, _>>()?;
        let all = |x: &Tensor, l: &[Conv2d]| {
            ops::stem(x, &l[0], [&l[1], &l[2]], (2, corner), &l[3]).map_err(text)
        };
        for (dtype, tolerance) in TYPES {
            let x = rounded(&random(&[batch, size.0, size.1, channels], 9), dtype);
            report.compare(
                &format!("{batch}×{size:?} {channels}→{mid} {dtype:?}"),
                all(&report.up(&x, dtype)?, &on_gpu),
                &all(&x, &on_cpu)?,
                tolerance,
            );
        }
    }
    report.finish()
}

/// The two convolutions that an image encoder begins with: sizes that tiles fill and that they do not, and one that has no kernel.
pub(crate) fn image_pair(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let layer = |shape: &[usize], activation: Activation, seed: u64| -> Result<_, String> {
        let size = (shape[1..].iter().product::<usize>() as f64).sqrt();
        let weight = random(shape, seed).affine(1.5 / size, 0.0).map_err(text)?;
        let o = Conv2dOptions {
            affine: None,
            ..options(2, Padding::all(1), activation)
        };
        Ok((weight, random(&[shape[0]], seed + 1), o))
    };
    let layers = [
        layer(&[32, 3, 3, 3], Activation::Gelu, 1)?,
        layer(&[64, 32, 3, 3], Activation::Identity, 3)?,
    ];
    let build =
        |(w, b, o): &(Tensor, Tensor, Conv2dOptions)| Conv2d::new(w, Some(b), *o).map_err(text);
    let on_cpu = layers.iter().map(build).collect::<Result<Vec<_>, _>>()?;
    let up = |(w, b, o): &(Tensor, Tensor, Conv2dOptions)| {
        build(&(report.up(w, DType::F32)?, report.up(b, DType::F32)?, *o))
    };
    let on_gpu = layers.iter().map(up).collect::<Result<Vec<_>, _>>()?;
    let cases = [
        (1, (64, 64)),
        (3, (37, 72)),
        (8, (300, 200)),
        (1, (1024, 1024)),
        (2, (33, 35)),
    ];
    for (_, (batch, size)) in wanted(cases, |(b, (h, w))| b * h * w * 256) {
        for (dtype, tolerance) in TYPES {
            let x = rounded(&random(&[batch, size.0, size.1, 3], 7), dtype);
            let expected = ops::image_pair(&x, &on_cpu[0], &on_cpu[1]).map_err(text)?;
            let found = report
                .up(&x, dtype)
                .and_then(|x| ops::image_pair(&x, &on_gpu[0], &on_gpu[1]).map_err(text));
            report.compare(
                &format!("{batch}×{size:?} {dtype:?}"),
                found,
                &expected,
                tolerance,
            );
        }
    }
    report.finish()
}
