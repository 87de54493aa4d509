//! The user's MobileSAM in the implementation of candle-transformers, beside this crate's: the same checkpoint, picture and prompts, and
//! how far the outputs are apart and how long each takes.
//!
//! Candle-transformers has no D-FINE, so that a detector has nothing to be compared with here.

use crate::{
    engine::{Engine, GraphCache},
    geometry::Size,
    models::mobile_sam::{
        MobileSamError, ObjectPrompt, PackedPrompts, PointLabel, PointPrompt, is_ignorable,
    },
    session::{ModelError, Segmenter, Stage, load_segmenter, segmenter_params},
    tools::{
        bench::{Bench, StageTiming},
        test_frame::{test_frame_of, test_pixels},
        verify::{TensorComparison, VerifyError, compare, finite, nhwc},
    },
    weights::{Checkpoint, DownloadProgress, Hub, ModelRef, Role},
};
use candle_core::Tensor;
use candle_transformers::models::segment_anything::sam::Sam;
use serde::Serialize;

/// The picture that both get fills the model's input in width, so that neither has to resize it.
const PICTURE: Size = Size {
    width: 1024,
    height: 768,
};
/// Foreground points in parts of the picture, an object each.
const POINTS: [(f64, f64); 3] = [(0.25, 0.25), (0.5, 0.5), (0.75, 0.75)];

/// A comparison with candle-transformers that could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CandleError {
    /// The checkpoint cannot be loaded, or this crate's model failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Outputs have different shapes, or numbers that are not finite.
    #[error(transparent)]
    Compare(#[from] VerifyError),
    /// Candle-transformers failed.
    #[error("candle-transformers: {what}: {source}")]
    Candle {
        /// What it was to do.
        what: &'static str,
        /// Its own error.
        source: Box<candle_core::Error>,
    },
}

fn failed(what: &'static str) -> impl Fn(candle_core::Error) -> CandleError {
    move |source| CandleError::Candle {
        what,
        source: Box::new(source),
    }
}

/// How far candle-transformers' outputs are from this crate's.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CandleComparison {
    /// `image_embeddings` `[1, 64, 64, 256]`, `low_res_masks` `[3, 1, 256, 256]` and `iou_predictions` `[3, 1]`; relative to
    /// candle-transformers' values.
    pub tensors: Vec<TensorComparison>,
    /// Intersection over union of the masks (logits above 0) of both, 0 to 1; 1 where both are empty.
    pub mask_iou: f64,
}

/// Times of one stage in both implementations, measured in turns.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CandleTiming {
    /// This crate's.
    pub ours: StageTiming,
    /// Candle-transformers'.
    pub candle: StageTiming,
    /// Median time of candle-transformers over that of this crate.
    pub ratio: f64,
}

/// One MobileSAM checkpoint loaded into both implementations, on one device. Candle-transformers computes in f32.
pub struct AgainstCandle {
    engine: Engine,
    ours: Segmenter,
    candle: Sam,
}

impl std::fmt::Debug for AgainstCandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgainstCandle")
            .field("ours", &self.ours)
            .finish_non_exhaustive()
    }
}

/// Masks of the objects of [`POINTS`], `[3, 1, 256, 256]`, and their estimated IoU `[3, 1]`.
struct Decoded {
    masks: Tensor,
    iou: Tensor,
}

impl AgainstCandle {
    /// Where candle-transformers' MobileSAM differs from its authors', which the comparison shows or cannot reach.
    pub const KNOWN_FAULTS: [&str; 4] = [
        "its GELU is the tanh approximation; MobileSAM was trained with the exact one: embeddings and masks differ",
        "only points can be prompted, no boxes and no masks: points are compared",
        "it enlarges masks by nearest neighbour, the authors bilinearly: logits of 256x256 are compared",
        "it does not resize images: the picture has the size of the model's input",
    ];

    /// Relative error within which outputs count as equal but for the known faults.
    pub const TOLERANCE: f64 = 1e-2;

