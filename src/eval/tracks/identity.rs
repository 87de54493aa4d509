//! Identity: whole tracks matched one to one.
//!
//! Ristani et al. (2016), "Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking", ECCV workshops.

use super::steps::Steps;
use crate::matching::{self, Rules};
use serde::Serialize;
use std::collections::BTreeMap;

/// The identity figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Identity {
    /// IDTP / (IDTP + IDFN / 2 + IDFP / 2).
    #[serde(rename = "IDF1")]
    pub idf1: f64,
    /// IDTP / (IDTP + IDFP).
    #[serde(rename = "IDP")]
    pub precision: f64,
    /// IDTP / (IDTP + IDFN).
    #[serde(rename = "IDR")]
    pub recall: f64,
    /// Objects that overlap with the one track that is their track's.
    #[serde(rename = "IDTP")]
    pub tp: u64,
    /// Objects that do not.
    #[serde(rename = "IDFN")]
    pub false_negatives: u64,
    /// Predictions that do not.
    #[serde(rename = "IDFP")]
    pub false_positives: u64,
}

impl Identity {
    /// Of one sequence and class; objects overlap from an IoU of `threshold` on.
    pub(super) fn measure(steps: &Steps, threshold: f64) -> Self {
        let [truth, predictions] = steps.objects();
        let mut together: BTreeMap<(u32, u32), u64> = BTreeMap::new();
        for step in &steps.steps {
            for similar in step.similar.iter().filter(|s| s.value >= threshold) {
                *together.entry(step.tracks(similar)).or_default() += 1;
            }
        }
        let tp = most_together(&together);
        let found = Self {
            tp,
            false_negatives: truth - tp,
            false_positives: predictions - tp,
            ..Self::default()
        };
        if truth == 0 || predictions == 0 {
            return found;
        }
        found.finished()
    }

    fn finished(mut self) -> Self {
        let [tp, missed, extra] =
            [self.tp, self.false_negatives, self.false_positives].map(|n| n as f64);
        self.recall = tp / (tp + missed).max(1.0);
        self.precision = tp / (tp + extra).max(1.0);
        self.idf1 = tp / (tp + 0.5 * extra + 0.5 * missed).max(1.0);
        self
    }

    fn summed(all: &[&Self]) -> Self {
        Self {
            tp: all.iter().map(|i| i.tp).sum(),
            false_negatives: all.iter().map(|i| i.false_negatives).sum(),
            false_positives: all.iter().map(|i| i.false_positives).sum(),
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
        Self {
            idf1: all.iter().map(|i| i.idf1).sum::<f64>() / count,
            precision: all.iter().map(|i| i.precision).sum::<f64>() / count,
            recall: all.iter().map(|i| i.recall).sum::<f64>() / count,
            ..Self::summed(all)
        }
    }
}

/// The highest sum of objects that tracks, paired one to one, have together. The fewest false negatives and positives follow from
/// it, so that ties between pairings do not matter. Each group of tracks that are connected is solved by itself.
fn most_together(together: &BTreeMap<(u32, u32), u64>) -> u64 {
    groups(together)
        .iter()
        .map(|group| match group.as_slice() {
            [(_, count)] => *count,
            group => most_of_group(group),
        })
        .sum()
}

type Pair = ((u32, u32), u64);

fn most_of_group(group: &[Pair]) -> u64 {
    let places = |of: fn(&Pair) -> u32| {
        let mut ids: Vec<u32> = group.iter().map(of).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    };
    let (rows, columns) = (places(|pair| pair.0.0), places(|pair| pair.0.1));
    let mut costs = vec![0.0; rows.len() * columns.len()];
    for &((object, prediction), count) in group {
        let place = (
            rows.binary_search(&object),
            columns.binary_search(&prediction),
        );
        if let (Ok(row), Ok(column)) = place {
            costs[row * columns.len() + column] = -(count as f64);
        }
    }
    // Counts are finite: there is nothing to refuse.
    matching::assign(&costs, rows.len(), columns.len(), &Rules::default())
        .map_or(0, |found| (-found.total) as u64)
}

/// The pairs, by the groups that they connect.
fn groups(together: &BTreeMap<(u32, u32), u64>) -> Vec<Vec<Pair>> {
    let mut of_truth: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let mut of_prediction: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for &(object, prediction) in together.keys() {
        of_truth.entry(object).or_default().push(prediction);
        of_prediction.entry(prediction).or_default().push(object);
    }
    let mut found = Vec::new();
    while let Some((object, predictions)) = of_truth.pop_first() {
        let (mut group, mut waiting) = (Vec::new(), vec![(object, predictions)]);
        while let Some((object, predictions)) = waiting.pop() {
            for prediction in predictions {
                let count = together.get(&(object, prediction)).copied().unwrap_or(0);
                group.push(((object, prediction), count));
                for other in of_prediction.remove(&prediction).unwrap_or_default() {
                    waiting.extend(of_truth.remove_entry(&other));
                }
            }
        }
        found.push(group);
    }
    found
}
