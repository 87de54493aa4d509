//! Boxes of COCO data sets and results lists.

use super::{
    categories::Categories,
    prompts::{BoxPrompt, BoxPrompts, Image, KnownSource, checked},
};
use crate::{
    coco::{self, Annotation, Classes, Dataset, Segmentation, Video},
    frame::Mask,
    geometry::{BoxXyxy, Size},
    run_files::{match_names, normalised},
    sinks::{SinkError, SinkErrorKind},
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::Path,
    sync::Arc,
};

/// A data set's images with `annotations`, which may be its own.
///
/// # Errors
/// What is wrong with the file at `path`, in words.
pub(super) fn with_annotations(
    path: &Path,
    dataset: &Dataset<'_, f32>,
    annotations: &[Annotation<'_, f32>],
    classes: &Classes,
) -> Result<BoxPrompts, String> {
    let mut images = Images {
        prompts: BoxPrompts::of_file(path),
        videos: dataset.videos.iter().map(|v| (v.id, v)).collect(),
        sources: HashMap::new(),
        by_id: HashMap::new(),
        places: HashSet::new(),
    };
    for image in &dataset.images {
        images.add(image)?;
    }
    let categories = Categories::new(dataset.categories.as_deref().unwrap_or(&[]), classes);
    for annotation in annotations {
        let id = annotation.image_id;
        let at = images.by_id.get(&id);
        let image = at.and_then(|at| images.prompts.images.get_mut(*at));
        let image = image.ok_or_else(|| {
            format!("an annotation is of image {id}, which is not among its images")
        })?;
        let class = categories.class(annotation.category_id)?;
        image.prompts.extend(prompt(annotation, class)?);
    }
    Ok(images.prompts)
}

/// A results list whose images are those of the COCO file `images_of`.
///
/// # Errors
/// [`SinkError`] if that file cannot be read, or the list does not belong to it.
pub(super) fn results_of(
    path: &Path,
    entries: &[Annotation<'_, f32>],
    images_of: &Path,
    classes: &Classes,
) -> Result<BoxPrompts, SinkError> {
    let text = read_images(images_of)?;
    let dataset = parse_images(images_of, &text)?;
    with_annotations(path, &dataset, entries, classes).map_err(|problem| {
        let problem = format!(
            "its images and categories are not those of {}: {problem}",
            images_of.display()
        );
        SinkError::new(path, problem)
            .with_kind(SinkErrorKind::OtherImages)
            .with_remedy("give the COCO file that belongs to it")
    })
}

fn read_images(images_of: &Path) -> Result<Vec<u8>, SinkError> {
    coco::read(images_of).map_err(|e| SinkError::io(images_of, "read the images of the boxes", &e))
}

fn parse_images<'t>(images_of: &Path, text: &'t [u8]) -> Result<Dataset<'t, f32>, SinkError> {
    coco::parse_dataset(text).map_err(|e| {
        let remedy =
            "give the COCO file whose images the boxes are of, such as the coco.json of their run";
        let problem = coco::describe(text, &e);
        SinkError::new(
            images_of,
            format!("holds no COCO images that can be read: {problem}"),
        )
        .with_remedy(remedy)
    })
}

/// A data set whose images do not say which frames they are, as tools of annotation leave them: images of the COCO file `images_of`
/// with their names do. Those that are frames by themselves, or have no such image, stay as they are.
///
/// # Errors
/// [`SinkError`] if that file cannot be read.
pub(super) fn placed(
    mut prompts: BoxPrompts,
    images_of: &Path,
    classes: &Classes,
) -> Result<BoxPrompts, SinkError> {
    let text = read_images(images_of)?;
    let known = with_annotations(images_of, &parse_images(images_of, &text)?, &[], classes)
        .map_err(|problem| SinkError::new(images_of, problem))?;
    let mut places: BTreeMap<String, Option<(usize, u64)>> = BTreeMap::new();
    for image in &known.images {
        for name in &image.names {
            // Of two images of one name neither is meant.
            let same = places.insert(name.clone(), image.place).is_some();
            if same {
                places.insert(name.clone(), None);
            }
        }
    }
    let open: Vec<usize> = (0..prompts.images.len())
        .filter(|&at| prompts.images.get(at).is_some_and(|i| i.place.is_none()))
        .collect();
    let named = |at: &usize| prompts.images.get(*at)?.names.last().cloned();
    let names: Vec<String> = open.iter().filter_map(named).collect();
    let (known_names, known_places): (Vec<String>, Vec<_>) = places.into_iter().unzip();
    let before = prompts.sources.len();
    for (at, found) in open.into_iter().zip(match_names(&names, &known_names)) {
        let place = found.ok().and_then(|i| *known_places.get(i)?);
        if let Some((image, (source, frame))) = prompts.images.get_mut(at).zip(place) {
            image.place = Some((before + source, frame));
        }
    }
    prompts.sources.extend(known.sources);
    Ok(prompts)
}

