//! Times: graphs replayed, and what each kernel takes.

use crate::{
    models::{detector, image, pixels, prompt_boxes, segmenter},
    report::{Outcome, Report, text},
};
use candle_core::{DType, Tensor};
use std::time::Instant;
use ultramotion::{
    engine::{Engine, GraphCache},
    models::mobile_sam::Prompts,
    ops::{KernelTime, kernel_times},
    session::ModelError,
};

/// Median and least time of a replay in milliseconds, its input's copy included, and that of replays one after another.
fn replay(
    engine: &Engine,
    what: &str,
    inputs: &[&Tensor],
    work: impl Fn(&[Tensor]) -> Result<Vec<Tensor>, ModelError>,
) {
    let mut replays = GraphCache::default();
    let mut timed = || -> Result<(f64, f64, f64, f64), ModelError> {
        let mut run = || replays.replay(engine, 0, inputs, &work);
        for _ in 0..10 {
            run()?;
        }
        engine.synchronise()?;
        let mut times = Vec::new();
        let mut host = Vec::new();
        for _ in 0..100 {
            let start = Instant::now();
            run()?;
            host.push(start.elapsed().as_secs_f64() * 1e3);
            engine.synchronise()?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        host.sort_by(f64::total_cmp);
        let start = Instant::now();
        for _ in 0..100 {
            run()?;
        }
        engine.synchronise()?;
        Ok((
            times[50],
            times[0],
            start.elapsed().as_secs_f64() * 10.0,
            host[50],
        ))
    };
    match timed() {
        Ok((median, least, flow, host)) => {
            println!(
                "  {what:<34} median {median:.3} ms, least {least:.3}, back to back {flow:.3}, host {host:.3}; nodes {:?}",
                replays.nodes()
            );
        }
        Err(e) => println!("  {what:<34} ERROR {e}"),
    }
}

pub(crate) fn dfine(engine: &Engine) -> Outcome {
    let report = Report::new(engine);
    for size in ["n", "s", "m", "l", "x"] {
        let model = detector(engine, size)?;
        let cases: &[(usize, DType)] = match size {
            "l" | "x" => &[(1, DType::F16)],
            _ => &[
                (1, DType::F16),
                (8, DType::F16),
                (1, DType::BF16),
                (1, DType::F32),
            ],
        };
        for &(batch, dtype) in cases {
            let x = report.up(&pixels(batch)?, dtype)?;
            replay(
                engine,
                &format!("D-FINE-{size} batch {batch} {dtype:?}"),
                &[&x],
                |inputs| {
                    let output = model.forward(&inputs[0])?;
                    Ok(vec![output.logits, output.pred_boxes])
                },
            );
        }
    }
    if let Ok(Some((free, total))) = engine.memory() {
        println!("  memory in use {} MiB", (total - free) >> 20);
    }
    report.finish()
}

pub(crate) fn mobile_sam(engine: &Engine) -> Outcome {
    let report = Report::new(engine);
    let model = segmenter(engine)?;
    for (batch, dtype) in [
        (1, DType::F16),
        (8, DType::F16),
        (1, DType::BF16),
        (1, DType::F32),
    ] {
        let x = report.up(&image(batch)?, dtype)?;
        replay(
            engine,
            &format!("encoder batch {batch} {dtype:?}"),
            &[&x],
            |inputs| Ok(vec![model.encode(&inputs[0])?]),
        );
    }
    for (boxes, dtype) in [(1, DType::F16), (8, DType::F16), (1, DType::F32)] {
        let embedding = model.encode(&report.up(&image(1)?, dtype)?).map_err(text)?;
        let prompts = report.up(&prompt_boxes(boxes)?, DType::F32)?;
        replay(
            engine,
            &format!("decoder {boxes} boxes {dtype:?}"),
            &[&embedding, &prompts],
            |inputs| {
                let output = model.decode(&inputs[0], &Prompts::from_boxes(&inputs[1])?, false)?;
                Ok(vec![output.low_res_masks, output.iou_predictions])
            },
        );
    }
    report.finish()
}

/// Kernels by name with the sum of their times, then all launches in order.
fn table(what: &str, times: &[KernelTime]) {
    let total: f32 = times.iter().map(|t| t.microseconds).sum();
    println!("  {what}: {} launches, {total:.1} µs", times.len());
    let mut names: Vec<&str> = times.iter().map(|t| t.kernel).collect();
    names.sort_unstable();
    names.dedup();
    let of = |name: &str| -> (usize, f32) {
        let own: Vec<f32> = times
            .iter()
            .filter(|t| t.kernel == name)
            .map(|t| t.microseconds)
            .collect();
        (own.len(), own.iter().sum())
    };
    let mut sums: Vec<(&str, usize, f32)> = names
        .into_iter()
        .map(|name| (name, of(name).0, of(name).1))
        .collect();
    sums.sort_by(|a, b| b.2.total_cmp(&a.2));
    for (name, count, sum) in sums {
        println!(
            "    {name:<28} {count:>4} × {:>8.2} = {sum:>9.1} µs",
            sum / count as f32
        );
    }
    for t in times {
        println!("      {:<26} {:?} {:.2}", t.kernel, t.grid, t.microseconds);
    }
}

pub(crate) fn kernels_dfine(engine: &Engine, size: &str) -> Outcome {
    let report = Report::new(engine);
    let model = detector(engine, size)?;
    for batch in [1, 8] {
        let x = report.up(&pixels(batch)?, DType::F16)?;
        model.forward(&x).map_err(text)?;
        let times = kernel_times(|| model.forward(&x).map(drop)).map_err(text)?;
        table(&format!("D-FINE-{size} batch {batch}"), &times);
    }
    report.finish()
}

pub(crate) fn kernels_mobile_sam(engine: &Engine) -> Outcome {
    let report = Report::new(engine);
    let model = segmenter(engine)?;
    for batch in [1, 8] {
        let x = report.up(&image(batch)?, DType::F16)?;
        model.encode(&x).map_err(text)?;
        let times = kernel_times(|| model.encode(&x).map(drop)).map_err(text)?;
        table(&format!("encoder batch {batch}"), &times);
    }
    let embedding = model
        .encode(&report.up(&image(1)?, DType::F16)?)
        .map_err(text)?;
    for boxes in [1, 8] {
        let prompts =
            Prompts::from_boxes(&report.up(&prompt_boxes(boxes)?, DType::F32)?).map_err(text)?;
        model.decode(&embedding, &prompts, false).map_err(text)?;
        let times =
            kernel_times(|| model.decode(&embedding, &prompts, false).map(drop)).map_err(text)?;
        table(&format!("decoder {boxes} boxes"), &times);
    }
    report.finish()
}
