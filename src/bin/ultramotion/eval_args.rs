//! What can be typed after `eval`.

use clap::Args;
use std::{num::NonZeroUsize, path::PathBuf};
use ultramotion::frame::Confidence;

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// Ground truth: COCO instances (images, annotations, categories; masks as run lengths or polygons). With --tracks: COCO with
    /// track_id, the folder of a run, MOT or MOTS text (SEQUENCE.txt, SEQUENCE/gt/gt.txt), CVAT's XML for video
    #[arg(short, long, value_name = "GT.json")]
    pub(crate) ground_truth: PathBuf,
    /// Predictions: coco.json of a run (images matched by file name, categories by name), or a COCO results list, whose ids are those of
    /// --images-of, else of the coco.json beside it in a run's folder, else of the ground truth. With --tracks: any that can be ground truth
    #[arg(short, long, value_name = "coco.json")]
    pub(crate) predictions: PathBuf,
    /// COCO file whose images and categories the results list numbers
    #[arg(long, value_name = "coco.json", conflicts_with = "tracks")]
    pub(crate) images_of: Option<PathBuf>,
    /// Threshold of scores: predictions with at least this, 0 to 1, for all figures but AP and AR, which take every prediction. Without it
    /// 0.5; with --tracks, every prediction that has a track
    #[arg(long, value_name = "P")]
    pub(crate) confidence: Option<Confidence>,
    /// Least IoU of boxes that are matched, for all figures but AP and AR; with --tracks, of boxes or masks for CLEAR and Identity
    #[arg(long, value_name = "T", default_value = "0.5")]
    pub(crate) iou_threshold: f64,
    /// Most detections of a class in an image: AR for each, AP for the highest
    #[arg(
        long,
        value_name = "N",
        value_delimiter = ',',
        default_value = "1,10,100",
        conflicts_with = "tracks"
    )]
    pub(crate) max_detections: Vec<NonZeroUsize>,
    /// Leave masks out
    #[arg(long)]
    pub(crate) boxes_only: bool,
    /// Evaluate only the images and categories (with --tracks: sequences, frames and classes) that both files have, instead of refusing files
    /// that differ
    #[arg(long)]
    pub(crate) common: bool,
    /// Exit code 1 unless the AP of boxes (IoU 0.50:0.95) is at least this
    #[arg(long, value_name = "X", conflicts_with = "tracks")]
    pub(crate) min_ap: Option<f64>,
    /// Exit code 1 unless the AP of masks (IoU 0.50:0.95) is at least this
    #[arg(long, value_name = "X", conflicts_with = "tracks")]
    pub(crate) min_mask_ap: Option<f64>,
    /// Exit code 1 unless the mean mask IoU of matched objects is at least this
    #[arg(long, value_name = "X", conflicts_with = "tracks")]
    pub(crate) min_mask_iou: Option<f64>,
    /// Exit code 1 unless this share of the images without ground truth has no prediction
    #[arg(long, value_name = "X", conflicts_with = "tracks")]
    pub(crate) min_empty_share: Option<f64>,
    #[command(flatten)]
    pub(crate) of_tracks: TrackArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Tracks")]
pub(crate) struct TrackArgs {
    /// Compare tracks: HOTA, CLEAR and Identity, as trackeval computes them
    #[arg(long)]
    pub(crate) tracks: bool,
    /// What the IoU is of; without it masks where all objects have one, else boxes
    #[arg(long, value_name = "SHAPE", requires = "tracks", value_parser = ["boxes", "masks"], conflicts_with = "boxes_only")]
    pub(crate) iou: Option<String>,
    /// Which objects are judged. classes: each class by itself, but no predictions in crowds; mot15: all objects as one class; mot17, mot20:
    /// pedestrians, but no predictions on distractors. Without it, as the ground truth says: MOT text without a labels.txt by
    /// MOTChallenge's rules, everything else by classes
    #[arg(long, value_name = "RULES", requires = "tracks", value_parser = ["classes", "mot15", "mot17", "mot20"])]
    pub(crate) rules: Option<String>,
    /// Exit code 1 unless HOTA over all classes, by their detections, is at least this
    #[arg(long, value_name = "X", requires = "tracks")]
    pub(crate) min_hota: Option<f64>,
    /// The same for DetA
    #[arg(long, value_name = "X", requires = "tracks")]
    pub(crate) min_deta: Option<f64>,
    /// The same for AssA
    #[arg(long, value_name = "X", requires = "tracks")]
    pub(crate) min_assa: Option<f64>,
    /// The same for IDF1
    #[arg(long, value_name = "X", requires = "tracks")]
    pub(crate) min_idf1: Option<f64>,
    /// The same for MOTA, which may be below 0
    #[arg(
        long,
        value_name = "X",
        requires = "tracks",
        allow_hyphen_values = true
    )]
    pub(crate) min_mota: Option<f64>,
    /// Exit code 1 if there are more identity switches than this
    #[arg(long, value_name = "N", requires = "tracks")]
    pub(crate) max_switches: Option<u64>,
}