/// A results list whose image ids are the numbers of the published COCO images.
///
/// # Errors
/// What is wrong with the file at `path`, in words.
pub(super) fn published(
    path: &Path,
    entries: &[Annotation<'_, f32>],
    classes: &Classes,
) -> Result<BoxPrompts, String> {
    let mut prompts = BoxPrompts::of_file(path);
    let mut by_id: HashMap<i64, usize> = HashMap::new();
    let categories = Categories::new(&[], classes);
    for entry in entries {
        let at = *by_id.entry(entry.image_id).or_insert_with(|| {
            prompts.images.push(Image {
                names: vec![format!("{:012}", entry.image_id)],
                ..Image::default()
            });
            prompts.images.len() - 1
        });
        let prompt = prompt(entry, categories.class(entry.category_id)?)?;
        if let Some(image) = prompts.images.get_mut(at) {
            image.prompts.extend(prompt);
        }
    }
    Ok(prompts)
}

/// The images of a data set that were read so far.
struct Images<'a> {
    prompts: BoxPrompts,
    videos: HashMap<i64, &'a Video<'a>>,
    /// Places among the sources by the ids of videos.
    sources: HashMap<i64, usize>,
    /// Places among the images by id.
    by_id: HashMap<i64, usize>,
    /// Frames by source and number.
    places: HashSet<(usize, u64)>,
}

impl Images<'_> {
    fn add(&mut self, image: &coco::Image<'_>) -> Result<(), String> {
        let id = image.id;
        if self.by_id.insert(id, self.prompts.images.len()).is_some() {
            return Err(format!("several images have the id {id}"));
        }
        let name = image.path();
        let name = name.ok_or_else(|| format!("image {id} has no file_name"))?;
        let video = image
            .video_id
            .and_then(|id| self.videos.get(&id).copied())
            .filter(|video| !is_frame_of_folder(name, video));
        let place = match video.zip(image.frame_id) {
            Some((video, frame)) => {
                let frame = u64::try_from(frame)
                    .map_err(|_| format!("image {id} has the frame_id {frame}, below 0"))?;
                Some((self.source(video, name), frame))
            }
            None => None,
        };
        if place.is_some_and(|place| !self.places.insert(place)) {
            return Err(format!(
                "image {id} is a frame of its video that another image is too"
            ));
        }
        self.prompts.images.push(Image {
            names: vec![normalised(name)],
            place,
            size: image.size(),
            prompts: Vec::new(),
        });
        Ok(())
    }

    /// The place of a video among the sources, whose first image is called `image_name`.
    fn source(&mut self, video: &Video<'_>, image_name: &str) -> usize {
        let known = &mut self.prompts.sources;
        *self.sources.entry(video.id).or_insert_with(|| {
            let either = [video.file_name.as_deref(), video.name.as_deref()];
            let path = either[0].or(either[1]).map(normalised).unwrap_or_default();
            let name = either[1].map_or_else(|| path.clone(), normalised);
            let pages = normalised(image_name) == path;
            known.push(KnownSource { path, name, pages });
            known.len() - 1
        })
    }
}

/// Whether a video of a data set is a folder, and the image of the name one of its files: then the file says which frame it is, not its
/// number, which shifts with the files that are there.
fn is_frame_of_folder(image_name: &str, video: &Video<'_>) -> bool {
    let (image, Some(folder)) = (
        normalised(image_name),
        video.file_name.as_deref().map(normalised),
    ) else {
        return false;
    };
    image.rsplit_once('/').map_or("", |(folder, _)| folder) == folder
}

/// The prompt that an annotation makes; none for a crowd, which is a region to be ignored, and for an empty mask.
fn prompt(
    annotation: &Annotation<'_, f32>,
    (class, label): (u32, Arc<str>),
) -> Result<Option<BoxPrompt>, String> {
    if annotation.is_crowd() {
        return Ok(None);
    }
    let id = annotation.image_id;
    let [x, y, w, h] = match annotation.box_numbers() {
        Some(numbers) => <[f32; 4]>::try_from(numbers).map_err(|_| {
            let count = numbers.len();
            format!("an annotation of image {id} has a bbox of {count} numbers instead of x, y, width, height")
        })?,
        None => box_of_mask(annotation)
            .ok_or_else(|| format!("an annotation of image {id} has no box"))?,
    };
    let bbox = BoxXyxy::new(x, y, x + w, y + h);
    if annotation.box_numbers().is_none() && !bbox.is_valid() {
        return Ok(None);
    }
    checked(BoxPrompt {
        bbox,
        score: annotation.score.unwrap_or(1.0),
        class,
        label,
    })
    .map(Some)
}

/// `[x, y, width, height]` of the mask, as in a results list of masks; zeros for an empty one. None where there are no run
/// lengths.
fn box_of_mask(annotation: &Annotation<'_, f32>) -> Option<[f32; 4]> {
    let mask = match annotation.segmentation.as_ref()?.get().ok()? {
        Segmentation::Rle(rle) => rle.to_mask()?,
        Segmentation::Runs {
            size: [height, width],
            counts,
        } => Mask::from_counts(Size::new(width, height), counts)?,
        Segmentation::Polygons(_) => return None,
    };
    Some(mask.bounds().map_or([0.0; 4], |b| b.to_coco()))
}
