//! Products on the device against the CPU's: linear layers, convolutions and what is made of them.

use crate::report::{Outcome, Report, TYPES, random, rounded, text};
use candle_core::{DType, Tensor};
use candle_nn::Module;
use std::thread;
use ultramotion::{
    engine::{DeviceSpec, Engine},
    ops::{
        self, Activation, Conv2d, Conv2dOptions, Linear, LinearPrecision, Padding, Part, Products,
    },
};

pub(crate) const ACTIVATIONS: [Activation; 6] = [
    Activation::Identity,
    Activation::Relu,
    Activation::Gelu,
    Activation::Silu,
    Activation::Sigmoid,
    Activation::Clamp(0.5),
];

pub(crate) fn linear(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let shapes = [
        (300, 256, 256),
        (300, 256, 132),
        (8400, 256, 80),
        (7, 256, 2048),
        (1, 20, 64),
        (37, 13, 5),
        (4096, 64, 256),
        (20000, 16, 32),
        (513, 4, 3),
        (1200, 65, 1),
    ];
    for (i, (rows, inner, columns)) in shapes.into_iter().enumerate() {
        for (dtype, tolerance) in TYPES {
            let (x, w) = (
                rounded(&random(&[2, rows, inner], 1), dtype),
                rounded(&random(&[columns, inner], 2), dtype),
            );
            let (bias, residual) = (
                random(&[columns], 3),
                rounded(&random(&[2, rows, columns], 4), dtype),
            );
            let activation = ACTIVATIONS[i % ACTIVATIONS.len()];
            let cpu = Linear::new(&w, Some(&bias), activation).map_err(text)?;
            let gpu = Linear::new(
                &report.up(&w, DType::F32)?,
                Some(&report.up(&bias, DType::F32)?),
                activation,
            )
            .map_err(text)?;
            let (gx, gr) = (report.up(&x, dtype)?, report.up(&residual, dtype)?);
            let name = format!("{rows}×{inner}×{columns} {activation:?} {dtype:?}");
            report.compare(
                &name,
                gpu.forward(&gx).map_err(text),
                &cpu.forward(&x).map_err(text)?,
                tolerance,
            );
            report.compare(
                &format!("{name} + residual"),
                gpu.forward_add(&gx, &gr).map_err(text),
                &cpu.forward_add(&x, &residual).map_err(text)?,
                tolerance,
            );
            let of_all = residual
                .narrow(0, 1, 1)
                .and_then(|r| r.contiguous())
                .map_err(text)?;
            report.compare(
                &format!("{name} + residual of a batch of 1"),
                gpu.forward_add(&gx, &report.up(&of_all, dtype)?)
                    .map_err(text),
                &cpu.forward_add(&x, &of_all).map_err(text)?,
                tolerance,
            );
            if dtype != DType::F32 {
                for precision in [LinearPrecision::F32Result, LinearPrecision::F32] {
                    let gpu = Linear::new_in(
                        &report.up(&w, DType::F32)?,
                        Some(&report.up(&bias, DType::F32)?),
                        activation,
                        precision,
                        Products::F32,
                    );
                    let found = gpu.and_then(|gpu| gpu.forward(&gx)).map_err(text);
                    report.compare(
                        &format!("{name} {precision:?}"),
                        found,
                        &cpu.forward(&x).map_err(text)?,
                        2e-5,
                    );
                }
            }
        }
    }
    parts(&mut report)?;
    tiles(&mut report)?;
    report.finish()
}

/// Candidates of tiles that there are at most.
const MOST_TILES: usize = 28;

/// Which tiles are taken is found by trying: all of them must give the same bits.
fn tiles(report: &mut Report<'_>) -> Result<(), String> {
    for (rows, inner, columns) in [
        (7, 256, 2048),
        (28, 2048, 256),
        (300, 256, 1024),
        (400, 1024, 256),
        (4096, 320, 1280),
        (25600, 64, 64),
    ] {
        for dtype in [DType::F16, DType::BF16] {
            let (x, w) = (random(&[1, rows, inner], 1), random(&[columns, inner], 2));
            let linear =
                Linear::new(&report.up(&w, DType::F32)?, None, Activation::Gelu).map_err(text)?;
            let x = report.up(&x, dtype)?;
            same_by_any_tile(
                report,
                &format!("{rows}×{inner}×{columns} {dtype:?}"),
                || linear.forward(&x).map_err(text),
            )?;
        }
    }
    for (side, channels, out, stride) in [
        (160, 32, 64, 1),
        (40, 128, 256, 2),
        (20, 512, 128, 1),
        (40, 128, 128, 1),
        (33, 48, 40, 1),
        (7, 16, 16, 1),
    ] {
        let (x, w) = (
            random(&[2, side, side, channels], 3),
            random(&[out, channels, 3, 3], 4),
        );
        let options = Conv2dOptions {
            stride,
            padding: Padding::all(1),
            ..Conv2dOptions::default()
        };
        let conv = Conv2d::new(&report.up(&w, DType::F32)?, None, options).map_err(text)?;
        let x = report.up(&x, DType::F16)?;
        same_by_any_tile(
            report,
            &format!("3×3 {side}², {channels} to {out}"),
            || conv.forward(&x).map_err(text),
        )?;
    }
    Ok(())
}

