//! What is judged of a sequence: objects and predictions of one class, without those that the rules leave out.

use super::{
    align::{Paired, PairedFrame},
    options::{TrackIou, TrackRules},
    set::{Object, Role},
    shape::{Regions, Shape, iou},
    steps::{Similar, Step, Steps, SumOrder},
};
use crate::{eval::error::EvalErrorKind, matching::assign_in_order};
use std::collections::{BTreeMap, BTreeSet};

/// MOTChallenge's classes of the ground truth.
pub(super) const PEDESTRIAN: i64 = 1;
const NON_MOT_VEHICLE: i64 = 6;
/// People on vehicles, static people, distractors, reflections.
const DISTRACTORS: [i64; 4] = [2, 7, 8, 12];
/// The highest of them.
pub(super) const LAST_MOT_CLASS: i64 = 13;

/// The IoU from which on a prediction is what the ground truth marks as not to be judged.
const SAME: f64 = 0.5;

/// Most pairs of objects and predictions in a frame; the time of an assignment grows with their 3/2th power.
const MAX_PAIRS: usize = 4_000_000;

/// How a class is judged.
pub(super) struct Judged<'a> {
    pub(super) rules: TrackRules,
    pub(super) iou: TrackIou,
    /// The class's id in the ground truth.
    pub(super) class: i64,
    /// The ids of the predictions' classes that are this one; none for all.
    pub(super) predicted: Option<&'a BTreeSet<i64>>,
    pub(super) confidence: Option<f64>,
}

/// Why a frame is too much.
pub(super) type Fault = (EvalErrorKind, String);

