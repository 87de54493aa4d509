//! Both kinds of file, as CVAT exports them.

use super::parse::{Grouped, Parsed, attribute, parsed, shape};
use crate::{
    datasets::{
        item::{Annotation, Item, Place},
        masks::Budget,
        names::{Ignored, Labels, base_name, below, joined, stem},
        reader::{Dataset, DatasetError},
        xml::{Element, Piece, Xml, root},
    },
    frame::SourceKind,
    geometry::Size,
};
use std::{collections::BTreeMap, io::BufRead, path::Path, sync::Arc};

/// Frames without shapes of a video that are listed at most.
const MAX_FRAMES: u64 = 1 << 20;

/// Whether `path` is XML of CVAT, by its root element (Datumaro's and CVAT's are the only ones of that name here).
pub fn sniff(path: &Path) -> bool {
    root(path).is_some_and(|root| root.name == "annotations")
}

/// Reads a file of CVAT 1.1, for images or for video. Boxes, polygons, ellipses and masks are read, turned boxes and ellipses
/// as polygons; other shapes are counted in `warnings`. Polygons of one label and `group_id` in one frame are the parts of one
/// object.
///
/// Classes are those of `<labels>` in their order, then others by name. Pictures of a video are named
/// `NAME/000000.png`, where NAME is the task's name, and have a [`Place`]; all frames of the task are listed, as far as
/// they are fewer than 1,048,576.
///
/// # Errors
/// [`DatasetError`] if the file cannot be read or is not of CVAT, or a shape is broken.
pub fn read(path: &Path, warnings: &mut Vec<String>) -> Result<Dataset, DatasetError> {
    read_from(Xml::open(path)?, path, warnings)
}

/// As [`read`], from XML that is open; `path` names the task where the file does not.
pub(super) fn read_from<R: BufRead>(
    mut xml: Xml<R>,
    path: &Path,
    warnings: &mut Vec<String>,
) -> Result<Dataset, DatasetError> {
    let mut file = CvatFile::default();
    let mut open: Vec<Element> = Vec::new();
    loop {
        match xml.next()? {
            Piece::Start(element) => {
                if open.is_empty() && element.name != "annotations" {
                    let problem = format!("the root element is <{}>", element.name);
                    return Err(xml
                        .error(problem)
                        .with_remedy("CVAT's files have <annotations>"));
                }
                file.start(&element, &open).map_err(|e| xml.error(e))?;
                open.push(element);
            }
            Piece::End(text) => {
                if let Some(element) = open.pop() {
                    file.end(&element, &open, &text).map_err(|e| xml.error(e))?;
                }
            }
            Piece::Eof => break,
        }
    }
    file.ignored_tracks();
    Ok(file.finish(path, warnings))
}

/// What the head says.
#[derive(Default)]
struct Meta {
    name: String,
    source: String,
    size: Option<u64>,
    start: u64,
    stop: Option<u64>,
    step: u64,
    width: u32,
    height: u32,
    label: Option<String>,
    sub_label: bool,
}

#[derive(Default)]
struct CvatFile {
    meta: Meta,
    labels: Labels,
    budget: Budget,
    ignored: Ignored,
    items: Vec<Item>,
    /// Annotations of the picture that is read.
    picture: Vec<Grouped>,
    /// Shown shapes of the track that is read, by frame.
    track: Vec<(u64, Grouped)>,
    frames: BTreeMap<u64, Vec<Grouped>>,
    /// The shape that is read.
    shape: Option<(u64, bool, Grouped)>,
    tracks: bool,
}

impl CvatFile {
    fn start(&mut self, element: &Element, open: &[Element]) -> Result<(), String> {
        let parent = open.last();
        if open.get(1).is_some_and(|top| top.name == "meta") {
            if element.name == "label" {
                (self.meta.label, self.meta.sub_label) = (None, false);
            }
            return Ok(());
        }
        if element.name == "track" && open.len() == 1 {
            self.tracks = true;
        }
        let in_track = parent.filter(|parent| parent.name == "track" && open.len() == 2);
        let in_image = parent.filter(|parent| parent.name == "image" && open.len() == 2);
        let size = match in_image {
            Some(image) => image_size(image)?,
            None if in_track.is_some() => Size::new(self.meta.width, self.meta.height),
            None => return Ok(()),
        };
        match shape(element, in_track, size, &mut self.labels, &mut self.budget)? {
            Some(Parsed::Annotation(found)) => {
                let frame = match in_track {
                    Some(_) => parsed(element.get("frame").ok_or("a shape without frame")?)?,
                    None => 0,
                };
                let outside = in_track.is_some() && element.get("outside") == Some("1");
                self.shape = Some((frame, outside, *found));
            }
            Some(Parsed::Other) => self.ignored.add(&element.name),
            None => {}
        }
        Ok(())
    }

