//! From logits and boxes to objects: the best of all queries and classes, without non-maximum suppression.

use crate::{
    geometry::BoxCxCyWh,
    ops::{ObjectRecord, ObjectRecords},
};

/// Pairs of query and class that the authors keep.
pub const MAX_DETECTIONS: usize = 300;

/// Which pairs of query and class become objects.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// Scores must be at least this, in 0..1.
    pub threshold: f32,
    /// At most this many, and at most [`MAX_DETECTIONS`].
    pub max_objects: usize,
    /// For each class whether it may be chosen; all may if none.
    pub classes: Option<Vec<bool>>,
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            threshold: 0.5,
            max_objects: MAX_DETECTIONS,
            classes: None,
        }
    }
}

/// A chosen pair of query and class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Class, from 0.
    pub class: u32,
    /// Sigmoid of the logit.
    pub score: f32,
    /// Box in 0..1 of the image.
    pub bbox: BoxCxCyWh,
}

/// Outputs that no selection can be made from.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// The slices' lengths do not belong together.
    #[error(
        "{logits} logits and {boxes} box coordinates for {classes} classes do not belong together"
    )]
    Lengths {
        /// Logits given.
        logits: usize,
        /// Coordinates given.
        boxes: usize,
        /// Classes.
        classes: usize,
    },
    /// The model computed nonsense.
    #[error(
        "{}; the checkpoint is damaged, or its numbers are too large for the chosen precision: use f32",
        broken_outputs(*logits, *boxes)
    )]
    NotFinite {
        /// Logits that are NaN or infinite.
        logits: usize,
        /// Coordinates that are.
        boxes: usize,
    },
}

fn broken_outputs(logits: usize, boxes: usize) -> String {
    let of = |name: &str, count: usize| (count > 0).then(|| format!("{count} of its {name}"));
    let found: Vec<String> = [of("logits", logits), of("pred_boxes", boxes)]
        .into_iter()
        .flatten()
        .collect();
    format!(
        "the detector's output is not finite (NaN or infinity): {}",
        found.join(", ")
    )
}

/// Chooses the best pairs of query and class of one image: best score first, equal scores by query, then by class.
///
/// `logits` is `[Q, K]` row-major with `classes` = K, `boxes` `[Q, 4]`. As the authors do, the sigmoid of every
/// logit is a score of its own, and one query may give several objects. Classes that are ruled out take no place.
///
/// # Errors
/// [`SelectError`] if lengths disagree or a number is not finite.
pub fn select(
    logits: &[f32],
    boxes: &[f32],
    classes: usize,
    selection: &Selection,
) -> Result<Vec<Candidate>, SelectError> {
    let queries = boxes.len() / 4;
    let filter = selection.classes.as_deref();
    if classes == 0
        || !boxes.len().is_multiple_of(4)
        || queries.checked_mul(classes) != Some(logits.len())
        || filter.is_some_and(|f| f.len() != classes)
    {
        return Err(SelectError::Lengths {
            logits: logits.len(),
            boxes: boxes.len(),
            classes,
        });
    }
    let broken = |numbers: &[f32]| numbers.iter().filter(|v| !v.is_finite()).count();
    let (broken_logits, broken_boxes) = (broken(logits), broken(boxes));
    if broken_logits + broken_boxes > 0 {
        return Err(SelectError::NotFinite {
            logits: broken_logits,
            boxes: broken_boxes,
        });
    }
    let chosen = |i: usize| {
        sigmoid(logits[i]) >= selection.threshold && filter.is_none_or(|f| f[i % classes])
    };
    let mut order: Vec<usize> = (0..logits.len()).filter(|&i| chosen(i)).collect();
    // By logit: its order is the score's, and it still tells apart what the sigmoid rounds to the same number.
    let better = |a: &usize, b: &usize| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b));
    let count = selection.max_objects.min(MAX_DETECTIONS);
    if count == 0 {
        return Ok(Vec::new());
    }
    if count < order.len() {
        order.select_nth_unstable_by(count - 1, better);
        order.truncate(count);
    }
    order.sort_unstable_by(better);
    let candidate = |i: usize| {
        let (query, class) = (i / classes, i % classes);
        let b = &boxes[4 * query..4 * query + 4];
        let bbox = BoxCxCyWh {
            cx: b[0],
            cy: b[1],
            w: b[2],
            h: b[3],
        };
        Candidate {
            class: class as u32,
            score: sigmoid(logits[i]),
            bbox,
        }
    };
    Ok(order.into_iter().map(candidate).collect())
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// The lowest logit whose score is at least `threshold`, so that a device can choose without computing scores; infinity if there is none.
pub fn min_logit(threshold: f32) -> f32 {
    // Floats as integers of the same order.
    let float = |n: i64| {
        f32::from_bits(if n >= 0 {
            n as u32
        } else {
            (-(n + 1)) as u32 | 1 << 31
        })
    };
    let (mut below, mut above) = (
        -i64::from(f32::INFINITY.to_bits()) - 1,
        i64::from(f32::INFINITY.to_bits()),
    );
    if sigmoid(float(below)) >= threshold {
        return f32::NEG_INFINITY;
    }
    // The score at `below` is under the threshold; that at `above` may reach it.
    while above - below > 1 {
        let middle = below + (above - below) / 2;
        if sigmoid(float(middle)) >= threshold {
            above = middle
        } else {
            below = middle
        }
    }
    float(above)
}

