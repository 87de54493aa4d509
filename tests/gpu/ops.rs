//! Each operation on the device against the CPU's.

use crate::{
    products::ACTIVATIONS,
    report::{Outcome, Report, TYPES, random, rounded, text, wanted},
};
use candle_core::{DType, Device, Tensor};
use candle_nn::Module;
use ultramotion::{
    engine::Engine,
    ops::{self, Activation, LayerNorm, Normalisation, Padding, PositionBias},
    session::Stage,
};

pub(crate) fn norm(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    // Of many rows threads make several each.
    let few = [16, 64, 100, 256, 320, 700].map(|channels| (channels, 50));
    let many = [(64, 21901), (128, 10951), (160, 5477), (320, 5479)];
    for (channels, rows) in few.into_iter().chain(many) {
        for (dtype, tolerance) in TYPES {
            let x = rounded(
                &random(&[3, rows, channels], 1)
                    .affine(3.0, 1.0)
                    .map_err(text)?,
                dtype,
            );
            let (weight, bias) = (random(&[channels], 2), random(&[channels], 3));
            let cpu = LayerNorm::new(&weight, &bias, 1e-5);
            let gpu = LayerNorm::new(
                &report.up(&weight, DType::F32)?,
                &report.up(&bias, DType::F32)?,
                1e-5,
            );
            let gx = report.up(&x, dtype)?;
            let name = format!("{rows}×{channels} {dtype:?}");
            report.compare(
                &name,
                gpu.forward(&gx).map_err(text),
                &cpu.forward(&x).map_err(text)?,
                tolerance,
            );
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
            let (seen, gates) = (
                rounded(&random(&[3, rows, channels], 4), dtype),
                rounded(&random(&[3, rows, 2 * channels], 5), dtype),
            );
            let (gs, gg) = (report.up(&seen, dtype)?, report.up(&gates, dtype)?);
            report.compare(
                &format!("gated {name}"),
                gpu.forward_gated(&gg, &gx, &gs).map_err(text),
                &cpu.forward_gated(&gates, &x, &seen).map_err(text)?,
                tolerance,
            );
            report.compare(
                &format!("softmax {name}"),
                ops::softmax(&gx).map_err(text),
                &ops::softmax(&x).map_err(text)?,
                tolerance,
            );
        }
    }
    report.finish()
}

pub(crate) fn pointwise(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    for (dtype, tolerance) in TYPES {
        let x = rounded(
            &random(&[2, 13, 17, 24], 1).affine(4.0, 0.0).map_err(text)?,
            dtype,
        );
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
                let found = report
                    .up(&other, own)
                    .and_then(|o| ops::add(&gx, &o).map_err(text));
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
        report.compare(
            &format!("side by side {dtype:?}"),
            ops::concat_channels(&[&own, &gx]).map_err(text),
            &expected,
            0.0,
        );
        report.compare(
            &format!("upsampled {dtype:?}"),
            ops::upsample_nearest2x(&gx).map_err(text),
            &ops::upsample_nearest2x(&x).map_err(text)?,
            0.0,
        );
        let corner = Padding {
            top: 0,
            bottom: 1,
            left: 0,
            right: 1,
        };
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
        (2, 2, 300, 300, 8, 16),
        (2, 2, 33, 1100, 4, 16),
        (1, 1, 400, 400, 8, 48),
        (3, 3, 7, 4096, 8, 16),
        (3, 3, 4096, 7, 8, 16),
        (1, 1, 7, 7, 8, 32),
        (1, 3, 4096, 7, 8, 16),
        (2, 2, 50, 60, 3, 24),
    ];
    for (bq, bk, nq, nk, heads, d) in cases {
        // f32, then f16 and bf16 with a bias where the case has one, and the 16-bit types without.
        for ((dtype, tolerance), biased) in TYPES
            .into_iter()
            .map(|t| (t, true))
            .chain(TYPES.into_iter().skip(1).map(|t| (t, false)))
        {
            let tensor =
                |b: usize, n: usize, seed| rounded(&random(&[b, n, heads * d], seed), dtype);
            let (q, k, v) = (tensor(bq, nq, 1), tensor(bk, nk, 2), tensor(bk, nk, 3));
            let bias = (biased && nq * nk < 200_000).then(|| random(&[heads, nq, nk], 4));
            let (gq, gk, gv) = (
                report.up(&q, dtype)?,
                report.up(&k, dtype)?,
                report.up(&v, dtype)?,
            );
            let gb = bias
                .as_ref()
                .filter(|_| d != 24)
                .map(|b| report.up(b, DType::F32))
                .transpose()?;
            let bias = bias.filter(|_| d != 24);
            let expected = ops::attention(&q, &k, &v, heads, 0.5, bias.as_ref()).map_err(text)?;
            let found = ops::attention(&gq, &gk, &gv, heads, 0.5, gb.as_ref()).map_err(text);
            let name = format!(
                "{bq}/{bk} {nq}×{nk}, {heads} heads of {d}, {dtype:?}, bias {}",
                bias.is_some()
            );
            report.compare(&name, found, &expected, tolerance);
        }
    }
    report.finish()
}

