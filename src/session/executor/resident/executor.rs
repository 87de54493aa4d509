//! Frames through the captured models with several batches in flight: one upload of a frame, one packed result down, and
//! no wait in between.
//!
//! The frames of a batch share slots for their objects, a little more than were found in the last batches; a batch with more objects is
//! computed again with as many slots as it needs. Of masks only what lies within their boxes comes down, with room for a half more than that
//! of the last batches; a batch whose masks are larger is computed again, too.

use crate::{
    engine::{Download, Engine, OutOfMemory},
    geometry::LongestSide,
    models::mobile_sam::{IMAGE_SIDE, ObjectPrompt, PackedPrompts},
    ops,
    session::{
        error::ModelError,
        executor::{
            interface::{CompletedFrame, Executor, Objects, PendingFrame},
            resident::{
                captured::CapturedModels,
                graphs::BOX,
                layout::{FrameLayout, PromptGroup},
                masks::{MaskRows, Masks, Packing},
                room::{BitRoom, Slots},
            },
        },
        models::Models,
        prompted::Prompted,
        stage::Stage,
    },
};
use std::{
    collections::VecDeque,
    fmt,
    ops::Range,
    time::{Duration, Instant},
};

/// Maximum number of batches in flight.
const IN_FLIGHT: usize = 2;

/// Runs the models as graphs on a GPU.
pub(crate) struct GpuExecutor {
    captured: CapturedModels,
    in_flight: usize,
    /// Downloads that no batch uses.
    idle: Vec<Download>,
    in_flight_batches: VecDeque<InFlightBatch>,
    slots: Slots,
    bits: BitRoom,
}

impl fmt::Debug for GpuExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "GpuExecutor of batch {} on {}, {} in flight",
            self.captured.batch,
            self.captured.primary.name(),
            self.in_flight_batches.len()
        )
    }
}

/// Frames that the device works on.
struct InFlightBatch {
    frames: Vec<PendingFrame>,
    prompted: Vec<Vec<Prompted>>,
    /// The packed result on its way down, or the error of the batch.
    result: Result<Packed, ModelError>,
    submit: Duration,
}

/// A result on its way down, and where each frame's part of it lies.
struct Packed {
    download: Download,
    layouts: Vec<FrameLayout>,
    /// Of the masks, where there are any.
    packing: Option<Packing>,
}

impl GpuExecutor {
    /// Captures the models for batches of `batch` frames. With `latency` one batch is in flight at a time, else two.
    /// Without a detector the batch is 1, since prompts differ from frame to frame.
    ///
    /// # Errors
    /// [`ModelError::NoModels`] without a model, else [`ModelError`] if the device failed or has no memory.
    pub(crate) fn new(models: Models, batch: usize, latency: bool) -> Result<Self, ModelError> {
        let batch = if models.detector.is_some() {
            batch.max(1)
        } else {
            1
        };
        let in_flight = if latency { 1 } else { IN_FLIGHT };
        Ok(Self {
            captured: CapturedModels::new(models, batch, batch * (in_flight + 1))?,
            in_flight,
            idle: Vec::new(),
            in_flight_batches: VecDeque::new(),
            slots: Slots::new(batch),
            bits: BitRoom::default(),
        })
    }

    /// Enqueues all work on `frames`; an error is the result of the batch.
    fn enqueue_batch(&mut self, frames: Vec<PendingFrame>) -> InFlightBatch {
        let start = Instant::now();
        let number = frames.first().map_or(0, |t| t.number);
        let prompted: Vec<Vec<Prompted>> = match &self.captured.models.detector {
            None => frames
                .iter()
                .map(|t| t.prompts.clone().unwrap_or_default())
                .collect(),
            Some(_) => Vec::new(),
        };
        let result = Engine::in_frame(number, || {
            let mut download = self
                .idle
                .pop()
                .map_or_else(|| Download::new(&self.captured.primary), Ok)?;
            let (layouts, packing) = self.enqueue(&frames, &prompted, &mut download)?;
            Ok(Packed {
                download,
                layouts,
                packing,
            })
        });
        InFlightBatch {
            frames,
            prompted,
            result,
            submit: start.elapsed(),
        }
    }

