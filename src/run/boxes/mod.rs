//! Boxes to prompt a segmenter with, read from a file: `detections.jsonl`, or COCO.

mod formats;
mod frames;

pub use frames::{FrameBoxes, OtherSize, SourceFrames};

use crate::{
    coco::rle,
    frame::SourceKind,
    geometry::{BoxXyxy, Size},
    run_files::{images_beside, normalised, without_bom},
    sinks::{Classes, Layout, RecordLine, SinkError},
};
use formats::{Annotation, Categories, Dataset, ImageEntry, Video};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

/// A box to prompt with, and what it is said to hold.
#[derive(Debug, Clone, PartialEq)]
pub struct BoxPrompt {
    /// In pixels of the frame, as the file has it.
    pub bbox: BoxXyxy,
    /// Confidence; 1 where the file states none.
    pub score: f32,
    /// Class, from 0.
    pub class: u32,
    /// The class's name.
    pub label: Arc<str>,
}

/// Prompts by frame. [`BoxPrompts::read`] takes `detections.jsonl`, a COCO data set (`images`, `annotations`,
/// `categories`) or a COCO results list; all of it is kept in memory. [`BoxPrompts::for_sources`] tells which of its images
/// are which frames of a run.
///
/// The images of a results list are those of another COCO file: the one that is named, else the `coco.json` beside it in
/// the folder of a run; without either its image ids are those of the published COCO images (`000000000139.jpg`).
#[derive(Debug, Clone, Default)]
pub struct BoxPrompts {
    path: PathBuf,
    images: Vec<Image>,
    sources: Vec<KnownSource>,
}

/// An image or frame that the file knows.
#[derive(Debug, Clone, Default)]
struct Image {
    prompts: Vec<BoxPrompt>,
    /// What its file may be called, [`normalised`].
    names: Vec<String>,
    /// Its source by place among the file's sources, and its number there.
    place: Option<(usize, u64)>,
    /// Width and height that the boxes refer to, where the file states them.
    size: Option<Size>,
}

/// A source of several frames that the file knows.
#[derive(Debug, Clone, PartialEq, Eq)]
struct KnownSource {
    path: String,
    name: String,
    /// Whether its frames are the pages of one image file.
    pages: bool,
}

/// Highest class number that names are listed up to.
const MAX_CLASSES: u32 = 100_000;
/// Longest file that is read, in bytes.
const MAX_BYTES: u64 = 8 << 30;

impl BoxPrompts {
    /// Reads the file at `path`; `classes` names the categories of a file that does not.
    ///
    /// # Errors
    /// [`SinkError`] if it cannot be read, is neither of the formats, contradicts itself, or holds a box that is not finite.
    pub fn read(path: &Path, classes: &Classes) -> Result<Self, SinkError> {
        Self::read_with_images(path, None, classes)
    }

