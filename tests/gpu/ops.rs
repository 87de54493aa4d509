//! Each operation on the device against the CPU's.

use crate::report::{Outcome, Report, TYPES, random, rounded, text};
use candle_core::{DType, Device, Tensor};
use ultramotion::{
    engine::{Engine, Stage},
    ops::{self, Activation, Conv2d, Conv2dOptions, LayerNorm, Linear, Normalisation, Padding, Part, Precision},
};

const ACTIVATIONS: [Activation; 6] =
    [Activation::Identity, Activation::Relu, Activation::Gelu, Activation::Silu, Activation::Sigmoid, Activation::Clamp(0.5)];

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
            let (x, w) = (rounded(&random(&[2, rows, inner], 1), dtype), rounded(&random(&[columns, inner], 2), dtype));
            let (bias, residual) = (random(&[columns], 3), rounded(&random(&[2, rows, columns], 4), dtype));
            let activation = ACTIVATIONS[i % ACTIVATIONS.len()];
            let cpu = Linear::new(&w, Some(&bias), activation).map_err(text)?;
            let gpu = Linear::new(&report.up(&w, DType::F32)?, Some(&report.up(&bias, DType::F32)?), activation).map_err(text)?;
            let (gx, gr) = (report.up(&x, dtype)?, report.up(&residual, dtype)?);
            let name = format!("{rows}×{inner}×{columns} {activation:?} {dtype:?}");
            report.compare(&name, gpu.forward(&gx).map_err(text), &cpu.forward(&x).map_err(text)?, tolerance);
            report.compare(
                &format!("{name} + residual"),
                gpu.forward_add(&gx, &gr).map_err(text),
                &cpu.forward_add(&x, &residual).map_err(text)?,
                tolerance,
            );
            let of_all = residual.narrow(0, 1, 1).and_then(|r| r.contiguous()).map_err(text)?;
            report.compare(
                &format!("{name} + residual of a batch of 1"),
                gpu.forward_add(&gx, &report.up(&of_all, dtype)?).map_err(text),
                &cpu.forward_add(&x, &of_all).map_err(text)?,
                tolerance,
            );
            if dtype != DType::F32 {
                for precision in [Precision::F32Result, Precision::F32] {
                    let found = gpu.clone().with_precision(precision).forward(&gx).map_err(text);
                    report.compare(&format!("{name} {precision:?}"), found, &cpu.forward(&x).map_err(text)?, 2e-5);
                }
            }
        }
    }
    parts(&mut report)?;
    tiles(&mut report)?;
    report.finish()
}

/// Candidates of tiles that there are at most.
const MOST_TILES: usize = 20;

/// Which tiles are taken is found by trying: all of them must give the same bits.
fn tiles(report: &mut Report<'_>) -> Result<(), String> {
    for (rows, inner, columns) in [(7, 256, 2048), (28, 2048, 256), (300, 256, 1024), (400, 1024, 256), (4096, 320, 1280), (25600, 64, 64)]
    {
        for dtype in [DType::F16, DType::BF16] {
            let (x, w) = (random(&[1, rows, inner], 1), random(&[columns, inner], 2));
            let linear = Linear::new(&report.up(&w, DType::F32)?, None, Activation::Gelu).map_err(text)?;
            let x = report.up(&x, dtype)?;
            same_by_any_tile(report, &format!("{rows}×{inner}×{columns} {dtype:?}"), || linear.forward(&x).map_err(text))?;
        }
    }
    for (side, channels, out, stride) in [(160, 32, 64, 1), (40, 128, 256, 2), (20, 512, 128, 1)] {
        let (x, w) = (random(&[2, side, side, channels], 3), random(&[out, channels, 3, 3], 4));
        let options = Conv2dOptions { stride, padding: Padding::all(1), ..Conv2dOptions::default() };
        let conv = Conv2d::new(&report.up(&w, DType::F32)?, None, options).map_err(text)?;
        let x = report.up(&x, DType::F16)?;
        same_by_any_tile(report, &format!("3×3 {side}², {channels} to {out}"), || conv.forward(&x).map_err(text))?;
    }
    Ok(())
}

