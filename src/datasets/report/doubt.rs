//! Why a frame should be looked at.
//!
//! Each reason has a weight in 0..1. A frame's doubt is `1 - Π (1 - w)` over the kinds of reasons, with the largest weight
//! of each kind: it rises with every kind and stays below 1. The page explains this with the constants of [`Scale`].

use crate::{datasets::item::Item, geometry::BoxXyxy};
use serde::Serialize;
use std::time::Duration;

/// The constants of the formula.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Scale {
    /// Scores less than this above the threshold are near it.
    pub(super) margin: f64,
    /// Mask scores below this are low.
    pub(super) mask_score: f64,
    /// IoU from which on boxes of neighbouring frames are the same place.
    pub(super) same: f64,
    /// IoU from which on an object has something at its place in a neighbouring frame.
    pub(super) near: f64,
    /// IoU from which on two objects of one frame are duplicates.
    pub(super) overlap: f64,
    /// Share of the smaller box inside the larger from which on two objects of one class are duplicates.
    pub(super) inside: f64,
    /// Frames further apart than this are not compared, unless their numbers follow each other. In milliseconds.
    pub(super) apart_ms: u32,
    /// Greatest weights, in the order of [`Kind`].
    pub(super) weights: [f64; 6],
}

pub(super) const SCALE: Scale = Scale {
    margin: 0.15,
    mask_score: 0.8,
    same: 0.5,
    near: 0.2,
    overlap: 0.6,
    inside: 0.9,
    apart_ms: 250,
    weights: [0.6, 0.8, 0.7, 0.7, 0.6, 0.8],
};

/// Kinds of reasons, by the numbers that the page has for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The score is close above the threshold (or below it).
    Threshold,
    /// A neighbouring frame has another class at this place.
    Class,
    /// Neighbouring frames have nothing at this place.
    Lone,
    /// The frames before and after have an object where this one has none.
    Gap,
    /// The segmenter's own estimate of its mask is low.
    Mask,
    /// Two objects at one place.
    Overlap,
}

/// A reason to look at a frame.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reason {
    pub(super) kind: Kind,
    /// The object in its frame; none for a gap.
    pub(super) object: Option<usize>,
    /// In 0..1.
    pub(super) weight: f64,
    /// Score, other class, number of neighbours without the object, missing class, mask score, or other object.
    pub(super) value: f64,
}

/// What is kept of a frame to compare its neighbours with.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    number: Option<(u64, Option<Duration>)>,
    objects: Vec<Object>,
}

#[derive(Debug, Clone)]
struct Object {
    class: u32,
    bbox: BoxXyxy,
    score: Option<f32>,
    mask_score: Option<f32>,
    track_id: Option<u64>,
}

impl Seen {
    pub(super) fn of(item: &Item) -> Self {
        let objects = item.annotations.iter().map(|a| Object {
            class: a.class,
            bbox: a.bbox,
            score: a.score,
            mask_score: a.mask_score,
            track_id: a.track_id,
        });
        Self {
            number: item.place.as_ref().map(|p| (p.frame, p.timestamp)),
            objects: objects.collect(),
        }
    }

    /// Whether `later` is close enough to compare objects with.
    fn is_followed_by(&self, later: &Self) -> bool {
        let (Some((a, from)), Some((b, to))) = (self.number, later.number) else {
            return false;
        };
        let apart = to.zip(from).and_then(|(to, from)| to.checked_sub(from));
        b.checked_sub(a) == Some(1)
            || apart.is_some_and(|t| t <= Duration::from_millis(SCALE.apart_ms.into()))
    }

    /// The objects that are one with `object`, by number or by place.
    fn at<'s>(&'s self, object: &'s Object, least: f64) -> impl Iterator<Item = &'s Object> {
        self.objects
            .iter()
            .filter(move |other| match (object.track_id, other.track_id) {
                (Some(a), Some(b)) if a == b => true,
                _ => f64::from(object.bbox.iou(&other.bbox)) >= least,
            })
    }
}

