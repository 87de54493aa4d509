//! Runs of the pipeline's tasks, and how far the results of two runs are apart.

use crate::report::{Report, text};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};
use ultramotion::{
    Run, Session,
    engine::Engine,
    frame::{Mask, Object},
    geometry::BoxXyxy,
    models::mobile_sam::{PointLabel, PointPrompt},
    progress::Observer,
    run::{Event, UserPrompts},
    session::{Execution, Mode, SessionBuilder},
    sinks::OutputKind,
    sources::{Decode, SourceOptions},
    track::TrackOptions,
};

pub(crate) const LEGACY: Execution = Execution {
    mode: Mode::Staged,
    batch: 1,
    latency: false,
};

/// What is read: a file or folder, the frames of it, and where videos are decoded.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) path: PathBuf,
    pub(crate) frames: &'static str,
    pub(crate) decode: Decode,
}

/// The bundled clip.
pub(crate) fn clip(frames: &'static str) -> Input {
    Input {
        path: PathBuf::from("assets/phantom-demo.mp4"),
        frames,
        decode: Decode::Auto,
    }
}

/// The objects of a frame, with its number and file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FrameResult {
    pub(crate) index: u64,
    pub(crate) file: Option<PathBuf>,
    pub(crate) objects: Vec<Object>,
}

/// What a run found, told and wrote.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) results: Vec<FrameResult>,
    /// Fallbacks and lacks of memory.
    pub(crate) events: Vec<String>,
    /// `coco.json`.
    pub(crate) coco: serde_json::Value,
}

pub(crate) const DETECTOR: &str = "assets/models/dfine-n-phantom";
pub(crate) const SEGMENTER: &str = "assets/models/mobile-sam-phantom/mobile_sam.safetensors";

/// Keeps results.
#[derive(Debug, Default)]
struct Kept(Mutex<(Vec<FrameResult>, Vec<String>, Vec<String>)>);

impl Observer<Event<'_>> for Kept {
    fn event(&self, event: Event<'_>) {
        let mut kept = self.0.lock().expect("lock");
        match event {
            Event::FrameDone { frame, found, .. } => kept.0.push(FrameResult {
                index: frame.index,
                file: frame.file.clone(),
                objects: found.objects.clone(),
            }),
            Event::Problem { problem, .. } => kept.1.push(problem.to_owned()),
            Event::OutOfMemory(oom) => kept.2.push(oom.to_string()),
            Event::Fallback { from, to, .. } => kept.2.push(format!("{from} to {to}")),
            _ => {}
        }
    }
}

/// Models to load, and prompts where there is no detector.
pub(crate) struct Task {
    models: SessionBuilder,
    prompts: Option<UserPrompts>,
}

/// A task whose models are on their device.
pub(crate) struct Loaded {
    session: Session,
    prompts: Option<UserPrompts>,
}

impl Task {
    pub(crate) fn track(mut self, options: TrackOptions) -> Self {
        self.models = self.models.track(options);
        self
    }

    pub(crate) fn load(self, execution: Execution) -> Result<Loaded, String> {
        let models = self.models.mode(execution.mode).batch(execution.batch);
        Ok(Loaded {
            session: models.latency(execution.latency).build().map_err(text)?,
            prompts: self.prompts,
        })
    }
}

/// Results of a task.
pub(crate) fn results(
    task: Task,
    execution: Execution,
    input: &Input,
) -> Result<Vec<FrameResult>, String> {
    run(task, Vec::new(), execution, input).map(|found| found.results)
}

/// Runs a task on some devices; a problem with a frame is an error.
pub(crate) fn run(
    task: Task,
    replicas: Vec<Task>,
    execution: Execution,
    input: &Input,
) -> Result<Found, String> {
    let replicas = replicas.into_iter().map(|task| task.load(execution));
    let replicas = replicas.collect::<Result<_, _>>()?;
    run_loaded(task.load(execution)?, replicas, None, input)
}

/// As [`run`], of models that are loaded, with a fallback.
pub(crate) fn run_loaded(
    task: Loaded,
    replicas: Vec<Loaded>,
    fallback: Option<Task>,
    input: &Input,
) -> Result<Found, String> {
    let kept = Arc::new(Kept::default());
    let folder = tempfile::tempdir().map_err(text)?;
    let mut run = Run::new(task.session);
    if let Some(prompts) = task.prompts {
        run = run.prompts(prompts);
    }
    run = replicas
        .into_iter()
        .fold(run, |run, replica| run.replica(replica.session));
    if let Some(fallback) = fallback {
        run = run.fallback(move || fallback.models.clone().build());
    }
    run.input(&input.path)
        .source_options(SourceOptions {
            selection: input.frames.parse().map_err(text)?,
            decode: input.decode,
            ..SourceOptions::default()
        })
        .output(folder.path())
        .overwrite()
        .write([OutputKind::Coco])
        .observer(kept.clone())
        .start()
        .map_err(text)?;
    let Kept(kept) = &*kept;
    let (results, problems, events) = std::mem::take(&mut *kept.lock().expect("lock"));
    let coco = read_json(&folder.path().join("coco.json"))?;
    if problems.is_empty() {
        Ok(Found {
            results,
            events,
            coco,
        })
    } else {
        Err(problems.join("; "))
    }
}

fn read_json(path: &Path) -> Result<serde_json::Value, String> {
    serde_json::from_slice(&std::fs::read(path).map_err(text)?).map_err(text)
}

