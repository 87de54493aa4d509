//! Options of duplicates and tracks.

use crate::inputs::usage;
use clap::Args;
use ultramotion::{
    frame::Confidence,
    session::SessionBuilder,
    track::{TrackError, TrackOptions},
};

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Tracking")]
pub(crate) struct TrackArgs {
    /// Give objects of videos, cines and numbered sequences an identity over time (track_id) and a state: visible, relocalizing, lost
    #[arg(long)]
    pub(crate) track: bool,
    /// Merge duplicates: of two objects of a class with a larger IoU, the one with the lower score is left out. It is the IoU of the
    /// boxes, or that of the masks where both have one and it is lower [default: none are merged; with --track 0.6]
    #[arg(long, value_name = "IOU")]
    pub(crate) nms: Option<Confidence>,
    /// Threshold of scores of the first association [default: that of --confidence; 0.5 without it]
    #[arg(long, value_name = "P", requires = "track")]
    pub(crate) track_high: Option<Confidence>,
    /// Threshold of scores of the second association: objects with a score between the two can only continue tracks [default: 0.3,
    /// at most that of --track-high]
    #[arg(long, value_name = "P", requires = "track")]
    pub(crate) track_low: Option<Confidence>,
    /// Threshold of scores of the first object of a track [default: 0.6, at least that of --track-high]
    #[arg(long, value_name = "P", requires = "track")]
    pub(crate) track_new: Option<Confidence>,
    /// How long a track that is not seen is searched for, in seconds of the video [default: 2]
    #[arg(long, value_name = "SECONDS", requires = "track")]
    pub(crate) track_buffer: Option<f64>,
    /// In how many frames an object must be found before it is a track [default: 2]
    #[arg(long, value_name = "N", requires = "track")]
    pub(crate) track_min_hits: Option<u32>,
    /// Let a track go on with an object of another class
    #[arg(long, requires = "track")]
    pub(crate) track_across_classes: bool,
    /// Score of visibility from which an object that is searched for is visible again [default: 0.55]
    #[arg(long, value_name = "P", requires = "track")]
    pub(crate) visible_above: Option<Confidence>,
    /// Score of visibility below which a visible object is searched for: its state is relocalizing [default: 0.4]
    #[arg(long, value_name = "P", requires = "track")]
    pub(crate) relocalizing_below: Option<Confidence>,
    /// Least score of visibility of a lost object that is found again [default: 0.25]
    #[arg(long, value_name = "P", requires = "track")]
    pub(crate) found_score: Option<Confidence>,
    /// Score of visibility below which an object that is not found is lost [default: 0.12]
    #[arg(long, value_name = "P", requires = "track")]
    pub(crate) lost_below: Option<Confidence>,
    /// Follow the motion of the camera or probe (translation, rotation, scale), estimated from the frames; those that are decoded on
    /// the GPU are copied to the host for it
    #[arg(long, requires = "track")]
    pub(crate) camera_motion: bool,
}

