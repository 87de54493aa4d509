//! CLEAR: accuracy and precision with switches of identity and fragments.
//!
//! Bernardin and Stiefelhagen (2008), "Evaluating Multiple Object Tracking Performance: The CLEAR MOT Metrics", EURASIP Journal on
//! Image and Video Processing. MT, PT, ML and Frag as Li, Huang and Nevatia (2009), sMOTA as Voigtlaender et al. (2019).

use super::steps::{Step, Steps};
use crate::matching::assign_in_order;
use serde::Serialize;

/// The CLEAR figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Clear {
    /// (TP − FP − IDSW) / (TP + FN): at most 1, with no lower bound.
    #[serde(rename = "MOTA")]
    pub mota: f64,
    /// Mean IoU of the matched pairs; 0 if there are none.
    #[serde(rename = "MOTP")]
    pub motp: f64,
    /// (TP − FP) / (TP + FN).
    #[serde(rename = "MODA")]
    pub moda: f64,
    /// (sum of the matched pairs' IoU − FP − IDSW) / (TP + FN).
    #[serde(rename = "sMOTA")]
    pub smota: f64,
    /// (TP − FP − log10 IDSW) / (TP + FN).
    #[serde(rename = "MOTAL")]
    pub motal: f64,
    /// Recall: TP / (TP + FN).
    #[serde(rename = "CLR_Re")]
    pub recall: f64,
    /// Precision: TP / (TP + FP).
    #[serde(rename = "CLR_Pr")]
    pub precision: f64,
    /// TP / (TP + FN / 2 + FP / 2).
    #[serde(rename = "CLR_F1")]
    pub f1: f64,
    /// False positives for each frame.
    #[serde(rename = "FP_per_frame")]
    pub false_positives_per_frame: f64,
    /// Sum of the matched pairs' IoU.
    #[serde(rename = "MOTP_sum")]
    pub motp_sum: f64,
    /// Share of the ground truth's tracks that are mostly tracked.
    #[serde(rename = "MTR")]
    pub mostly_tracked_share: f64,
    /// Share that is partly tracked.
    #[serde(rename = "PTR")]
    pub partly_tracked_share: f64,
    /// Share that is mostly lost.
    #[serde(rename = "MLR")]
    pub mostly_lost_share: f64,
    /// Matched pairs.
    #[serde(rename = "CLR_TP")]
    pub tp: u64,
    /// Objects without a match.
    #[serde(rename = "CLR_FN")]
    pub false_negatives: u64,
    /// Predictions without a match.
    #[serde(rename = "CLR_FP")]
    pub false_positives: u64,
    /// Identity switches: matches of an object with another track than that of its last match.
    #[serde(rename = "IDSW")]
    pub switches: u64,
    /// Tracks of the ground truth that are matched in more than 80% of their frames.
    #[serde(rename = "MT")]
    pub mostly_tracked: u64,
    /// Tracks that are matched in 20% to 80%.
    #[serde(rename = "PT")]
    pub partly_tracked: u64,
    /// Tracks that are matched in less than 20%.
    #[serde(rename = "ML")]
    pub mostly_lost: u64,
    /// Fragments: how often a match sets in again.
    #[serde(rename = "Frag")]
    pub fragments: u64,
    /// Frames of the sequences in which both sides have objects somewhere.
    #[serde(rename = "CLR_Frames")]
    pub frames: u64,
}

/// What is known of the ground truth's tracks while frames go by.
struct Tracks {
    seen: Vec<u64>,
    matched: Vec<u64>,
    starts: Vec<u64>,
    /// The track of the last match, in any frame before.
    last: Vec<Option<u32>>,
    /// The track of the match in the last frame that had both objects and predictions.
    before: Vec<Option<u32>>,
}

impl Clear {
    /// Of one sequence and class; pairs are matched from an IoU of `threshold` on.
    pub(super) fn measure(steps: &Steps, threshold: f64) -> Self {
        let ([truth, predictions], tracks) = (steps.objects(), steps.tracks[0]);
        if truth == 0 || predictions == 0 {
            return Self {
                false_negatives: truth,
                false_positives: predictions,
                mostly_lost: if predictions == 0 { tracks as u64 } else { 0 },
                mostly_lost_share: 1.0,
                ..Self::default()
            };
        }
        let mut found = Self {
            frames: steps.length,
            ..Self::default()
        };
        let mut known = Tracks {
            seen: vec![0; tracks],
            matched: vec![0; tracks],
            starts: vec![0; tracks],
            last: vec![None; tracks],
            before: vec![None; tracks],
        };
        for step in &steps.steps {
            for &id in &step.truth {
                known.seen[id as usize] += 1;
            }
            if !step.truth.is_empty() && !step.predictions.is_empty() {
                found.add(step, &mut known, threshold);
            }
        }
        (found.false_negatives, found.false_positives) = (truth - found.tp, predictions - found.tp);
        for (&matched, &seen) in known.matched.iter().zip(&known.seen) {
            let share = matched as f64 / seen as f64;
            if share > 0.8 {
                found.mostly_tracked += 1;
            } else if share >= 0.2 {
                found.partly_tracked += 1;
            } else {
                found.mostly_lost += 1;
            }
        }
        found.fragments = known.starts.iter().map(|n| n.saturating_sub(1)).sum();
        found.finished()
    }

