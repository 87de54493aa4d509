//! Whole models on the device against the CPU's, with seeded weights: f32 within bounds, 16 bits reported; graphs against eager work.

use crate::{
    match_queries::match_queries,
    report::{Outcome, Report, random, relative, text},
    weights,
};
use candle_core::{DType, Device, Tensor};
use ultramotion::{
    engine::{Engine, GraphCache, Params},
    geometry::Size,
    models::{
        dfine::{self, DFineConfig, DFineOutput, DFineSize, Labels},
        mobile_sam::{MobileSam, Prompts},
    },
    session::{ModelError, Stage},
};

pub(crate) const CLASSES: usize = 80;

fn config(size: &str) -> Result<(String, String, DFineConfig), String> {
    let size: DFineSize = size.parse().map_err(text)?;
    let classes: Vec<String> = (0..CLASSES).map(|i| i.to_string()).collect();
    let json = size.config_json(&classes, 3).to_string();
    let preprocessor = DFineSize::preprocessor_json(Size::new(640, 640)).to_string();
    let config = DFineConfig::from_json(&json, Some(&preprocessor), Some(CLASSES)).map_err(text)?;
    Ok((json, preprocessor, config))
}

/// A detector of seeded weights on the engine's device.
pub(crate) fn detector(engine: &Engine, size: &str) -> Result<dfine::Detector, String> {
    let (json, preprocessor, config) = config(size)?;
    let tensors = weights::draw(&config, 7, 4.0);
    let checkpoint = dfine::Checkpoint {
        origin: "seeded",
        tensors,
        config: Some(&json),
        preprocessor: Some(&preprocessor),
    };
    let labels = Labels::new((0..CLASSES).map(|i| i.to_string()));
    dfine::Detector::load(checkpoint, Some(("labels", labels)), engine).map_err(text)
}

/// `[batch, 640, 640, 3]` in 0..1, each image another.
pub(crate) fn pixels(batch: usize) -> Result<Tensor, String> {
    let coarse = random(&[batch * 3, 20, 20], 11)
        .affine(0.4, 0.5)
        .map_err(text)?;
    let smooth = ultramotion::ops::reference::resize_bilinear(&coarse, (640, 640)).map_err(text)?;
    let fine = random(&[batch * 3, 640, 640], 12)
        .affine(0.1, 0.0)
        .map_err(text)?;
    let x = (smooth + fine)
        .and_then(|x| {
            x.reshape((batch, 3, 640, 640))?
                .permute((0, 2, 3, 1))?
                .contiguous()
        })
        .map_err(text)?;
    Ok(x)
}

fn host(engine: &Engine, x: &Tensor) -> Result<Vec<f32>, String> {
    engine.download_f32(Stage::Pack, x).map_err(text)
}

/// Logits and boxes of an image's queries side by side, `[Q, K + 4]`.
fn rows(engine: &Engine, output: &DFineOutput, image: usize) -> Result<Vec<f32>, String> {
    let both =
        |x: &Tensor| -> Result<Vec<f32>, String> { host(engine, &x.get(image).map_err(text)?) };
    let (logits, boxes) = (both(&output.logits)?, both(&output.pred_boxes)?);
    Ok(logits
        .chunks_exact(CLASSES)
        .zip(boxes.chunks_exact(4))
        .flat_map(|(l, b)| l.iter().chain(b).copied())
        .collect())
}

/// Relative errors of logits and boxes after pairing queries, and the share of queries whose box is within 1e-3.
fn compare(found: &[f32], expected: &[f32]) -> Result<(f64, f64, f64), String> {
    let width = CLASSES + 4;
    let order = match_queries(expected, found, width)
        .ok_or_else(|| "outputs that are not finite".to_owned())?;
    let pick = |from: usize, to: usize, values: &[f32], order: &[usize]| -> Vec<f32> {
        order
            .iter()
            .flat_map(|&i| values[i * width + from..i * width + to].to_vec())
            .collect()
    };
    let same: Vec<usize> = (0..order.len()).collect();
    let part = |from, to| {
        relative(
            &pick(from, to, found, &order),
            &pick(from, to, expected, &same),
        )
    };
    let (boxes, own) = (
        pick(CLASSES, width, found, &order),
        pick(CLASSES, width, expected, &same),
    );
    let near = boxes
        .chunks_exact(4)
        .zip(own.chunks_exact(4))
        .filter(|(a, b)| a.iter().zip(*b).all(|(a, b)| (a - b).abs() < 1e-3))
        .count();
    Ok((
        part(0, CLASSES),
        part(CLASSES, width),
        near as f64 / order.len() as f64,
    ))
}

