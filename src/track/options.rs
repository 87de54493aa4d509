//! How objects are tracked.

use super::error::TrackError;
use serde::{Deserialize, Serialize};

/// How objects are tracked. Names are those of the field (ByteTrack, C-BIoU, BoT-SORT).
///
/// ```
/// let mut options = ultramotion::track::TrackOptions::default();
/// options.lost_buffer = 4.0;
/// options.check()?;
/// # Ok::<(), ultramotion::track::TrackError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct TrackOptions {
    /// Objects with at least this score are matched first and are always kept; in 0..1, 0.5.
    pub high_threshold: f64,
    /// Objects with a score between this and `high_threshold` are kept if they continue a track; those below are
    /// removed; in 0..1, 0.3.
    pub low_threshold: f64,
    /// An object that no track explains begins one at this score; in 0..1, not below `high_threshold`, 0.6.
    pub new_track_threshold: f64,
    /// Seconds of source time that a track outlives its last match; 2.
    pub lost_buffer: f64,
    /// Matches until a track is confirmed and gets its id; from 1, 2. In the first frame of a source one is enough. A track
    /// that is not confirmed ends at its first miss.
    pub min_hits: u32,
    /// Whether an object may continue a track of another class; no. The class of a track is then that of most of its
    /// score.
    pub across_classes: bool,
    /// IoU (of masks where both have one, as well as of boxes) above which the lower-scored of two objects of a class
    /// in one frame is a duplicate and removed first; in 0..1, 0.6. None keeps all.
    pub nms: Option<f64>,
    /// By which part of its sides a box is extended on each side before predictions and objects are compared; from
    /// 0, 0.1.
    pub buffer: f64,
    /// The same for what the first comparison leaves over, for fast and thin objects; not below `buffer`, 1.5.
    pub wide_buffer: f64,
    /// Weight of the IoU of masks (predicted and found) against that of boxes where several objects may continue a
    /// track, if both have masks; in 0..1, 0.25.
    pub mask_weight: f64,
    /// When an object counts as seen.
    pub visibility: VisibilityOptions,
}

impl Default for TrackOptions {
    fn default() -> Self {
        Self {
            high_threshold: 0.5,
            low_threshold: 0.3,
            new_track_threshold: 0.6,
            lost_buffer: 2.0,
            min_hits: 2,
            across_classes: false,
            nms: Some(0.6),
            buffer: 0.1,
            wide_buffer: 1.5,
            mask_weight: 0.25,
            visibility: VisibilityOptions::default(),
        }
    }
}

/// When an object counts as seen.
///
/// A match is worth `confidence_weight` × score + `agreement_weight` × IoU of the object with its prediction (masks, or
/// boxes where there are none) + `continuity_weight`, over the sum of the weights; a miss is worth 0. The score of a
/// track begins with the worth of the match that confirms it, and follows these values with `half_life`.
///
/// A visible track becomes relocalizing when its score falls below `relocalizing_below`, and visible again at
/// `visible_above`. A relocalizing track that is not matched becomes lost when its score falls below `lost_below`; a
/// match makes a lost track relocalizing (or visible), with a score of at least `found_score`. A track that is removed
/// while it is not lost becomes lost by that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct VisibilityOptions {
    /// Score from which an object is visible; in 0..1, 0.55.
    pub visible_above: f64,
    /// Score below which it is no longer; not above `visible_above`, 0.4.
    pub relocalizing_below: f64,
    /// Score below which an object that is not matched is lost; not above `found_score`, 0.12.
    pub lost_below: f64,
    /// Least score of a lost object that is matched again; not above `relocalizing_below`, 0.25.
    pub found_score: f64,
    /// Seconds after which half of the difference between the score and what it follows is made up; above 0, 0.25.
    pub half_life: f64,
    /// Weight of the object's score; from 0, 0.5.
    pub confidence_weight: f64,
    /// Weight of the agreement with the prediction; from 0, 0.3.
    pub agreement_weight: f64,
    /// Weight of having been matched at all; from 0, 0.2. The weights must not all be 0.
    pub continuity_weight: f64,
}

