//! Options of duplicates and tracks.

use crate::inputs::usage;
use clap::Args;
use ultramotion::{
    frame::Confidence,
    session::SessionBuilder,
    track::{TrackOptions, Tracker},
};

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Tracking")]
pub(crate) struct TrackArgs {
    /// Give objects of videos, cines and numbered sequences an identity over time (track_id) and a state: visible, relocalizing, lost
    #[arg(long)]
    pub(crate) track: bool,
    /// Merge duplicates: of two objects of a class whose boxes have a larger IoU, the one with the lower score is left out;
    /// without --track none are merged [default with --track: 0.6]
    #[arg(long, value_name = "IOU")]
    pub(crate) nms: Option<Confidence>,
    /// Threshold of scores of the first association [default: that of --confidence]
    #[arg(long, value_name = "P", requires = "track")]
    pub(crate) track_high: Option<Confidence>,
    /// Threshold of scores of the second association: what the detector finds between the two prolongs tracks
    #[arg(long, value_name = "P", requires = "track")]
    pub(crate) track_low: Option<Confidence>,
    /// Threshold of scores of the first object of a track
    #[arg(long, value_name = "P", requires = "track")]
    pub(crate) track_new: Option<Confidence>,
    /// How long a track that is not seen is searched for, in seconds of the video
    #[arg(long, value_name = "SECONDS", requires = "track")]
    pub(crate) track_buffer: Option<f64>,
    /// In how many frames an object must be found before it is a track
    #[arg(long, value_name = "N", requires = "track")]
    pub(crate) track_min_hits: Option<u32>,
    /// Let a track go on with an object of another class
    #[arg(long, requires = "track")]
    pub(crate) track_across_classes: bool,
    /// Score of visibility from which an object that is searched for is visible again
    #[arg(long, value_name = "P", requires = "track")]
    pub(crate) visible_above: Option<Confidence>,
    /// Score of visibility below which a visible object is searched for: its state is relocalizing
    #[arg(long, value_name = "P", requires = "track")]
    pub(crate) relocalizing_below: Option<Confidence>,
    /// Score of visibility below which an object that is not found is lost
    #[arg(long, value_name = "P", requires = "track")]
    pub(crate) lost_below: Option<Confidence>,
    /// Follow the motion of the camera or probe (translation, rotation, scale), estimated from the frames; those that are decoded on
    /// the GPU are copied to the host for it
    #[arg(long, requires = "track")]
    pub(crate) camera_motion: bool,
}

impl TrackArgs {
    /// Adds the requested tracking, where objects from `confidence` on are wanted.
    pub(crate) fn apply(
        &self,
        models: SessionBuilder,
        confidence: Confidence,
    ) -> anyhow::Result<SessionBuilder> {
        // Of pictures that stand alone; those of tracks are merged by the tracker.
        let models = match self.nms {
            Some(iou) => models.nms(iou.get()),
            None => models,
        };
        if !self.track {
            return Ok(models);
        }
        let options = self.options(confidence);
        Tracker::new(options.clone()).map_err(|e| usage("--track", e))?;
        Ok(models.track(options).camera_motion(self.camera_motion))
    }

    fn options(&self, confidence: Confidence) -> TrackOptions {
        let high = self.track_high.unwrap_or(confidence).get();
        let mut options = TrackOptions::for_confidence(high);
        let number =
            |given: Option<Confidence>, default: f64| given.map_or(default, Confidence::get);
        options.low_threshold = number(self.track_low, options.low_threshold);
        options.new_track_threshold = number(self.track_new, options.new_track_threshold);
        options.lost_buffer = self.track_buffer.unwrap_or(options.lost_buffer);
        options.min_hits = self.track_min_hits.unwrap_or(options.min_hits);
        options.across_classes = self.track_across_classes;
        let visibility = &mut options.visibility;
        visibility.visible_above = number(self.visible_above, visibility.visible_above);
        visibility.relocalizing_below =
            number(self.relocalizing_below, visibility.relocalizing_below);
        visibility.lost_below = number(self.lost_below, visibility.lost_below);
        options.nms = self.nms.map(Confidence::get).or(options.nms);
        options
    }
}
