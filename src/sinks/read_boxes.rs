//! Boxes to prompt a segmenter with, read from a file: `detections.jsonl`, or COCO.

use super::{Classes, SinkError, record::RecordLine, rle};
use crate::{
    frame::{Frame, SourceKind},
    geometry::{BoxXyxy, Size},
};
use serde::Deserialize;
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
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
/// `categories`) or a COCO results list; all of it is kept in memory.
///
/// A frame is found by its source's name and its number; a frame with a file of its own also by that file's path, else by
/// its name where that is the name of one image in the file alone, else, in a results list, by the number in its name
/// (`000000000139.jpg` is image 139).
#[derive(Debug, Clone, Default)]
pub struct BoxPrompts {
    frames: HashMap<(String, u64), Vec<BoxPrompt>>,
    images: HashMap<u64, Image>,
    by_path: HashMap<String, u64>,
    /// None for a name of several images.
    by_name: HashMap<String, Option<u64>>,
    numbered: bool,
}

#[derive(Debug, Clone, Default)]
struct Image {
    prompts: Vec<BoxPrompt>,
}

/// Highest class number that names are listed up to.
const MOST_CLASSES: u32 = 100_000;

impl BoxPrompts {
    /// Reads the file at `path`; `classes` names the categories of a file that does not.
    ///
    /// # Errors
    /// [`SinkError`] if it cannot be read, is neither of the two formats, or holds a box that is not finite.
    pub fn read(path: &Path, classes: &Classes) -> Result<Self, SinkError> {
        let file = File::open(path).map_err(|e| SinkError::io(path, "open the boxes", &e))?;
        let mut reader = BufReader::with_capacity(1 << 18, file);
        let unreadable = |e: std::io::Error| SinkError::io(path, "read the boxes", &e);
        let mut first = Vec::new();
        while first.iter().all(u8::is_ascii_whitespace) {
            first.clear();
            if reader.read_until(b'\n', &mut first).map_err(unreadable)? == 0 {
                // A run over no frames leaves an empty record: no boxes.
                return Ok(Self::default());
            }
        }
        if serde_json::from_slice::<RecordLine<'_>>(&first).is_ok() {
            return Self::from_record(path, first, reader);
        }
        let mut text = first;
        reader.read_to_end(&mut text).map_err(unreadable)?;
        let not_boxes = |problem: String| {
            let remedy = "give detections.jsonl, a COCO file with images and annotations, or a COCO results list";
            SinkError::new(path, format!("holds no boxes that can be read: {problem}")).with_remedy(remedy)
        };
        let is_list = text.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'[');
        if is_list {
            let entries: Vec<Annotation> = serde_json::from_slice(&text).map_err(|e| not_boxes(e.to_string()))?;
            return Self::from_results(&entries, classes).map_err(not_boxes);
        }
        let dataset: Dataset<'_> = serde_json::from_slice(&text).map_err(|e| not_boxes(e.to_string()))?;
        Self::from_dataset(&dataset, classes).map_err(not_boxes)
    }

    /// The prompts for a frame; none if the file does not know it. An empty list means that the file has no box in it.
    pub fn of(&self, frame: &Frame) -> Option<&[BoxPrompt]> {
        self.of_frame(&frame.source.name, frame.index).or_else(|| {
            let still = frame.source.kind == SourceKind::Image;
            let file = frame.file.as_deref().or_else(|| still.then_some(&*frame.source.path))?;
            self.of_file(file)
        })
    }

    /// The classes of the boxes by the names the file gives them; a class that no box has is called by its number.
    pub fn classes(&self) -> Classes {
        let mut names: BTreeMap<u32, Arc<str>> = BTreeMap::new();
        let images = self.images.values().map(|image| &image.prompts);
        for prompt in self.frames.values().chain(images).flatten() {
            names.entry(prompt.class).or_insert_with(|| Arc::clone(&prompt.label));
        }
        let count = names.last_key_value().map_or(0, |(last, _)| (*last).min(MOST_CLASSES) + 1);
        Classes::new((0..count).map(|class| names.get(&class).cloned().unwrap_or_else(|| Arc::from(class.to_string()))))
    }

    /// Number of frames and images that the file knows.
    pub fn len(&self) -> usize {
        self.frames.len().max(self.images.len())
    }

    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn of_frame(&self, name: &str, index: u64) -> Option<&[BoxPrompt]> {
        self.frames.get(&(name.to_owned(), index)).map(Vec::as_slice)
    }

    fn of_file(&self, file: &Path) -> Option<&[BoxPrompt]> {
        let name = file.file_name()?.to_string_lossy();
        let by_name = || self.by_name.get(&*name).copied().flatten();
        let by_number = || self.numbered.then(|| file.file_stem()?.to_str()?.parse().ok()).flatten();
        let id = self.by_path.get(&*file.to_string_lossy()).copied().or_else(by_name).or_else(by_number)?;
        self.images.get(&id).map(|image| image.prompts.as_slice())
    }

    fn add_file(&mut self, path: &str, id: u64) {
        self.by_path.insert(path.to_owned(), id);
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
        self.by_name.entry(name.to_owned()).and_modify(|known| *known = known.filter(|k| *k == id)).or_insert(Some(id));
    }

    fn from_record(path: &Path, first: Vec<u8>, mut reader: impl BufRead) -> Result<Self, SinkError> {
        let mut prompts = Self::default();
        let mut labels: HashMap<String, Arc<str>> = HashMap::new();
        let (mut text, mut number) = (first, 1u64);
        loop {
            let broken = |p: String| SinkError::new(path, format!("line {number} is not a frame's result: {p}"));
            if !text.iter().all(u8::is_ascii_whitespace) {
                let line: RecordLine<'_> = serde_json::from_slice(&text).map_err(|e| broken(e.to_string()))?;
                prompts.add_line(&line, number, &mut labels).map_err(broken)?;
            }
            number += 1;
            text.clear();
            if reader.read_until(b'\n', &mut text).map_err(|e| SinkError::io(path, "read the boxes", &e))? == 0 {
                return Ok(prompts);
            }
        }
    }

    fn add_line(&mut self, line: &RecordLine<'_>, id: u64, labels: &mut HashMap<String, Arc<str>>) -> Result<(), String> {
        let boxes = line.objects.iter().map(|object| {
            let [x0, y0, x1, y1] = object.bbox;
            let label = labels.entry(object.label.to_string()).or_insert_with(|| Arc::from(&*object.label));
            checked(BoxPrompt { bbox: BoxXyxy::new(x0, y0, x1, y1), score: object.score, class: object.class, label: Arc::clone(label) })
        });
        let boxes: Vec<BoxPrompt> = boxes.collect::<Result<_, _>>()?;
        let still = (line.kind == SourceKind::Image).then_some(&line.path);
        if let Some(file) = line.file.as_ref().or(still) {
            self.add_file(file, id);
            self.images.insert(id, Image { prompts: boxes.clone() });
        }
        self.frames.insert((line.source.to_string(), line.frame), boxes);
        Ok(())
    }

    fn from_dataset(dataset: &Dataset<'_>, classes: &Classes) -> Result<Self, String> {
        let mut prompts = Self::default();
        for image in &dataset.images {
            prompts.add_file(&image.file_name, image.id);
            prompts.images.insert(image.id, Image::default());
        }
        let names: HashMap<u64, &str> = dataset.categories.iter().map(|c| (c.id, &*c.name)).collect();
        let mut ids: Vec<u64> = names.keys().copied().collect();
        ids.sort_unstable();
        prompts.add_annotations(&dataset.annotations, &|id| {
            let class = named_class(id, names.get(&id).copied(), &ids, classes)?;
            let label = names.get(&id).map_or_else(|| label_of(class, classes), |name| Arc::from(*name));
            Some((class, label))
        })?;
        let videos: HashMap<u64, &str> = dataset.videos.iter().map(|v| (v.id, &*v.name)).collect();
        for image in &dataset.images {
            let video = image.video_id.and_then(|id| videos.get(&id));
            if let (Some(name), Some(frame), Some(of)) = (video, image.frame_id, prompts.images.get(&image.id)) {
                prompts.frames.insert(((*name).to_owned(), frame), of.prompts.clone());
            }
        }
        Ok(prompts)
    }

    fn from_results(entries: &[Annotation], classes: &Classes) -> Result<Self, String> {
        let mut prompts = Self { numbered: true, ..Self::default() };
        prompts.add_annotations(entries, &|id| {
            let class = classes.class_of(id)?;
            Some((class, label_of(class, classes)))
        })?;
        Ok(prompts)
    }

    fn add_annotations(&mut self, annotations: &[Annotation], class_of: &dyn Fn(u64) -> Option<(u32, Arc<str>)>) -> Result<(), String> {
        for entry in annotations {
            // Crowds are regions to be ignored, not things.
            if entry.iscrowd.unwrap_or(0) != 0 {
                continue;
            }
            let [x, y, w, h] = entry.place().ok_or_else(|| format!("an annotation of image {} has no box", entry.image_id))?;
            let (class, label) = class_of(entry.category_id).ok_or_else(|| format!("category {} is not known", entry.category_id))?;
            let bbox = BoxXyxy::new(x, y, x + w, y + h);
            // The box of an empty mask prompts nothing.
            if entry.bbox.is_none() && !bbox.is_valid() {
                continue;
            }
            let prompt = checked(BoxPrompt { bbox, score: entry.score.unwrap_or(1.0), class, label })?;
            self.images.entry(entry.image_id).or_default().prompts.push(prompt);
        }
        Ok(())
    }
}

