//! HOTA: detection, association and localisation, each by itself and together.
//!
//! Luiten et al. (2021), "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking", IJCV 129, 548–578.

use super::steps::{Step, Steps, sums};
use crate::matching::assign_in_order;
use serde::Serialize;
use std::collections::BTreeMap;

/// Thresholds of the IoU: 0.05, 0.10 … 0.95.
const ALPHAS: usize = 19;

/// The IoU that is demanded at threshold number `i`.
fn alpha(i: usize) -> f64 {
    0.05 + i as f64 * 0.05
}

/// The figures at one threshold, or their means; each in 0..1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HotaFigures {
    /// √(DetA · AssA).
    #[serde(rename = "HOTA")]
    pub hota: f64,
    /// Detection: TP / (TP + FN + FP).
    #[serde(rename = "DetA")]
    pub det_a: f64,
    /// Association: mean over the matched pairs of TPA / (TPA + FNA + FPA).
    #[serde(rename = "AssA")]
    pub ass_a: f64,
    /// TP / (TP + FN).
    #[serde(rename = "DetRe")]
    pub det_re: f64,
    /// TP / (TP + FP).
    #[serde(rename = "DetPr")]
    pub det_pr: f64,
    /// Mean over the matched pairs of TPA / (TPA + FNA).
    #[serde(rename = "AssRe")]
    pub ass_re: f64,
    /// Mean over the matched pairs of TPA / (TPA + FPA).
    #[serde(rename = "AssPr")]
    pub ass_pr: f64,
    /// Mean IoU of the matched pairs; 1 if there are none.
    #[serde(rename = "LocA")]
    pub loc_a: f64,
    /// √(DetRe · AssA), which asks nothing of false positives; earlier called RHOTA.
    #[serde(rename = "OWTA")]
    pub owta: f64,
}

impl HotaFigures {
    fn mean(all: impl Iterator<Item = Self> + Clone) -> Self {
        let count = all.clone().count().max(1) as f64;
        let mean = |of: fn(&Self) -> f64| all.clone().map(|f| of(&f)).sum::<f64>() / count;
        Self {
            hota: mean(|f| f.hota),
            det_a: mean(|f| f.det_a),
            ass_a: mean(|f| f.ass_a),
            det_re: mean(|f| f.det_re),
            det_pr: mean(|f| f.det_pr),
            ass_re: mean(|f| f.ass_re),
            ass_pr: mean(|f| f.ass_pr),
            loc_a: mean(|f| f.loc_a),
            owta: mean(|f| f.owta),
        }
    }
}

/// The figures at a threshold of the IoU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HotaAt {
    /// The threshold.
    pub alpha: f64,
    /// The figures.
    #[serde(flatten)]
    pub figures: HotaFigures,
    /// Matched pairs.
    #[serde(rename = "HOTA_TP")]
    pub tp: u64,
    /// Objects without a match.
    #[serde(rename = "HOTA_FN")]
    pub false_negatives: u64,
    /// Predictions without a match.
    #[serde(rename = "HOTA_FP")]
    pub false_positives: u64,
}

impl HotaAt {
    /// The counts of several at threshold number `i`, without figures.
    fn summed<'a>(i: usize, all: impl Iterator<Item = &'a Self>) -> Self {
        let none = Self {
            alpha: alpha(i),
            ..Self::default()
        };
        all.fold(none, |sum, at| Self {
            tp: sum.tp + at.tp,
            false_negatives: sum.false_negatives + at.false_negatives,
            false_positives: sum.false_positives + at.false_positives,
            ..sum
        })
    }

    /// The figures that follow from the others.
    fn finished(mut self) -> Self {
        let [tp, missed, extra] =
            [self.tp, self.false_negatives, self.false_positives].map(|n| n as f64);
        let f = &mut self.figures;
        f.det_re = tp / (tp + missed).max(1.0);
        f.det_pr = tp / (tp + extra).max(1.0);
        f.det_a = tp / (tp + missed + extra).max(1.0);
        f.hota = (f.det_a * f.ass_a).sqrt();
        f.owta = (f.det_re * f.ass_a).sqrt();
        self
    }
}

