//! What is found at one threshold: objects matched one to one with predictions, their overlap, confusions, empty images.

use super::{
    assign::{Candidate, one_to_one},
    error::EvalError,
    options::EvalOptions,
    test_set::TestSet,
};
use crate::eval::error::EvalErrorKind;
use hotcoco::{Annotation, Rle, mask, primitives::sim::bbox_iou_pair};
use serde::Serialize;
use std::{collections::BTreeMap, path::Path};

/// Most pairs of predictions and objects in an image; the time of an assignment grows with their 3/2th power.
const MAX_PAIRS: usize = 4_000_000;

/// Added to the cost of a pair of different classes, to prefer the right class where boxes are the same.
const OTHER_CLASS: f64 = 1e-9;

/// Objects and predictions matched one to one at a threshold of score and of box IoU.
///
/// Within an image and class the choice of pairs is the one with the most pairs of an IoU at the threshold or above, and of
/// those with the highest sum of IoU. Crowds are no objects; a prediction that lies in one of its class by at least the
/// threshold counts neither as true nor as false.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MatchedObjects {
    /// Objects with a prediction.
    pub true_positives: u64,
    /// Predictions without an object.
    pub false_positives: u64,
    /// Objects without a prediction.
    pub false_negatives: u64,
    /// Share of predictions that are right: TP / (TP + FP); none without predictions.
    pub precision: Option<f64>,
    /// Share of objects that are found: TP / (TP + FN); none without objects.
    pub recall: Option<f64>,
    /// Harmonic mean of the two: 2 TP / (2 TP + FP + FN); none without objects and predictions.
    pub f1: Option<f64>,
    /// Mean IoU of matched boxes.
    pub mean_box_iou: Option<f64>,
    /// Mean IoU of the masks of matched objects; none without masks.
    pub mean_mask_iou: Option<f64>,
    /// Mean Dice coefficient of the masks of matched objects; none without masks.
    pub mean_dice: Option<f64>,
    #[serde(skip)]
    sums: Sums,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Sums {
    box_iou: f64,
    mask_iou: f64,
    dice: f64,
    masks: u64,
}

impl MatchedObjects {
    fn add(&mut self, other: &Self) {
        self.true_positives += other.true_positives;
        self.false_positives += other.false_positives;
        self.false_negatives += other.false_negatives;
        self.sums.box_iou += other.sums.box_iou;
        self.sums.mask_iou += other.sums.mask_iou;
        self.sums.dice += other.sums.dice;
        self.sums.masks += other.sums.masks;
    }

    fn finish(&mut self) {
        let share = |part: f64, whole: u64| (whole > 0).then(|| part / whole as f64);
        let (tp, fp, fn_) = (
            self.true_positives,
            self.false_positives,
            self.false_negatives,
        );
        self.precision = share(tp as f64, tp + fp);
        self.recall = share(tp as f64, tp + fn_);
        self.f1 = share(2.0 * tp as f64, 2 * tp + fp + fn_);
        self.mean_box_iou = share(self.sums.box_iou, tp);
        self.mean_mask_iou = share(self.sums.mask_iou, self.sums.masks);
        self.mean_dice = share(self.sums.dice, self.sums.masks);
    }
}

/// A cell of the confusion table that is not 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Confusion {
    /// Class of the object; none is background: there is no object.
    pub truth: Option<String>,
    /// Class of the prediction; none is background: nothing was predicted.
    pub prediction: Option<String>,
    /// How often.
    pub count: u64,
}

/// Images without ground truth.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct EmptyImages {
    /// Number of images without an object or a crowd.
    pub images: u64,
    /// Of these, images without a prediction at or above the threshold.
    pub without_predictions: u64,
    /// `without_predictions` / `images`; none if there are no such images.
    pub share: Option<f64>,
}

/// All that is measured at one threshold.
#[derive(Debug, Default)]
pub(super) struct Objects {
    pub(super) overall: MatchedObjects,
    pub(super) per_class: Vec<MatchedObjects>,
    /// Class of the object and of the prediction, none being background.
    confusion: BTreeMap<(Option<usize>, Option<usize>), u64>,
    pub(super) empty: EmptyImages,
}

