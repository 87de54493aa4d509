//! Ground truth and predictions as their files have them.

use super::error::{EvalError, some_of};
use crate::{
    coco::{self, Category, CocoFile, Image},
    datasets::as_coco_text,
};
use std::{collections::HashSet, path::Path};

/// An object, with numbers as evaluation computes with them.
pub(super) type Annotation<'a> = coco::Annotation<'a, f64>;

/// A data set with all lists that evaluation needs.
#[derive(Debug)]
pub(super) struct Dataset<'a> {
    pub(super) images: Vec<Image<'a>>,
    pub(super) annotations: Vec<Annotation<'a>>,
    pub(super) categories: Vec<Category<'a>>,
    pub(super) videos: Vec<coco::Video<'a>>,
}

impl<'a> Dataset<'a> {
    fn of(dataset: coco::Dataset<'a, f64>) -> Result<Self, String> {
        Ok(Self {
            images: dataset.images,
            annotations: dataset.annotations,
            categories: dataset.categories.ok_or("missing field `categories`")?,
            videos: dataset.videos,
        })
    }
}

/// A file of predictions.
#[derive(Debug)]
pub(super) enum Predictions<'a> {
    /// An object with `images`, `annotations` and `categories`.
    Dataset(Dataset<'a>),
    /// A list of annotations with scores, as `COCO.loadRes` takes.
    Results(Vec<Annotation<'a>>),
}

/// Maximum number of categories of a data set.
const MAX_CATEGORIES: usize = 10_000;

/// No box or area goes beyond this many pixels (or their square), so that no sum or product of them overflows.
const LARGEST: f64 = 1e9;

/// The box that an annotation states, `[x, y, width, height]` in pixels; none if it states none.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn stated_box(annotation: &Annotation<'_>) -> Result<Option<[f64; 4]>, String> {
    let Some(values) = annotation.box_numbers() else {
        return Ok(None);
    };
    let Ok(found) = <[f64; 4]>::try_from(values) else {
        return Err(format!(
            "its bbox has {} numbers instead of x, y, width, height",
            values.len()
        ));
    };
    if found.iter().any(|v| v.abs() > LARGEST) {
        return Err(format!("its bbox {found:?} is beyond any picture"));
    }
    if found[2] < 0.0 || found[3] < 0.0 {
        return Err(format!("its bbox {found:?} has a negative width or height"));
    }
    Ok(Some(found))
}

/// The area that an annotation states, in pixels.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn stated_area(annotation: &Annotation<'_>) -> Result<Option<f64>, String> {
    match annotation.area {
        Some(area) if !(0.0..=LARGEST * LARGEST).contains(&area) => {
            Err(format!("its area {area} is no number of pixels"))
        }
        area => Ok(area),
    }
}

/// `[height, width]` of an image in pixels, as masks state it; none if the file does not state both.
pub(super) fn size_of(image: &Image<'_>) -> Option<[u32; 2]> {
    image.size().map(|size| [size.height, size.width])
}

/// The text of a COCO file, or that of a data set of another kind as COCO.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, EvalError> {
    let other = as_coco_text(path).map_err(|e| {
        let error = EvalError::new(&e.path, e.problem.clone());
        match e.remedy {
            Some(remedy) => error.with_remedy(remedy),
            None => error,
        }
    })?;
    match other {
        Some(text) => Ok(text),
        None => coco::read(path).map_err(|e| EvalError::new(path, format!("cannot be read: {e}"))),
    }
}

/// Reads ground truth.
pub(super) fn dataset<'a>(path: &Path, text: &'a [u8]) -> Result<Dataset<'a>, EvalError> {
    whole(text).map_err(|problem| {
        EvalError::new(path, format!("is no COCO ground truth: {problem}"))
            .with_remedy("give an object with images, annotations and categories")
    })
}

/// Reads the COCO file whose images and categories a results list numbers.
pub(super) fn images<'a>(path: &Path, text: &'a [u8]) -> Result<Dataset<'a>, EvalError> {
    whole(text).map_err(|problem| {
        let remedy =
            "give the COCO file that the results list belongs to, such as the coco.json of its run";
        EvalError::new(path, format!("holds no COCO images: {problem}")).with_remedy(remedy)
    })
}

/// Reads predictions of either form.
pub(super) fn predictions<'a>(path: &Path, text: &'a [u8]) -> Result<Predictions<'a>, EvalError> {
    let parsed = coco::parse(text).map_err(|e| coco::describe(text, &e));
    let found = parsed.and_then(|file| match file {
        CocoFile::Results(list) => Ok(Predictions::Results(list)),
        CocoFile::Dataset(dataset) => Dataset::of(dataset).map(Predictions::Dataset),
    });
    found.map_err(|problem| {
        let remedy = "give a COCO results list, or a whole COCO file whose annotations have scores";
        EvalError::new(path, format!("holds no COCO predictions: {problem}")).with_remedy(remedy)
    })
}

fn whole(text: &[u8]) -> Result<Dataset<'_>, String> {
    coco::parse_dataset(text)
        .map_err(|e| coco::describe(text, &e))
        .and_then(Dataset::of)
}

/// Refuses ids that are there twice, and more categories than the tables of precision have room for.
pub(super) fn check_unique(path: &Path, dataset: &Dataset<'_>) -> Result<(), EvalError> {
    let unique = |what: &str, ids: &mut dyn Iterator<Item = i64>| {
        let mut seen = HashSet::new();
        let twice: Vec<i64> = ids.filter(|id| !seen.insert(*id)).collect();
        let problem = || {
            EvalError::new(
                path,
                format!("several {what} have the same id: {}", some_of(&twice)),
            )
        };
        if twice.is_empty() {
            Ok(())
        } else {
            Err(problem())
        }
    };
    unique("images", &mut dataset.images.iter().map(|image| image.id))?;
    unique(
        "categories",
        &mut dataset.categories.iter().map(|category| category.id),
    )?;
    unique(
        "annotations",
        &mut dataset
            .annotations
            .iter()
            .filter_map(|annotation| annotation.id),
    )?;
    if dataset.categories.len() > MAX_CATEGORIES {
        return Err(EvalError::new(
            path,
            format!(
                "{} categories are more than {MAX_CATEGORIES}",
                dataset.categories.len()
            ),
        ));
    }
    Ok(())
}