/// The class of category `id` in a data set: that of its name where `classes` knows it, else the one that gives this id,
/// else its place among the data set's ids.
fn named_class(id: u64, name: Option<&str>, ids: &[u64], classes: &Classes) -> Option<u32> {
    let by_name = name.and_then(|name| classes.names().iter().position(|n| **n == *name));
    let place = || ids.binary_search(&id).ok();
    let by_place = || u32::try_from(place()?).ok();
    if let Some(class) = by_name {
        return u32::try_from(class).ok();
    }
    if classes.names().is_empty() { by_place() } else { classes.class_of(id).or_else(by_place) }
}

fn label_of(class: u32, classes: &Classes) -> Arc<str> {
    let known = usize::try_from(class).ok().and_then(|c| classes.names().get(c));
    known.cloned().unwrap_or_else(|| Arc::from(format!("class {class}")))
}

fn checked(prompt: BoxPrompt) -> Result<BoxPrompt, String> {
    let b = prompt.bbox;
    if [b.x0, b.y0, b.x1, b.y1, prompt.score].iter().all(|v| v.is_finite()) { Ok(prompt) } else { Err("a box is not finite".into()) }
}

#[derive(Deserialize)]
struct Dataset<'a> {
    #[serde(borrow)]
    images: Vec<ImageEntry<'a>>,
    annotations: Vec<Annotation>,
    #[serde(borrow, default)]
    categories: Vec<Named<'a>>,
    #[serde(borrow, default)]
    videos: Vec<Named<'a>>,
}