/// HOTA and its parts.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Hota {
    /// Means over all thresholds.
    #[serde(flatten)]
    pub mean: HotaFigures,
    /// HOTA at the lowest threshold, 0.05.
    #[serde(rename = "HOTA(0)")]
    pub hota_0: f64,
    /// LocA at the lowest threshold.
    #[serde(rename = "LocA(0)")]
    pub loc_a_0: f64,
    /// The product of both.
    #[serde(rename = "HOTALocA(0)")]
    pub hota_loc_a_0: f64,
    /// The figures at each threshold, 0.05 to 0.95 in steps of 0.05.
    pub alphas: Vec<HotaAt>,
}

impl Hota {
    fn of(alphas: Vec<HotaAt>) -> Self {
        let lowest = alphas.first().map(|at| at.figures).unwrap_or_default();
        Self {
            mean: HotaFigures::mean(alphas.iter().map(|at| at.figures)),
            hota_0: lowest.hota,
            loc_a_0: lowest.loc_a,
            hota_loc_a_0: lowest.hota * lowest.loc_a,
            alphas,
        }
    }

    /// Of one sequence and class.
    pub(super) fn measure(steps: &Steps) -> Self {
        let [truth, predictions] = steps.objects();
        if truth == 0 || predictions == 0 {
            let at = |i: usize| HotaAt {
                alpha: alpha(i),
                false_negatives: truth,
                false_positives: predictions,
                figures: HotaFigures {
                    loc_a: 1.0,
                    ..Default::default()
                },
                ..Default::default()
            };
            return Self::of((0..ALPHAS).map(at).collect());
        }
        let counts = steps.counts();
        let alignment = alignment(steps, &counts);
        let mut matches = vec![Matches::default(); ALPHAS];
        for step in &steps.steps {
            for (value, tracks) in best_pairs(step, &alignment) {
                for (i, matches) in matches.iter_mut().enumerate() {
                    if value >= alpha(i) - f64::EPSILON {
                        matches.tp += 1;
                        matches.iou += value;
                        *matches.of_tracks.entry(tracks).or_default() += 1;
                    }
                }
            }
        }
        let at = |(i, found): (usize, &Matches)| found.figures(i, truth, predictions, &counts);
        Self::of(matches.iter().enumerate().map(at).collect())
    }

    /// Of several sequences, or of several classes by their detections.
    pub(super) fn combined(all: &[&Self]) -> Self {
        let at = |i: usize| {
            let rows = || all.iter().filter_map(|hota| hota.alphas.get(i));
            let tp: u64 = rows().map(|at| at.tp).sum();
            let weighted = |of: fn(&HotaFigures) -> f64| -> f64 {
                rows().map(|at| of(&at.figures) * at.tp as f64).sum()
            };
            let mean = |of| weighted(of) / (tp as f64).max(1.0);
            HotaAt {
                figures: HotaFigures {
                    ass_a: mean(|f| f.ass_a),
                    ass_re: mean(|f| f.ass_re),
                    ass_pr: mean(|f| f.ass_pr),
                    loc_a: localisation(weighted(|f| f.loc_a), tp),
                    ..Default::default()
                },
                ..HotaAt::summed(i, rows())
            }
            .finished()
        };
        Self::of((0..ALPHAS).map(at).collect())
    }

