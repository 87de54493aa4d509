//! How long each stage of the models takes on this machine, on a real frame.

use crate::{
    engine::GraphCache,
    frame::Frame,
    geometry::{BoxXyxy, LongestSide, Size},
    models::mobile_sam::{IMAGE_SIDE, ObjectPrompt, PackedPrompts},
    quantiles::quantile,
    session::{
        CompletedFrame, Detector, Executor, GpuExecutor, ModelError, Models, PendingFrame,
        Prompted, Segmenter, Stage,
    },
    text::counted,
};
use candle_core::Tensor;
use serde::Serialize;
use std::{
    cell::Cell,
    sync::Arc,
    time::{Duration, Instant},
};

/// Times of one stage over the timed repetitions, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StageTiming {
    /// What was timed.
    pub stage: String,
    /// Timed repetitions.
    pub count: usize,
    /// Half took no longer.
    pub median_ms: f64,
    /// 90% took no longer.
    pub p90_ms: f64,
    /// 99% took no longer.
    pub p99_ms: f64,
    /// The shortest.
    pub min_ms: f64,
    /// Work items a second at the median time.
    pub per_second: f64,
    /// Objects a frame in the mean, where the whole pipeline was timed: without any the segmenter has nothing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objects: Option<f64>,
}

impl StageTiming {
    /// Quantiles of `times` in milliseconds, of which there is at least one.
    fn of(stage: String, mut times: Vec<f64>) -> Self {
        let count = times.len();
        let mut at = |q: f64| quantile(&mut times, q).unwrap_or(f64::NAN);
        let median_ms = at(0.5);
        Self {
            stage,
            count,
            median_ms,
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            min_ms: at(0.0),
            per_second: 1e3 / median_ms,
            objects: None,
        }
    }
}

fn milliseconds<T, E>(work: &mut impl FnMut() -> Result<T, E>) -> Result<f64, E> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

/// The mean number of objects of the frames that were timed.
#[derive(Debug, Default)]
struct Found(Cell<(usize, usize)>);

impl Found {
    fn add(&self, objects: usize) {
        let (frames, all) = self.0.get();
        self.0.set((frames + 1, all + objects));
    }

    fn noted(&self, timing: StageTiming) -> StageTiming {
        let (frames, all) = self.0.get();
        StageTiming {
            objects: (frames > 0).then(|| all as f64 / frames as f64),
            ..timing
        }
    }
}

/// How a benchmark repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bench {
    /// Repetitions that are not timed.
    pub warm_up: usize,
    /// Timed repetitions.
    pub repeats: usize,
    /// Beginnings of the names of the stages that are timed; all are if there are none.
    pub stages: Vec<String>,
}

impl Bench {
    fn wants(&self, stage: &str) -> bool {
        self.stages.is_empty()
            || self
                .stages
                .iter()
                .any(|wanted| stage.starts_with(wanted.as_str()))
    }