    /// Matches a frame: pairs of the frame before first, then by IoU.
    fn add(&mut self, step: &Step, known: &mut Tracks, threshold: f64) {
        let scores = step.table(|similar| {
            if similar.value < threshold - f64::EPSILON {
                return 0.0;
            }
            let (object, prediction) = step.tracks(similar);
            let kept = known.before[object as usize] == Some(prediction);
            (if kept { 1000.0 } else { 0.0 }) + similar.value
        });
        let costs: Vec<f64> = scores.iter().map(|score| -score).collect();
        let (values, columns) = (step.table(|similar| similar.value), step.predictions.len());
        let mut now = vec![None; known.before.len()];
        for (row, column) in assign_in_order(&costs, step.truth.len(), columns) {
            if scores[row * columns + column] <= f64::EPSILON {
                continue;
            }
            let (object, prediction) = (step.truth[row] as usize, step.predictions[column]);
            if known.last[object].is_some_and(|last| last != prediction) {
                self.switches += 1;
            }
            known.last[object] = Some(prediction);
            known.matched[object] += 1;
            if known.before[object].is_none() {
                known.starts[object] += 1;
            }
            now[object] = Some(prediction);
            self.tp += 1;
            self.motp_sum += values[row * columns + column];
        }
        known.before = now;
    }

    /// The figures that follow from the counts.
    fn finished(mut self) -> Self {
        let [tp, missed, extra, switches] = [
            self.tp,
            self.false_negatives,
            self.false_positives,
            self.switches,
        ]
        .map(|n| n as f64);
        let tracks = (self.mostly_tracked + self.partly_tracked + self.mostly_lost).max(1) as f64;
        let objects = (tp + missed).max(1.0);
        self.mostly_tracked_share = self.mostly_tracked as f64 / tracks;
        self.partly_tracked_share = self.partly_tracked as f64 / tracks;
        self.mostly_lost_share = self.mostly_lost as f64 / tracks;
        self.recall = tp / objects;
        self.precision = tp / (tp + extra).max(1.0);
        self.moda = (tp - extra) / objects;
        self.mota = (tp - extra - switches) / objects;
        self.motp = self.motp_sum / tp.max(1.0);
        self.smota = (self.motp_sum - extra - switches) / objects;
        self.f1 = tp / (tp + 0.5 * missed + 0.5 * extra).max(1.0);
        self.false_positives_per_frame = extra / (self.frames as f64).max(1.0);
        let few = if self.switches > 0 {
            switches.log10()
        } else {
            0.0
        };
        self.motal = (tp - extra - few) / objects;
        self
    }

    fn summed(all: &[&Self]) -> Self {
        let sum = |of: fn(&Self) -> u64| all.iter().map(|clear| of(clear)).sum::<u64>();
        Self {
            tp: sum(|c| c.tp),
            false_negatives: sum(|c| c.false_negatives),
            false_positives: sum(|c| c.false_positives),
            switches: sum(|c| c.switches),
            mostly_tracked: sum(|c| c.mostly_tracked),
            partly_tracked: sum(|c| c.partly_tracked),
            mostly_lost: sum(|c| c.mostly_lost),
            fragments: sum(|c| c.fragments),
            frames: sum(|c| c.frames),
            motp_sum: all.iter().map(|c| c.motp_sum).sum(),
            ..Self::default()
        }
    }

    /// Of several sequences, or of several classes by their detections.
    pub(super) fn combined(all: &[&Self]) -> Self {
        Self::summed(all).finished()
    }

    /// Of several classes, each with the same weight; counts are sums.
    pub(super) fn averaged(all: &[&Self]) -> Self {
        let count = all.len().max(1) as f64;
        let mean = |of: fn(&Self) -> f64| all.iter().map(|clear| of(clear)).sum::<f64>() / count;
        Self {
            mota: mean(|c| c.mota),
            motp: mean(|c| c.motp),
            moda: mean(|c| c.moda),
            smota: mean(|c| c.smota),
            motal: mean(|c| c.motal),
            recall: mean(|c| c.recall),
            precision: mean(|c| c.precision),
            f1: mean(|c| c.f1),
            false_positives_per_frame: mean(|c| c.false_positives_per_frame),
            motp_sum: mean(|c| c.motp_sum),
            mostly_tracked_share: mean(|c| c.mostly_tracked_share),
            partly_tracked_share: mean(|c| c.partly_tracked_share),
            mostly_lost_share: mean(|c| c.mostly_lost_share),
            ..Self::summed(all)
        }
    }
}