    /// Enqueues everything from the upload to the packed result on its way down.
    fn enqueue(
        &mut self,
        frames: &[PendingFrame],
        prompted: &[Vec<Prompted>],
        download: &mut Download,
    ) -> Result<(Vec<FrameLayout>, Option<Packing>), ModelError> {
        let prompts = match prompted.first() {
            Some(prompted) => pack_prompts(frames, prompted)?,
            None => Vec::new(),
        };
        download.mark("")?;
        let values: Vec<u8> = prompts
            .iter()
            .flat_map(|group| &group.values)
            .flat_map(|v| v.to_le_bytes())
            .collect();
        let mut tokens = None;
        for (at, pending) in frames.iter().enumerate() {
            tokens = Engine::in_frame(pending.number, || {
                self.captured.upload_frame(at, &pending.frame, &values)
            })?;
        }
        download.mark(Stage::Preprocess.name())?;
        Stage::Forward.enqueue(&self.captured.primary, download, || {
            self.captured.forward.launch()
        })?;
        let slots = if self.captured.decodes_detected() {
            self.slots.now()
        } else {
            0
        };
        let sizes = frames.iter().map(|pending| pending.frame.size());
        let max_objects = self.captured.max_objects();
        let (layouts, words) = FrameLayout::of(sizes, max_objects, slots, &prompts);
        let whole = layouts
            .iter()
            .map(|layout| ops::mask_words(layout.size.rows_columns()));
        let packing = layouts
            .iter()
            .find_map(|layout| layout.masks.first())
            .and_then(|first| Packing::new(first, words, self.bits.now(whole)));
        let words_down = packing.map_or(words, |packing| packing.words());
        let packed = self.captured.reserve_packed(words_down)?;
        if let Some(detector) = self.captured.models.detector.clone() {
            self.captured
                .select_objects(&detector, &layouts, (&packed, slots), download)?;
        }
        if let Some(packing) = &packing {
            let result = self.captured.reserve(words)?;
            if slots > 0 {
                self.captured
                    .decode_masks((BOX, slots), &by_size(&layouts), &result, download)?;
            }
            if let (Some(tokens), Some(layout)) = (tokens, layouts.first()) {
                self.captured
                    .decode_prompts(&prompts, layout, (&tokens, &result), download)?;
            }
            let of_detector = layouts.first().filter(|_| slots > 0);
            self.captured
                .pack(of_detector, packing, (&result, &packed), download)?;
        }
        let down = packed
            .narrow(0, 0, words_down)
            .map_err(ModelError::op("result"))?;
        download.start(Stage::Pack, &down)?;
        Ok((layouts, packing))
    }

    /// Waits for a batch and reads its objects, frame by frame; `None` if there are more objects than slots, or more bits than room.
    fn read(
        &mut self,
        packed: &Packed,
        prompted: &[Vec<Prompted>],
    ) -> Result<Option<Vec<Objects>>, ModelError> {
        let Packed {
            download,
            layouts,
            packing,
        } = packed;
        let words = self
            .captured
            .primary
            .within(Stage::Pack, || download.wait())?;
        let masks = packing.map(|packing| Masks::Packed(packing.read(words), packing));
        if let Some(packing) = packing {
            // The frame of each row in use.
            let frames: Vec<(usize, usize)> = match self.captured.decodes_detected() {
                true => layouts
                    .iter()
                    .flat_map(|layout| {
                        std::iter::repeat_n(layout.size.rows_columns(), layout.objects(words))
                    })
                    .collect(),
                false => layouts
                    .first()
                    .map(|layout| vec![layout.size.rows_columns(); packing.rows])
                    .unwrap_or_default(),
            };
            if self.captured.decodes_detected() && self.slots.note(frames.len(), packing.rows) {
                return Ok(None);
            }
            let needed = packing
                .read(words)
                .needed(frames.len(), |at| frames.get(at).copied().unwrap_or((0, 0)));
            if self.bits.note(needed, packing.room) {
                return Ok(None);
            }
        }
        let mut first = 0;
        let one = |(at, layout): (usize, &FrameLayout)| match &self.captured.models.detector {
            Some(detector) => {
                let own = masks.map(|masks| (masks, first));
                first += layout.objects(words);
                layout.detected(words, detector, own)
            }
            None => {
                let prompted = prompted.get(at).map_or(&[][..], Vec::as_slice);
                layout.outlined(masks.unwrap_or(Masks::InPlace(&[])), prompted)
            }
        };
        Ok(Some(layouts.iter().enumerate().map(one).collect()))
    }
}