    /// Times `work`, of which every run must do the same; none if that stage is not wanted.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn time<T, E>(
        &self,
        stage: impl Into<String>,
        mut work: impl FnMut() -> Result<T, E>,
    ) -> Result<Option<StageTiming>, E> {
        let stage = stage.into();
        if !self.wants(&stage) {
            return Ok(None);
        }
        for _ in 0..self.warm_up {
            work()?;
        }
        let mut times = Vec::with_capacity(self.repeats.max(1));
        for _ in 0..self.repeats.max(1) {
            times.push(milliseconds(&mut work)?);
        }
        Ok(Some(StageTiming::of(stage, times)))
    }

    /// Times `ours` and `theirs` in turns, so that a change of the machine's speed meets both.
    ///
    /// # Errors
    /// Those of `ours` and `theirs`.
    pub(super) fn time_in_turns<T, E>(
        &self,
        stage: &str,
        mut ours: impl FnMut() -> Result<T, E>,
        mut theirs: impl FnMut() -> Result<T, E>,
    ) -> Result<[StageTiming; 2], E> {
        for _ in 0..self.warm_up {
            ours()?;
            theirs()?;
        }
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..self.repeats.max(1) {
            times[0].push(milliseconds(&mut ours)?);
            times[1].push(milliseconds(&mut theirs)?);
        }
        Ok(times.map(|times| StageTiming::of(stage.to_owned(), times)))
    }

    /// Times the stages of a detector on `frame`.
    ///
    /// # Errors
    /// [`ModelError`].
    pub fn detector(
        &self,
        detector: &Detector,
        frame: &Frame,
    ) -> Result<Vec<StageTiming>, ModelError> {
        if !["detect-preprocess", "detect", "detect (frame to objects)"]
            .into_iter()
            .any(|stage| self.wants(stage))
        {
            return Ok(Vec::new());
        }
        let engine = detector.engine();
        let pixels = detector.preprocess(frame)?;
        let mut graphs = GraphCache::default();
        let timings = [
            self.time("detect-preprocess", || {
                let pixels = detector.preprocess(frame)?;
                engine.synchronise()?;
                Ok::<_, ModelError>(pixels)
            })?,
            self.time("detect", || {
                let output = detector.forward_shared(&mut graphs, &pixels)?;
                // Reading the result waits for a device that works asynchronously.
                Ok::<_, ModelError>(engine.download_f32(Stage::Select, &output.pred_boxes)?)
            })?,
            self.time("detect (frame to objects)", || {
                detector.detect(&mut graphs, frame, &crate::session::StageTimes::default())
            })?,
        ];
        Ok(timings.into_iter().flatten().collect())
    }

    /// Times whole frames through detector and segmenter, one of `frames` after the other.
    ///
    /// # Errors
    /// [`ModelError`].
    pub fn frames(
        &self,
        detector: &Detector,
        segmenter: &Segmenter,
        frames: &[Frame],
    ) -> Result<Option<StageTiming>, ModelError> {
        let times = crate::session::StageTimes::default();
        let mut turn = frames.iter().cycle();
        let (mut detecting, mut segmenting) = (GraphCache::default(), GraphCache::default());
        let objects = Found::default();
        let timing = self.time("pipeline (frame to masks)", || {
            let Some(frame) = turn.next() else {
                return Ok(Vec::new());
            };
            let found = detector.detect(&mut detecting, frame, &times)?;
            objects.add(found.len());
            segmenter.segment(
                &mut segmenting,
                frame,
                found.into_iter().map(Prompted::from_object).collect(),
                &times,
            )
        })?;
        Ok(timing.map(|timing| objects.noted(timing)))
    }

    /// As [`Bench::frames`] without leaving the device: a frame at a time, from its upload to its packed result on the host; and the
    /// time a frame takes where batches of `batch` follow each other.
    ///
    /// # Errors
    /// [`ModelError`].
    pub fn resident(
        &self,
        detector: &Arc<Detector>,
        segmenter: &Arc<Segmenter>,
        frames: &[Frame],
        batch: usize,
    ) -> Result<Vec<StageTiming>, ModelError> {
        let models = Models {
            detector: Some(detector.clone()),
            segmenter: Some(segmenter.clone()),
        };
        let mut turn = frames.iter().cycle();
        let mut take = move |n: usize| -> Vec<PendingFrame> {
            let pending = |frame: &Frame| PendingFrame {
                frame: frame.clone(),
                prompts: None,
                number: 0,
                decode: Duration::ZERO,
                queued_at: Instant::now(),
            };
            turn.by_ref().take(n).map(pending).collect()
        };
        let objects = Found::default();
        let check = |done: Option<Vec<CompletedFrame>>| {
            done.unwrap_or_default()
                .into_iter()
                .try_for_each(|frame| frame.objects.map(|found| objects.add(found.len())))
        };
        const LATENCY: &str = "pipeline (frame up to packed result down)";
        let mut timings = Vec::new();
        if self.wants(LATENCY) {
            let mut single = GpuExecutor::new(models.clone(), 1, true)?;
            timings.extend(self.time(LATENCY, || {
                single.submit(take(1));
                check(single.wait_next())
            })?);
        }
        let rate = format!("pipeline (batches of {batch} in flight)");
        if self.wants(&rate) {
            let mut flow = GpuExecutor::new(models, batch, false)?;
            flow.submit(take(batch));
            let timing = self.time(rate, || {
                flow.submit(take(batch));
                check(flow.wait_next())
            })?;
            timings.extend(timing.map(|t| StageTiming {
                per_second: t.per_second * batch as f64,
                ..t
            }));
        }
        Ok(timings
            .into_iter()
            .map(|timing| objects.noted(timing))
            .collect())
    }

    /// Times the stages of a segmenter on `frame`: encoder, decoder with one and with eight boxes, masks to the frame's size.
    ///
    /// # Errors
    /// [`ModelError`].
    pub fn segmenter(
        &self,
        segmenter: &Segmenter,
        frame: &Frame,
    ) -> Result<Vec<StageTiming>, ModelError> {
        let (names, size) = (["segment-preprocess", "segment-encode"], frame.size());
        let counts = [1, 8].map(|boxes| counted(boxes, "box"));
        let of_counts = counts.iter().flat_map(|boxes| {
            [
                format!("segment-decode ({boxes})"),
                format!("masks ({boxes}, {size})"),
            ]
        });
        if !names
            .into_iter()
            .map(str::to_owned)
            .chain(of_counts)
            .any(|stage| self.wants(&stage))
        {
            return Ok(Vec::new());
        }
        let engine = segmenter.engine();
        let pixels = segmenter.preprocess(frame)?;
        let mut graphs = GraphCache::default();
        let embedding = segmenter.encode_shared(&mut graphs, &pixels)?;
        let mut timings: Vec<Option<StageTiming>> = vec![
            self.time("segment-preprocess", || {
                let pixels = segmenter.preprocess(frame)?;
                engine.synchronise()?;
                Ok::<_, ModelError>(pixels)
            })?,
            self.time("segment-encode", || {
                segmenter.encode_shared(&mut graphs, &pixels)?;
                Ok::<_, ModelError>(engine.synchronise()?)
            })?,
        ];
        for boxes in [1, 8] {
            timings.extend(self.decoder(segmenter, &mut graphs, (&embedding, size), boxes)?);
        }
        Ok(timings.into_iter().flatten().collect())
    }

    /// Times the mask decoder on `boxes` boxes of a frame of `size`, and its masks to that size.
    fn decoder(
        &self,
        segmenter: &Segmenter,
        graphs: &mut GraphCache,
        (embedding, size): (&Tensor, Size),
        boxes: usize,
    ) -> Result<[Option<StageTiming>; 2], ModelError> {
        let scaled = LongestSide::new(size, IMAGE_SIDE as u32).scaled;
        let groups = PackedPrompts::pack(&boxes_in(scaled, boxes))?;
        let Some(group) = groups.first() else {
            return Ok([None, None]);
        };
        let (engine, boxes) = (segmenter.engine(), counted(boxes, "box"));
        let mut decode = || segmenter.decode_group_shared(graphs, embedding, group);
        let logits = decode()?
            .low_res_masks
            .squeeze(1)
            .map_err(ModelError::op("benchmark"))?;
        let (inner, full) = (scaled.rows_columns(), size.rows_columns());
        Ok([
            self.time(format!("segment-decode ({boxes})"), || {
                let scores = decode()?.iou_predictions;
                Ok::<_, ModelError>(engine.download_f32(Stage::Pack, &scores)?)
            })?,
            self.time(format!("masks ({boxes}, {size})"), || {
                segmenter.masks(&logits, inner, full)
            })?,
        ])
    }
}

fn boxes_in(size: Size, count: usize) -> Vec<ObjectPrompt> {
    let (w, h) = (size.width as f32, size.height as f32);
    let shifted = |i: usize| i as f32 / count as f32 * 0.5;
    (0..count)
        .map(|i| {
            ObjectPrompt::from_box(BoxXyxy::new(
                shifted(i) * w,
                shifted(i) * h,
                (shifted(i) + 0.4) * w,
                (shifted(i) + 0.4) * h,
            ))
        })
        .collect()
}
