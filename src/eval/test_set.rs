//! Ground truth and predictions of the same images and classes.

mod align;
mod kept;

use super::{
    error::{EvalError, some_of},
    file::{self, Annotation, Dataset, Predictions, size_of},
    masks,
    options::EvalOptions,
};
use crate::{coco::Image, eval::error::EvalErrorKind, run_files::images_beside};
use align::Alignment;
use hotcoco::COCO;
pub(super) use kept::Class;
use kept::Kept;
use std::{collections::HashSet, path::Path, sync::Arc};

/// Ground truth and predictions, checked, with the same numbers for the same things: images and classes count from 0 in the
/// order of the ground truth's ids, which decides between equal scores.
pub(super) struct TestSet {
    pub(super) classes: Vec<Class>,
    /// What the ground truth calls each image: its file name, else its id.
    pub(super) images: Vec<String>,
    pub(super) truth: Arc<COCO>,
    pub(super) predictions: Arc<COCO>,
    /// Whether all objects and all predictions have masks.
    pub(super) masks: bool,
}

impl TestSet {
    /// Reads and aligns two files.
    pub(super) fn read(
        truth_path: &Path,
        predictions_path: &Path,
        options: &EvalOptions,
    ) -> Result<Self, EvalError> {
        let truth_text = file::read(truth_path)?;
        let mut truth = file::dataset(truth_path, &truth_text)?;
        file::check_unique(truth_path, &truth)?;
        truth.images.sort_by_key(|image| image.id);
        truth.categories.sort_by_key(|category| category.id);

        let text = file::read(predictions_path)?;
        let file = file::predictions(predictions_path, &text)?;
        let (alignment, annotations, rule) = match file {
            Predictions::Dataset(_) if options.images_of.is_some() => {
                let error = EvalError::new(
                    predictions_path,
                    "is no COCO results list, and has images of its own",
                );
                return Err(error
                    .with_kind(EvalErrorKind::ImagesNotNeeded)
                    .with_remedy("leave the file of images out"));
            }
            Predictions::Dataset(dataset) => {
                file::check_unique(predictions_path, &dataset)?;
                let alignment = align::with_dataset(
                    &truth,
                    &dataset,
                    &dataset.annotations,
                    predictions_path,
                    options.common_only,
                )?;
                (alignment, dataset.annotations, AreaRule::Stated)
            }
            Predictions::Results(list) => {
                // As COCO.loadRes: the first entry decides for all.
                let rule = if list.first().is_some_and(has_box) {
                    AreaRule::Box
                } else {
                    AreaRule::Mask
                };
                let alignment = align_results(&truth, &list, predictions_path, options)?;
                (alignment, list, rule)
            }
        };
        let kept = Kept::of(&truth, &alignment);
        let truth_side = Side {
            path: truth_path,
            what: "ground truth",
            scored: false,
            rule: AreaRule::Stated,
        };
        let own = Alignment::of_truth(&truth);
        let annotated = std::mem::take(&mut truth.annotations);
        let objects = truth_side.objects(annotated, &truth.images, &own, &kept, options)?;
        let prediction_side = Side {
            path: predictions_path,
            what: "predictions",
            scored: true,
            rule,
        };
        let predicted =
            prediction_side.objects(annotations, &truth.images, &alignment, &kept, options)?;

        let sides = [objects.masks, predicted.masks];
        let masks = sides.contains(&Masks::All) && !sides.contains(&Masks::None);
        let classes = kept.classes(&truth.categories);
        let images = kept.images(&truth.images);
        Ok(Self {
            truth: Arc::new(objects.into_coco(&images, &classes)),
            predictions: Arc::new(predicted.into_coco(&images, &classes)),
            images: images.iter().map(|image| align::name_of(image)).collect(),
            classes,
            masks,
        })
    }
}

/// A results list with the images that it numbers: those of the file that is named or lies beside it in a run's folder,
/// else the ground truth's.
fn align_results(
    truth: &Dataset<'_>,
    list: &[Annotation<'_>],
    path: &Path,
    options: &EvalOptions,
) -> Result<Alignment, EvalError> {
    let Some(images_of) = options.images_of.clone().or_else(|| images_beside(path)) else {
        return Ok(align::with_results(truth));
    };
    let text = file::read(&images_of)?;
    let mut images = file::images(&images_of, &text)?;
    images.annotations = Vec::new();
    file::check_unique(&images_of, &images)?;
    align::with_dataset(truth, &images, list, path, options.common_only)
}

fn has_box(annotation: &Annotation<'_>) -> bool {
    annotation.box_numbers().is_some()
}

/// Where an object's area comes from, which decides whether it is small, medium or large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AreaRule {
    /// The file's figure, else the mask, else the box.
    Stated,
    /// The box.
    Box,
    /// The mask, else the box.
    Mask,
}

/// Which objects have masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Masks {
    /// There are no objects.
    Unknown,
    All,
    None,
}

/// One of the two files.
struct Side<'a> {
    path: &'a Path,
    what: &'static str,
    scored: bool,
    rule: AreaRule,
}

struct Objects {
    annotations: Vec<hotcoco::Annotation>,
    masks: Masks,
}