impl Executor for GpuExecutor {
    fn batch(&self) -> usize {
        self.captured.batch
    }

    fn is_full(&self) -> bool {
        self.in_flight_batches.len() >= self.in_flight
    }

    fn submit(&mut self, frames: Vec<PendingFrame>) {
        let batch = self.enqueue_batch(frames);
        self.in_flight_batches.push_back(batch);
    }

    fn is_ready(&self) -> bool {
        self.in_flight_batches.front().is_some_and(|batch| {
            batch
                .result
                .as_ref()
                .map_or(true, |packed| packed.download.is_ready())
        })
    }

    fn wait_next(&mut self) -> Option<Vec<CompletedFrame>> {
        let mut batch = self.in_flight_batches.pop_front()?;
        loop {
            let InFlightBatch {
                frames,
                prompted,
                result,
                submit,
            } = batch;
            let mut packed = match result {
                Ok(packed) => packed,
                Err(error) => return Some(failed(frames, error)),
            };
            let number = frames.first().map_or(0, |frame| frame.number);
            let objects = match Engine::in_frame(number, || self.read(&packed, &prompted)) {
                Ok(objects) => objects,
                Err(error) => return Some(failed(frames, error)),
            };
            let of_device = packed.download.take_times();
            self.idle.push(packed.download);
            match objects {
                Some(objects) => return Some(completed(frames, objects, submit, of_device)),
                // Not enough slots: the same frames again, with more.
                None => batch = self.enqueue_batch(frames),
            }
        }
    }

    fn out_of_memory(&self, error: &ModelError) -> Option<OutOfMemory> {
        error.out_of_memory(&self.captured.primary)
    }
}

/// The rows of masks that frames share, for each run of frames of one size.
fn by_size(layouts: &[FrameLayout]) -> Vec<(Range<usize>, &MaskRows)> {
    let mut at = 0;
    let runs = layouts.chunk_by(|a, b| a.size == b.size).map(|run| {
        at += run.len();
        (at - run.len()..at, run)
    });
    runs.filter_map(|(frames, run)| Some((frames, run.first()?.masks.first()?)))
        .collect()
}

/// The user's prompts in the segmenter's input, in groups of as many tokens each.
fn pack_prompts(
    frames: &[PendingFrame],
    prompted: &[Prompted],
) -> Result<Vec<PromptGroup>, ModelError> {
    let Some(pending) = frames.first() else {
        return Ok(Vec::new());
    };
    let transform = LongestSide::new(pending.frame.size(), IMAGE_SIDE as u32);
    let prompts: Vec<ObjectPrompt> = prompted
        .iter()
        .map(|p| crate::session::segmenter::to_input(&p.prompt, &transform))
        .collect();
    let groups = PackedPrompts::pack(&prompts)?;
    Ok(groups.iter().map(PromptGroup::new).collect())
}

fn completed(
    frames: Vec<PendingFrame>,
    objects: Vec<Objects>,
    submit: Duration,
    device_times: Vec<(&'static str, Duration)>,
) -> Vec<CompletedFrame> {
    let count = frames.len().max(1) as u32;
    let mut times: Vec<(&'static str, Duration)> = vec![(Stage::Submit.name(), submit / count)];
    for (stage, time) in device_times {
        match times.iter_mut().find(|(known, _)| *known == stage) {
            Some((_, sum)) => *sum += time / count,
            None => times.push((stage, time / count)),
        }
    }
    frames
        .into_iter()
        .zip(objects)
        .map(|(pending, objects)| CompletedFrame {
            pending,
            objects,
            times: times.clone(),
        })
        .collect()
}

/// The error is each frame's: the first gets it as it is, the others in words.
fn failed(frames: Vec<PendingFrame>, error: ModelError) -> Vec<CompletedFrame> {
    let words = error.to_string();
    let mut error = Some(error);
    let each = frames.into_iter().map(|pending| {
        let objects = Err(error
            .take()
            .unwrap_or_else(|| ModelError::Batch(words.clone())));
        CompletedFrame {
            pending,
            objects,
            times: Vec::new(),
        }
    });
    each.collect()
}
