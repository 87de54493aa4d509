//! A frame that lies on the GPU to results that stay there: no transfer, and no wait of the host.
//!
//! The host does not learn how many objects there are: the mask decoder runs for as many as there may be. Their prompts are decoded in
//! chunks, one after the other in one graph, which share its memory.
//!
//! Whatever reads or writes tensors of the caller's runs on the stream of the caller's device, so that their memory lives as the tensor
//! library has it; the models run on the session's streams. Events order the two, four a frame.

use crate::{
    engine::{CapturedGraph, Engine, note_read, note_written},
    models::mobile_sam::IMAGE_SIDE,
    ops::{self, PackedFrame},
    session::{
        detector::Detector,
        device_detections::{DeviceDetections, Parts},
        device_frame::{CheckedFrame, Samples},
        error::ModelError,
        executor::resident::{
            captured::CapturedModels, graphs::record_decoder_chunks, inputs::Input,
            layout::FrameLayout, room::Slots,
        },
        models::Models,
        picture::Picture,
        stage::Stage,
    },
};
use candle_core::Tensor;
use std::{ops::Range, sync::Arc};

/// Maximum number of prompts that are decoded together.
const CHUNK: usize = 16;

/// Runs the models on frames that lie on the GPU.
pub(crate) struct OnDevice {
    captured: CapturedModels,
    detector: Arc<Detector>,
    decoder: Option<Decoder>,
}

/// The mask decoder for all objects that there may be.
struct Decoder {
    graph: CapturedGraph,
    /// The slots of each chunk: sizes that [`Slots::for_objects`] gives, together at least the maximum number of objects.
    chunks: Vec<Range<usize>>,
}

impl OnDevice {
    /// Captures the models. This uploads and waits, as loading a model does; [`OnDevice::run`] does neither.
    ///
    /// # Errors
    /// [`ModelError::NoModels`] without a detector, else [`ModelError`] if the device failed or has no memory.
    pub(crate) fn new(models: Models) -> Result<Self, ModelError> {
        let detector = models.detector.clone().ok_or(ModelError::NoModels)?;
        let segmenter = models.segmenter.clone();
        let captured = CapturedModels::new(models, 1, 2)?;
        let decoder = match (segmenter, captured.forward.outputs().last()) {
            (Some(segmenter), Some(embedding)) => {
                let chunks = chunks(detector.max_objects());
                let record = || record_decoder_chunks(&segmenter, embedding, &chunks);
                let graph = captured.primary.within(Stage::Load, record)?;
                Some(Decoder { graph, chunks })
            }
            _ => None,
        };
        Ok(Self {
            captured,
            detector,
            decoder,
        })
    }

    /// Enqueues all work on frame `number`.
    ///
    /// # Errors
    /// [`ModelError`] if the device failed or has no memory.
    pub(crate) fn run(
        &mut self,
        frame: &CheckedFrame<'_>,
        number: u64,
    ) -> Result<DeviceDetections, ModelError> {
        Engine::in_frame(number, || self.enqueue(frame, number))
    }

    fn enqueue(
        &mut self,
        frame: &CheckedFrame<'_>,
        number: u64,
    ) -> Result<DeviceDetections, ModelError> {
        let primary = self.captured.primary.clone();
        let caller = primary.on_stream_of(frame.device());
        primary.within(Stage::Preprocess, || self.read_frame(frame, &caller))?;
        primary.within(Stage::Forward, || self.captured.forward.launch())?;
        let (size, max_objects) = (frame.size(), self.detector.max_objects());
        let mask_rows = if self.decoder.is_some() {
            max_objects
        } else {
            0
        };
        let (mut layouts, words) =
            FrameLayout::of(std::iter::once(size), max_objects, mask_rows, &[]);
        let result = self.captured.reserve(words)?;
        primary.within(Stage::Select, || self.select(&layouts, &result))?;
        let layout = layouts.pop().ok_or(ModelError::NoModels)?;
        self.decode_masks(&layout, &result)?;
        let packed_frame = PackedFrame {
            max_objects,
            classes: self.detector.labels().len(),
            size: size.rows_columns(),
            has_masks: self.decoder.is_some(),
        };
        primary.within(Stage::Pack, || {
            let packed = result
                .narrow(0, 0, words)
                .map_err(ModelError::op("result"))?;
            let (objects, packed) = hand_over((&packed, &packed_frame), &primary, &caller)?;
            Ok(DeviceDetections::new(Parts {
                objects,
                packed,
                packed_frame,
                layout,
                detector: self.detector.clone(),
                engine: caller.clone(),
                number,
            }))
        })
    }