impl TrackArgs {
    /// Adds the requested tracking; `confidence` is the high threshold where no other is given.
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
        options.check().map_err(|e| self.refused(&e))?;
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
        visibility.found_score = number(self.found_score, visibility.found_score);
        visibility.lost_below = number(self.lost_below, visibility.lost_below);
        options.nms = self.nms.map(Confidence::get).or(options.nms);
        options
    }

    /// The error of the library, by the options that were typed.
    fn refused(&self, error: &TrackError) -> anyhow::Error {
        match error {
            TrackError::Range { name, value, range } => usage(
                &format!("{} {value}", self.option(name).0),
                format!("use {range}"),
            ),
            TrackError::Order {
                lower,
                low,
                upper,
                high,
            } => {
                let ((lower, is_typed), (upper, _)) = (self.option(lower), self.option(upper));
                if is_typed {
                    usage(
                        &format!("{lower} {low}"),
                        format!(
                            "is above {upper}, which is {high}; give a lower {lower}, or a higher {upper}"
                        ),
                    )
                } else {
                    usage(
                        &format!("{upper} {high}"),
                        format!(
                            "is below {lower}, which is {low}; give a higher {upper}, or a lower {lower}"
                        ),
                    )
                }
            }
            error => usage("--track", error),
        }
    }

    /// The option of a field of [`TrackOptions`], and whether it was typed.
    fn option(&self, field: &'static str) -> (&'static str, bool) {
        match field {
            "high_threshold" => ("--track-high", self.track_high.is_some()),
            "low_threshold" => ("--track-low", self.track_low.is_some()),
            "new_track_threshold" => ("--track-new", self.track_new.is_some()),
            "lost_buffer" => ("--track-buffer", self.track_buffer.is_some()),
            "min_hits" => ("--track-min-hits", self.track_min_hits.is_some()),
            "nms" => ("--nms", self.nms.is_some()),
            "visible_above" => ("--visible-above", self.visible_above.is_some()),
            "relocalizing_below" => ("--relocalizing-below", self.relocalizing_below.is_some()),
            "found_score" => ("--found-score", self.found_score.is_some()),
            "lost_below" => ("--lost-below", self.lost_below.is_some()),
            // Fields without an option have their defaults.
            field => (field, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        track: TrackArgs,
    }

    fn parsed(line: &str) -> TrackArgs {
        let words = ["ultramotion", "--track"].into_iter();
        Line::try_parse_from(words.chain(line.split_whitespace()))
            .unwrap()
            .track
    }

    fn refused(line: &str) -> String {
        let models = ultramotion::Session::builder();
        let error = parsed(line).apply(models, Confidence::DEFAULT).unwrap_err();
        error.to_string()
    }

    #[test]
    fn errors_name_the_option_that_was_typed() {
        for (line, expected) in [
            (
                "--track-low 0.6",
                "--track-low 0.6: is above --track-high, which is 0.5",
            ),
            (
                "--track-new 0.3",
                "--track-new 0.3: is below --track-high, which is 0.5",
            ),
            (
                "--track-high 0.7 --track-new 0.6",
                "--track-high 0.7: is above --track-new, which is 0.6",
            ),
            (
                "--visible-above 0.3",
                "--visible-above 0.3: is below --relocalizing-below, which is 0.4",
            ),
            (
                "--relocalizing-below 0.2",
                "--relocalizing-below 0.2: is below --found-score, which is 0.25",
            ),
            (
                "--found-score 0.1",
                "--found-score 0.1: is below --lost-below, which is 0.12",
            ),
            (
                "--lost-below 0.3",
                "--lost-below 0.3: is above --found-score, which is 0.25",
            ),
            (
                "--track-buffer=-1",
                "--track-buffer -1: use a number from 0",
            ),
            (
                "--track-min-hits 0",
                "--track-min-hits 0: use a whole number from 1",
            ),
        ] {
            let error = refused(line);
            assert!(error.starts_with(expected), "{line}: {error}");
        }
    }

    /// Every number of a tracker that can be typed says in its help what it is where it is not.
    #[test]
    fn the_help_states_the_defaults_of_the_library() {
        let (options, command) = (TrackOptions::default(), Line::command());
        let visibility = &options.visibility;
        for (name, default) in [
            ("track_high", options.high_threshold),
            ("track_low", options.low_threshold),
            ("track_new", options.new_track_threshold),
            ("track_buffer", options.lost_buffer),
            ("track_min_hits", f64::from(options.min_hits)),
            ("nms", options.nms.unwrap()),
            ("visible_above", visibility.visible_above),
            ("relocalizing_below", visibility.relocalizing_below),
            ("found_score", visibility.found_score),
            ("lost_below", visibility.lost_below),
        ] {
            let arg = command.get_arguments().find(|arg| arg.get_id() == name);
            let help = arg.unwrap().get_help().unwrap().to_string();
            let (_, stated) = help.split_once("[default: ").unwrap();
            let mut numbers = stated.split([' ', ',', ']']).map(str::parse::<f64>);
            assert!(numbers.any(|n| n == Ok(default)), "{name}: {help}");
        }
    }

    #[test]
    fn thresholds_follow_the_high_one() {
        let options = parsed("--track-high 0.05").options(Confidence::DEFAULT);
        assert_eq!(
            (options.high_threshold, options.low_threshold),
            (0.05, 0.05)
        );
        let options = parsed("").options(Confidence::new(0.8).unwrap());
        assert_eq!(
            (options.high_threshold, options.new_track_threshold),
            (0.8, 0.8)
        );
    }
}