fn same_by_any_tile(report: &mut Report<'_>, name: &str, work: impl Fn() -> Result<Tensor, String>) -> Result<(), String> {
    let first = report.down(&ops::with_tile(0, &work)?)?;
    let mut differing = Vec::new();
    for at in 1..MOST_TILES {
        let found = report.down(&ops::with_tile(at, &work)?)?;
        let count = found.iter().zip(&first).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
        if count > 0 {
            differing.push((at, count));
        }
    }
    report.check(&format!("{name}: the same bits by any tile; candidates and numbers that differ: {differing:?}"), differing.is_empty());
    Ok(())
}

fn parts(report: &mut Report<'_>) -> Result<(), String> {
    for (channels, doubled) in [(vec![16, 32, 32, 32], false), (vec![64, 128], true), (vec![12, 20], false), (vec![256, 256, 48, 48], true)]
    {
        for (dtype, tolerance) in TYPES {
            let (b, h, w, out) = (2, 10, 14, 72);
            let inner: usize = channels.iter().sum();
            let weight = rounded(&random(&[out, inner, 1, 1], 5), dtype);
            let options = Conv2dOptions { activation: Activation::Silu, ..Conv2dOptions::default() };
            let cpu = Conv2d::new(&weight, None, options).map_err(text)?;
            let gpu = Conv2d::new(&report.up(&weight, DType::F32)?, None, options).map_err(text)?;
            let maps: Vec<Tensor> = channels
                .iter()
                .enumerate()
                .map(|(i, &c)| {
                    let (h, w) = if doubled && i == 0 { (h / 2, w / 2) } else { (h, w) };
                    rounded(&random(&[b, h, w, c], 6 + i as u64), dtype)
                })
                .collect();
            let own = maps.iter().map(|m| report.up(m, dtype)).collect::<Result<Vec<_>, _>>()?;
            fn part((i, map): (usize, &Tensor), doubled: bool) -> Part<'_> {
                Part { map, doubled: doubled && i == 0 }
            }
            let found = gpu.forward_parts(&own.iter().enumerate().map(|p| part(p, doubled)).collect::<Vec<_>>()).map_err(text);
            let expected = cpu.forward_parts(&maps.iter().enumerate().map(|p| part(p, doubled)).collect::<Vec<_>>()).map_err(text)?;
            report.compare(&format!("parts {channels:?} doubled {doubled} {dtype:?}"), found, &expected, tolerance);
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
        let weight = rounded(&random(&[out, inner / c.groups, c.kernel, c.kernel], 2), dtype);
        let bias = random(&[out], 3);
        let options = Conv2dOptions { groups: c.groups, ..c.options };
        let cpu = Conv2d::new(&weight, Some(&bias), options).map_err(text)?;
        let gpu = Conv2d::new(&report.up(&weight, DType::F32)?, Some(&report.up(&bias, DType::F32)?), options).map_err(text)?;
        let expected = cpu.forward(&x).map_err(text)?;
        let gx = report.up(&x, dtype)?;
        let name =
            format!("{:?} {:?} k{} s{} g{} {:?} {dtype:?}", c.size, c.channels, c.kernel, options.stride, c.groups, options.activation);
        report.compare(&name, gpu.forward(&gx).map_err(text), &expected, tolerance);
        let residual = rounded(&random(expected.dims(), 4), dtype);
        let found = report.up(&residual, dtype).and_then(|r| gpu.forward_add(&gx, &r).map_err(text));
        report.compare(&format!("{name} + residual"), found, &cpu.forward_add(&x, &residual).map_err(text)?, tolerance);
    }
    Ok(())
}

fn options(stride: usize, padding: Padding, activation: Activation) -> Conv2dOptions {
    Conv2dOptions { stride, padding, activation, affine: Some((1.25, -0.5)), ..Conv2dOptions::default() }
}