impl Objects {
    pub(super) fn measure(
        set: &TestSet,
        options: &EvalOptions,
        path: &Path,
    ) -> Result<Self, EvalError> {
        let mut objects = Self {
            per_class: vec![MatchedObjects::default(); set.classes.len()],
            ..Self::default()
        };
        let truth = by_image(&set.truth.dataset.annotations, set.images.len(), |_| true);
        let sure = |a: &Annotation| a.score.is_some_and(|score| score >= options.confidence);
        let predictions = by_image(&set.predictions.dataset.annotations, set.images.len(), sure);
        for (place, (truth, predictions)) in truth.iter().zip(&predictions).enumerate() {
            if truth.len().saturating_mul(predictions.len()) > MAX_PAIRS {
                let counts = format!(
                    "{} predictions and {} objects",
                    predictions.len(),
                    truth.len()
                );
                let problem = format!(
                    "{} has {counts}, too many to match one to one",
                    set.images[place]
                );
                return Err(EvalError::new(path, problem)
                    .with_kind(EvalErrorKind::TooManyPairs)
                    .with_remedy("raise the minimum score"));
            }
            let image = ImageObjects::new(truth, predictions, options.iou_threshold, set.masks);
            image.count_empty(&mut objects.empty);
            image.count_matches(&mut objects.per_class);
            image.count_confusions(&mut objects.confusion);
        }
        for class in &mut objects.per_class {
            objects.overall.add(class);
            class.finish();
        }
        objects.overall.finish();
        let empty = &mut objects.empty;
        empty.share =
            (empty.images > 0).then(|| empty.without_predictions as f64 / empty.images as f64);
        Ok(objects)
    }

    /// The cells that are not 0, by class of the object, then of the prediction, background last.
    pub(super) fn confusions(&self, set: &TestSet) -> Vec<Confusion> {
        let name = |class: Option<usize>| {
            class
                .and_then(|class| set.classes.get(class))
                .map(|class| class.name.clone())
        };
        let last = |class: Option<usize>| class.unwrap_or(usize::MAX);
        let mut cells: Vec<_> = self.confusion.iter().collect();
        cells.sort_by_key(|((truth, prediction), _)| (last(*truth), last(*prediction)));
        let cell =
            |(&(truth, prediction), &count): (&(Option<usize>, Option<usize>), &u64)| Confusion {
                truth: name(truth),
                prediction: name(prediction),
                count,
            };
        cells.into_iter().map(cell).collect()
    }
}

/// Annotations by image, in the order of the list.
fn by_image(
    annotations: &[Annotation],
    images: usize,
    keep: impl Fn(&Annotation) -> bool,
) -> Vec<Vec<&Annotation>> {
    let mut lists = vec![Vec::new(); images];
    for annotation in annotations.iter().filter(|a| keep(a)) {
        if let Some(list) = usize::try_from(annotation.image_id)
            .ok()
            .and_then(|image| lists.get_mut(image))
        {
            list.push(annotation);
        }
    }
    lists
}

/// One image's objects and predictions.
struct ImageObjects<'a> {
    objects: Vec<&'a Annotation>,
    predictions: Vec<&'a Annotation>,
    crowds: Vec<&'a Annotation>,
    threshold: f64,
    masks: bool,
    /// Pairs at or above the threshold, of any classes.
    candidates: Vec<Candidate>,
}

