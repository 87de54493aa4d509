//! What the resident pipeline captures: detector and image encoder side by side, and the mask decoder for each kind and number of prompts.

use crate::{
    engine::{CapturedGraph, Engine},
    models::mobile_sam::{IMAGE_SIDE, Prompts, TOKEN_WIDTH},
    ops,
    session::{error::ModelError, models::Models, segmenter::Segmenter, stage::Stage},
};
use candle_core::{DType, Tensor};
use std::ops::Range;

/// Tokens of a prompt and slots, for prompts of no token those of all frames of a batch: these are boxes on the device, which the model
/// gives two.
pub(crate) type Key = (usize, usize);

/// Boxes that a detector found.
pub(crate) const BOX: usize = 0;

/// Detector and image encoder side by side.
pub(crate) fn record_forward(
    models: &Models,
    primary: &Engine,
    batch: usize,
) -> Result<CapturedGraph, ModelError> {
    let mut inputs = Vec::new();
    if let Some(detector) = &models.detector {
        let config = detector.model().config();
        let (size, engine) = (config.input_size, detector.engine());
        inputs.push(engine.zeros(
            engine.dtype(),
            &[
                batch,
                size.height as usize,
                size.width as usize,
                config.channels(),
            ],
        )?);
        engine.synchronise()?;
    }
    if models.segmenter.is_some() {
        inputs.push(primary.zeros(primary.dtype(), &[batch, IMAGE_SIDE, IMAGE_SIDE, 3])?);
    }
    CapturedGraph::new(
        primary,
        inputs,
        |inputs| -> Result<Vec<Tensor>, ModelError> {
            let (mut inputs, mut outputs) = (inputs.iter(), Vec::new());
            if let (Some(detector), Some(pixels)) = (
                &models.detector,
                models.detector.as_ref().and_then(|_| inputs.next()),
            ) {
                detector.engine().wait_for(primary)?;
                let found = primary.within(Stage::Detect, || detector.model().forward(pixels))?;
                outputs.extend([found.logits, found.pred_boxes]);
            }
            if let (Some(segmenter), Some(pixels)) = (&models.segmenter, inputs.next()) {
                outputs.push(primary.within(Stage::Encode, || segmenter.model().encode(pixels))?);
            }
            if let Some(detector) = &models.detector {
                primary.wait_for(detector.engine())?;
            }
            Ok(outputs)
        },
    )
}

/// The mask decoder: inputs are the embeddings of a batch and the prompts, for boxes of several frames also the slots' frames as
/// [`ops::SharedSlots`] has them; outputs the masks and scores of each slot.
pub(crate) fn record_decoder(
    segmenter: &Segmenter,
    embedding: &Tensor,
    key: Key,
    batch: usize,
) -> Result<CapturedGraph, ModelError> {
    let ((tokens, slots), engine) = (key, segmenter.engine());
    let prompts = match tokens {
        BOX => engine.zeros(DType::F32, &[slots, 4])?,
        _ => engine.zeros(DType::F32, &[slots, tokens, TOKEN_WIDTH])?,
    };
    let mut inputs = vec![embedding.clone(), prompts];
    if tokens == BOX && batch > 1 {
        inputs.push(engine.zeros(DType::U32, &[1 + slots])?);
    }
    CapturedGraph::new(
        engine,
        inputs,
        |inputs| -> Result<Vec<Tensor>, ModelError> {
            let [embedding, prompts, owners @ ..] = inputs else {
                return Err(ModelError::NoModels);
            };
            engine.within(Stage::DecodeMasks, || {
                // A single image serves all slots as it is.
                let embedding = match owners.first() {
                    Some(owners) => owners
                        .narrow(0, 1, slots)
                        .and_then(|owners| ops::take_images(embedding, &owners))
                        .map_err(ModelError::op("mask decoder"))?,
                    None => embedding.clone(),
                };
                let prompts = if tokens == BOX {
                    Prompts::from_boxes(prompts)?
                } else {
                    Prompts::from_packed(prompts)?
                };
                let output =
                    segmenter
                        .model()
                        .decode(&embedding, &prompts, segmenter.multimask())?;
                Ok(vec![output.low_res_masks, output.iou_predictions])
            })
        },
    )
}

/// The mask decoder for boxes in `chunks` of slots of one image, one chunk after the other: inputs are the embedding and the boxes of all
/// slots `[slots, 4]`, outputs the masks and the scores of each chunk.
pub(crate) fn record_decoder_chunks(
    segmenter: &Segmenter,
    embedding: &Tensor,
    chunks: &[Range<usize>],
) -> Result<CapturedGraph, ModelError> {
    let engine = segmenter.engine();
    let slots = chunks.last().map_or(0, |last| last.end);
    let prompts = engine.zeros(DType::F32, &[slots, 4])?;
    CapturedGraph::new(
        engine,
        vec![embedding.clone(), prompts],
        |inputs| -> Result<Vec<Tensor>, ModelError> {
            let [embedding, prompts] = inputs else {
                return Err(ModelError::NoModels);
            };
            let one = |chunk: &Range<usize>| -> Result<[Tensor; 2], ModelError> {
                let boxes = prompts
                    .narrow(0, chunk.start, chunk.len())
                    .map_err(ModelError::op("mask decoder"))?;
                let prompts = Prompts::from_boxes(&boxes)?;
                let model = segmenter.model();
                let output = model.decode(embedding, &prompts, segmenter.multimask())?;
                Ok([output.low_res_masks, output.iou_predictions])
            };
            engine.within(Stage::DecodeMasks, || {
                let outputs = chunks.iter().map(one).collect::<Result<Vec<_>, _>>()?;
                Ok(outputs.into_iter().flatten().collect())
            })
        },
    )
}