pub(crate) fn dfine(engine: &Engine, size: &str) -> Outcome {
    let mut report = Report::new(engine);
    let cpu = detector(&Engine::cpu(), size)?;
    let gpu = detector(engine, size)?;
    let x = pixels(2)?;
    let expected = cpu.forward(&x).map_err(text)?;
    for dtype in [DType::F32, DType::F16, DType::BF16] {
        let gx = report.up(&x, dtype)?;
        let found = match gpu.forward(&gx) {
            Ok(found) => found,
            Err(e) => {
                report.check(&format!("D-FINE-{size} {dtype:?}: {e}"), false);
                continue;
            }
        };
        for image in 0..2 {
            let compared = compare(
                &rows(engine, &found, image)?,
                &rows(&Engine::cpu(), &expected, image)?,
            );
            match compared {
                Err(message) => report.check(
                    &format!("D-FINE-{size} {dtype:?} image {image}: {message}"),
                    false,
                ),
                Ok((logits, boxes, near)) => {
                    let said = format!(
                        "D-FINE-{size} {dtype:?} image {image}: logits {logits:.1e}, boxes {boxes:.1e}, {:.1}% of boxes within 1e-3",
                        near * 100.0
                    );
                    report.check(
                        &said,
                        dtype != DType::F32 || (logits < 1e-3 && boxes < 1e-3),
                    );
                }
            }
        }
        let mut replays = GraphCache::default();
        let forward = |inputs: &[Tensor]| -> Result<Vec<Tensor>, ModelError> {
            let output = gpu.forward(&inputs[0])?;
            Ok(vec![output.logits, output.pred_boxes])
        };
        let eager = host(engine, &found.logits)?;
        for turn in 0..3 {
            // Another input in between, so that a replay has something to overwrite.
            let other = report.up(
                &x.affine(
                    if turn == 1 { -0.5 } else { 1.0 },
                    if turn == 1 { 0.9 } else { 0.0 },
                )
                .map_err(text)?,
                dtype,
            )?;
            match replays.run(engine, 0, &[&other], forward) {
                Err(e) => report.check(&format!("D-FINE-{size} {dtype:?} graph: {e}"), false),
                Ok(replayed) => {
                    let same = host(engine, &replayed[0])? == eager;
                    if turn == 1 {
                        report.check(
                            &format!("D-FINE-{size} {dtype:?}: another input gives another output"),
                            !same,
                        );
                    } else {
                        report
                            .check(&format!("D-FINE-{size} {dtype:?}: replay {turn} equals eager work, {:?} nodes", replays.nodes()), same);
                    }
                }
            }
        }
    }
    let eight = pixels(8)?;
    let first = eight.narrow(0, 3, 1).map_err(text)?;
    let (all, one) = (
        gpu.forward(&report.up(&eight, DType::F32)?),
        gpu.forward(&report.up(&first, DType::F32)?),
    );
    let (all, one) = (all.map_err(text)?, one.map_err(text)?);
    let (logits, boxes, _) = compare(&rows(engine, &all, 3)?, &rows(engine, &one, 0)?)?;
    report.check(
        &format!("D-FINE-{size}: image 3 of 8 as alone: logits {logits:.1e}, boxes {boxes:.1e}"),
        logits < 1e-4 && boxes < 1e-4,
    );
    report.finish()
}