    fn end(&mut self, element: &Element, open: &[Element], text: &str) -> Result<(), String> {
        let parent = open.last().map_or("", |parent| parent.name.as_str());
        if open.get(1).is_some_and(|top| top.name == "meta") {
            return self.meta_end(element, parent, text);
        }
        match (element.name.as_str(), open.len()) {
            ("attribute", 3) => {
                if let (Some((.., (_, found))), Some(name)) = (&mut self.shape, element.get("name"))
                {
                    attribute(found, name, text);
                }
            }
            ("image", 1) => self.end_image(element)?,
            ("track", 1) => self.end_track(element),
            (_, 2) => match self.shape.take() {
                Some((_, _, found)) if parent == "image" => self.picture.push(found),
                Some((frame, false, found)) => self.track.push((frame, found)),
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }

    fn meta_end(&mut self, element: &Element, parent: &str, text: &str) -> Result<(), String> {
        let meta = &mut self.meta;
        match (parent, element.name.as_str()) {
            ("label", "name") => meta.label = Some(text.to_owned()),
            ("label", "parent") => meta.sub_label = !text.is_empty(),
            (_, "label") => {
                if let Some(label) = meta.label.take().filter(|_| !meta.sub_label) {
                    self.labels.list(&label);
                }
            }
            ("task" | "job", "name") => meta.name = text.to_owned(),
            ("task" | "job" | "meta", "source") => meta.source = text.to_owned(),
            ("task" | "job", "size") => meta.size = text.parse().ok(),
            ("task" | "job", "start_frame") => meta.start = text.parse().unwrap_or(0),
            ("task" | "job", "stop_frame") => meta.stop = text.parse().ok(),
            ("task" | "job", "frame_filter") => {
                let step = text
                    .strip_prefix("step=")
                    .and_then(|step| step.parse().ok());
                meta.step = step.unwrap_or(1).max(1);
            }
            ("original_size", "width") => meta.width = parsed(text)?,
            ("original_size", "height") => meta.height = parsed(text)?,
            _ => {}
        }
        Ok(())
    }

    fn end_image(&mut self, image: &Element) -> Result<(), String> {
        let name = image.get("name").ok_or("an image without name")?;
        self.items.push(Item {
            file_name: below(name),
            size: image_size(image)?,
            place: None,
            annotations: joined(std::mem::take(&mut self.picture)),
            physical: None,
            exif_orientation: None,
            changes: Vec::new(),
            original: None,
        });
        Ok(())
    }

    /// Objects of several frames keep the track's number, where they have none of their own.
    fn end_track(&mut self, track: &Element) {
        let shapes = std::mem::take(&mut self.track);
        let id = track
            .get("id")
            .and_then(|id| id.parse().ok())
            .filter(|_| shapes.len() > 1);
        for (frame, (group, mut annotation)) in shapes {
            annotation.track_id = annotation.track_id.or(id);
            self.frames
                .entry(frame)
                .or_default()
                .push((group, annotation));
        }
    }

    fn ignored_tracks(&mut self) {
        let empty = self.meta.width == 0 || self.meta.height == 0;
        if self.tracks && empty && !self.frames.is_empty() {
            self.ignored
                .add("size of the video's frames is not stated: boxes alone can be used");
        }
    }

    fn finish(mut self, path: &Path, warnings: &mut Vec<String>) -> Dataset {
        if self.tracks || (self.items.is_empty() && self.meta.width > 0) {
            self.video(path);
        }
        self.ignored.warn(path, warnings);
        let classes = self.labels.finish(&mut self.items);
        Dataset {
            classes,
            items: self.items,
        }
    }

    fn video(&mut self, path: &Path) {
        let meta = &self.meta;
        let name = [meta.name.as_str(), stem(base_name(&meta.source))]
            .into_iter()
            .find(|name| !name.is_empty())
            .map_or_else(
                || {
                    path.file_stem()
                        .unwrap_or_default()
                        .to_string_lossy()
                        .into_owned()
                },
                str::to_owned,
            );
        let name = below(&name);
        let step = meta.step.max(1);
        let stop = meta.stop.or_else(|| {
            let frames = meta.size?.checked_sub(1)?;
            frames.checked_mul(step)?.checked_add(meta.start)
        });
        if let Some(stop) = stop.filter(|stop| stop.saturating_sub(meta.start) / step < MAX_FRAMES)
        {
            let mut next = Some(meta.start).filter(|start| *start <= stop);
            while let Some(frame) = next {
                self.frames.entry(frame).or_default();
                next = frame.checked_add(step).filter(|frame| *frame <= stop);
            }
        }
        let source: Arc<str> = Arc::from(name.as_str());
        let file: Arc<str> = if meta.source.is_empty() {
            source.clone()
        } else {
            Arc::from(meta.source.as_str())
        };
        let size = Size::new(meta.width, meta.height);
        for (frame, found) in std::mem::take(&mut self.frames) {
            let mut annotations = joined(found);
            annotations.sort_by(by_score);
            self.items.push(Item {
                file_name: format!("{name}/{frame:06}.png"),
                size,
                place: Some(Place {
                    source: source.clone(),
                    kind: SourceKind::Video,
                    path: file.clone(),
                    file: None,
                    frame,
                    timestamp: None,
                    frame_rate: None,
                    attributes: Default::default(),
                }),
                annotations,
                physical: None,
                exif_orientation: None,
                changes: Vec::new(),
                original: None,
            });
        }
    }
}

/// Best score first; those without score stay in their order.
fn by_score(a: &Annotation, b: &Annotation) -> std::cmp::Ordering {
    let score = |annotation: &Annotation| annotation.score.unwrap_or(0.0);
    score(b).total_cmp(&score(a))
}

fn image_size(image: &Element) -> Result<Size, String> {
    let side = |name| parsed(image.get(name).ok_or(format!("an image without {name}"))?);
    Ok(Size::new(side("width")?, side("height")?))
}
