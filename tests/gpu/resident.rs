//! The resident pipeline against the one that goes stage by stage, and the choice of objects against the host's.

use crate::report::{Outcome, Report, random, text};
use candle_core::{DType, Tensor};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
};
use ultramotion::{
    engine::{DeviceSpec, Engine, Precision, Stage},
    frame::{FrameResult, Mask},
    geometry::{BoxXyxy, LongestSide, Size},
    models::{
        dfine::postprocess::{self, Selection},
        mobile_sam::{IMAGE_SIDE, PointLabel, PointPrompt},
    },
    ops::{self, ObjectChoice, ObjectRecords},
    pipeline::{Cancel, Event, Execution, Fallback, Mode, Observer, OnError, Plan, Task, UserPrompts, load_detector, load_segmenter},
    sinks::{OutputKind, OutputMode, OutputSet},
    sources::{ExpandOptions, SourceOptions, expand},
    weights::{Hub, HubConfig},
};

const DETECTOR: &str = "assets/models/dfine-n-phantom";
const SEGMENTER: &str = "assets/models/mobile-sam-phantom/mobile_sam.safetensors";

/// Keeps results.
#[derive(Debug, Default)]
struct Kept(Mutex<(Vec<FrameResult>, Vec<String>, Vec<String>)>);

impl Observer for Kept {
    fn event(&self, event: Event<'_>) {
        let mut kept = self.0.lock().expect("lock");
        match event {
            Event::FrameDone { result, .. } => kept.0.push(result.clone()),
            Event::Problem { problem, .. } => kept.1.push(problem.to_owned()),
            Event::OutOfMemory(lack) => kept.2.push(lack.to_string()),
            Event::Fallback { from, to, .. } => kept.2.push(format!("{from} to {to}")),
            _ => {}
        }
    }
}

/// Results of a task.
fn results(task: Task, execution: Execution, inputs: &[PathBuf], frames: &str) -> Result<Vec<FrameResult>, String> {
    run(task, Vec::new(), None, execution, inputs, frames).map(|(results, _)| results)
}

/// Results and events of a task on some devices.
fn run(
    task: Task,
    further: Vec<Task>,
    fallback: Option<Fallback>,
    execution: Execution,
    inputs: &[PathBuf],
    frames: &str,
) -> Result<(Vec<FrameResult>, Vec<String>), String> {
    let kept = Arc::new(Kept::default());
    let folder = std::env::temp_dir().join(format!("ultramotion-resident-{}", std::process::id()));
    let inputs: Vec<_> = inputs.iter().map(|p| p.clone().into_os_string()).collect();
    let plan = Plan {
        sources: expand(&inputs, ExpandOptions::default(), &mut std::io::empty()).sources,
        source_options: SourceOptions { selection: frames.parse().map_err(text)?, ..SourceOptions::default() },
        on_error: OnError::Skip,
        output: folder.clone(),
        output_mode: OutputMode::Overwrite,
        outputs: OutputSet::new([OutputKind::Coco]),
        stills: false,
        arguments: Vec::new(),
        settings: BTreeMap::new(),
        execution,
        further,
        given_up: None,
        fallback,
        device: "test".to_owned(),
        observer: kept.clone(),
        cancel: Cancel::default(),
        task,
    };
    let outcome = plan.run().map_err(text);
    let _ = std::fs::remove_dir_all(folder);
    outcome?;
    let Kept(kept) = &*kept;
    let (results, problems, events) = std::mem::take(&mut *kept.lock().expect("lock"));
    if problems.is_empty() { Ok((results, events)) } else { Err(problems.join("; ")) }
}

fn pipeline(engine: &Engine, confidence: f32, multimask: bool) -> Result<Task, String> {
    let hub = Hub::new(HubConfig::from_env().map_err(text)?);
    let detector =
        load_detector(engine, Some(DETECTOR), None, &hub, &mut ()).and_then(|d| d.with_selection(confidence, 40, &[])).map_err(text)?;
    let sibling = engine.sibling().map_err(text)?;
    let segmenter = load_segmenter(&sibling, Some(SEGMENTER), &hub, &mut ()).map_err(text)?.with_multimask(multimask);
    Ok(Task::Pipeline(Box::new(detector), Box::new(segmenter)))
}

fn segment(engine: &Engine) -> Result<Task, String> {
    let hub = Hub::new(HubConfig::from_env().map_err(text)?);
    let segmenter = load_segmenter(engine, Some(SEGMENTER), &hub, &mut ()).map_err(text)?;
    let point = |x, y, label| PointPrompt { x, y, label };
    let prompts = UserPrompts {
        boxes: vec![
            BoxXyxy::new(100.0, 120.0, 300.0, 260.0),
            BoxXyxy::new(20.0, 30.0, 90.5, 200.0),
            BoxXyxy::new(10.0, 200.0, 400.0, 420.0),
        ],
        points: vec![point(150.0, 160.0, PointLabel::Foreground), point(300.0, 310.0, PointLabel::Background)],
        ..UserPrompts::default()
    };
    Ok(Task::Segment(Box::new(segmenter), Box::new(prompts)))
}

