//! What a comparison of tracks gives.

use super::{
    clear::Clear,
    hota::Hota,
    identity::Identity,
    options::{TrackIou, TrackRules},
};
use serde::Serialize;

/// All figures of a class in a sequence, or of several.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TrackFigures {
    /// HOTA and its parts.
    pub hota: Hota,
    /// CLEAR.
    pub clear: Clear,
    /// Identity.
    pub identity: Identity,
    /// What was compared.
    pub count: TrackCount,
}

/// How much was compared, after what is not judged was left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TrackCount {
    /// Objects in the ground truth.
    pub objects: u64,
    /// Their tracks.
    pub tracks: u64,
    /// Predictions.
    pub predictions: u64,
    /// Their tracks.
    pub predicted_tracks: u64,
}

impl TrackFigures {
    /// Of several sequences, or of several classes by their detections: counts are added, shares follow from the sums.
    pub(super) fn combined<'a>(all: impl Iterator<Item = &'a Self> + Clone) -> Self {
        Self {
            hota: Hota::combined(&all.clone().map(|f| &f.hota).collect::<Vec<_>>()),
            clear: Clear::combined(&all.clone().map(|f| &f.clear).collect::<Vec<_>>()),
            identity: Identity::combined(&all.clone().map(|f| &f.identity).collect::<Vec<_>>()),
            count: TrackCount::summed(all.map(|f| &f.count)),
        }
    }

    /// Of several classes, each with the same weight: shares are means, counts are sums.
    pub(super) fn averaged<'a>(all: impl Iterator<Item = &'a Self> + Clone) -> Self {
        Self {
            hota: Hota::averaged(&all.clone().map(|f| &f.hota).collect::<Vec<_>>()),
            clear: Clear::averaged(&all.clone().map(|f| &f.clear).collect::<Vec<_>>()),
            identity: Identity::averaged(&all.clone().map(|f| &f.identity).collect::<Vec<_>>()),
            count: TrackCount::summed(all.map(|f| &f.count)),
        }
    }
}

impl TrackCount {
    fn summed<'a>(all: impl Iterator<Item = &'a Self>) -> Self {
        all.fold(Self::default(), |sum, count| Self {
            objects: sum.objects + count.objects,
            tracks: sum.tracks + count.tracks,
            predictions: sum.predictions + count.predictions,
            predicted_tracks: sum.predicted_tracks + count.predicted_tracks,
        })
    }

    /// Whether there is anything.
    pub(super) fn is_empty(&self) -> bool {
        self.objects == 0 && self.predictions == 0
    }
}

/// The figures of a sequence.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SequenceFigures {
    /// What the ground truth calls it.
    pub sequence: String,
    /// Its figures.
    #[serde(flatten)]
    pub figures: TrackFigures,
}

/// The figures of a class.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ClassFigures {
    /// Its id in the ground truth.
    pub category_id: i64,
    /// Its name.
    pub category: String,
    /// Over all sequences.
    #[serde(flatten)]
    pub figures: TrackFigures,
    /// Of each sequence, in the order of the ground truth.
    pub sequences: Vec<SequenceFigures>,
}

/// How good predicted tracks are.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TrackEvaluation {
    /// Sequences compared.
    pub sequences: usize,
    /// Frames compared.
    pub frames: u64,
    /// What the IoU is of.
    pub iou: TrackIou,
    /// Minimum IoU of matched objects for CLEAR and Identity.
    pub iou_threshold: f64,
    /// Which objects were judged.
    pub rules: TrackRules,
    /// Predictions without a track, which were left out.
    pub predictions_without_track: u64,
    /// The figures of each class that has objects or predictions.
    pub per_class: Vec<ClassFigures>,
    /// The mean of these classes; none if there is no class.
    pub class_averaged: Option<TrackFigures>,
    /// These classes by their detections: large classes weigh more.
    pub detection_averaged: TrackFigures,
}