/// The frame's doubt in 0..1, and its reasons, the weightiest first. `before` and `after` are the frames beside it in the
/// record, of the same source.
pub(super) fn doubt(
    before: Option<&Seen>,
    frame: &Seen,
    after: Option<&Seen>,
    threshold: f64,
) -> (f64, Vec<Reason>) {
    let before = before.filter(|other| other.is_followed_by(frame));
    let after = after.filter(|other| frame.is_followed_by(other));
    let beside: Vec<&Seen> = before.into_iter().chain(after).collect();
    let mut reasons = Vec::new();
    for (index, object) in frame.objects.iter().enumerate() {
        let mut add = |kind, weight, value| {
            reasons.push(Reason {
                kind,
                object: Some(index),
                weight,
                value,
            });
        };
        if let Some((weight, score)) = near_threshold(object, threshold) {
            add(Kind::Threshold, weight, score);
        }
        if let Some((weight, class)) = other_class(object, &beside) {
            add(Kind::Class, weight, class);
        }
        if let Some((weight, neighbours)) = lone(object, &beside) {
            add(Kind::Lone, weight, neighbours);
        }
        if let Some((weight, score)) = low_mask(object) {
            add(Kind::Mask, weight, score);
        }
        if let Some((weight, other)) = duplicate(index, &frame.objects) {
            add(Kind::Overlap, weight, other);
        }
    }
    if let (Some(before), Some(after)) = (before, after) {
        reasons.extend(gaps(before, frame, after));
    }
    reasons.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    (combined(&reasons), reasons)
}

/// `1 - Π (1 - w)`, the largest weight of each kind.
fn combined(reasons: &[Reason]) -> f64 {
    let mut largest = [0.0f64; 6];
    for reason in reasons {
        let slot = &mut largest[reason.kind as usize];
        *slot = slot.max(reason.weight);
    }
    1.0 - largest.iter().map(|w| 1.0 - w).product::<f64>()
}

fn weight(kind: Kind) -> f64 {
    SCALE.weights[kind as usize]
}

fn near_threshold(object: &Object, threshold: f64) -> Option<(f64, f64)> {
    let score = f64::from(object.score?);
    // Above a threshold of 0.85 less room is left, and the surest scores are not near it.
    let margin = SCALE.margin.min((1.0 - threshold) / 2.0);
    let above = score - threshold;
    (above < margin).then(|| {
        let share = 1.0 - above.max(0.0) / margin.max(f64::MIN_POSITIVE);
        (weight(Kind::Threshold) * share, score)
    })
}

/// Half the weight for each neighbour that has another class, and not this one, at the object's place.
fn other_class(object: &Object, beside: &[&Seen]) -> Option<(f64, f64)> {
    let others: Vec<u32> = beside
        .iter()
        .filter_map(|seen| {
            let mut other = None;
            for found in seen.at(object, SCALE.same) {
                if found.class == object.class {
                    return None;
                }
                other = other.or(Some(found.class));
            }
            other
        })
        .collect();
    let class = f64::from(*others.first()?);
    Some((weight(Kind::Class) * others.len() as f64 / 2.0, class))
}

/// Half the weight for each neighbour without anything at the object's place, if that is so of all of them.
fn lone(object: &Object, beside: &[&Seen]) -> Option<(f64, f64)> {
    let alone = beside
        .iter()
        .all(|seen| seen.at(object, SCALE.near).next().is_none());
    let count = beside.len() as f64;
    (alone && !beside.is_empty()).then_some((weight(Kind::Lone) * count / 2.0, count))
}

fn low_mask(object: &Object) -> Option<(f64, f64)> {
    let score = f64::from(object.mask_score?);
    let below = SCALE.mask_score - score;
    let share = (below / (SCALE.mask_score / 2.0)).min(1.0);
    (below > 0.0).then_some((weight(Kind::Mask) * share, score))
}

/// The object before this one in the frame that it covers most.
fn duplicate(index: usize, objects: &[Object]) -> Option<(f64, f64)> {
    let object = &objects[index];
    let overlaps = objects[..index]
        .iter()
        .enumerate()
        .filter_map(|(i, other)| {
            let iou = f64::from(object.bbox.iou(&other.bbox));
            let smaller = f64::from(object.bbox.area().min(other.bbox.area()));
            let sum = f64::from(object.bbox.area()) + f64::from(other.bbox.area());
            // The intersection follows from IoU and areas.
            let inside = iou / (1.0 + iou) * sum / smaller.max(f64::MIN_POSITIVE);
            if iou >= SCALE.overlap {
                Some((i, iou))
            } else {
                (object.class == other.class && inside >= SCALE.inside)
                    .then_some((i, inside.min(1.0)))
            }
        });
    let (other, overlap) = overlaps.max_by(|a, b| a.1.total_cmp(&b.1))?;
    Some((weight(Kind::Overlap) * overlap, other as f64))
}