#[derive(Deserialize)]
struct ImageEntry<'a> {
    id: u64,
    #[serde(borrow)]
    file_name: Cow<'a, str>,
    #[serde(default)]
    video_id: Option<u64>,
    #[serde(default)]
    frame_id: Option<u64>,
}

#[derive(Deserialize)]
struct Named<'a> {
    id: u64,
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: u64,
    category_id: u64,
    #[serde(default)]
    bbox: Option<[f32; 4]>,
    #[serde(default)]
    score: Option<f32>,
    #[serde(default)]
    iscrowd: Option<u8>,
    #[serde(default)]
    segmentation: Option<Segmentation>,
}

/// Run lengths with a string; any other form is of no use here.
#[derive(Deserialize)]
#[serde(untagged)]
enum Segmentation {
    Rle { size: [u32; 2], counts: String },
    Other(serde::de::IgnoredAny),
}

impl Annotation {
    /// `[x, y, width, height]`: the box, or the mask's where there is none, as in a results list of masks.
    fn place(&self) -> Option<[f32; 4]> {
        self.bbox.or_else(|| match &self.segmentation {
            Some(Segmentation::Rle { size: [height, width], counts }) => {
                let mask = rle::mask_from_string(Size::new(*width, *height), counts)?;
                Some(mask.bounds().map_or([0.0; 4], |b| b.to_coco()))
            }
            Some(Segmentation::Other(_)) | None => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::COCO_NAMES;

    fn read(text: &str, classes: &Classes) -> Result<BoxPrompts, SinkError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        BoxPrompts::read(file.path(), classes)
    }

    fn of<'a>(prompts: &'a BoxPrompts, file: &str) -> Option<Vec<(&'a str, u32, [f32; 4])>> {
        let found = prompts.of_file(Path::new(file))?;
        Some(found.iter().map(|p| (&*p.label, p.class, [p.bbox.x0, p.bbox.y0, p.bbox.x1, p.bbox.y1])).collect())
    }

    #[test]
    fn annotations_of_a_data_set_are_found_by_path_and_by_name() {
        let text = r#"{"images":[{"id":7,"file_name":"a/x.png"},{"id":8,"file_name":"b/x.png"},{"id":9,"file_name":"b/y.png"}],
            "annotations":[{"image_id":7,"category_id":90,"bbox":[1,2,3,4]},{"image_id":9,"category_id":5,"bbox":[0,0,1,1],"iscrowd":1}],
            "categories":[{"id":90,"name":"toothbrush"},{"id":5,"name":"aeroplane"}]}"#;
        let coco = read(text, &Classes::new(COCO_NAMES)).unwrap();
        assert_eq!(of(&coco, "a/x.png"), Some(vec![("toothbrush", 79, [1.0, 2.0, 4.0, 6.0])]));
        assert_eq!(of(&coco, "elsewhere/x.png"), None, "two images have that name");
        assert_eq!(of(&coco, "elsewhere/y.png"), Some(vec![]), "crowds are left out");
        assert_eq!(of(&read(text, &Classes::default()).unwrap(), "a/x.png").unwrap()[0].1, 1, "the second of the file's categories");
    }