pub(crate) fn windows(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    for (b, h, w, heads, window) in [
        (1, 128, 128, 4, 7),
        (1, 64, 64, 5, 14),
        (2, 64, 64, 10, 7),
        (8, 64, 64, 5, 14),
        (3, 20, 31, 3, 7),
        (3, 15, 29, 3, 14),
        (8, 28, 14, 2, 14),
        (8, 7, 6, 1, 7),
        // On 132 multiprocessors a block works on four images, and on two or one.
        (8, 70, 70, 2, 14),
        (3, 70, 70, 2, 14),
        (2, 16, 16, 2, 8),
    ] {
        for (dtype, tolerance) in TYPES {
            let c = heads * 32;
            let qkv = rounded(&random(&[b, h, w, 3 * c], 1), dtype);
            let padding = rounded(&random(&[3 * c], 2), dtype);
            let distances = random(&[heads, window * window], 3)
                .affine(3.0, 0.0)
                .map_err(text)?;
            let bias = PositionBias::new(&distances, 0.2).map_err(text)?;
            let cpu = ops::WindowAttention::new(&padding, window, heads, 0.2, Some(&bias))
                .map_err(text)?;
            let gpu = ops::WindowAttention::new(
                &report.up(&padding, DType::F32)?,
                window,
                heads,
                0.2,
                Some(&bias.placed(|tensor| report.up(tensor, DType::F32))?),
            );
            let found = gpu
                .and_then(|g| g.forward(&report.up(&qkv, dtype).map_err(candle_core::Error::msg)?))
                .map_err(text);
            report.compare(
                &format!("{b}×{h}×{w}, {heads} heads, window {window}, {dtype:?}"),
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
        let (tokens, total): (usize, usize) =
            (levels.iter().map(|(h, w)| h * w).sum(), points.iter().sum());
        for (dtype, tolerance) in TYPES {
            let value = rounded(&random(&[2, tokens, heads * d], 1), dtype);
            let sampled = random(&[2, 300, 3 * heads * total], 2)
                .affine(2.0, 0.0)
                .map_err(text)?;
            let boxes = random(&[2, 300, 4], 3).affine(0.5, 0.5).map_err(text)?;
            let own = (
                report.up(&value, dtype)?,
                report.up(&boxes, DType::F32)?,
                report.up(&sampled, DType::F32)?,
            );
            let expected =
                ops::deformable_attention_around(&value, &levels, &points, heads, &boxes, &sampled)
                    .map_err(text)?;
            let found =
                ops::deformable_attention_around(&own.0, &levels, &points, heads, &own.1, &own.2)
                    .map_err(text);
            report.compare(
                &format!("{levels:?} {points:?} {heads}×{d} {dtype:?}"),
                found,
                &expected,
                tolerance,
            );
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
        ("a repeated part", |x| {
            x.narrow(3, 1, 5)?
                .unsqueeze(1)?
                .broadcast_as((4, 2, 1, 5, 5))
        }),
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
        report.compare(
            &format!("a row beside each {dtype:?}"),
            rows(&own).map_err(text),
            &rows(&x).map_err(text)?,
            0.0,
        );
        let found = ops::convert(&report.up(&numbers, DType::F32)?, dtype).map_err(text);
        report.compare(&format!("f32 as {dtype:?}"), found, &x, 0.0);
    }
    let bytes = numbers
        .affine(100.0, 128.0)
        .and_then(|x| x.to_dtype(DType::U8))
        .map_err(text)?;
    let expected = bytes
        .transpose(0, 2)
        .and_then(|x| x.contiguous()?.to_dtype(DType::F32))
        .map_err(text)?;
    let found = report
        .up(&bytes, DType::U8)?
        .transpose(0, 2)
        .and_then(|x| ops::contiguous(&x))
        .map_err(text)?;
    let found = engine
        .download_u8(Stage::Pack, &found)
        .map_err(text)?
        .into_iter()
        .map(f32::from)
        .collect::<Vec<_>>();
    report.numbers(
        "bytes",
        &found,
        &expected
            .flatten_all()
            .and_then(|x| x.to_vec1())
            .map_err(text)?,
        0.0,
    );
    report.finish()
}

pub(crate) fn selection(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    for (rows, n, k) in [
        (1, 8400, 300),
        (8, 8400, 300),
        (3, 2000, 300),
        (5, 33, 4),
        (2, 300, 300),
        (1, 40000, 300),
        (2, 8400, 1500),
        (2, 20000, 100),
    ] {
        // Of a block's 1024 threads, each of which has every 1024th number.
        let few = (0..n).map(|at| if at % 1024 < 64 { 10f32 } else { 0.0 });
        let few = Tensor::from_vec(few.collect::<Vec<_>>(), n, &Device::Cpu).map_err(text)?;
        for (what, x) in [
            ("random", random(&[rows, n], 1)),
            (
                "with many ties",
                random(&[rows, n], 2)
                    .affine(5.0, 0.0)
                    .and_then(|x| x.floor())
                    .map_err(text)?,
            ),
            (
                "with some ties",
                random(&[rows, n], 4)
                    .affine(1000.0, 0.0)
                    .and_then(|x| x.round())
                    .map_err(text)?,
            ),
            (
                "the greatest with few threads",
                random(&[rows, n], 3).broadcast_add(&few).map_err(text)?,
            ),
            (
                "all equal",
                Tensor::zeros((rows, n), DType::F32, &Device::Cpu).map_err(text)?,
            ),
        ] {
            let found = report
                .up(&x, DType::F32)
                .and_then(|x| ops::top_k(&x, k).map_err(text));
            let expected = ops::top_k(&x, k).map_err(text)?;
            report.compare(
                &format!("top {k} of {n}, {rows} rows, {what}"),
                found,
                &expected,
                0.0,
            );
        }
    }
    for (dtype, _) in TYPES {
        let (b, n, c, classes, k) = (2, 500, 64, 80, 30);
        let x = rounded(&random(&[b, n, c], 3), dtype);
        let (scores, blank, blank_score) = (
            random(&[b, n, classes], 4),
            rounded(&random(&[1, 1, c], 5), dtype),
            random(&[1, 1], 6),
        );
        let valid = random(&[1, n], 7)
            .ge(0f32)
            .and_then(|v| v.to_dtype(DType::F32))
            .map_err(text)?;
        let anchors = random(&[1, n, 4], 8);
        let best = ops::best_scores(&scores, &valid, &blank_score).map_err(text)?;
        let [gs, gv, gb, ga, gbs] =
            [&scores, &valid, &blank, &anchors, &blank_score].map(|t| report.up(t, DType::F32));
        let (gv, gb, ga) = (gv?, gb?, ga?);
        let found = ops::best_scores(&gs?, &gv, &gbs?).map_err(text);
        report.compare(&format!("best scores {dtype:?}"), found, &best, 0.0);
        let index = ops::top_k(&best, k).map_err(text)?;
        let (content, places) =
            ops::gather_queries(&x, &index, &valid, &blank, &anchors).map_err(text)?;
        let found = ops::gather_queries(
            &report.up(&x, dtype)?,
            &report.up(&index, dtype)?,
            &gv,
            &gb,
            &ga,
        )
        .map_err(text);
        let (found_content, found_places) = match found {
            Ok((content, places)) => (Ok(content), Ok(places)),
            Err(e) => (Err(e.clone()), Err(e)),
        };
        report.compare(
            &format!("rows by index {dtype:?}"),
            found_content,
            &content,
            0.0,
        );
        report.compare("anchors by index", found_places, &places, 0.0);
    }
    report.finish()
}

pub(crate) fn boxes(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    for (bins, top) in [(33, 4), (9, 2), (101, 7)] {
        let logits = random(&[2, 300, 4 * bins], 1)
            .affine(5.0, 0.0)
            .map_err(text)?;
        let (reference, offsets) = (random(&[2, 300, 4], 2), random(&[1, bins], 3));
        let [gl, gr, go] = [&logits, &reference, &offsets].map(|t| report.up(t, DType::F32));
        let (gl, gr, go) = (gl?, gr?, go?);
        let expected = ops::refine_boxes(&logits, &reference, &offsets, 4.0).map_err(text)?;
        report.compare(
            &format!("boxes of {bins} bins"),
            ops::refine_boxes(&gl, &gr, &go, 4.0).map_err(text),
            &expected,
            1e-6,
        );
        let expected = ops::top_probabilities(&logits, bins, top).map_err(text)?;
        report.compare(
            &format!("{top} best of {bins} bins"),
            ops::top_probabilities(&gl, bins, top).map_err(text),
            &expected,
            2e-6,
        );
        let expected = ops::inverse_sigmoid(&reference).map_err(text)?;
        report.compare(
            "inverse sigmoid",
            ops::inverse_sigmoid(&gr).map_err(text),
            &expected,
            1e-6,
        );
    }
    let (points, frequencies, added) = (
        random(&[9, 3, 7], 4),
        random(&[2, 128], 5),
        random(&[3, 256], 6),
    );
    let points = points
        .affine(400.0, 500.0)
        .and_then(|p| p.narrow(2, 2, 2))
        .map_err(text)?;
    let [p, f, a] = [&points, &frequencies, &added].map(|t| report.up(t, DType::F32));
    let (p, f, a, by) = (p?, f?, a?, (1.0 / 1024.0, 0.5 / 1024.0));
    for (name, added, own) in [("alone", None, None), ("and kinds", Some(&added), Some(&a))] {
        let expected = ops::fourier_features(&points, by, &frequencies, added).map_err(text)?;
        report.compare(
            &format!("positions {name}"),
            ops::fourier_features(&p, by, &f, own).map_err(text),
            &expected,
            1e-6,
        );
    }
    let (tokens, kinds) = (
        random(&[5, 3, 7], 61).affine(3.0, 0.5).map_err(text)?,
        random(&[5, added.dim(1).map_err(text)?], 62),
    );
    let expected = ops::token_features(&tokens, by, &frequencies, &kinds).map_err(text)?;
    let (t, k) = (
        report.up(&tokens, DType::F32)?,
        report.up(&kinds, DType::F32)?,
    );
    report.compare(
        "tokens",
        ops::token_features(&t, by, &f, &k).map_err(text),
        &expected,
        2e-6,
    );
    report.finish()
}

/// An image's height, width and channels, the size it is brought to, that with what is added, and its channels then.
type Resize = ((usize, usize, usize), (usize, usize), (usize, usize), usize);

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
    let work = |((h, w, c), _, (y, x), n): &Resize| 8 * (h * w * c + y * x * n);
    for (_, ((h, w, c), size, padded, channels)) in wanted(cases, work) {
        let image = random(&[h, w, c], 1)
            .affine(127.9, 128.0)
            .and_then(|x| x.to_dtype(DType::U8))
            .map_err(text)?;
        let own = engine.upload_tensor(Stage::Decode, &image).map_err(text)?;
        let mean = if channels == 1 {
            Normalisation::UNIT
        } else {
            Normalisation::IMAGENET
        };
        let expected = ops::resize_normalise(&image, size, padded, channels, &mean, DType::F32)
            .map_err(text)?;
        for (dtype, tolerance) in TYPES {
            let found =
                ops::resize_normalise(&own, size, padded, channels, &mean, dtype).map_err(text);
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
        let logits = ops::reference::resize_bilinear(&coarse, (256, 256)).map_err(text)?;
        let logits =
            (logits + random(&[3, 256, 256], 2).affine(0.2, 0.0).map_err(text)?).map_err(text)?;
        let expected = ops::masks_to_runs(&logits, 1024, scaled, frame).map_err(text)?;
        let bits = report
            .up(&logits, DType::F32)
            .and_then(|l| ops::masks_to_bits(&l, 1024, scaled, frame).map_err(text));
        let packed = bits
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|bits| packed_masks(engine, bits, frame));
        report.check(
            &format!("masks {scaled:?} to {frame:?}, moved together"),
            packed.as_ref() == Ok(&expected),
        );
        let numbers = bits.and_then(|b| engine.download_u32(Stage::Masks, &b).map_err(text));
        match numbers {
            Err(message) => {
                report.check(&format!("masks {scaled:?} to {frame:?}: {message}"), false)
            }
            Ok(numbers) => {
                let found = ops::bits_to_runs(&numbers, frame);
                let area: Vec<u64> = expected.iter().map(|m| m.area).collect();
                report.check(
                    &format!("masks {scaled:?} to {frame:?}: the CPU's {area:?}"),
                    found == expected,
                );
                let row = numbers.len() / 3;
                for (i, mask) in found.iter().enumerate() {
                    let edges = tight_box(&mask.counts, frame);
                    let said = numbers.get(i * row + 1..i * row + 5).map(|n| {
                        [
                            frame.1 - n[0] as usize,
                            frame.0 - n[1] as usize,
                            n[2] as usize,
                            n[3] as usize,
                        ]
                    });
                    report.check(
                        &format!("  box {edges:?}, {said:?}"),
                        mask.area == 0 || said == edges,
                    );
                }
            }
        }
    }
    report.finish()
}

/// What is read of masks that were moved together into just enough room; an error where they are said to fit into less.
fn packed_masks(
    engine: &Engine,
    rows: &Tensor,
    frame: (usize, usize),
) -> Result<Vec<ops::PackedMask>, String> {
    let n = rows.dim(0).map_err(text)?;
    let read = |room: usize| {
        let words = ops::packed_words(n, room);
        let out = Tensor::full(7u32, words, rows.device()).map_err(text)?;
        ops::pack_masks(rows, None, &out).map_err(text)?;
        engine.download_u32(Stage::Masks, &out).map_err(text)
    };
    let needed = |numbers: &[u32]| ops::PackedMasks::new(numbers, n).needed(n, |_| frame);
    let room = needed(&read(0)?);
    let numbers = read(room)?;
    let masks = ops::PackedMasks::new(&numbers, n);
    if needed(&read(room - 1)?) != room {
        return Err(format!("{room} numbers are needed"));
    }
    let one = |at| masks.mask(at, frame).ok_or(format!("mask {at} is missing"));
    (0..n).map(one).collect()
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