/// Intersection over union of two masks of the same frame, 1 for two empty ones.
fn overlap(a: &Mask, b: &Mask) -> f64 {
    let pixels = |mask: &Mask| -> Vec<bool> {
        let runs = mask.counts().iter().enumerate();
        runs.flat_map(|(i, &run)| std::iter::repeat_n(i % 2 == 1, run as usize)).collect()
    };
    let (a, b) = (pixels(a), pixels(b));
    let count = |both: fn(bool, bool) -> bool| a.iter().zip(&b).filter(|&(&a, &b)| both(a, b)).count();
    let (inside, any) = (count(|a, b| a && b), count(|a, b| a || b));
    if any == 0 { 1.0 } else { inside as f64 / any as f64 }
}

/// Compares two runs: frames in order, objects, greatest difference of boxes in pixels, and least IoU of masks.
fn compare(report: &mut Report<'_>, what: &str, found: &[FrameResult], expected: &[FrameResult], exact: bool) {
    let frames = found.len() == expected.len() && found.iter().zip(expected).all(|(f, e)| (f.index, &f.file) == (e.index, &e.file));
    let (mut boxes, mut iou, mut objects, mut missing) = (0f32, 1f64, 0usize, 0usize);
    for (f, e) in found.iter().zip(expected) {
        missing += f.objects.len().abs_diff(e.objects.len());
        for (f, e) in f.objects.iter().zip(&e.objects) {
            objects += 1;
            let corners = |b: &BoxXyxy| [b.x0, b.y0, b.x1, b.y1];
            boxes = corners(&f.bbox).iter().zip(corners(&e.bbox)).map(|(a, b)| (a - b).abs()).fold(boxes, f32::max);
            iou = match (&f.mask, &e.mask) {
                (Some(f), Some(e)) => iou.min(overlap(f, e)),
                (None, None) => iou,
                _ => 0.0,
            };
        }
    }
    println!(
        "  {what}: {} frames, {objects} objects, {missing} missing, boxes within {boxes:.5} pixels, masks' least IoU {iou:.5}",
        found.len()
    );
    let bound = if exact { boxes == 0.0 && iou == 1.0 } else { boxes < 0.5 && iou > 0.98 };
    report.check(what, frames && objects > 0 && missing == 0 && bound);
}

pub(crate) fn same_as_legacy(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let engine = engine.clone().with_precision(Precision::F16).map_err(text)?;
    let clip = vec![PathBuf::from("assets/phantom-demo.mp4")];
    let resident = |batch, latency| Execution { mode: Mode::Resident, batch, latency };
    for (confidence, multimask) in [(0.5, false), (0.01, false), (0.3, true)] {
        let expected = results(pipeline(&engine, confidence, multimask)?, LEGACY, &clip, "..30")?;
        for (batch, latency) in [(1, true), (1, false), (4, false)] {
            let found = results(pipeline(&engine, confidence, multimask)?, resident(batch, latency), &clip, "..30")?;
            let what = format!("pipeline, score {confidence}, multimask {multimask}, batch {batch}, latency {latency}");
            compare(&mut report, &what, &found, &expected, false);
        }
    }
    // Where a run begins must not change what it finds: resumed runs end in the same bytes.
    let task = || pipeline(&engine, 0.3, false);
    let whole = results(task()?, resident(4, false), &clip, "..30")?;
    let later = results(task()?, resident(4, false), &clip, "7..30")?;
    compare(&mut report, "pipeline from another frame on", &later, &whole[7..], true);
    let expected = results(segment(&engine)?, LEGACY, &clip, "..5")?;
    let found = results(segment(&engine)?, resident(1, false), &clip, "..5")?;
    compare(&mut report, "segment by boxes and points", &found, &expected, false);
    report.finish()
}

const LEGACY: Execution = Execution { mode: Mode::Legacy, batch: 1, latency: false };

/// Memory runs out before the models can be captured: an error that says so, or the CPU where that is allowed.
pub(crate) fn fallback(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let clip = vec![PathBuf::from("assets/phantom-demo.mp4")];
    let expected = results(pipeline(&Engine::cpu(), 0.5, false)?, LEGACY, &clip, "..2")?;
    for (execution, what) in [(Execution { mode: Mode::Resident, ..LEGACY }, "resident"), (LEGACY, "legacy")] {
        let task = || pipeline(engine, 0.5, false);
        let (strict, allowed) = (task()?, task()?);
        let (free, _) = engine.memory().map_err(text)?.ok_or("no memory")?;
        let ballast = engine.zeros(DType::U8, &[free.saturating_sub(48 << 20)]).map_err(text)?;
        let refused = results(strict, execution, &clip, "..2").err().unwrap_or_default();
        println!("  {refused}");
        let parts = ["out of memory", "MiB are in use", "MiB are free", "--allow-cpu-fallback"];
        report.check(&format!("{what}: an error with need, use and free memory"), parts.iter().all(|part| refused.contains(part)));
        let spare: Fallback = Box::new(|| pipeline(&Engine::cpu(), 0.5, false).map_err(ultramotion::pipeline::ModelError::Batch));
        let (found, events) = run(allowed, Vec::new(), Some(spare), execution, &clip, "..2")?;
        report.check(&format!("{what}: events {events:?}"), events.len() == 2 && events[1].ends_with(" to cpu"));
        compare(&mut report, &format!("{what}: the CPU's results"), &found, &expected, true);
        drop(ballast);
    }
    let (found, events) = run(pipeline(engine, 0.5, false)?, Vec::new(), None, LEGACY, &clip, "..2")?;
    compare(&mut report, "the device works on", &found, &expected, false);
    report.check("  without events", events.is_empty());
    report.finish()
}