/// Objects of the frame before that are in the frame after, and at whose place this frame has nothing.
fn gaps(before: &Seen, frame: &Seen, after: &Seen) -> Vec<Reason> {
    let missing = before.objects.iter().filter(|object| {
        frame.at(object, SCALE.near).next().is_none()
            && after
                .at(object, SCALE.same)
                .any(|other| other.class == object.class)
    });
    missing
        .map(|object| Reason {
            kind: Kind::Gap,
            object: None,
            weight: weight(Kind::Gap),
            value: f64::from(object.class),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(class: u32, x: f32, score: f32, mask_score: f32) -> Object {
        Object {
            class,
            bbox: BoxXyxy::new(x, 0.0, x + 100.0, 100.0),
            score: Some(score),
            mask_score: Some(mask_score),
            track_id: None,
        }
    }

    fn seen(frame: u64, objects: &[Object]) -> Seen {
        Seen {
            number: Some((frame, Some(Duration::from_millis(frame * 40)))),
            objects: objects.to_vec(),
        }
    }

    fn kinds(reasons: &[Reason]) -> Vec<(Kind, f64)> {
        let round = |w: f64| (w * 1000.0).round() / 1000.0;
        reasons.iter().map(|r| (r.kind, round(r.weight))).collect()
    }

    #[test]
    fn a_sure_object_that_stays_is_not_doubtful() {
        let at = |n| seen(n, &[object(0, 0.0, 0.9, 0.95)]);
        let (doubt, reasons) = doubt(Some(&at(0)), &at(1), Some(&at(2)), 0.5);
        assert_eq!((doubt, reasons), (0.0, vec![]));
    }

    #[test]
    fn each_kind_is_found_alone() {
        let sure = |class| object(class, 0.0, 0.9, 0.95);
        let of = |before: &[Object], frame: &[Object], after: &[Object]| {
            let (_, reasons) = doubt(
                Some(&seen(4, before)),
                &seen(5, frame),
                Some(&seen(6, after)),
                0.5,
            );
            kinds(&reasons)
        };
        let steady = [sure(0)];
        let weak = object(0, 0.0, 0.575, 0.95);
        assert_eq!(of(&steady, &[weak], &steady), [(Kind::Threshold, 0.3)]);
        assert_eq!(of(&steady, &[sure(1)], &steady), [(Kind::Class, 0.8)]);
        assert_eq!(of(&[sure(1)], &[sure(1)], &steady), [(Kind::Class, 0.4)]);
        assert_eq!(of(&[], &steady, &[]), [(Kind::Lone, 0.7)]);
        assert_eq!(of(&steady, &[], &steady), [(Kind::Gap, 0.7)]);
        let rough = object(0, 0.0, 0.9, 0.6);
        assert_eq!(of(&steady, &[rough], &steady), [(Kind::Mask, 0.3)]);
        let twice = [sure(0), object(0, 10.0, 0.8, 0.95)];
        assert_eq!(of(&steady, &twice, &steady), [(Kind::Overlap, 0.655)]);
        let mut part = sure(0);
        part.bbox = BoxXyxy::new(0.0, 0.0, 50.0, 50.0);
        let nested = of(&steady, &[sure(0), part.clone()], &steady);
        assert_eq!(nested, [(Kind::Overlap, 0.8)]);
        part.class = 1;
        assert_eq!(of(&[sure(0), part.clone()], &[sure(0), part], &steady), []);
    }

    #[test]
    fn frames_far_apart_are_not_compared() {
        let (first, far) = (seen(0, &[]), seen(24, &[object(0, 0.0, 0.9, 0.9)]));
        assert!(doubt(Some(&first), &far, None, 0.5).1.is_empty());
        let still = Seen {
            number: None,
            ..far.clone()
        };
        assert!(doubt(None, &still, None, 0.5).1.is_empty());
        // Six frames at 25 a second are 240 ms.
        let near = seen(6, &[object(0, 0.0, 0.9, 0.9)]);
        assert_eq!(
            kinds(&doubt(Some(&first), &near, None, 0.5).1),
            [(Kind::Lone, 0.35)]
        );
    }

    #[test]
    fn tracked_objects_are_themselves_wherever_they_are() {
        let mut near = object(0, 0.0, 0.9, 0.9);
        let mut far = object(0, 500.0, 0.9, 0.9);
        (near.track_id, far.track_id) = (Some(3), Some(3));
        let (from, to) = (seen(0, &[near]), seen(1, &[far]));
        assert!(doubt(None, &from, Some(&to), 0.5).1.is_empty());
    }

    #[test]
    fn kinds_add_up_and_stay_below_one() {
        let many: Vec<Object> = (0..9).map(|_| object(0, 0.0, 0.5, 0.1)).collect();
        let (doubt, reasons) = doubt(Some(&seen(0, &[])), &seen(1, &many), None, 0.5);
        assert!(doubt > 0.9 && doubt < 1.0, "{doubt}");
        assert!(reasons.is_sorted_by(|a, b| a.weight >= b.weight));
        // A threshold of 1 leaves no margin.
        let sure = seen(0, &[object(0, 0.0, 1.0, 0.9)]);
        assert!(super::doubt(None, &sure, None, 1.0).1.is_empty());
    }
}