/// Where the numbers of a weight lie: centre and scale.
fn centre_and_scale(name: &str, shape: &[usize]) -> (f64, f64) {
    let token = ["iou_token.weight", "mask_tokens.weight"]
        .iter()
        .any(|t| name.ends_with(t));
    match name.rsplit('.').next().unwrap_or_default() {
        "running_var" => (1.0, 0.5),
        "running_mean" | "bias" => (0.0, 0.1),
        "attention_biases" => (0.0, 1.0),
        "positional_encoding_gaussian_matrix" => (0.0, 1.7),
        _ if token || (name.contains("_embed") && shape[0] == 1) => (0.0, 1.0),
        _ if shape.len() == 1 => (1.0, 0.2),
        _ => {
            let transposed = name.contains("output_upscaling");
            let fan_in = if transposed {
                shape[0]
            } else {
                shape[1..].iter().product()
            };
            (0.0, (3.0 / fan_in as f64).sqrt() * 1.25)
        }
    }
}

/// MobileSAM of seeded weights on the engine's device.
pub(crate) fn segmenter(engine: &Engine) -> Result<MobileSam, String> {
    let params = Params::generated("seeded", engine, move |name, shape| {
        let (centre, scale) = centre_and_scale(name, shape);
        let values: Vec<f32> = weights::uniform(name, shape.iter().product(), 3)
            .map(|u| (centre + scale * (2.0 * u - 1.0)) as f32)
            .collect();
        Tensor::from_vec(values, shape, &Device::Cpu)
    });
    MobileSam::load(&params).map_err(text)
}

/// `[batch, 1024, 1024, 3]`, normalised, the lower quarter padding.
pub(crate) fn image(batch: usize) -> Result<Tensor, String> {
    let coarse = random(&[batch * 3, 16, 16], 21)
        .affine(1.5, 0.0)
        .map_err(text)?;
    let smooth =
        ultramotion::ops::reference::resize_bilinear(&coarse, (768, 1024)).map_err(text)?;
    let fine = random(&[batch * 3, 768, 1024], 22)
        .affine(0.5, 0.0)
        .map_err(text)?;
    let x = (smooth + fine).and_then(|x| {
        x.pad_with_zeros(1, 0, 256)?
            .reshape((batch, 3, 1024, 1024))?
            .permute((0, 2, 3, 1))?
            .contiguous()
    });
    x.map_err(text)
}

/// `[n, 4]` boxes in the model's input.
pub(crate) fn prompt_boxes(n: usize) -> Result<Tensor, String> {
    let values: Vec<f32> = (0..n)
        .flat_map(|i| {
            [
                100.0 + 40.0 * i as f32,
                80.0,
                500.0 + 50.0 * i as f32,
                600.0 + 10.0 * i as f32,
            ]
        })
        .collect();
    Tensor::from_vec(values, (n, 4), &Device::Cpu).map_err(text)
}