    /// As [`BoxPrompts::read`]; the images of a results list are those of the COCO file `images_of`.
    ///
    /// # Errors
    /// As [`BoxPrompts::read`], of either file; also if images are named for a file that is no results list.
    pub fn read_with_images(
        path: &Path,
        images_of: Option<&Path>,
        classes: &Classes,
    ) -> Result<Self, SinkError> {
        let file = File::open(path).map_err(|e| SinkError::io(path, "open the boxes", &e))?;
        let mut reader = BufReader::with_capacity(1 << 18, file.take(MAX_BYTES));
        let unreadable = |e: std::io::Error| SinkError::io(path, "read the boxes", &e);
        let mut first = Vec::new();
        while without_bom(&first).iter().all(u8::is_ascii_whitespace) {
            first.clear();
            if reader.read_until(b'\n', &mut first).map_err(unreadable)? == 0 {
                // A run over no frames leaves an empty record: no boxes.
                return Ok(Self {
                    path: path.to_owned(),
                    ..Self::default()
                });
            }
        }
        let first = without_bom(&first).to_vec();
        if serde_json::from_slice::<RecordLine<'_>>(&first).is_ok() {
            return no_images_of(path, images_of)
                .and_then(|()| Self::from_record(path, first, reader));
        }
        let mut text = first;
        reader.read_to_end(&mut text).map_err(unreadable)?;
        let not_boxes = |problem: String| {
            let remedy = "give detections.jsonl, a COCO file with images and annotations, or a COCO results list";
            SinkError::new(path, format!("holds no boxes that can be read: {problem}"))
                .with_remedy(remedy)
        };
        if text.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'[') {
            let entries: Vec<Annotation> =
                serde_json::from_slice(&text).map_err(|e| not_boxes(e.to_string()))?;
            return match images_of
                .map(Path::to_owned)
                .or_else(|| images_beside(path))
            {
                Some(images) => Self::from_results_of(path, &entries, &images, classes),
                None => Self::from_published_results(path, &entries, classes).map_err(not_boxes),
            };
        }
        no_images_of(path, images_of)?;
        let dataset: Dataset<'_> =
            serde_json::from_slice(&text).map_err(|e| not_boxes(e.to_string()))?;
        Self::from_dataset(path, &dataset, &dataset.annotations, classes).map_err(not_boxes)
    }

    /// The classes of the boxes by the names the file gives them; a class that no box has is called by its number.
    pub fn classes(&self) -> Classes {
        let mut names: BTreeMap<u32, Arc<str>> = BTreeMap::new();
        for prompt in self.images.iter().flat_map(|image| &image.prompts) {
            names
                .entry(prompt.class)
                .or_insert_with(|| Arc::clone(&prompt.label));
        }
        let count = names
            .last_key_value()
            .map_or(0, |(last, _)| (*last).min(MAX_CLASSES) + 1);
        Classes::new((0..count).map(|class| {
            names
                .get(&class)
                .cloned()
                .unwrap_or_else(|| Arc::from(class.to_string()))
        }))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 in hexadecimal of what was read: the images and all that is known of them.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        for source in &self.sources {
            hash.update(format!("{:?}\n", [&source.path, &source.name]));
        }
        for Image {
            prompts,
            names,
            place,
            size,
        } in &self.images
        {
            hash.update(format!("{names:?} {place:?} {size:?}\n"));
            for BoxPrompt {
                bbox,
                score,
                class,
                label,
            } in prompts
            {
                let bits = [bbox.x0, bbox.y0, bbox.x1, bbox.y1, *score].map(f32::to_bits);
                hash.update(format!("{bits:?} {class} {label:?}\n"));
            }
        }
        hash.finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Number of frames and images that the file knows.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn from_record(
        path: &Path,
        first: Vec<u8>,
        mut reader: impl BufRead,
    ) -> Result<Self, SinkError> {
        let mut prompts = Self {
            path: path.to_owned(),
            ..Self::default()
        };
        let mut labels: HashMap<String, Arc<str>> = HashMap::new();
        let mut sources: HashMap<String, usize> = HashMap::new();
        let mut places: HashSet<(usize, u64)> = HashSet::new();
        let (mut text, mut number) = (first, 1u64);
        loop {
            let broken = |p: String| {
                SinkError::new(path, format!("line {number} is not a frame's result: {p}"))
            };
            if !text.iter().all(u8::is_ascii_whitespace) {
                let line: RecordLine<'_> =
                    serde_json::from_slice(&text).map_err(|e| broken(e.to_string()))?;
                prompts
                    .add_line(&line, &mut labels, &mut sources, &mut places)
                    .map_err(broken)?;
            }
            number += 1;
            text.clear();
            if reader
                .read_until(b'\n', &mut text)
                .map_err(|e| SinkError::io(path, "read the boxes", &e))?
                == 0
            {
                return Ok(prompts);
            }
        }
    }

    /// Adds what a line says of its frame.
    fn add_line(
        &mut self,
        line: &RecordLine<'_>,
        labels: &mut HashMap<String, Arc<str>>,
        sources: &mut HashMap<String, usize>,
        places: &mut HashSet<(usize, u64)>,
    ) -> Result<(), String> {
        let boxes = line.objects.iter().map(|object| {
            let [x0, y0, x1, y1] = object.bbox;
            let label = labels
                .entry(object.label.to_string())
                .or_insert_with(|| Arc::from(&*object.label));
            checked(BoxPrompt {
                bbox: BoxXyxy::new(x0, y0, x1, y1),
                score: object.score,
                class: object.class,
                label: Arc::clone(label),
            })
        });
        let prompts: Vec<BoxPrompt> = boxes.collect::<Result<_, _>>()?;
        let generated = || Layout::frame_file_name(&line.source, line.frame);
        let names: Vec<String> = match (line.kind, &line.file) {
            (SourceKind::Image, _) => vec![line.path.to_string()],
            (SourceKind::Sequence, file) => file.iter().map(ToString::to_string).collect(),
            (SourceKind::Video | SourceKind::Dicom, file) => file
                .iter()
                .map(ToString::to_string)
                .chain([generated()])
                .collect(),
        };
        // The frames of a sequence are known by their files: numbers shift with the files that are there.
        let place = (line.kind != SourceKind::Sequence || line.file.is_none()).then(|| {
            let known = &mut self.sources;
            let at = *sources
                .entry(format!("{}\0{}", line.source, line.path))
                .or_insert_with(|| {
                    let pages = matches!(line.kind, SourceKind::Image | SourceKind::Sequence);
                    known.push(KnownSource {
                        path: normalised(&line.path),
                        name: normalised(&line.source),
                        pages,
                    });
                    known.len() - 1
                });
            (at, line.frame)
        });
        if place.is_some_and(|place| !places.insert(place)) {
            return Err(format!(
                "frame {} of {} was there before",
                line.frame, line.source
            ));
        }
        let size = (line.width > 0 && line.height > 0).then(|| Size::new(line.width, line.height));
        self.images.push(Image {
            prompts,
            names: names.iter().map(|name| normalised(name)).collect(),
            place,
            size,
        });
        Ok(())
    }

    /// A data set's images with `annotations`, which may be its own.
    fn from_dataset(
        path: &Path,
        dataset: &Dataset<'_>,
        annotations: &[Annotation],
        classes: &Classes,
    ) -> Result<Self, String> {
        let mut prompts = Self {
            path: path.to_owned(),
            ..Self::default()
        };
        let mut sources: HashMap<u64, usize> = HashMap::new();
        let videos: HashMap<u64, &Video<'_>> = dataset
            .videos
            .iter()
            .map(|video| (video.id, video))
            .collect();
        let mut by_id: HashMap<u64, usize> = HashMap::new();
        let mut places: HashSet<(usize, u64)> = HashSet::new();
        for image in &dataset.images {
            if by_id.insert(image.id, prompts.images.len()).is_some() {
                return Err(format!("several images have the id {}", image.id));
            }
            let video = image
                .video_id
                .and_then(|id| videos.get(&id))
                .filter(|video| !is_frame_of_folder(image, video));
            let place = video.zip(image.frame_id).map(|(video, frame)| {
                let at = *sources.entry(video.id).or_insert_with(|| {
                    let either = [video.file_name.as_deref(), video.name.as_deref()];
                    let path = either[0].or(either[1]).map(normalised).unwrap_or_default();
                    let name = either[1].map_or_else(|| path.clone(), normalised);
                    let pages = normalised(&image.file_name) == path;
                    prompts.sources.push(KnownSource { path, name, pages });
                    prompts.sources.len() - 1
                });
                (at, frame)
            });
            if place.is_some_and(|place| !places.insert(place)) {
                return Err(format!(
                    "image {} is a frame of its video that another image is too",
                    image.id
                ));
            }
            prompts.images.push(Image {
                names: vec![normalised(&image.file_name)],
                place,
                size: image.size(),
                prompts: Vec::new(),
            });
        }
        let categories = Categories::new(&dataset.categories, classes);
        for annotation in annotations {
            let id = annotation.image_id;
            let image = by_id.get(&id).and_then(|at| prompts.images.get_mut(*at));
            let image = image.ok_or_else(|| {
                format!("an annotation is of image {id}, which is not among its images")
            })?;
            image
                .prompts
                .extend(annotation.prompt(categories.class(annotation.category_id)?)?);
        }
        Ok(prompts)
    }

    /// A results list whose images are those of the COCO file `images_of`.
    fn from_results_of(
        path: &Path,
        entries: &[Annotation],
        images_of: &Path,
        classes: &Classes,
    ) -> Result<Self, SinkError> {
        let mut text = Vec::new();
        File::open(images_of)
            .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut text))
            .map_err(|e| SinkError::io(images_of, "read the images of the boxes", &e))?;
        let dataset: Dataset<'_> = serde_json::from_slice(without_bom(&text)).map_err(|e| {
            let remedy = "give the COCO file whose images the results list numbers, such as the coco.json of its run";
            SinkError::new(images_of, format!("holds no COCO images that can be read: {e}")).with_remedy(remedy)
        })?;
        Self::from_dataset(path, &dataset, entries, classes).map_err(|problem| {
            let problem = format!(
                "its images and categories are not those of {}: {problem}",
                images_of.display()
            );
            SinkError::new(path, problem)
                .with_remedy("give the COCO file that belongs to it by --images-of")
        })
    }

    /// A results list whose image ids are the numbers of the published COCO images.
    fn from_published_results(
        path: &Path,
        entries: &[Annotation],
        classes: &Classes,
    ) -> Result<Self, String> {
        let mut prompts = Self {
            path: path.to_owned(),
            ..Self::default()
        };
        let mut by_id: HashMap<u64, usize> = HashMap::new();
        let categories = Categories::new(&[], classes);
        for entry in entries {
            let at = *by_id.entry(entry.image_id).or_insert_with(|| {
                prompts.images.push(Image {
                    names: vec![format!("{:012}", entry.image_id)],
                    ..Image::default()
                });
                prompts.images.len() - 1
            });
            let prompt = entry.prompt(categories.class(entry.category_id)?)?;
            prompts
                .images
                .get_mut(at)
                .into_iter()
                .for_each(|image| image.prompts.extend(prompt.clone()));
        }
        Ok(prompts)
    }
}

/// Whether a video of a data set is a folder, and the image one of its files: then the file says which frame it is, not its
/// number, which shifts with the files that are there.
fn is_frame_of_folder(image: &ImageEntry<'_>, video: &Video<'_>) -> bool {
    let (image, Some(folder)) = (
        normalised(&image.file_name),
        video.file_name.as_deref().map(normalised),
    ) else {
        return false;
    };
    image.rsplit_once('/').map_or("", |(folder, _)| folder) == folder
}

fn no_images_of(path: &Path, images_of: Option<&Path>) -> Result<(), SinkError> {
    let Some(images_of) = images_of else {
        return Ok(());
    };
    let problem = format!(
        "is no COCO results list, so the images of {} are not needed",
        images_of.display()
    );
    Err(SinkError::new(path, problem).with_remedy("leave --images-of out"))
}

fn checked(prompt: BoxPrompt) -> Result<BoxPrompt, String> {
    let b = prompt.bbox;
    if [b.x0, b.y0, b.x1, b.y1, prompt.score]
        .iter()
        .all(|v| v.is_finite())
    {
        Ok(prompt)
    } else {
        Err("a box is not finite".into())
    }
}

#[cfg(test)]
mod tests;
