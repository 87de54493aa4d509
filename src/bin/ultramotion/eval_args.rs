//! What can be typed after `eval`.

use clap::Args;
use std::{num::NonZeroUsize, path::PathBuf};
use ultramotion::frame::Confidence;

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// Ground truth: COCO instances (images, annotations, categories; masks as run lengths or polygons)
    #[arg(short, long, value_name = "GT.json")]
    pub(crate) ground_truth: PathBuf,
    /// Predictions: coco.json of a run (images matched by file name, categories by name), or a COCO results list, whose ids are those of
    /// --images-of, else of the coco.json beside it in a run's folder, else of the ground truth
    #[arg(short, long, value_name = "coco.json")]
    pub(crate) predictions: PathBuf,
    /// COCO file whose images and categories the results list numbers
    #[arg(long, value_name = "coco.json")]
    pub(crate) images_of: Option<PathBuf>,
    /// Threshold of scores: predictions with at least this, 0 to 1, for all figures but AP and AR, which take every prediction
    #[arg(long, value_name = "P", default_value = "0.5")]
    pub(crate) confidence: Confidence,
    /// Least IoU of boxes that are matched, for all figures but AP and AR
    #[arg(long, value_name = "T", default_value = "0.5")]
    pub(crate) iou_threshold: f64,
    /// Most detections of a class in an image: AR for each, AP for the highest
    #[arg(
        long,
        value_name = "N",
        value_delimiter = ',',
        default_value = "1,10,100"
    )]
    pub(crate) max_detections: Vec<NonZeroUsize>,
    /// Leave masks out
    #[arg(long)]
    pub(crate) boxes_only: bool,
    /// Evaluate only the images and categories that both files have, instead of refusing files that differ
    #[arg(long)]
    pub(crate) common: bool,
    /// Exit code 1 unless the AP of boxes (IoU 0.50:0.95) is at least this
    #[arg(long, value_name = "X")]
    pub(crate) min_ap: Option<f64>,
    /// Exit code 1 unless the AP of masks (IoU 0.50:0.95) is at least this
    #[arg(long, value_name = "X")]
    pub(crate) min_mask_ap: Option<f64>,
    /// Exit code 1 unless the mean mask IoU of matched objects is at least this
    #[arg(long, value_name = "X")]
    pub(crate) min_mask_iou: Option<f64>,
    /// Exit code 1 unless this share of the images without ground truth has no prediction
    #[arg(long, value_name = "X")]
    pub(crate) min_empty_share: Option<f64>,
}