impl Default for VisibilityOptions {
    fn default() -> Self {
        Self {
            visible_above: 0.55,
            relocalizing_below: 0.4,
            lost_below: 0.12,
            found_score: 0.25,
            half_life: 0.25,
            confidence_weight: 0.5,
            agreement_weight: 0.3,
            continuity_weight: 0.2,
        }
    }
}

const UNIT: &str = "a number from 0 to 1";
const FROM_ZERO: &str = "a number from 0";
const ABOVE_ZERO: &str = "a number above 0";

type Named = (&'static str, f64);

fn require(
    (name, value): Named,
    range: &'static str,
    valid: impl Fn(f64) -> bool,
) -> Result<(), TrackError> {
    if value.is_finite() && valid(value) {
        Ok(())
    } else {
        Err(TrackError::Range { name, value, range })
    }
}

fn unit(named: Named) -> Result<(), TrackError> {
    require(named, UNIT, |v| (0.0..=1.0).contains(&v))
}

fn from_zero(named: Named) -> Result<(), TrackError> {
    require(named, FROM_ZERO, |v| v >= 0.0)
}

fn ordered((lower, low): Named, (upper, high): Named) -> Result<(), TrackError> {
    if low <= high {
        Ok(())
    } else {
        Err(TrackError::Order {
            lower,
            low,
            upper,
            high,
        })
    }
}

impl TrackOptions {
    /// The defaults for objects from `confidence` (0 to 1) on, which becomes the high threshold; the low one is not above
    /// it, that of new tracks not below it.
    pub fn for_confidence(confidence: f64) -> Self {
        let defaults = Self::default();
        Self {
            high_threshold: confidence,
            low_threshold: defaults.low_threshold.min(confidence),
            new_track_threshold: defaults.new_track_threshold.max(confidence),
            ..defaults
        }
    }

    /// Whether a tracker can work with these.
    ///
    /// # Errors
    /// [`TrackError`] names the first number that is outside its range or in the wrong order with another.
    pub fn check(&self) -> Result<(), TrackError> {
        let high = ("high_threshold", self.high_threshold);
        let low = ("low_threshold", self.low_threshold);
        let new = ("new_track_threshold", self.new_track_threshold);
        for named in [low, high, new, ("mask_weight", self.mask_weight)] {
            unit(named)?;
        }
        ordered(low, high)?;
        ordered(high, new)?;
        from_zero(("lost_buffer", self.lost_buffer))?;
        require(
            ("min_hits", f64::from(self.min_hits)),
            "a whole number from 1",
            |v| v >= 1.0,
        )?;
        if let Some(nms) = self.nms {
            unit(("nms", nms))?;
        }
        let buffer = ("buffer", self.buffer);
        let wide = ("wide_buffer", self.wide_buffer);
        from_zero(buffer)?;
        from_zero(wide)?;
        ordered(buffer, wide)?;
        self.visibility.check()
    }
}

impl VisibilityOptions {
    /// Whether states can be told apart by these.
    ///
    /// # Errors
    /// [`TrackError`] names the first number that is outside its range or in the wrong order with another.
    pub fn check(&self) -> Result<(), TrackError> {
        let levels = [
            ("lost_below", self.lost_below),
            ("found_score", self.found_score),
            ("relocalizing_below", self.relocalizing_below),
            ("visible_above", self.visible_above),
        ];
        levels.into_iter().try_for_each(unit)?;
        for pair in levels.windows(2) {
            ordered(pair[0], pair[1])?;
        }
        require(("half_life", self.half_life), ABOVE_ZERO, |v| v > 0.0)?;
        from_zero(("confidence_weight", self.confidence_weight))?;
        from_zero(("agreement_weight", self.agreement_weight))?;
        from_zero(("continuity_weight", self.continuity_weight))?;
        let sum = self.confidence_weight + self.agreement_weight + self.continuity_weight;
        require(("sum of the weights", sum), ABOVE_ZERO, |v| v > 0.0)
    }
}