impl Judged<'_> {
    /// What is compared of `paired`.
    pub(super) fn steps(&self, paired: &Paired<'_>) -> Result<Steps, Fault> {
        let mut kept = Vec::with_capacity(paired.frames.len());
        let mut ids: [BTreeSet<(usize, i64)>; 2] = Default::default();
        for frame in &paired.frames {
            let [truth, predictions] = self.kept(frame)?;
            ids[0].extend(truth.iter().map(|object| (0, object.track)));
            ids[1].extend(
                predictions
                    .iter()
                    .map(|object| (frame.predicted_in, object.track)),
            );
            if !truth.is_empty() || !predictions.is_empty() {
                kept.push((frame.predicted_in, truth, predictions));
            }
        }
        // Tracks are numbered by what they are called.
        let numbers: [BTreeMap<(usize, i64), u32>; 2] =
            ids.map(|ids| ids.into_iter().zip(0u32..).collect());
        let number = |side: usize, of: usize, object: &Object| {
            numbers[side].get(&(of, object.track)).copied().unwrap_or(0)
        };
        let mut steps = Vec::with_capacity(kept.len());
        for (of, truth, predictions) in kept {
            check_pairs(truth.len(), predictions.len())?;
            steps.push(Step {
                similar: self.similar(&truth, &predictions),
                truth: truth.iter().map(|o| number(0, 0, o)).collect(),
                predictions: predictions.iter().map(|o| number(1, of, o)).collect(),
            });
        }
        Ok(Steps {
            tracks: [numbers[0].len(), numbers[1].len()],
            length: paired.length,
            steps,
            order: if self.rules == TrackRules::Classes {
                SumOrder::ByColumn
            } else {
                SumOrder::ByRow
            },
        })
    }

    fn shape(&self, object: &Object) -> Shape {
        match (&object.mask, self.iou) {
            (Some(mask), TrackIou::Masks) => Shape::Mask(mask.clone()),
            _ => Shape::Box(object.corners),
        }
    }

    fn similar(&self, truth: &[&Object], predictions: &[&Object]) -> Vec<Similar> {
        let columns: Vec<Shape> = predictions.iter().map(|o| self.shape(o)).collect();
        let mut found = Vec::new();
        for (row, object) in (0u32..).zip(truth) {
            let shape = self.shape(object);
            for (column, other) in (0u32..).zip(&columns) {
                let value = iou(&shape, other);
                if value > 0.0 {
                    found.push(Similar {
                        truth: row,
                        prediction: column,
                        value,
                    });
                }
            }
        }
        found
    }

    fn is_predicted(&self, object: &Object) -> bool {
        let scored = match (self.confidence, object.score) {
            (Some(least), Some(score)) => score >= least,
            _ => true,
        };
        scored
            && self
                .predicted
                .is_none_or(|classes| classes.contains(&object.class))
    }

    /// The frame's objects and predictions that are judged.
    fn kept<'o>(&self, frame: &PairedFrame<'o>) -> Result<[Vec<&'o Object>; 2], Fault> {
        let predictions: Vec<&Object> = frame
            .predictions
            .iter()
            .filter(|object| self.is_predicted(object))
            .collect();
        let objects = |of_class: &dyn Fn(&Object) -> bool| -> Vec<&'o Object> {
            let all = frame.truth.iter();
            all.filter(|object| object.role == Role::Object && of_class(object))
                .collect()
        };
        match self.rules {
            TrackRules::Mot15 => Ok([objects(&|_| true), predictions]),
            TrackRules::Mot17 | TrackRules::Mot20 => {
                let judged = self.without_distractors(frame.truth, predictions)?;
                Ok([objects(&|object| object.class == PEDESTRIAN), judged])
            }
            TrackRules::Classes => {
                let truth = objects(&|object| object.class == self.class);
                let judged = self.without_crowds(frame.truth, &truth, predictions)?;
                Ok([truth, judged])
            }
        }
    }

    /// Predictions but those that are matched with something that is not to be judged. What is marked 0 takes part.
    fn without_distractors<'o>(
        &self,
        all: &[Object],
        predictions: Vec<&'o Object>,
    ) -> Result<Vec<&'o Object>, Fault> {
        let is_distractor = |class: i64| {
            DISTRACTORS.contains(&class)
                || (self.rules == TrackRules::Mot20 && class == NON_MOT_VEHICLE)
        };
        let truth: Vec<&Object> = all.iter().collect();
        let matched = self.matched(&truth, &predictions, 0.0)?;
        let removed: BTreeSet<usize> = matched
            .into_iter()
            .filter(|(row, _)| is_distractor(truth[*row].class))
            .map(|(_, column)| column)
            .collect();
        Ok(left(predictions, &removed))
    }

    /// Predictions but those without a match of which more than half lies in a crowd.
    fn without_crowds<'o>(
        &self,
        all: &[Object],
        truth: &[&Object],
        predictions: Vec<&'o Object>,
    ) -> Result<Vec<&'o Object>, Fault> {
        let crowds: Vec<Shape> = all
            .iter()
            .filter(|object| match object.role {
                Role::Crowd => object.class == self.class,
                Role::CrowdOfAll => true,
                Role::Object | Role::Unmarked => false,
            })
            .map(|object| self.shape(object))
            .collect();
        if crowds.is_empty() {
            return Ok(predictions);
        }
        let regions = Regions::of(&crowds.iter().collect::<Vec<_>>());
        // As many matches as can be: pairs below the threshold cost more than any others gain.
        let matched = self.matched(truth, &predictions, -10_000.0)?;
        let matched: BTreeSet<usize> = matched.into_iter().map(|(_, column)| column).collect();
        let removed: BTreeSet<usize> = predictions
            .iter()
            .enumerate()
            .filter(|(at, object)| !matched.contains(at) && regions.hold(&self.shape(object)))
            .map(|(at, _)| at)
            .collect();
        Ok(left(predictions, &removed))
    }

    /// Pairs of an IoU of at least [`SAME`]; others weigh `other`.
    fn matched(
        &self,
        truth: &[&Object],
        predictions: &[&Object],
        other: f64,
    ) -> Result<Vec<(usize, usize)>, Fault> {
        check_pairs(truth.len(), predictions.len())?;
        let columns = predictions.len();
        let mut scores = vec![other; truth.len() * columns];
        for similar in self.similar(truth, predictions) {
            if similar.value >= SAME - f64::EPSILON {
                scores[similar.truth as usize * columns + similar.prediction as usize] =
                    similar.value;
            }
        }
        let costs: Vec<f64> = scores.iter().map(|score| -score).collect();
        let mut pairs = assign_in_order(&costs, truth.len(), columns);
        pairs.retain(|(row, column)| scores[row * columns + column] > f64::EPSILON);
        Ok(pairs)
    }
}

fn left<'o>(predictions: Vec<&'o Object>, removed: &BTreeSet<usize>) -> Vec<&'o Object> {
    let all = predictions.into_iter().enumerate();
    all.filter(|(at, _)| !removed.contains(at))
        .map(|(_, object)| object)
        .collect()
}

fn check_pairs(rows: usize, columns: usize) -> Result<(), Fault> {
    if rows.saturating_mul(columns) <= MAX_PAIRS {
        return Ok(());
    }
    Err((
        EvalErrorKind::TooManyPairs,
        format!(
            "a frame has {rows} objects and {columns} predictions: more pairs than {MAX_PAIRS}"
        ),
    ))
}