/// The objects that [`crate::ops::choose_objects`] chose on the device, as [`select`] gives them.
///
/// # Errors
/// [`SelectError::NotFinite`].
pub fn chosen(records: ObjectRecords<'_>, classes: usize) -> Result<Vec<Candidate>, SelectError> {
    let (logits, boxes) = records.not_finite();
    if logits + boxes > 0 {
        return Err(SelectError::NotFinite { logits, boxes });
    }
    let classes = classes.max(1) as u32;
    let candidate = |r: ObjectRecord| {
        let [cx, cy, w, h] = r.bbox;
        let class = r.place % classes;
        Candidate {
            class,
            score: sigmoid(r.logit),
            bbox: BoxCxCyWh { cx, cy, w, h },
        }
    };
    Ok(records.iter().map(candidate).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxes(n: usize) -> Vec<f32> {
        (0..n).flat_map(|i| [i as f32, 0.5, 0.1, 0.2]).collect()
    }

    fn pairs(logits: &[f32], classes: usize, selection: &Selection) -> Vec<(u32, u32)> {
        let found = select(logits, &boxes(logits.len() / classes), classes, selection).unwrap();
        // A box's centre is the number of its query.
        found.iter().map(|c| (c.bbox.cx as u32, c.class)).collect()
    }

    #[test]
    fn best_first_ties_by_query_then_class_one_query_may_give_two() {
        let logits = [1.0, 2.0, 2.0, 1.0, -1.0, 3.0];
        assert_eq!(
            pairs(&logits, 2, &Selection::default()),
            [(2, 1), (0, 1), (1, 0), (0, 0), (1, 1)]
        );
    }

    #[test]
    fn threshold_limit_and_classes_apply() {
        let logits = [1.0, 2.0, 2.0, 1.0, -1.0, 3.0];
        let all = Selection {
            threshold: 0.0,
            max_objects: 2,
            classes: None,
        };
        assert_eq!(pairs(&logits, 2, &all), [(2, 1), (0, 1)]);
        let first = Selection {
            threshold: 0.0,
            max_objects: 2,
            classes: Some(vec![true, false]),
        };
        assert_eq!(pairs(&logits, 2, &first), [(1, 0), (0, 0)]);
        // sigmoid(0) = 0.5 is at least 0.5.
        assert_eq!(pairs(&[0.0, -1e-3], 1, &Selection::default()), [(0, 0)]);
        assert!(
            pairs(
                &logits,
                2,
                &Selection {
                    max_objects: 0,
                    ..all
                }
            )
            .is_empty()
        );
    }

    #[test]
    fn never_more_than_the_authors_keep() {
        let logits: Vec<f32> = (0..400).map(|i| (i % 7) as f32 + 1.0).collect();
        let all = Selection {
            threshold: 0.0,
            max_objects: 1000,
            classes: None,
        };
        assert_eq!(pairs(&logits, 1, &all).len(), MAX_DETECTIONS);
    }

    #[test]
    fn the_lowest_logit_is_the_first_whose_score_reaches_the_threshold() {
        for threshold in [1e-30f32, 0.01, 0.25, 0.3, 0.5, 0.77, 0.99, 0.999_999] {
            let lowest = min_logit(threshold);
            assert!(sigmoid(lowest) >= threshold, "{threshold}: {lowest}");
            let below = if lowest > 0.0 {
                f32::from_bits(lowest.to_bits() - 1)
            } else {
                f32::from_bits(lowest.to_bits() + 1)
            };
            assert!(
                lowest == 0.0 || sigmoid(below) < threshold,
                "{threshold}: {lowest}"
            );
        }
        assert!(min_logit(0.5) <= 0.0);
        assert_eq!(min_logit(0.0), f32::NEG_INFINITY);
        assert!(sigmoid(min_logit(1.0)) >= 1.0 && min_logit(1.0).is_finite());
        assert_eq!(min_logit(1.1), f32::INFINITY);
    }

    #[test]
    fn nonsense_is_an_error() {
        let s = Selection::default();
        let error = select(&[f32::NAN, 1.0], &boxes(1), 2, &s)
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with(
                "the detector's output is not finite (NaN or infinity): 1 of its logits;"
            ),
            "{error}"
        );
        let error = select(&[0.0, 1.0], &[0.5, f32::INFINITY, f32::NAN, 0.5], 2, &s)
            .unwrap_err()
            .to_string();
        assert!(error.contains("2 of its pred_boxes;"), "{error}");
        assert!(matches!(
            select(&[1.0, 1.0], &boxes(1), 3, &s),
            Err(SelectError::Lengths { .. })
        ));
        assert!(matches!(
            select(&[1.0], &boxes(1)[..3], 1, &s),
            Err(SelectError::Lengths { .. })
        ));
    }
}