    /// Fills the models' inputs from the frame, on the caller's stream: after what made the frame, and before what overwrites it.
    fn read_frame(&self, frame: &CheckedFrame<'_>, caller: &Engine) -> Result<(), ModelError> {
        let (primary, samples) = (&self.captured.primary, frame.samples());
        // The frame before may still be in the inputs.
        caller.wait_for(primary)?;
        let input = match samples {
            Samples::Interleaved(pixels) => Input::Picture(Picture::Tensor(pixels.clone())),
            Samples::Planes(planes) => Input::Planes(planes),
        };
        let filled = self.captured.write_inputs(0, &input, frame.size());
        samples.tensors().try_for_each(note_read)?;
        primary.wait_for(caller)?;
        filled
    }

    fn select(&self, layouts: &[FrameLayout], result: &Tensor) -> Result<(), ModelError> {
        let decoder = self.decoder.as_ref();
        let prompts = decoder.and_then(|decoder| decoder.graph.inputs().get(1));
        self.captured
            .enqueue_selection(&self.detector, layouts, result, (prompts, None))
    }

    /// Decodes the masks of all slots to their rows in `result`.
    fn decode_masks(&mut self, layout: &FrameLayout, result: &Tensor) -> Result<(), ModelError> {
        let (Some(decoder), Some(rows)) = (&mut self.decoder, layout.masks.first()) else {
            return Ok(());
        };
        let primary = &self.captured.primary;
        primary.within(Stage::DecodeMasks, || decoder.graph.launch())?;
        let one = |slots: &Range<usize>, outputs: &[Tensor]| -> ops::Result<()> {
            let [logits, scores] = outputs else {
                candle_core::bail!("a decoder without masks or without scores");
            };
            let count = slots.end.min(rows.count) - slots.start;
            let part = rows.part(slots.start, count);
            let out = result
                .narrow(0, part.start, count * part.stride)?
                .reshape((count, ()))?;
            let masks = (&logits.narrow(0, 0, count)?, &scores.narrow(0, 0, count)?);
            let (scaled, frame) = (part.scaled(), part.frame());
            ops::best_masks_to_bits(masks, IMAGE_SIDE, scaled, frame, None, &out)
        };
        let outputs = decoder.graph.outputs().chunks_exact(2);
        let mut each = decoder.chunks.iter().zip(outputs);
        primary
            .within(Stage::Masks, || {
                each.try_for_each(|(slots, outputs)| one(slots, outputs))
            })
            .map_err(ModelError::op("mask upsampling"))
    }
}

/// The slots for `objects` in chunks.
fn chunks(objects: usize) -> Vec<Range<usize>> {
    let starts = (0..objects).step_by(CHUNK);
    starts
        .map(|start| start..start + Slots::for_objects((objects - start).min(CHUNK)))
        .collect()
}

/// The results as tensors of the caller's, made on its stream.
fn hand_over(
    (packed, frame): (&Tensor, &PackedFrame),
    primary: &Engine,
    caller: &Engine,
) -> Result<(ops::ObjectTensors, Tensor), ModelError> {
    caller.wait_for(primary)?;
    let made = ops::collect_objects(packed, frame, caller.device()).and_then(|objects| {
        let packed = ops::copy_packed(packed, frame, caller.device())?;
        Ok((objects, packed))
    });
    // The next frame overwrites what is read here.
    primary.wait_for(caller)?;
    let (objects, packed) = made.map_err(ModelError::op("results on the device"))?;
    objects
        .iter()
        .chain(std::iter::once(&packed))
        .try_for_each(note_written)?;
    Ok((objects, packed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_have_a_slot_for_each_object_and_sizes_of_graphs() {
        for objects in 1..=300 {
            let chunks = chunks(objects);
            assert_eq!(chunks.first().map(|c| c.start), Some(0));
            assert!(chunks.windows(2).all(|c| c[0].end == c[1].start));
            assert!(
                chunks
                    .last()
                    .is_some_and(|c| c.end >= objects && c.start < objects)
            );
            assert!(
                chunks
                    .iter()
                    .all(|c| Slots::for_objects(c.len()) == c.len())
            );
        }
        assert_eq!(chunks(100).last(), Some(&(96..100)));
    }
}