pub(crate) fn mobile_sam(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let (cpu, gpu) = (segmenter(&Engine::cpu())?, segmenter(engine)?);
    let x = image(1)?;
    let embedding = cpu.encode(&x).map_err(text)?;
    let boxes = prompt_boxes(3)?;
    let expected = cpu
        .decode(
            &embedding,
            &Prompts::from_boxes(&boxes).map_err(text)?,
            true,
        )
        .map_err(text)?;
    let own_boxes = report.up(&boxes, DType::F32)?;
    for (dtype, tolerance) in [(DType::F32, 1e-3), (DType::F16, 5e-2), (DType::BF16, 0.4)] {
        let gx = report.up(&x, dtype)?;
        let found = gpu.encode(&gx).map_err(text);
        report.compare(
            &format!("embedding {dtype:?}"),
            found.clone(),
            &embedding,
            tolerance,
        );
        // The decoder for itself, on the CPU's embedding.
        let own = report.up(&embedding, dtype)?;
        let decode = |embedding: &Tensor, boxes: &Tensor| {
            gpu.decode(embedding, &Prompts::from_boxes(boxes)?, true)
                .map_err(ModelError::from)
        };
        let output = decode(&own, &own_boxes);
        match output {
            Err(e) => report.check(&format!("decoder {dtype:?}: {e}"), false),
            Ok(output) => {
                report.compare(
                    &format!("masks {dtype:?}"),
                    Ok(output.low_res_masks.clone()),
                    &expected.low_res_masks,
                    tolerance,
                );
                report.compare(
                    &format!("their quality {dtype:?}"),
                    Ok(output.iou_predictions.clone()),
                    &expected.iou_predictions,
                    tolerance,
                );
                let mut replays = GraphCache::default();
                let work = |inputs: &[Tensor]| -> Result<Vec<Tensor>, ModelError> {
                    let output = decode(&inputs[0], &inputs[1])?;
                    Ok(vec![output.low_res_masks, output.iou_predictions])
                };
                let eager = host(engine, &output.low_res_masks)?;
                for turn in 0..2 {
                    match replays.run(engine, 0, &[&own, &own_boxes], work) {
                        Err(e) => report.check(&format!("decoder graph {dtype:?}: {e}"), false),
                        Ok(replayed) => {
                            let same = host(engine, &replayed[0])? == eager;
                            report.check(&format!("decoder {dtype:?}: replay {turn} equals eager work, {:?} nodes", replays.nodes()), same);
                        }
                    }
                }
            }
        }
        if let Ok(found) = found {
            let mut replays = GraphCache::default();
            let work = |inputs: &[Tensor]| -> Result<Vec<Tensor>, ModelError> {
                Ok(vec![gpu.encode(&inputs[0])?])
            };
            let eager = host(engine, &found)?;
            for turn in 0..2 {
                match replays.run(engine, 0, &[&gx], work) {
                    Err(e) => report.check(&format!("encoder graph {dtype:?}: {e}"), false),
                    Ok(replayed) => {
                        let same = host(engine, &replayed[0])? == eager;
                        report.check(
                            &format!(
                                "encoder {dtype:?}: replay {turn} equals eager work, {:?} nodes",
                                replays.nodes()
                            ),
                            same,
                        );
                    }
                }
            }
        }
    }
    report.finish()
}

pub(crate) fn out_of_memory(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    // 800 GB: more than any device has.
    let asked = Tensor::zeros((200, 1 << 30), DType::F32, engine.device());
    let message = asked
        .map(drop)
        .map_err(text)
        .err()
        .unwrap_or_else(|| "it was given".to_owned());
    report.check(
        &format!(
            "800 GB are refused: {}",
            message.lines().next().unwrap_or_default()
        ),
        message.contains("OUT_OF_MEMORY"),
    );
    // The device still works.
    let x = report.up(&random(&[4, 4], 1), DType::F32)?;
    let again = report.down(&x)?.len() == 16;
    report.check("the device works on", again);
    report.finish()
}

/// Masks must not depend on how many others are decoded beside them, or a resumed run would end in other bytes.
pub(crate) fn decoder_slots(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    for dtype in [DType::F16, DType::F32] {
        let model = segmenter(engine)?;
        let embedding = model.encode(&report.up(&image(1)?, dtype)?).map_err(text)?;
        let boxes = prompt_boxes(48)?;
        let masks = |n: usize| -> Result<Vec<f32>, String> {
            let prompts = boxes
                .narrow(0, 0, n)
                .and_then(|b| b.contiguous())
                .map_err(text)?;
            let prompts = engine.upload_tensor(Stage::Load, &prompts).map_err(text)?;
            let output = model
                .decode(
                    &embedding,
                    &Prompts::from_boxes(&prompts).map_err(text)?,
                    false,
                )
                .map_err(text)?;
            host(engine, &output.low_res_masks)
        };
        let expected = masks(48)?;
        for n in [1, 2, 4, 8, 16, 32] {
            let found = masks(n)?;
            let differing = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
            let most = found
                .iter()
                .zip(&expected)
                .map(|(a, b)| (a - b).abs())
                .fold(0f32, f32::max);
            report.check(
                &format!(
                    "{dtype:?}: {n} of 48 boxes: {differing} of {} logits differ, by {most:.1e}",
                    found.len()
                ),
                differing == 0,
            );
        }
    }
    report.finish()
}