/// Batches dealt out among two devices come back in order.
pub(crate) fn two_devices(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let Ok(second) = Engine::open(DeviceSpec::Cuda(1)).and_then(|e| e.with_precision(Precision::F16)) else {
        println!("  left out: there is one device only");
        return report.finish();
    };
    let engine = engine.clone().with_precision(Precision::F16).map_err(text)?;
    let clip = vec![PathBuf::from("assets/phantom-demo.mp4")];
    for batch in [1, 4] {
        let execution = Execution { mode: Mode::Resident, batch, latency: false };
        let expected = results(pipeline(&engine, 0.5, false)?, execution, &clip, "..50")?;
        let (found, _) = run(pipeline(&engine, 0.5, false)?, vec![pipeline(&second, 0.5, false)?], None, execution, &clip, "..50")?;
        compare(&mut report, &format!("two devices, batch {batch}"), &found, &expected, false);
    }
    report.finish()
}

pub(crate) fn choose_objects(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    for (case, (queries, classes, threshold, most, filter)) in [
        (300, 80, 0.5, 300, false),
        (300, 80, 0.0, 300, false),
        (300, 2, 0.6, 7, false),
        (300, 366, 0.1, 100, true),
        (20, 1, 0.9, 1, false),
    ]
    .into_iter()
    .enumerate()
    {
        // Coarse numbers, so that many are equal.
        let coarse = |x: Tensor| (x * 4.0)?.round()? * 0.25;
        let logits = coarse(random(&[queries, classes], 40 + case as u64)).map_err(text)?;
        let boxes = random(&[queries, 4], 50 + case as u64).affine(0.3, 0.5).map_err(text)?;
        let allowed: Option<Vec<bool>> = filter.then(|| (0..classes).map(|c| c % 3 == 0).collect());
        let flat = |x: &Tensor| x.flatten_all().and_then(|x| x.to_vec1::<f32>()).map_err(text);
        let selection = Selection { threshold, max_objects: most, classes: allowed.clone() };
        let expected = postprocess::select(&flat(&logits)?, &flat(&boxes)?, classes, &selection).map_err(text)?;
        let size = Size::new(421, 333);
        let scaled = LongestSide::new(size, IMAGE_SIDE as u32);
        let numbers = allowed.map(|a| Tensor::new(a.iter().map(|&c| u32::from(c)).collect::<Vec<_>>(), &candle_core::Device::Cpu));
        let numbers = numbers.transpose().map_err(text)?.map(|t| engine.upload_tensor(Stage::Load, &t)).transpose().map_err(text)?;
        let choice = ObjectChoice {
            least_logit: postprocess::least_logit(threshold),
            most,
            classes: numbers.as_ref(),
            frame: (333, 421),
            scaled: (scaled.scaled.height as usize, scaled.scaled.width as usize),
        };
        let slots = 8;
        let records = engine.zeros(DType::U32, &[ops::object_words(most)]).map_err(text)?;
        let prompts = engine.zeros(DType::F32, &[slots, 4]).map_err(text)?;
        let up = |x: &Tensor| report.up(x, DType::F32);
        ops::choose_objects(&up(&logits)?, &up(&boxes)?, &choice, &records, Some(&prompts)).map_err(text)?;
        let words = engine.download_u32(Stage::Pack, &records).map_err(text)?;
        let found = postprocess::chosen(ObjectRecords::new(&words), classes).map_err(text)?;
        report.check(&format!("{queries}x{classes} above {threshold}, most {most}: {} objects", expected.len()), found == expected);
        let corners = engine.download_f32(Stage::Pack, &prompts).map_err(text)?;
        let prompt = |slot: usize| match expected.get(slot) {
            Some(c) => scaled.box_to_input(c.bbox.to_pixels(size).clamped(size)),
            None => scaled.box_to_input(BoxXyxy::new(0.0, 0.0, 421.0, 333.0)),
        };
        let wanted: Vec<f32> = (0..slots).map(prompt).flat_map(|b| [b.x0, b.y0, b.x1, b.y1]).collect();
        report.check("  its prompts", corners == wanted);
    }
    report.finish()
}