    /// Loads the segmenter `name` (a path, a name or a hub id; without it the one that is part of the program) into both implementations.
    ///
    /// # Errors
    /// [`CandleError::Model`] if it cannot be found, fetched or read, or is not a MobileSAM; [`CandleError::Candle`] if candle-transformers
    /// refuses it.
    pub fn load(
        engine: &Engine,
        name: Option<&str>,
        hub: &Hub,
        progress: &mut dyn DownloadProgress,
    ) -> Result<Self, CandleError> {
        let ours = load_segmenter(engine, name, hub, progress)?;
        let model = name
            .map_or_else(
                || ModelRef::default_of(Role::Segmenter),
                |name| ModelRef::parse(name, Some(Role::Segmenter)),
            )
            .and_then(|model| model.resolve(hub, progress))
            .map_err(ModelError::from)?;
        let checkpoint = Checkpoint::of(&model.weights).map_err(ModelError::from)?;
        let (params, _) = segmenter_params(engine, checkpoint)?;
        let candle = Sam::new_tiny(params.var_builder()).map_err(failed("loading the model"))?;
        let left_over = |error| ModelError::from(MobileSamError::from(error));
        params.finish(is_ignorable).map_err(left_over)?;
        Ok(Self {
            engine: engine.clone(),
            ours,
            candle,
        })
    }

    /// Runs both on the same picture and points and compares what they give.
    ///
    /// # Errors
    /// [`CandleError`].
    pub fn verify(&self) -> Result<CandleComparison, CandleError> {
        let mut graphs = [GraphCache::default(), GraphCache::default()];
        let frame = test_frame_of(PICTURE);
        let pixels = self.ours.preprocess(&frame)?;
        let embedding = self.ours.encode_shared(&mut graphs[0], &pixels)?;
        let candle_embedding = self.candle_embedding(&self.picture()?)?;
        let found = self.decode(&mut graphs[1], &embedding, &prompts()?)?;
        let expected = self.candle_decode(&candle_embedding)?;
        let candle_embedding = nhwc("image_embeddings", &candle_embedding)?;
        let embeddings = self.pair("image_embeddings", &embedding, &candle_embedding)?;
        let masks = self.pair("low_res_masks", &found.masks, &expected.masks)?;
        let iou = self.pair("iou_predictions", &found.iou, &expected.iou)?;
        Ok(CandleComparison {
            mask_iou: mask_iou(&masks),
            tensors: vec![
                compare("image_embeddings", &embeddings),
                compare("low_res_masks", &masks),
                compare("iou_predictions", &iou),
            ],
        })
    }

    /// Times both on the same picture and points, in turns: from pixels of the model's size to the embedding, and from the embedding to the
    /// logits of one point's mask.
    ///
    /// # Errors
    /// [`CandleError`].
    pub fn time(&self, bench: &Bench) -> Result<Vec<CandleTiming>, CandleError> {
        let mut graphs = [GraphCache::default(), GraphCache::default()];
        let (frame, picture) = (test_frame_of(PICTURE), self.picture()?);
        let finished = || self.engine.synchronise().map_err(ModelError::from);
        let encode = bench.time_in_turns(
            "segment-encode (pixels to embedding)",
            || {
                let pixels = self.ours.preprocess(&frame)?;
                self.ours.encode_shared(&mut graphs[0], &pixels)?;
                Ok::<_, CandleError>(finished()?)
            },
            || {
                self.candle_embedding(&picture)?;
                Ok(finished()?)
            },
        )?;
        let pixels = self.ours.preprocess(&frame)?;
        let embedding = self.ours.encode_shared(&mut graphs[0], &pixels)?;
        let candle_embedding = self.candle_embedding(&picture)?;
        let prompt = PackedPrompts::pack(&[point(POINTS[0])]).map_err(ModelError::from)?;
        let decode = bench.time_in_turns(
            "segment-decode (1 point)",
            || {
                self.decode(&mut graphs[1], &embedding, &prompt)?;
                Ok::<_, CandleError>(finished()?)
            },
            || {
                self.candle_point(&candle_embedding, POINTS[0])?;
                Ok(finished()?)
            },
        )?;
        let timing = |[ours, candle]: [StageTiming; 2]| CandleTiming {
            ratio: candle.median_ms / ours.median_ms,
            ours,
            candle,
        };
        Ok(vec![timing(encode), timing(decode)])
    }

    /// `[3, 768, 1024]` u8 on the device.
    fn picture(&self) -> Result<Tensor, CandleError> {
        let (height, width) = PICTURE.rows_columns();
        let bytes = test_pixels(PICTURE);
        let picture = self
            .engine
            .upload_u8(Stage::Load, &bytes, &[height, width, 3]);
        let planes = |picture: Tensor| picture.permute((2, 0, 1))?.contiguous();
        planes(picture.map_err(ModelError::from)?).map_err(failed("the picture"))
    }

    /// `[1, 256, 64, 64]`.
    fn candle_embedding(&self, picture: &Tensor) -> Result<Tensor, CandleError> {
        let embedding = self.candle.embeddings(picture);
        embedding.map_err(failed("embedding the picture"))
    }

