//! Which image and category of the predictions is which of the ground truth.

use super::super::{
    error::{EvalError, some_of},
    file::{Annotation, Dataset, size_of},
};
use crate::{
    coco::Image,
    eval::error::EvalErrorKind,
    run_files::{Unmatched, match_names, normalised},
    text::{counted, counted_are},
};
use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

/// Images and categories by the ids of one file; values are places in the ground truth's lists.
pub(super) struct Alignment {
    pub(super) images: HashMap<i64, usize>,
    pub(super) categories: HashMap<i64, usize>,
    /// The only ones to evaluate; none for all.
    pub(super) common_images: Option<HashSet<usize>>,
    pub(super) common_categories: Option<HashSet<usize>>,
}

impl Alignment {
    /// The ground truth's own ids.
    pub(super) fn of_truth(truth: &Dataset<'_>) -> Self {
        Self {
            images: truth
                .images
                .iter()
                .enumerate()
                .map(|(place, image)| (image.id, place))
                .collect(),
            categories: truth
                .categories
                .iter()
                .enumerate()
                .map(|(place, category)| (category.id, place))
                .collect(),
            common_images: None,
            common_categories: None,
        }
    }
}

/// What to call an image: its file name, else its id.
pub(super) fn name_of(image: &Image<'_>) -> String {
    image
        .path()
        .map_or_else(|| format!("image {}", image.id), str::to_owned)
}

/// A results list has the ground truth's ids.
pub(super) fn with_results(truth: &Dataset<'_>) -> Alignment {
    Alignment::of_truth(truth)
}

/// A whole file has ids of its own, which `predicted` refers to: images are matched by file name where all have one, else by
/// id; categories by name.
pub(super) fn with_dataset(
    truth: &Dataset<'_>,
    file: &Dataset<'_>,
    predicted: &[Annotation<'_>],
    path: &Path,
    common_only: bool,
) -> Result<Alignment, EvalError> {
    let images = images_of(truth, file, path, common_only)?;
    let categories = categories_of(truth, file, path)?;
    let common = |found: &HashMap<i64, usize>| {
        common_only.then(|| found.values().copied().collect::<HashSet<_>>())
    };
    let alignment = Alignment {
        common_images: common(&images),
        common_categories: common(&categories),
        images,
        categories,
    };
    if !common_only {
        check_complete(truth, file, predicted, &alignment, path)?;
    }
    Ok(alignment)
}

const COMMON: &str = "evaluate only the images and categories that both files have";

fn images_of(
    truth: &Dataset<'_>,
    file: &Dataset<'_>,
    path: &Path,
    common_only: bool,
) -> Result<HashMap<i64, usize>, EvalError> {
    let by_id = || {
        truth
            .images
            .iter()
            .enumerate()
            .map(|(place, image)| (image.id, place))
            .collect::<HashMap<_, _>>()
    };
    let (Some(known), Some(names)) = (names_of(truth), names_of(file)) else {
        let known = by_id();
        let found = file
            .images
            .iter()
            .filter_map(|image| Some((image.id, *known.get(&image.id)?)))
            .collect();
        return complete(found, file, path, common_only);
    };
    let found =
        by_names(&known, &names, path).or_else(|error| by_frames(truth, file).ok_or(error))?;
    let found = file
        .images
        .iter()
        .zip(found)
        .filter_map(|(image, place)| Some((image.id, place?)))
        .collect();
    let found = complete(found, file, path, common_only)?;
    check_sizes(truth, file, &found, path)?;
    Ok(found)
}

/// For each of `names` its place among `known`; none where it is not there.
fn by_names(
    known: &[String],
    names: &[String],
    path: &Path,
) -> Result<Vec<Option<usize>>, EvalError> {
    let mut seen = HashSet::new();
    let twice: Vec<&String> = known
        .iter()
        .filter(|name| !seen.insert(name.as_str()))
        .collect();
    if !twice.is_empty() {
        let problem = format!(
            "cannot be matched: several images of the ground truth have the same file name: {}",
            some_of(&twice)
        );
        return Err(EvalError::new(path, problem));
    }
    let found = match_names(names, known);
    let ambiguous: Vec<&String> = names
        .iter()
        .zip(&found)
        .filter(|(_, f)| **f == Err(Unmatched::Ambiguous))
        .map(|(n, _)| n)
        .collect();
    if !ambiguous.is_empty() {
        let problem = format!(
            "its images could be several of the ground truth's, or several the same: {}",
            some_of(&ambiguous)
        );
        return Err(
            EvalError::new(path, problem).with_remedy("give them the ground truth's file names")
        );
    }
    Ok(found.into_iter().map(Result::ok).collect())
}

/// Where file names do not tell images apart: by video and number in it, if both files say them of every image and all of
/// these are different.
fn by_frames(truth: &Dataset<'_>, file: &Dataset<'_>) -> Option<Vec<Option<usize>>> {
    let (known, names) = (frames_of(truth)?, frames_of(file)?);
    let distinct = |names: &[String]| names.iter().collect::<HashSet<_>>().len() == names.len();
    let found = if distinct(&known) && distinct(&names) {
        match_names(&names, &known)
    } else {
        return None;
    };
    let certain = found
        .iter()
        .all(|place| *place != Err(Unmatched::Ambiguous));
    certain.then(|| found.into_iter().map(Result::ok).collect())
}

/// `<video>/<number>` of every image.
fn frames_of(dataset: &Dataset<'_>) -> Option<Vec<String>> {
    let videos: HashMap<i64, &str> = dataset
        .videos
        .iter()
        .filter_map(|video| Some((video.id, video.name.as_deref()?)))
        .collect();
    dataset
        .images
        .iter()
        .map(|image| {
            Some(normalised(&format!(
                "{}/{}",
                videos.get(&image.video_id?)?,
                image.frame_id?
            )))
        })
        .collect()
}

fn names_of(dataset: &Dataset<'_>) -> Option<Vec<String>> {
    let names: Option<Vec<String>> = dataset
        .images
        .iter()
        .map(|image| image.path().map(normalised))
        .collect();
    names.filter(|names| names.iter().all(|name| !name.is_empty()))
}

/// Refuses images that the ground truth does not have.
fn complete(
    found: HashMap<i64, usize>,
    file: &Dataset<'_>,
    path: &Path,
    common_only: bool,
) -> Result<HashMap<i64, usize>, EvalError> {
    let unknown: Vec<String> = file
        .images
        .iter()
        .filter(|image| !found.contains_key(&image.id))
        .map(name_of)
        .collect();
    if !unknown.is_empty() && (!common_only || found.is_empty()) {
        let problem = format!(
            "{} not in the ground truth, of {} in it: {}",
            counted_are(unknown.len(), "image"),
            file.images.len(),
            some_of(&unknown)
        );
        return Err(EvalError::new(path, problem)
            .with_kind(EvalErrorKind::NotInBoth)
            .with_remedy(COMMON));
    }
    Ok(found)
}

fn check_sizes(
    truth: &Dataset<'_>,
    file: &Dataset<'_>,
    found: &HashMap<i64, usize>,
    path: &Path,
) -> Result<(), EvalError> {
    for image in &file.images {
        let of_truth = found
            .get(&image.id)
            .and_then(|place| truth.images.get(*place))
            .and_then(size_of);
        if let (Some([h, w]), Some([height, width])) = (size_of(image), of_truth)
            && (h, w) != (height, width)
        {
            let problem = format!(
                "{} is {w}×{h}, and {width}×{height} in the ground truth",
                name_of(image)
            );
            return Err(EvalError::new(path, problem)
                .with_remedy("run on the images that the ground truth was made for"));
        }
    }
    Ok(())
}

fn categories_of(
    truth: &Dataset<'_>,
    file: &Dataset<'_>,
    path: &Path,
) -> Result<HashMap<i64, usize>, EvalError> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (place, category) in truth.categories.iter().enumerate() {
        if places.insert(&category.name, place).is_some() {
            let problem = format!(
                "cannot be matched: several categories of the ground truth are called {}",
                category.name
            );
            return Err(EvalError::new(path, problem));
        }
    }
    let mut found = HashMap::new();
    let mut taken = HashSet::new();
    for category in &file.categories {
        if let Some(place) = places.get(&*category.name) {
            if !taken.insert(*place) {
                return Err(EvalError::new(
                    path,
                    format!("several of its categories are called {}", category.name),
                ));
            }
            found.insert(category.id, *place);
        }
    }
    Ok(found)
}

