//! How good predictions are: COCO's AP and AR, overlap of matched objects, confusions, false alarms on empty images.
//!
//! [`evaluate`] reads ground truth (a COCO file with `images`, `annotations` and `categories`; masks as run lengths in
//! either form or as polygons) and predictions: a COCO results list, or a whole COCO file whose annotations have scores.
//!
//! Images and categories of a results list have the ids of the COCO file that [`EvalOptions::images_of`] names, else of the
//! `coco.json` beside the list in the folder of a run, else of the ground truth. The ids of a whole file are its own: its images are
//! matched by `file_name` where all images of both files have one (the same name, else the longest common ending, so that
//! leading folders may differ, else the same without the extension), else by id, and its categories by name; this is how
//! `segment --boxes` finds frames too. What has no counterpart is an error that names it.
//!
//! AP and AR equal pycocotools' `COCOeval` for `bbox` and `segm`, its rules for crowds, areas and ties included: `ignore` of
//! the ground truth has no effect there, and none here. One thing differs on purpose: pycocotools takes a match with the
//! annotation whose id is 0 for none; here ids say nothing.

mod assign;
mod coco_metrics;
mod error;
mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod masks;
mod objects;
mod options;
mod test_set;
pub mod tracks;

pub use coco_metrics::{CocoMetrics, CocoRow, CocoStats};
pub use error::{EvalError, EvalErrorKind};
pub use objects::{Confusion, EmptyImages, MatchedObjects};
pub use options::EvalOptions;

use hotcoco::IouType;
use objects::Objects;
use serde::Serialize;
use std::path::Path;
use test_set::TestSet;

/// How good predictions are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// Images evaluated.
    pub images: usize,
    /// Objects in the ground truth, without crowds.
    pub objects: usize,
    /// Crowds in the ground truth.
    pub crowds: usize,
    /// Predictions of any score.
    pub predictions: usize,
    /// Least score for all but AP and AR.
    pub confidence: f64,
    /// Least box IoU of matched objects.
    pub iou_threshold: f64,
    /// AP and AR by IoU of boxes.
    pub bbox: CocoMetrics,
    /// AP and AR by IoU of masks; none unless all objects and predictions have masks.
    pub segm: Option<CocoMetrics>,
    /// Objects matched with predictions of their class, over all classes.
    pub matched: MatchedObjects,
    /// The same class by class.
    pub matched_per_class: Vec<ClassMatches>,
    /// Which class was taken for which: objects matched with predictions of any class; cells that are not 0.
    pub confusion: Vec<Confusion>,
    /// Images without ground truth.
    pub empty_images: EmptyImages,
}

/// Matched objects of a class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassMatches {
    /// The category's id in the ground truth.
    pub category_id: i64,
    /// Its name.
    pub category: String,
    /// Its figures.
    #[serde(flatten)]
    pub matched: MatchedObjects,
}

/// Evaluates the file `predictions` against `ground_truth`.
///
/// # Errors
/// [`EvalError`] if a file cannot be read, holds something else, contradicts itself (ids that are there twice, masks that do
/// not fit their image) or has images or categories that the other does not have.
pub fn evaluate(
    ground_truth: &Path,
    predictions: &Path,
    options: &EvalOptions,
) -> Result<Evaluation, EvalError> {
    let set = TestSet::read(ground_truth, predictions, options)?;
    let mut limits: Vec<usize> = options
        .max_detections
        .iter()
        .copied()
        .filter(|n| *n > 0)
        .collect();
    limits.sort_unstable();
    limits.dedup();
    if limits.is_empty() {
        limits = EvalOptions::default().max_detections;
    }
    let coco = |iou| coco_metrics::evaluate(&set, iou, &limits, predictions);
    let (bbox, segm) = (
        coco(IouType::Bbox)?,
        set.masks.then(|| coco(IouType::Segm)).transpose()?,
    );
    let found = Objects::measure(&set, options, predictions)?;
    let crowds = set
        .truth
        .dataset
        .annotations
        .iter()
        .filter(|a| a.iscrowd)
        .count();
    let of_class = |(class, matched): (&test_set::Class, &MatchedObjects)| ClassMatches {
        category_id: class.id,
        category: class.name.clone(),
        matched: matched.clone(),
    };
    Ok(Evaluation {
        images: set.images.len(),
        objects: set.truth.dataset.annotations.len() - crowds,
        crowds,
        predictions: set.predictions.dataset.annotations.len(),
        confidence: options.confidence,
        iou_threshold: options.iou_threshold,
        bbox,
        segm,
        matched_per_class: set
            .classes
            .iter()
            .zip(&found.per_class)
            .map(of_class)
            .collect(),
        confusion: found.confusions(&set),
        matched: found.overall,
        empty_images: found.empty,
    })
}