pub(crate) fn conv2d(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let corner = Padding { top: 0, bottom: 1, left: 0, right: 1 };
    let cases = [
        ((64, 64), (3, 16), 3, options(2, Padding::all(1), Activation::Relu)),
        ((61, 67), (1, 24), 3, options(2, Padding::all(1), Activation::Relu)),
        ((40, 41), (16, 8), 2, options(1, corner, Activation::Relu)),
        ((40, 41), (24, 12), 2, options(1, corner, Activation::Relu)),
        ((40, 41), (12, 24), 2, options(1, corner, Activation::Relu)),
        ((40, 40), (32, 16), 3, options(2, Padding::all(1), Activation::Relu)),
        ((80, 80), (64, 64), 3, options(1, Padding::all(1), Activation::Silu)),
        ((20, 20), (128, 128), 3, options(1, Padding::all(1), Activation::Silu)),
        ((20, 21), (256, 256), 3, options(1, Padding::all(1), Activation::Identity)),
        ((128, 128), (32, 64), 3, options(2, Padding::all(1), Activation::Gelu)),
        ((20, 20), (96, 130), 1, options(1, Padding::default(), Activation::Silu)),
        ((9, 9), (1, 4), 2, options(2, Padding::default(), Activation::Identity)),
        ((12, 12), (48, 40), 5, options(1, Padding::all(2), Activation::Relu)),
    ];
    for (size, channels, kernel, options) in cases {
        conv(&mut report, &Conv { size, channels, kernel, groups: 1, options })?;
    }
    report.finish()
}