fn same_by_any_tile(
    report: &mut Report<'_>,
    name: &str,
    work: impl Fn() -> Result<Tensor, String>,
) -> Result<(), String> {
    let first = report.down(&ops::with_tile(0, &work)?)?;
    let mut differing = Vec::new();
    for at in 1..MOST_TILES {
        let found = report.down(&ops::with_tile(at, &work)?)?;
        let count = found
            .iter()
            .zip(&first)
            .filter(|(a, b)| a.to_bits() != b.to_bits())
            .count();
        if count > 0 {
            differing.push((at, count));
        }
    }
    report.check(
        &format!(
            "{name}: the same bits by any tile; candidates and numbers that differ: {differing:?}"
        ),
        differing.is_empty(),
    );
    Ok(())
}

fn parts(report: &mut Report<'_>) -> Result<(), String> {
    for (channels, doubled) in [
        (vec![16, 32, 32, 32], false),
        (vec![64, 128], true),
        (vec![12, 20], false),
        (vec![256, 256, 48, 48], true),
    ] {
        for (dtype, tolerance) in TYPES {
            let (b, h, w, out) = (2, 10, 14, 72);
            let inner: usize = channels.iter().sum();
            let weight = rounded(&random(&[out, inner, 1, 1], 5), dtype);
            let options = Conv2dOptions {
                activation: Activation::Silu,
                ..Conv2dOptions::default()
            };
            let cpu = Conv2d::new(&weight, None, options).map_err(text)?;
            let gpu = Conv2d::new(&report.up(&weight, DType::F32)?, None, options).map_err(text)?;
            let maps: Vec<Tensor> = channels
                .iter()
                .enumerate()
                .map(|(i, &c)| {
                    let (h, w) = if doubled && i == 0 {
                        (h / 2, w / 2)
                    } else {
                        (h, w)
                    };
                    rounded(&random(&[b, h, w, c], 6 + i as u64), dtype)
                })
                .collect();
            let own = maps
                .iter()
                .map(|m| report.up(m, dtype))
                .collect::<Result<Vec<_>, _>>()?;
            fn part((i, map): (usize, &Tensor), doubled: bool) -> Part<'_> {
                Part {
                    map,
                    doubled: doubled && i == 0,
                }
            }
            let found = gpu
                .forward_parts(
                    &own.iter()
                        .enumerate()
                        .map(|p| part(p, doubled))
                        .collect::<Vec<_>>(),
                )
                .map_err(text);
            let expected = cpu
                .forward_parts(
                    &maps
                        .iter()
                        .enumerate()
                        .map(|p| part(p, doubled))
                        .collect::<Vec<_>>(),
                )
                .map_err(text)?;
            report.compare(
                &format!("parts {channels:?} doubled {doubled} {dtype:?}"),
                found,
                &expected,
                tolerance,
            );
        }
    }
    Ok(())
}

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
    for (size, channels, kernel, options) in cases {
        conv(
            &mut report,
            &Conv {
                size,
                channels,
                kernel,
                groups: 1,
                options,
            },
        )?;
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
    for (batch, size, channels, hidden) in [
        (2, (37, 50), 64, 256),
        (1, (64, 64), 64, 128),
        (3, (5, 7), 64, 64),
        (8, (100, 75), 64, 192),
        (1, (256, 256), 64, 256),
        (1, (16, 24), 32, 64),
    ] {
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
    for (batch, size, channels, mid) in [
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
    ] {
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
    for (batch, size) in [
        (1, (64, 64)),
        (3, (37, 72)),
        (8, (300, 200)),
        (1, (1024, 1024)),
        (2, (33, 35)),
    ] {
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

/// Two threads launch the same kernels with different amounts of shared memory: what one allows a kernel must not take from
/// what the other one does.
pub(crate) fn two_threads(engine: &Engine) -> Outcome {
    const ROUNDS: usize = 4000;
    let spec = DeviceSpec::try_from(engine.device()).map_err(text)?;
    let work = |inner: usize| -> Result<usize, String> {
        let engine = Engine::open(spec).map_err(text)?;
        let report = Report::new(&engine);
        let (x, w) = (random(&[300, inner], 1), random(&[256, inner], 2));
        let linear = Linear::new(&report.up(&w, DType::F32)?, None, Activation::Identity);
        let (linear, x) = (linear.map_err(text)?, report.up(&x, DType::F16)?);
        let once = || linear.forward(&x).map_err(text);
        let expected = report.down(&once()?)?;
        let mut wrong = 0;
        for round in 0..ROUNDS {
            let found = once()?;
            if round % 100 == 0 {
                wrong += usize::from(report.down(&found)? != expected);
            }
        }
        Ok(wrong)
    };
    let mut report = Report::new(engine);
    let found: Vec<_> = thread::scope(|scope| {
        let threads = [64, 1024].map(|inner| (inner, scope.spawn(move || work(inner))));
        let join = |(inner, thread): (usize, thread::ScopedJoinHandle<'_, _>)| {
            let panicked = |_| Err("a thread panicked".to_owned());
            (inner, thread.join().unwrap_or_else(panicked))
        };
        threads.map(join).into_iter().collect()
    });
    for (inner, wrong) in found {
        report.check(
            &format!("{inner} numbers a sum: {wrong:?} wrong"),
            wrong == Ok(0),
        );
    }
    report.finish()
}