    #[test]
    fn results_are_found_by_the_number_in_the_name() {
        let text = r#"[{"image_id":139,"category_id":1,"bbox":[1,2,3,4],"score":0.5},
            {"image_id":139,"category_id":2,"score":0.4,"segmentation":{"size":[3,3],"counts":"09"}},
            {"image_id":139,"category_id":2,"score":0.3,"segmentation":{"size":[3,3],"counts":"9"}}]"#;
        let prompts = read(text, &Classes::new(["bone"])).unwrap();
        let expected = vec![("bone", 0, [1.0, 2.0, 4.0, 6.0]), ("class 1", 1, [0.0, 0.0, 3.0, 3.0])];
        assert_eq!(of(&prompts, "val/000000000139.jpg"), Some(expected));
        assert_eq!(of(&prompts, "val/000000000140.jpg"), None);
    }

    #[test]
    fn files_that_hold_no_boxes_are_errors() {
        let classes = Classes::default();
        for text in ["{", "[1]", "hello", r#"{"images":[]}"#, r#"[{"image_id":1,"category_id":0,"bbox":[0,0,1,1]}]"#] {
            assert!(read(text, &classes).is_err(), "{text}");
        }
        assert!(read("", &classes).unwrap().is_empty() && read("[]", &classes).unwrap().is_empty());
        assert!(read(r#"[{"image_id":1,"category_id":1}]"#, &classes).unwrap_err().to_string().contains("no box"));
        assert!(BoxPrompts::read(Path::new("/no/such.json"), &classes).unwrap_err().to_string().starts_with("/no/such.json: cannot open"));
    }
}