impl Side<'_> {
    /// The annotations in common numbers, in the order of the file.
    fn objects(
        &self,
        annotations: Vec<Annotation<'_>>,
        images: &[Image<'_>],
        alignment: &Alignment,
        kept: &Kept,
        options: &EvalOptions,
    ) -> Result<Objects, EvalError> {
        self.check_ids(&annotations, alignment, options)?;
        let mut objects = Objects {
            annotations: Vec::with_capacity(annotations.len()),
            masks: Masks::Unknown,
        };
        for (place, annotation) in annotations.into_iter().enumerate() {
            let known = (
                alignment.images.get(&annotation.image_id),
                alignment.categories.get(&annotation.category_id),
            );
            let (Some(&image), Some(&category)) = known else {
                continue;
            };
            let (Some(&image_number), Some(&class)) =
                (kept.images.get(&image), kept.classes.get(&category))
            else {
                continue;
            };
            let name = annotation.id.map_or_else(
                || format!("annotation {place} of the list"),
                |id| format!("annotation {id}"),
            );
            let wrong = |problem: String| {
                EvalError::new(
                    self.path,
                    format!("{name} (image {}): {problem}", annotation.image_id),
                )
            };
            let size = images.get(image).and_then(size_of);
            let mut object = self.object(&annotation, size, options).map_err(wrong)?;
            let has = if object.segmentation.is_some() {
                Masks::All
            } else {
                Masks::None
            };
            if objects.masks != Masks::Unknown && objects.masks != has {
                let problem = format!(
                    "{name} (image {}) has {} mask, unlike those before it",
                    annotation.image_id,
                    a_or_no(has)
                );
                return Err(EvalError::new(self.path, problem)
                    .with_kind(EvalErrorKind::MasksMissing)
                    .with_remedy("evaluate boxes alone"));
            }
            objects.masks = has;
            // COCOeval has no ids of 0: there they stand for "unmatched".
            object.id = objects.annotations.len() as u64 + 1;
            (object.image_id, object.category_id) = (image_number, class);
            objects.annotations.push(object);
        }
        Ok(objects)
    }

    fn object(
        &self,
        annotation: &Annotation<'_>,
        size: Option<[u32; 2]>,
        options: &EvalOptions,
    ) -> Result<hotcoco::Annotation, String> {
        let mask = match &annotation.segmentation {
            Some(segmentation) if !options.boxes_only || !has_box(annotation) => {
                let segmentation = segmentation
                    .get()
                    .map_err(|e| format!("its segmentation cannot be read: {e}"))?;
                masks::checked(&segmentation, size)?
            }
            _ => None,
        };
        let bounds = mask.as_ref().map(|mask| mask.bounds);
        let bbox = file::stated_box(annotation)?
            .or(bounds)
            .ok_or("it has neither a box nor a mask")?;
        let mask_area = mask.as_ref().map(|mask| mask.area);
        let area = match self.rule {
            AreaRule::Stated => file::stated_area(annotation)?.or(mask_area),
            AreaRule::Box => None,
            AreaRule::Mask => mask_area,
        };
        let score = match annotation.score {
            Some(score) => Some(score),
            None if self.scored => return Err("it has no score; is this ground truth?".into()),
            None => None,
        };
        Ok(hotcoco::Annotation {
            bbox: Some(bbox),
            area: Some(area.unwrap_or(bbox[2] * bbox[3])),
            segmentation: mask
                .map(|mask| mask.segmentation)
                .filter(|_| !options.boxes_only),
            iscrowd: annotation.is_crowd() && !self.scored,
            score: score.filter(|_| self.scored),
            ..Default::default()
        })
    }

    /// Refuses images and categories that the ground truth does not have.
    fn check_ids(
        &self,
        annotations: &[Annotation<'_>],
        alignment: &Alignment,
        options: &EvalOptions,
    ) -> Result<(), EvalError> {
        if self.scored && options.common_only {
            return Ok(());
        }
        let unknown = |what: &str, ids: &mut dyn Iterator<Item = i64>| {
            let mut seen = HashSet::new();
            let ids: Vec<i64> = ids.filter(|id| seen.insert(*id)).collect();
            let whose = if self.scored {
                "the ground truth does"
            } else {
                "its lists do"
            };
            let problem = format!(
                "the {} refer to {what} that {whose} not have: {}",
                self.what,
                some_of(&ids)
            );
            if ids.is_empty() {
                Ok(())
            } else {
                Err(EvalError::new(self.path, problem))
            }
        };
        let images = annotations
            .iter()
            .map(|a| a.image_id)
            .filter(|id| !alignment.images.contains_key(id));
        unknown("images", &mut { images })?;
        let categories = annotations
            .iter()
            .map(|a| a.category_id)
            .filter(|id| !alignment.categories.contains_key(id));
        unknown("categories", &mut { categories })
    }
}

fn a_or_no(masks: Masks) -> &'static str {
    if masks == Masks::All { "a" } else { "no" }
}

impl Objects {
    fn into_coco(self, images: &[&Image<'_>], classes: &[Class]) -> COCO {
        let image = |(id, image): (u64, &&Image<'_>)| {
            let [height, width] = size_of(image).unwrap_or_default();
            hotcoco::Image {
                id,
                height,
                width,
                ..Default::default()
            }
        };
        COCO::from_dataset(hotcoco::Dataset {
            images: (0u64..).zip(images).map(image).collect(),
            annotations: self.annotations,
            categories: (0u64..)
                .zip(classes)
                .map(|(id, class)| category(id, class))
                .collect(),
            ..Default::default()
        })
    }
}

fn category(id: u64, class: &Class) -> hotcoco::Category {
    // Names play no part in the figures, and an empty one is complained about.
    let name = if class.name.is_empty() {
        id.to_string()
    } else {
        class.name.clone()
    };
    hotcoco::Category {
        id,
        name,
        ..Default::default()
    }
}