pub(crate) fn depthwise(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let cases = [(32, 3, 1, 1), (64, 3, 2, 1), (128, 5, 1, 2), (12, 3, 1, 1), (24, 5, 2, 2), (256, 3, 1, 1), (9, 7, 1, 3)];
    for (channels, kernel, stride, padding) in cases {
        for activation in [Activation::Identity, Activation::Gelu] {
            let options = options(stride, Padding::all(padding), activation);
            conv(&mut report, &Conv { size: (21, 33), channels: (channels, channels), kernel, groups: channels, options })?;
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
        let o = Conv2dOptions { groups, ..options(1, Padding::all(padding), Activation::Gelu) };
        Ok((weight, random(&[shape[0]], seed + 1), o))
    };
    Ok([layer(&[hidden, channels, 1, 1], 0, 1, 1)?, layer(&[hidden, 1, 3, 3], 1, hidden, 3)?, layer(&[channels, hidden, 1, 1], 0, 1, 5)?])
}

pub(crate) fn inverted_residual(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    for (batch, size, channels, hidden) in [(2, (37, 50), 64, 256), (1, (64, 64), 64, 128), (3, (5, 7), 64, 64), (1, (16, 24), 32, 64)] {
        let layers = inverted_layers(channels, hidden)?;
        let build = |(w, b, o): &(Tensor, Tensor, Conv2dOptions)| Conv2d::new(w, Some(b), *o).map_err(text);
        let on_cpu = layers.iter().map(build).collect::<Result<Vec<_>, _>>()?;
        let up = |(w, b, o): &(Tensor, Tensor, Conv2dOptions)| build(&(report.up(w, DType::F32)?, report.up(b, DType::F32)?, *o));
        let on_gpu = layers.iter().map(up).collect::<Result<Vec<_>, _>>()?;
        for (dtype, tolerance) in TYPES {
            let x = rounded(&random(&[batch, size.0, size.1, channels], 7), dtype);
            let gx = report.up(&x, dtype)?;
            for added in [false, true] {
                let expected = ops::inverted_residual(&x, &on_cpu[0], &on_cpu[1], &on_cpu[2], added.then_some(&x)).map_err(text)?;
                let found = ops::inverted_residual(&gx, &on_gpu[0], &on_gpu[1], &on_gpu[2], added.then_some(&gx)).map_err(text);
                report.compare(&format!("{batch}×{size:?} {channels}→{hidden} {dtype:?}, added {added}"), found, &expected, tolerance);
            }
        }
    }
    report.finish()
}

pub(crate) fn norm(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    for channels in [16, 64, 100, 256, 320, 700] {
        for (dtype, tolerance) in TYPES {
            let x = rounded(&random(&[3, 50, channels], 1).affine(3.0, 1.0).map_err(text)?, dtype);
            let (weight, bias) = (random(&[channels], 2), random(&[channels], 3));
            let cpu = LayerNorm::new(&weight, &bias, 1e-5);
            let gpu = LayerNorm::new(&report.up(&weight, DType::F32)?, &report.up(&bias, DType::F32)?, 1e-5);
            let gx = report.up(&x, dtype)?;
            let name = format!("{channels} {dtype:?}");
            report.compare(&name, gpu.forward(&gx).map_err(text), &cpu.forward(&x).map_err(text)?, tolerance);
            report.compare(
                &format!("held {name}"),
                gpu.forward_held(&gx, 2.0).map_err(text),
                &cpu.forward_held(&x, 2.0).map_err(text)?,
                tolerance,
            );
            let gelu = Activation::Gelu;
            report.compare(
                &format!("gelu {name}"),
                gpu.forward_activated(&gx, gelu).map_err(text),
                &cpu.forward_activated(&x, gelu).map_err(text)?,
                tolerance,
            );
            let (seen, gates) = (rounded(&random(&[3, 50, channels], 4), dtype), rounded(&random(&[3, 50, 2 * channels], 5), dtype));
            let (gs, gg) = (report.up(&seen, dtype)?, report.up(&gates, dtype)?);
            report.compare(
                &format!("gated {name}"),
                gpu.forward_gated(&gg, &gx, &gs).map_err(text),
                &cpu.forward_gated(&gates, &x, &seen).map_err(text)?,
                tolerance,
            );
            report.compare(&format!("softmax {name}"), ops::softmax(&gx).map_err(text), &ops::softmax(&x).map_err(text)?, tolerance);
        }
    }
    report.finish()
}

pub(crate) fn pointwise(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    for (dtype, tolerance) in TYPES {
        let x = rounded(&random(&[2, 13, 17, 24], 1).affine(4.0, 0.0).map_err(text)?, dtype);
        let gx = report.up(&x, dtype)?;
        for activation in ACTIVATIONS {
            report.compare(
                &format!("{activation:?} {dtype:?}"),
                ops::activate(&gx, activation).map_err(text),
                &ops::activate(&x, activation).map_err(text)?,
                tolerance,
            );
        }
        for shape in [vec![2, 13, 17, 24], vec![1, 13, 17, 24], vec![1, 1, 24]] {
            let other = rounded(&random(&shape, 2), dtype);
            for own in [dtype, DType::F32] {
                let found = report.up(&other, own).and_then(|o| ops::add(&gx, &o).map_err(text));
                report.compare(
                    &format!("sum with {shape:?} of {own:?}, {dtype:?}"),
                    found,
                    &ops::add(&x, &other).map_err(text)?,
                    tolerance,
                );
            }
        }
        let part = x.narrow(3, 8, 5).map_err(text)?;
        let own = gx.narrow(3, 8, 5).map_err(text)?;
        let expected = ops::concat_channels(&[&part, &x]).map_err(text)?;
        report.compare(&format!("side by side {dtype:?}"), ops::concat_channels(&[&own, &gx]).map_err(text), &expected, 0.0);
        report.compare(
            &format!("upsampled {dtype:?}"),
            ops::upsample_nearest2x(&gx).map_err(text),
            &ops::upsample_nearest2x(&x).map_err(text)?,
            0.0,
        );
        let corner = Padding { top: 0, bottom: 1, left: 0, right: 1 };
        for (kernel, stride, padding) in [(2, 1, corner), (3, 2, Padding::all(1))] {
            let expected = ops::max_pool2d(&x, kernel, stride, padding).map_err(text)?;
            report.compare(
                &format!("pooled {kernel} {dtype:?}"),
                ops::max_pool2d(&gx, kernel, stride, padding).map_err(text),
                &expected,
                0.0,
            );
        }
    }
    report.finish()
}

pub(crate) fn attention(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    // Batches of q and of k, queries, keys, heads, channels of a head.
    let cases = [
        (2, 2, 300, 300, 8, 32),
        (2, 2, 33, 1100, 4, 32),
        (1, 3, 400, 41, 8, 32),
        (1, 1, 400, 400, 8, 16),
        (1, 1, 400, 400, 8, 48),
        (3, 3, 7, 4096, 8, 16),
        (3, 3, 4096, 7, 8, 16),
        (1, 1, 7, 7, 8, 32),
        (1, 3, 4096, 7, 8, 16),
        (2, 2, 50, 60, 3, 24),
    ];
    for (bq, bk, nq, nk, heads, d) in cases {
        // f32, then f16 and bf16 with a bias where the case has one, and the 16-bit types without.
        for ((dtype, tolerance), biased) in TYPES.into_iter().map(|t| (t, true)).chain(TYPES.into_iter().skip(1).map(|t| (t, false))) {
            let tensor = |b: usize, n: usize, seed| rounded(&random(&[b, n, heads * d], seed), dtype);
            let (q, k, v) = (tensor(bq, nq, 1), tensor(bk, nk, 2), tensor(bk, nk, 3));
            let bias = (biased && nq * nk < 200_000).then(|| random(&[heads, nq, nk], 4));
            let (gq, gk, gv) = (report.up(&q, dtype)?, report.up(&k, dtype)?, report.up(&v, dtype)?);
            let gb = bias.as_ref().filter(|_| d != 24).map(|b| report.up(b, DType::F32)).transpose()?;
            let bias = bias.filter(|_| d != 24);
            let expected = ops::attention(&q, &k, &v, heads, 0.5, bias.as_ref()).map_err(text)?;
            let found = ops::attention(&gq, &gk, &gv, heads, 0.5, gb.as_ref()).map_err(text);
            let name = format!("{bq}/{bk} {nq}×{nk}, {heads} heads of {d}, {dtype:?}, bias {}", bias.is_some());
            report.compare(&name, found, &expected, tolerance);
        }
    }
    report.finish()
}

pub(crate) fn windows(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    for (h, w, heads, window) in [(128, 128, 4, 7), (64, 64, 5, 14), (64, 64, 10, 7), (20, 31, 2, 7), (15, 29, 3, 14), (16, 16, 2, 8)] {
        for (dtype, tolerance) in TYPES {
            let c = heads * 32;
            let qkv = rounded(&random(&[2, h, w, 3 * c], 1), dtype);
            let padding = rounded(&random(&[3 * c], 2), dtype);
            let bias = rounded(&random(&[heads, window * window, window * window], 3), dtype);
            let cpu = ops::WindowAttention::new(&padding, window, heads, 0.2, Some(&bias)).map_err(text)?;
            let gpu =
                ops::WindowAttention::new(&report.up(&padding, DType::F32)?, window, heads, 0.2, Some(&report.up(&bias, DType::F32)?));
            let found = gpu.and_then(|g| g.forward(&report.up(&qkv, dtype).map_err(candle_core::Error::msg)?)).map_err(text);
            report.compare(
                &format!("{h}×{w}, {heads} heads, window {window}, {dtype:?}"),
                found,
                &cpu.forward(&qkv).map_err(text)?,
                tolerance,
            );
        }
    }
    report.finish()
}

pub(crate) fn deformable(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    for (levels, points, heads, d) in [
        (vec![(80, 80), (40, 40), (20, 20)], vec![3, 6, 3], 8, 32),
        (vec![(40, 40), (20, 20)], vec![6, 6], 8, 16),
        (vec![(7, 5)], vec![4], 2, 6),
    ] {
        let (tokens, total): (usize, usize) = (levels.iter().map(|(h, w)| h * w).sum(), points.iter().sum());
        for (dtype, tolerance) in TYPES {
            let value = rounded(&random(&[2, tokens, heads * d], 1), dtype);
            let sampled = random(&[2, 300, 3 * heads * total], 2).affine(2.0, 0.0).map_err(text)?;
            let boxes = random(&[2, 300, 4], 3).affine(0.5, 0.5).map_err(text)?;
            let own = (report.up(&value, dtype)?, report.up(&boxes, DType::F32)?, report.up(&sampled, DType::F32)?);
            let expected = ops::deformable_attention_around(&value, &levels, &points, heads, &boxes, &sampled).map_err(text)?;
            let found = ops::deformable_attention_around(&own.0, &levels, &points, heads, &own.1, &own.2).map_err(text);
            report.compare(&format!("{levels:?} {points:?} {heads}×{d} {dtype:?}"), found, &expected, tolerance);
        }
    }
    report.finish()
}

/// Copies of views and conversions, to the bit.
pub(crate) fn layout(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let numbers = random(&[4, 1, 5, 24], 1);
    type View = fn(&Tensor) -> candle_core::Result<Tensor>;
    let views: [(&str, View); 7] = [
        ("transposed", |x| x.transpose(0, 2)),
        ("permuted", |x| x.permute((3, 1, 2, 0))),
        ("parts of 16 bytes", |x| x.narrow(3, 8, 16)),
        ("odd parts", |x| x.narrow(3, 3, 7)),
        ("some rows", |x| x.narrow(2, 1, 3)),
        ("repeated", |x| x.broadcast_as((4, 3, 5, 24))),
        ("a repeated part", |x| x.narrow(3, 1, 5)?.unsqueeze(1)?.broadcast_as((4, 2, 1, 5, 5))),
    ];
    for (dtype, _) in TYPES {
        let (x, own) = (rounded(&numbers, dtype), report.up(&numbers, dtype)?);
        for (what, view) in views {
            let expected = view(&x).and_then(|x| x.contiguous()).map_err(text)?;
            let found = view(&own).and_then(|x| ops::contiguous(&x)).map_err(text);
            report.compare(&format!("{what} {dtype:?}"), found, &expected, 0.0);
        }
        let rows = |x: &Tensor| -> candle_core::Result<Tensor> {
            let one = x.narrow(0, 1, 1)?.flatten_from(1)?.broadcast_as((4, 120))?;
            ops::concat_channels(&[&one, &x.flatten_from(1)?])
        };
        report.compare(&format!("a row beside each {dtype:?}"), rows(&own).map_err(text), &rows(&x).map_err(text)?, 0.0);
        let found = ops::convert(&report.up(&numbers, DType::F32)?, dtype).map_err(text);
        report.compare(&format!("f32 as {dtype:?}"), found, &x, 0.0);
    }
    let bytes = numbers.affine(100.0, 128.0).and_then(|x| x.to_dtype(DType::U8)).map_err(text)?;
    let expected = bytes.transpose(0, 2).and_then(|x| x.contiguous()?.to_dtype(DType::F32)).map_err(text)?;
    let found = report.up(&bytes, DType::U8)?.transpose(0, 2).and_then(|x| ops::contiguous(&x)).map_err(text)?;
    let found = engine.download_u8(Stage::Pack, &found).map_err(text)?.into_iter().map(f32::from).collect::<Vec<_>>();
    report.numbers("bytes", &found, &expected.flatten_all().and_then(|x| x.to_vec1()).map_err(text)?, 0.0);
    report.finish()
}

pub(crate) fn selection(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    for (rows, n, k) in [(1, 8400, 300), (8, 8400, 300), (3, 2000, 300), (5, 33, 4), (2, 300, 300), (1, 40000, 300)] {
        for (what, x) in [
            ("random", random(&[rows, n], 1)),
            ("with many ties", random(&[rows, n], 2).affine(5.0, 0.0).and_then(|x| x.floor()).map_err(text)?),
            ("all equal", Tensor::zeros((rows, n), DType::F32, &Device::Cpu).map_err(text)?),
        ] {
            let found = report.up(&x, DType::F32).and_then(|x| ops::top_k(&x, k).map_err(text));
            let expected = ops::top_k(&x, k).map_err(text)?;
            report.compare(&format!("top {k} of {n}, {rows} rows, {what}"), found, &expected, 0.0);
        }
    }
    for (dtype, _) in TYPES {
        let (b, n, c, classes, k) = (2, 500, 64, 80, 30);
        let x = rounded(&random(&[b, n, c], 3), dtype);
        let (scores, blank, blank_score) = (random(&[b, n, classes], 4), rounded(&random(&[1, 1, c], 5), dtype), random(&[1, 1], 6));
        let valid = random(&[1, n], 7).ge(0f32).and_then(|v| v.to_dtype(DType::F32)).map_err(text)?;
        let anchors = random(&[1, n, 4], 8);
        let best = ops::best_scores(&scores, &valid, &blank_score).map_err(text)?;
        let [gs, gv, gb, ga, gbs] = [&scores, &valid, &blank, &anchors, &blank_score].map(|t| report.up(t, DType::F32));
        let (gv, gb, ga) = (gv?, gb?, ga?);
        let found = ops::best_scores(&gs?, &gv, &gbs?).map_err(text);
        report.compare(&format!("best scores {dtype:?}"), found, &best, 0.0);
        let index = ops::top_k(&best, k).map_err(text)?;
        let (content, places) = ops::gather_queries(&x, &index, &valid, &blank, &anchors).map_err(text)?;
        let found = ops::gather_queries(&report.up(&x, dtype)?, &report.up(&index, dtype)?, &gv, &gb, &ga).map_err(text);
        let (found_content, found_places) = match found {
            Ok((content, places)) => (Ok(content), Ok(places)),
            Err(e) => (Err(e.clone()), Err(e)),
        };
        report.compare(&format!("rows by index {dtype:?}"), found_content, &content, 0.0);
        report.compare("anchors by index", found_places, &places, 0.0);
    }
    report.finish()
}

pub(crate) fn boxes(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    for (bins, top) in [(33, 4), (9, 2), (101, 7)] {
        let logits = random(&[2, 300, 4 * bins], 1).affine(5.0, 0.0).map_err(text)?;
        let (reference, offsets) = (random(&[2, 300, 4], 2), random(&[1, bins], 3));
        let [gl, gr, go] = [&logits, &reference, &offsets].map(|t| report.up(t, DType::F32));
        let (gl, gr, go) = (gl?, gr?, go?);
        let expected = ops::refine_boxes(&logits, &reference, &offsets, 4.0).map_err(text)?;
        report.compare(&format!("boxes of {bins} bins"), ops::refine_boxes(&gl, &gr, &go, 4.0).map_err(text), &expected, 1e-6);
        let expected = ops::top_probabilities(&logits, bins, top).map_err(text)?;
        report.compare(&format!("{top} best of {bins} bins"), ops::top_probabilities(&gl, bins, top).map_err(text), &expected, 2e-6);
        let expected = ops::inverse_sigmoid(&reference).map_err(text)?;
        report.compare("inverse sigmoid", ops::inverse_sigmoid(&gr).map_err(text), &expected, 1e-6);
    }
    let (points, frequencies, added) = (random(&[9, 3, 7], 4), random(&[2, 128], 5), random(&[3, 256], 6));
    let points = points.affine(400.0, 500.0).and_then(|p| p.narrow(2, 2, 2)).map_err(text)?;
    let [p, f, a] = [&points, &frequencies, &added].map(|t| report.up(t, DType::F32));
    let (p, f, a, by) = (p?, f?, a?, (1.0 / 1024.0, 0.5 / 1024.0));
    for (name, added, own) in [("alone", None, None), ("and kinds", Some(&added), Some(&a))] {
        let expected = ops::fourier_features(&points, by, &frequencies, added).map_err(text)?;
        report.compare(&format!("positions {name}"), ops::fourier_features(&p, by, &f, own).map_err(text), &expected, 1e-6);
    }
    let (tokens, kinds) = (random(&[5, 3, 7], 61).affine(3.0, 0.5).map_err(text)?, random(&[5, added.dim(1).map_err(text)?], 62));
    let expected = ops::token_features(&tokens, by, &frequencies, &kinds).map_err(text)?;
    let (t, k) = (report.up(&tokens, DType::F32)?, report.up(&kinds, DType::F32)?);
    report.compare("tokens", ops::token_features(&t, by, &f, &k).map_err(text), &expected, 2e-6);
    report.finish()
}

pub(crate) fn resize(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let cases = [
        ((1080, 1920, 3), (640, 640), (640, 640), 3),
        ((1080, 1920, 3), (576, 1024), (1024, 1024), 3),
        ((37, 51, 1), (64, 40), (64, 48), 3),
        ((37, 51, 3), (64, 40), (70, 40), 1),
        ((640, 640, 3), (640, 640), (640, 640), 3),
        ((480, 700, 1), (512, 512), (512, 512), 1),
        ((3000, 2000, 3), (32, 16), (32, 32), 3),
        ((5, 20000, 1), (5, 40), (5, 40), 1),
    ];
    for ((h, w, c), size, padded, channels) in cases {
        let image = random(&[h, w, c], 1).affine(127.9, 128.0).and_then(|x| x.to_dtype(DType::U8)).map_err(text)?;
        let own = engine.upload_tensor(Stage::Decode, &image).map_err(text)?;
        let mean = if channels == 1 { Normalisation::UNIT } else { Normalisation::IMAGENET };
        let expected = ops::resize_normalise(&image, size, padded, channels, &mean, DType::F32).map_err(text)?;
        for (dtype, tolerance) in TYPES {
            let found = ops::resize_normalise(&own, size, padded, channels, &mean, dtype).map_err(text);
            report.compare(
                &format!("{h}×{w}×{c} to {size:?} in {padded:?} of {channels}, {dtype:?}"),
                found,
                &expected,
                if dtype == DType::F32 { 1e-7 } else { tolerance },
            );
        }
    }
    report.finish()
}

pub(crate) fn masks(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    for (scaled, frame) in [
        ((576, 1024), (1080, 1920)),
        ((768, 1024), (417, 556)),
        ((1024, 1024), (1024, 1024)),
        ((1024, 512), (100, 50)),
        ((1024, 3), (2000, 5)),
    ] {
        let coarse = random(&[3, 16, 16], 1).affine(3.0, -0.2).map_err(text)?;
        let logits = ops::composed::resize_bilinear(&coarse, (256, 256)).map_err(text)?;
        let logits = (logits + random(&[3, 256, 256], 2).affine(0.2, 0.0).map_err(text)?).map_err(text)?;
        let expected = ops::masks_to_runs(&logits, 1024, scaled, frame).map_err(text)?;
        let bits = report.up(&logits, DType::F32).and_then(|l| ops::masks_to_bits(&l, 1024, scaled, frame).map_err(text));
        let numbers = bits.and_then(|b| engine.download_u32(Stage::Mask, &b).map_err(text));
        match numbers {
            Err(message) => report.check(&format!("masks {scaled:?} to {frame:?}: {message}"), false),
            Ok(numbers) => {
                let found = ops::bits_to_runs(&numbers, frame);
                let area: Vec<u64> = expected.iter().map(|m| m.area).collect();
                report.check(&format!("masks {scaled:?} to {frame:?}: the CPU's {area:?}"), found == expected);
                let row = numbers.len() / 3;
                for (i, mask) in found.iter().enumerate() {
                    let edges = tight_box(&mask.counts, frame);
                    let said = numbers
                        .get(i * row + 1..i * row + 5)
                        .map(|n| [frame.1 - n[0] as usize, frame.0 - n[1] as usize, n[2] as usize, n[3] as usize]);
                    report.check(&format!("  box {edges:?}, {said:?}"), mask.area == 0 || said == edges);
                }
            }
        }
    }
    report.finish()
}

/// Left, top, right and bottom edge of column-major runs.
fn tight_box(counts: &[u32], (height, _): (usize, usize)) -> Option<[usize; 4]> {
    let (mut at, mut found) = (0usize, None::<[usize; 4]>);
    for (i, &run) in counts.iter().enumerate() {
        for pixel in at..at + run as usize {
            let (x, y) = (pixel / height, pixel % height);
            if i % 2 == 1 {
                let b = found.get_or_insert([x, y, x + 1, y + 1]);
                *b = [b[0].min(x), b[1].min(y), b[2].max(x + 1), b[3].max(y + 1)];
            }
        }
        at += run as usize;
    }
    found
}