fn models(engine: &Engine) -> SessionBuilder {
    Session::builder()
        .engine(engine.clone())
        .detector(DETECTOR)
        .segmenter(SEGMENTER)
        .max_objects(40)
}

/// The bundled detector.
pub(crate) fn detect(engine: &Engine, confidence: f64) -> Task {
    Task {
        models: models(engine).confidence(confidence).without_segmenter(),
        prompts: None,
    }
}

/// The bundled models.
pub(crate) fn pipeline(engine: &Engine, confidence: f64, multimask: bool) -> Task {
    Task {
        models: models(engine).confidence(confidence).multimask(multimask),
        prompts: None,
    }
}

/// The bundled segmenter with three boxes and two points.
pub(crate) fn segment(engine: &Engine) -> Task {
    let point = |x, y, label| PointPrompt { x, y, label };
    let prompts = UserPrompts {
        boxes: vec![
            BoxXyxy::new(100.0, 120.0, 300.0, 260.0),
            BoxXyxy::new(20.0, 30.0, 90.5, 200.0),
            BoxXyxy::new(10.0, 200.0, 400.0, 420.0),
        ],
        points: vec![
            point(150.0, 160.0, PointLabel::Foreground),
            point(300.0, 310.0, PointLabel::Background),
        ],
        ..UserPrompts::default()
    };
    Task {
        models: models(engine).without_detector(),
        prompts: Some(prompts),
    }
}

/// Intersection over union of two masks of the same frame, 1 for two empty ones.
fn overlap(a: &Mask, b: &Mask) -> f64 {
    let pixels = |mask: &Mask| -> Vec<bool> {
        let runs = mask.counts().iter().enumerate();
        runs.flat_map(|(i, &run)| std::iter::repeat_n(i % 2 == 1, run as usize))
            .collect()
    };
    let (a, b) = (pixels(a), pixels(b));
    let count =
        |both: fn(bool, bool) -> bool| a.iter().zip(&b).filter(|&(&a, &b)| both(a, b)).count();
    let (inside, any) = (count(|a, b| a && b), count(|a, b| a || b));
    if any == 0 {
        1.0
    } else {
        inside as f64 / any as f64
    }
}

/// How far the results of two runs are apart.
#[derive(Debug, Default)]
pub(crate) struct Apart {
    /// Whether both have the same frames in the same order.
    pub(crate) frames: bool,
    /// Objects of which one run has more than the other, frame by frame.
    pub(crate) missing: usize,
    /// Greatest difference of a box's sides in pixels, ascending.
    pub(crate) boxes: Vec<f32>,
    /// Intersection over union of masks, ascending; 0 where one run has none.
    pub(crate) masks: Vec<f64>,
}

impl Apart {
    pub(crate) fn new(found: &[FrameResult], expected: &[FrameResult]) -> Self {
        let frames = found.len() == expected.len()
            && found
                .iter()
                .zip(expected)
                .all(|(f, e)| (f.index, &f.file) == (e.index, &e.file));
        let mut apart = Self {
            frames,
            ..Self::default()
        };
        for (f, e) in found.iter().zip(expected) {
            apart.missing += f.objects.len().abs_diff(e.objects.len());
            for (f, e) in f.objects.iter().zip(&e.objects) {
                let corners = |b: &BoxXyxy| [b.x0, b.y0, b.x1, b.y1];
                apart.boxes.push(
                    corners(&f.bbox)
                        .iter()
                        .zip(corners(&e.bbox))
                        .map(|(a, b)| (a - b).abs())
                        .fold(0.0, f32::max),
                );
                match (&f.mask, &e.mask) {
                    (Some(f), Some(e)) => apart.masks.push(overlap(f, e)),
                    (None, None) => {}
                    _ => apart.masks.push(0.0),
                }
            }
        }
        apart.boxes.sort_by(f32::total_cmp);
        apart.masks.sort_by(f64::total_cmp);
        apart
    }

    pub(crate) fn objects(&self) -> usize {
        self.boxes.len()
    }

    pub(crate) fn most(&self) -> f32 {
        self.boxes.last().copied().unwrap_or_default()
    }

    /// 1 without masks.
    pub(crate) fn least_iou(&self) -> f64 {
        self.masks.first().copied().unwrap_or(1.0)
    }

    /// 1 without masks.
    pub(crate) fn mean_iou(&self) -> f64 {
        if self.masks.is_empty() {
            1.0
        } else {
            self.masks.iter().sum::<f64>() / self.masks.len() as f64
        }
    }

    /// Difference of boxes at the 99th percentile in pixels.
    pub(crate) fn p99(&self) -> f32 {
        self.boxes
            .get(self.boxes.len() * 99 / 100)
            .copied()
            .unwrap_or_default()
    }
}

/// Compares two runs on one device: equal to the bit, or boxes within half a pixel and masks within an IoU of 0.98.
pub(crate) fn compare(
    report: &mut Report<'_>,
    what: &str,
    found: &[FrameResult],
    expected: &[FrameResult],
    exact: bool,
) {
    let apart = Apart::new(found, expected);
    let (boxes, iou) = (apart.most(), apart.least_iou());
    println!(
        "  {what}: {} frames, {} objects, {} missing, boxes within {boxes:.5} pixels, masks' least IoU {iou:.5}",
        found.len(),
        apart.objects(),
        apart.missing
    );
    let bound = if exact {
        boxes == 0.0 && iou == 1.0
    } else {
        boxes < 0.5 && iou > 0.98
    };
    report.check(
        what,
        apart.frames && apart.objects() > 0 && apart.missing == 0 && bound,
    );
}