/// Refuses what would silently count as missed or as false: images without a line in the predictions, and classes with
/// objects on one side that the other does not know.
fn check_complete(
    truth: &Dataset<'_>,
    file: &Dataset<'_>,
    predicted: &[Annotation<'_>],
    alignment: &Alignment,
    path: &Path,
) -> Result<(), EvalError> {
    let run: HashSet<usize> = alignment.images.values().copied().collect();
    let left_out: Vec<String> = truth
        .images
        .iter()
        .enumerate()
        .filter(|(place, _)| !run.contains(place))
        .map(|(_, image)| name_of(image))
        .collect();
    if !left_out.is_empty() {
        let count = (left_out.len(), truth.images.len());
        let problem = format!(
            "{} of the ground truth {} not in it, of {}: {}",
            counted(count.0, "image"),
            if count.0 == 1 { "is" } else { "are" },
            count.1,
            some_of(&left_out)
        );
        return Err(EvalError::new(path, problem)
            .with_kind(EvalErrorKind::NotInBoth)
            .with_remedy(COMMON));
    }
    let used = |annotations: &[Annotation<'_>]| {
        annotations
            .iter()
            .map(|a| a.category_id)
            .collect::<HashSet<i64>>()
    };
    let predicted = used(predicted);
    let named = file
        .categories
        .iter()
        .filter(|c| predicted.contains(&c.id) && !alignment.categories.contains_key(&c.id));
    let foreign: Vec<&str> = named.map(|c| &*c.name).collect();
    if !foreign.is_empty() {
        let problem = format!(
            "it has objects of categories that the ground truth does not have: {}",
            some_of(&foreign)
        );
        return Err(EvalError::new(path, problem)
            .with_kind(EvalErrorKind::NotInBoth)
            .with_remedy(COMMON));
    }
    let known: HashSet<usize> = alignment.categories.values().copied().collect();
    let annotated = used(&truth.annotations);
    let listed = truth.categories.iter().enumerate();
    let missing: Vec<&str> = listed
        .filter(|(place, c)| annotated.contains(&c.id) && !known.contains(place))
        .map(|(_, c)| &*c.name)
        .collect();
    if !missing.is_empty() {
        let problem = format!(
            "the ground truth has objects of categories that it does not have: {}",
            some_of(&missing)
        );
        return Err(EvalError::new(path, problem)
            .with_kind(EvalErrorKind::NotInBoth)
            .with_remedy(COMMON));
    }
    Ok(())
}