    /// Logits `[1, 1, 256, 256]` and estimated IoU `[1, 1]` of the object at `point`.
    fn candle_point(
        &self,
        embedding: &Tensor,
        (x, y): (f64, f64),
    ) -> Result<(Tensor, Tensor), CandleError> {
        let (height, width) = PICTURE.rows_columns();
        let points = [(x, y, true)];
        let found = self
            .candle
            .forward_for_embeddings(embedding, height, width, &points, false);
        found.map_err(failed("decoding a point"))
    }

    fn candle_decode(&self, embedding: &Tensor) -> Result<Decoded, CandleError> {
        let found = POINTS.map(|point| self.candle_point(embedding, point));
        let found = found.into_iter().collect::<Result<Vec<_>, _>>()?;
        let (masks, iou): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        let stack = |all: &[Tensor]| Tensor::cat(all, 0).map_err(failed("stacking masks"));
        Ok(Decoded {
            masks: stack(&masks)?,
            iou: stack(&iou)?,
        })
    }

    /// The masks of `prompts`, whose objects have the same number of tokens and so are one group.
    fn decode(
        &self,
        graphs: &mut GraphCache,
        embedding: &Tensor,
        prompts: &[PackedPrompts],
    ) -> Result<Decoded, CandleError> {
        let group = prompts.first().ok_or(ModelError::NoModels)?;
        let output = self.ours.decode_group_shared(graphs, embedding, group)?;
        Ok(Decoded {
            masks: output.low_res_masks,
            iou: output.iou_predictions,
        })
    }

    /// The numbers of both, of the same shape and finite: this crate's, then candle-transformers'.
    fn pair(
        &self,
        name: &'static str,
        ours: &Tensor,
        candle: &Tensor,
    ) -> Result<[Vec<f32>; 2], CandleError> {
        if ours.dims() != candle.dims() {
            return Err(CandleError::Compare(VerifyError::OutputShape {
                origin: "candle-transformers".to_owned(),
                name,
                found: ours.dims().to_vec(),
                expected: candle.dims().to_vec(),
            }));
        }
        let read = |whose: &str, tensor: &Tensor| -> Result<Vec<f32>, CandleError> {
            let values = self.engine.download_f32(Stage::Pack, tensor);
            Ok(finite(name, whose, values.map_err(ModelError::from)?)?)
        };
        Ok([
            read("the model", ours)?,
            read("candle-transformers", candle)?,
        ])
    }
}

fn point((x, y): (f64, f64)) -> ObjectPrompt {
    ObjectPrompt::from_points(vec![PointPrompt {
        x: (x * f64::from(PICTURE.width)) as f32,
        y: (y * f64::from(PICTURE.height)) as f32,
        label: PointLabel::Foreground,
    }])
}

fn prompts() -> Result<Vec<PackedPrompts>, ModelError> {
    Ok(PackedPrompts::pack(&POINTS.map(point))?)
}

/// Intersection over union of what is above 0.
fn mask_iou([a, b]: &[Vec<f32>; 2]) -> f64 {
    let inside = || a.iter().zip(b).map(|(&a, &b)| (a > 0.0, b > 0.0));
    let common = inside().filter(|&(a, b)| a && b).count();
    let all = inside().filter(|&(a, b)| a || b).count();
    if all == 0 {
        1.0
    } else {
        common as f64 / all as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_compared_by_what_is_inside() {
        let pair = |a: &[f32], b: &[f32]| mask_iou(&[a.to_vec(), b.to_vec()]);
        assert_eq!(pair(&[-1.0, -0.5], &[-2.0, 0.0]), 1.0);
        assert_eq!(
            pair(&[1.0, 2.0, -1.0, -1.0], &[3.0, -1.0, 1.0, -4.0]),
            1.0 / 3.0
        );
    }

    #[cfg(feature = "embedded-models")]
    #[test]
    fn the_built_in_segmenter_agrees_but_for_the_known_faults() {
        let hub = Hub::new(crate::weights::HubConfig::new(std::env::temp_dir()));
        let both = AgainstCandle::load(&Engine::cpu(), None, &hub, &mut ()).unwrap();
        let found = both.verify().unwrap();
        assert!(found.mask_iou > 0.9, "{found:?}");
        assert!(
            found
                .tensors
                .iter()
                .all(|tensor| tensor.is_within(AgainstCandle::TOLERANCE)),
            "{found:?}"
        );
        // The tanh approximation shows: an exact copy would be nearer.
        assert!(found.tensors[0].relative > 1e-6, "{found:?}");
    }
}
