//! Products on the device against the CPU's: linear layers, convolutions and what is made of them.

use crate::report::{Outcome, Report, TYPES, random, rounded, text, wanted, with_tiles};
use candle_core::{DType, Tensor};
use candle_nn::Module;
use std::thread;
use ultramotion::{
    engine::{DeviceSpec, Engine},
    ops::{
        self, Activation, Conv2d, Conv2dOptions, Linear, LinearPair, LinearPrecision, Padding,
        Part, Products,
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
    for (i, shape) in wanted(shapes, |(rows, inner, columns)| rows * inner * columns) {
        with_tiles(i, || linear_case(&mut report, i, shape))?;
    }
    with_tiles(0, || parts(&mut report))?;
    with_tiles(0, || pairs(&mut report))?;
    tiles(&mut report)?;
    report.finish()
}

/// Layers of a tensor each as one product: by whole tiles and steps, and where that does not go.
fn pairs(report: &mut Report<'_>) -> Result<(), String> {
    for (rows, inner, columns) in [
        (300, 256, (512, 256)),
        (401, 128, (256, 128)),
        (65, 64, (128, 8)),
        (70, 96, (128, 64)),
        (33, 64, (80, 24)),
    ] {
        for (dtype, tolerance) in TYPES {
            let (a, b) = (
                rounded(&random(&[2, rows, inner], 1), dtype),
                rounded(&random(&[2, rows, inner], 2), dtype),
            );
            let weight = |outputs: usize, seed| rounded(&random(&[outputs, inner], seed), dtype);
            let (wa, wb) = (weight(columns.0, 3), weight(columns.1, 4));
            let (ba, bb) = (random(&[columns.0], 5), random(&[columns.1], 6));
            let stacked = |a: &Tensor, b: &Tensor| Tensor::cat(&[a, b], 0).map_err(text);
            let (weight, bias) = (stacked(&wa, &wb)?, stacked(&ba, &bb)?);
            let pair = |weight: &Tensor, bias: &Tensor| {
                LinearPair::new(weight, bias, columns.0, Activation::Silu, Products::F32)
                    .map_err(text)
            };
            let cpu = pair(&weight, &bias)?;
            let up = |x: &Tensor| report.up(x, DType::F32);
            let gpu = pair(&up(&weight)?, &up(&bias)?)?;
            let (one, two) = cpu.forward(&a, &b).map_err(text)?;
            let found = gpu
                .forward(&report.up(&a, dtype)?, &report.up(&b, dtype)?)
                .and_then(|(a, b)| Ok((a.contiguous()?, b.contiguous()?)))
                .map_err(text)?;
            let name = format!("pair {rows}×{inner}×{columns:?} {dtype:?}");
            report.compare(&name, Ok(found.0), &one, tolerance);
            report.compare(&format!("{name}, second"), Ok(found.1), &two, tolerance);
        }
    }
    Ok(())
}

fn linear_case(
    report: &mut Report<'_>,
    i: usize,
    (rows, inner, columns): (usize, usize, usize),
) -> Result<(), String> {
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
    Ok(())
}

/// Candidates of tiles that there are at most.
const MOST_TILES: usize = 28;

/// Which tiles are taken is found by trying: all of them must give the same bits.
fn tiles(report: &mut Report<'_>) -> Result<(), String> {
    let shapes = [
        (7, 256, 2048),
        (28, 2048, 256),
        (300, 256, 1024),
        (400, 1024, 256),
        (4096, 320, 1280),
        (25600, 64, 64),
        (70, 160, 200),
    ];
    for (_, (rows, inner, columns)) in wanted(shapes, |(a, b, c)| a * b * c) {
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
    let maps = [
        (160, 32, 64, 1),
        (40, 128, 256, 2),
        (20, 512, 128, 1),
        (40, 128, 128, 1),
        (33, 48, 40, 1),
        (7, 16, 16, 1),
        (9, 32, 72, 1),
        (10, 64, 64, 2),
    ];
    for (_, (side, channels, out, stride)) in wanted(maps, |(n, c, o, _)| n * n * 9 * c * o) {
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