    /// Of several classes, each with the same weight.
    pub(super) fn averaged(all: &[&Self]) -> Self {
        let at = |i: usize| {
            let rows = || all.iter().filter_map(move |hota| hota.alphas.get(i));
            HotaAt {
                figures: HotaFigures::mean(rows().map(|at| at.figures)),
                ..HotaAt::summed(i, rows())
            }
        };
        let count = all.len().max(1) as f64;
        let mean = |of: fn(&Self) -> f64| all.iter().map(|hota| of(hota)).sum::<f64>() / count;
        Self {
            hota_0: mean(|h| h.hota_0),
            loc_a_0: mean(|h| h.loc_a_0),
            hota_loc_a_0: mean(|h| h.hota_loc_a_0),
            ..Self::of((0..ALPHAS).map(at).collect())
        }
    }
}

/// Mean IoU of `tp` matched pairs; 1 without any.
fn localisation(sum: f64, tp: u64) -> f64 {
    sum.max(1e-10) / (tp as f64).max(1e-10)
}

/// What is matched at a threshold.
#[derive(Debug, Clone, Default)]
struct Matches {
    tp: u64,
    iou: f64,
    /// By the tracks of ground truth and prediction.
    of_tracks: BTreeMap<(u32, u32), u64>,
}

impl Matches {
    fn figures(&self, i: usize, truth: u64, predictions: u64, counts: &[Vec<u64>; 2]) -> HotaAt {
        let (mut ass_a, mut ass_re, mut ass_pr) = (0.0, 0.0, 0.0);
        for (&(object, prediction), &matched) in &self.of_tracks {
            let (of_truth, predicted) =
                (counts[0][object as usize], counts[1][prediction as usize]);
            let share = |of: u64| matched as f64 * (matched as f64 / of.max(1) as f64);
            ass_a += share(of_truth + predicted - matched);
            ass_re += share(of_truth);
            ass_pr += share(predicted);
        }
        let mean = |sum: f64| sum / (self.tp as f64).max(1.0);
        HotaAt {
            alpha: alpha(i),
            figures: HotaFigures {
                ass_a: mean(ass_a),
                ass_re: mean(ass_re),
                ass_pr: mean(ass_pr),
                loc_a: localisation(self.iou, self.tp),
                ..Default::default()
            },
            tp: self.tp,
            false_negatives: truth - self.tp,
            false_positives: predictions - self.tp,
        }
        .finished()
    }
}

/// How well two tracks go together over all frames: the Jaccard index of their objects, each pair in a frame counted by its IoU
/// relative to those it competes with.
fn alignment(steps: &Steps, counts: &[Vec<u64>; 2]) -> BTreeMap<(u32, u32), f64> {
    let mut potential: BTreeMap<(u32, u32), f64> = BTreeMap::new();
    for step in &steps.steps {
        let table = step.table(|similar| similar.value);
        let [rows, columns] = sums(
            &table,
            step.truth.len(),
            step.predictions.len(),
            steps.order,
        );
        for similar in &step.similar {
            let others = columns[similar.prediction as usize] + rows[similar.truth as usize];
            let denominator = others - similar.value;
            if denominator > f64::EPSILON {
                *potential.entry(step.tracks(similar)).or_default() += similar.value / denominator;
            }
        }
    }
    for (&(object, prediction), matched) in &mut potential {
        let objects = counts[0][object as usize] + counts[1][prediction as usize];
        *matched /= objects as f64 - *matched;
    }
    potential
}

/// The pairs of a frame that are best for HOTA, at all thresholds: IoU and tracks.
fn best_pairs(step: &Step, alignment: &BTreeMap<(u32, u32), f64>) -> Vec<(f64, (u32, u32))> {
    if step.similar.is_empty() {
        return Vec::new();
    }
    let costs = step.table(|similar| {
        let aligned = alignment.get(&step.tracks(similar)).copied();
        -(aligned.unwrap_or(0.0) * similar.value)
    });
    let table = step.table(|similar| similar.value);
    let columns = step.predictions.len();
    assign_in_order(&costs, step.truth.len(), columns)
        .into_iter()
        .map(|(row, column)| {
            (
                table[row * columns + column],
                (step.truth[row], step.predictions[column]),
            )
        })
        .collect()
}