impl<'a> ImageObjects<'a> {
    fn new(
        truth: &[&'a Annotation],
        predictions: &[&'a Annotation],
        threshold: f64,
        masks: bool,
    ) -> Self {
        let (crowds, objects): (Vec<_>, Vec<_>) = truth.iter().copied().partition(|a| a.iscrowd);
        let mut candidates = Vec::new();
        for (p, prediction) in predictions.iter().enumerate() {
            for (o, object) in objects.iter().enumerate() {
                let iou = overlap(prediction, object, false);
                if iou >= threshold {
                    let other = if prediction.category_id == object.category_id {
                        0.0
                    } else {
                        OTHER_CLASS
                    };
                    candidates.push(Candidate {
                        prediction: p,
                        object: o,
                        cost: 1.0 - iou + other,
                    });
                }
            }
        }
        Self {
            objects,
            predictions: predictions.to_vec(),
            crowds,
            threshold,
            masks,
            candidates,
        }
    }

    fn count_empty(&self, empty: &mut EmptyImages) {
        if self.objects.is_empty() && self.crowds.is_empty() {
            empty.images += 1;
            empty.without_predictions += u64::from(self.predictions.is_empty());
        }
    }

    fn count_matches(&self, classes: &mut [MatchedObjects]) {
        let same = |c: &&Candidate| {
            self.objects[c.object].category_id == self.predictions[c.prediction].category_id
        };
        let candidates: Vec<Candidate> = self.candidates.iter().filter(same).copied().collect();
        let (mut found, mut right) = (
            vec![false; self.objects.len()],
            vec![false; self.predictions.len()],
        );
        for pair in one_to_one(&candidates) {
            (found[pair.object], right[pair.prediction]) = (true, true);
            let (object, prediction) =
                (self.objects[pair.object], self.predictions[pair.prediction]);
            let Some(class) = class_of(object).and_then(|class| classes.get_mut(class)) else {
                continue;
            };
            class.true_positives += 1;
            class.sums.box_iou += 1.0 - pair.cost;
            if let Some(iou) = self.masks.then(|| mask_iou(prediction, object)).flatten() {
                class.sums.masks += 1;
                class.sums.mask_iou += iou;
                // 2|A∩B| / (|A| + |B|), from |A∩B| / |A∪B|.
                class.sums.dice += 2.0 * iou / (1.0 + iou);
            }
        }
        for (object, found) in self.objects.iter().zip(found) {
            if let Some(class) = class_of(object).and_then(|class| classes.get_mut(class)) {
                class.false_negatives += u64::from(!found);
            }
        }
        for (prediction, right) in self.predictions.iter().zip(right) {
            if let Some(class) = class_of(prediction).and_then(|class| classes.get_mut(class)) {
                class.false_positives += u64::from(!right && !self.in_crowd(prediction));
            }
        }
    }

    fn count_confusions(&self, table: &mut BTreeMap<(Option<usize>, Option<usize>), u64>) {
        let (mut found, mut used) = (
            vec![false; self.objects.len()],
            vec![false; self.predictions.len()],
        );
        let mut count = |truth, prediction| *table.entry((truth, prediction)).or_default() += 1;
        for pair in one_to_one(&self.candidates) {
            (found[pair.object], used[pair.prediction]) = (true, true);
            count(
                class_of(self.objects[pair.object]),
                class_of(self.predictions[pair.prediction]),
            );
        }
        for (object, _) in self.objects.iter().zip(found).filter(|(_, found)| !found) {
            count(class_of(object), None);
        }
        for (prediction, used) in self.predictions.iter().zip(used) {
            if !used && !self.in_crowd(prediction) {
                count(None, class_of(prediction));
            }
        }
    }

    fn in_crowd(&self, prediction: &Annotation) -> bool {
        let own = self
            .crowds
            .iter()
            .filter(|crowd| crowd.category_id == prediction.category_id);
        own.into_iter()
            .any(|crowd| overlap(prediction, crowd, true) >= self.threshold)
    }
}

fn class_of(annotation: &Annotation) -> Option<usize> {
    usize::try_from(annotation.category_id).ok()
}

/// IoU of two boxes, or the share of the prediction that lies in a crowd.
fn overlap(prediction: &Annotation, object: &Annotation, crowd: bool) -> f64 {
    match (prediction.bbox, object.bbox) {
        (Some(a), Some(b)) => bbox_iou_pair(a, b, crowd),
        _ => 0.0,
    }
}

fn mask_iou(prediction: &Annotation, object: &Annotation) -> Option<f64> {
    let rle = |a: &Annotation| -> Option<Rle> { a.segmentation.as_ref()?.rle_ref()?.to_rle().ok() };
    let found = mask::iou(&[rle(prediction)?], &[rle(object)?], &[false]);
    found.first()?.first().copied()
}
