//! The tracks of a video.

use super::elements::{Geometry, TAIL, Task};
use crate::{
    datasets::{
        item::{Annotation, Item, Place},
        masks::Shape,
        names::{UsedLabels, base_name},
        spool::Spool,
        writer::MaskForm,
        xml::escaped,
    },
    geometry::Size,
    sinks::SinkError,
};
use std::{collections::BTreeMap, fmt::Write as _, ops::Range, path::PathBuf, sync::Arc};

/// A track: object, class, kind of shape, part of the object.
type Key = (u64, Arc<str>, &'static str, usize);

/// An object of several frames.
struct Track {
    /// Where its shapes are in the file of all tracks' shapes.
    pieces: Vec<Range<u64>>,
    /// The last frame that has it, with its shape; none once it is closed.
    open: Option<(u64, Geometry, Annotation)>,
}

/// A file of CVAT for video. An object with a track number has a track for each of its parts; every other object is a track
/// of one frame, closed on the next frame of the file. Masks as run lengths are tracks of one frame too: CVAT has no others.
pub(crate) struct Video {
    path: PathBuf,
    place: Place,
    size: Size,
    masks: MaskForm,
    /// First frame, last frame, and the step between frames where it is always the same.
    range: (u64, u64, Option<u64>),
    labels: UsedLabels,
    /// Whether an object states its visibility.
    states: bool,
    tracks: BTreeMap<Key, Track>,
    /// Shapes of the last frame that are tracks of their own: the attributes of the track, shape, annotation.
    last: Vec<(String, Geometry, Annotation)>,
    spool: Spool,
    /// Shapes of tracks of several frames.
    shapes: Spool,
    /// Tracks and groups so far.
    count: u64,
    groups: u64,
}

impl Video {
    /// The file `path` of the source that `item` is the first frame of.
    ///
    /// # Errors
    /// [`SinkError`] if it cannot be written.
    pub(crate) fn new(
        path: PathBuf,
        item: &Item,
        place: &Place,
        masks: MaskForm,
    ) -> Result<Self, SinkError> {
        Ok(Self {
            place: place.clone(),
            size: item.size,
            masks,
            range: (place.frame, place.frame, None),
            labels: UsedLabels::default(),
            states: false,
            tracks: BTreeMap::new(),
            last: Vec::new(),
            spool: Spool::new(path.clone())?,
            shapes: Spool::new(path.clone())?,
            path,
            count: 0,
            groups: 0,
        })
    }

    /// Whether it is the file of `source`.
    pub(crate) fn is_of(&self, source: &str) -> bool {
        *self.place.source == *source
    }

    /// Adds a frame.
    ///
    /// # Errors
    /// [`SinkError`] if it cannot be written, or the frame has another size than those before.
    pub(crate) fn add(&mut self, item: &Item, frame: u64) -> Result<(), SinkError> {
        if item.size != self.size {
            let problem = format!(
                "frame {frame} is {}, those before are {}: a video of CVAT has one size",
                item.size, self.size
            );
            return Err(SinkError::new(&self.path, problem));
        }
        if frame > self.range.1 {
            self.close_last(Some(frame))?;
        }
        self.step(frame);
        self.labels.add(item);
        self.states |= item.annotations.iter().any(|a| a.visibility.is_some());
        let mut shown = Vec::new();
        let shapes = Shape::all(item, self.masks)
            .map_err(|problem| SinkError::new(&self.path, format!("frame {frame}: {problem}")))?;
        for (annotation, shape) in item.annotations.iter().zip(shapes) {
            let shapes = Geometry::of(annotation, shape);
            self.object(annotation, shapes, frame, &mut shown)?;
        }
        for (key, track) in &mut self.tracks {
            if shown.contains(key) {
                continue;
            }
            if let Some((last, shape, annotation)) = track.open.take() {
                let mut text = String::new();
                closing(shape, last, frame).write(&mut text, &at(frame, true), &annotation);
                track.pieces.push(self.shapes.add(&text)?);
            }
        }
        Ok(())
    }

    fn step(&mut self, frame: u64) {
        let (first, last, step) = self.range;
        let step = match (frame.saturating_sub(last), step) {
            (0, step) => step,
            (gap, None) if first == last => Some(gap),
            // Steps that differ: the frames of the file are all from the first to the last.
            (gap, step) => Some(if step == Some(gap) { gap } else { 1 }),
        };
        self.range = (first, frame.max(last), step);
    }

    fn object(
        &mut self,
        annotation: &Annotation,
        shapes: Vec<Geometry>,
        frame: u64,
        shown: &mut Vec<Key>,
    ) -> Result<(), SinkError> {
        let group = match shapes.len() {
            0 | 1 => String::new(),
            _ => {
                self.groups += 1;
                format!(" group_id=\"{}\"", self.groups)
            }
        };
        for (part, shape) in shapes.into_iter().enumerate() {
            let id = annotation
                .track_id
                .filter(|_| !matches!(shape, Geometry::Mask(_)));
            let Some(id) = id else {
                let label = escaped(&annotation.label);
                let head = format!(" label=\"{label}\" source=\"auto\"{group}");
                self.last.push((head, shape, annotation.clone()));
                continue;
            };
            let key = (id, annotation.label.clone(), shape.element(), part);
            let track = self.tracks.entry(key.clone()).or_insert_with(|| Track {
                pieces: Vec::new(),
                open: None,
            });
            let mut text = String::new();
            shape.write(&mut text, &at(frame, false), annotation);
            track.pieces.push(self.shapes.add(&text)?);
            track.open = Some((frame, shape, bare(annotation)));
            shown.push(key);
        }
        Ok(())
    }

    /// Writes the tracks of the last frame alone, closed on frame `next`.
    fn close_last(&mut self, next: Option<u64>) -> Result<(), SinkError> {
        let frame = self.range.1;
        for (head, shape, annotation) in std::mem::take(&mut self.last) {
            let mut text = format!("  <track id=\"{}\"{head}>\n", self.count);
            self.count += 1;
            shape.write(&mut text, &at(frame, false), &annotation);
            if let Some(next) = next {
                closing(shape, frame, next).write(&mut text, &at(next, true), &bare(&annotation));
            }
            text.push_str("  </track>\n");
            self.spool.add(&text)?;
        }
        Ok(())
    }

    /// Completes the file.
    ///
    /// # Errors
    /// [`SinkError`] if it cannot be written.
    pub(crate) fn finish(mut self, classes: &[Arc<str>]) -> Result<(), SinkError> {
        self.close_last(None)?;
        let mut groups: BTreeMap<(u64, Arc<str>), u64> = BTreeMap::new();
        for (id, label, _, part) in self.tracks.keys() {
            if *part == 1 && !groups.contains_key(&(*id, label.clone())) {
                self.groups += 1;
                groups.insert((*id, label.clone()), self.groups);
            }
        }
        for ((id, label, ..), track) in std::mem::take(&mut self.tracks) {
            let mut text = format!(
                "  <track id=\"{}\" label=\"{}\" source=\"auto\"",
                self.count,
                escaped(&label)
            );
            self.count += 1;
            if let Some(group) = groups.get(&(id, label)) {
                let _ = write!(text, " group_id=\"{group}\"");
            }
            self.spool.add(&text)?;
            self.spool.add(">\n")?;
            for piece in track.pieces {
                let shape = self.shapes.read(piece)?;
                self.spool.add(&shape)?;
            }
            self.spool.add("  </track>\n")?;
        }
        let (start, stop, step) = (self.range.0, self.range.1, self.range.2.unwrap_or(1));
        // A task of every frame starts at the first one of the video.
        let start = if step == 1 { 0 } else { start };
        let task = Task {
            name: &self.place.source,
            frames: (stop - start) / step + 1,
            mode: "interpolation",
            range: (start, stop, step),
            video: Some((self.size, base_name(&self.place.path))),
            labels: &self.labels.names(classes),
            states: self.states,
        };
        self.spool.finish(&task.head(), TAIL)
    }
}

/// The attributes of a shape in a track.
fn at(frame: u64, outside: bool) -> String {
    let outside = u8::from(outside);
    format!(" frame=\"{frame}\" outside=\"{outside}\" keyframe=\"1\"")
}

/// The shape that ends a track on frame `next`: nothing is drawn from it, unless frames lie between.
fn closing(shape: Geometry, last: u64, next: u64) -> Geometry {
    if next == last + 1 {
        shape.small()
    } else {
        shape
    }
}

/// Without figures, for a shape that only ends a track.
fn bare(annotation: &Annotation) -> Annotation {
    Annotation {
        outline: None,
        score: None,
        mask_score: None,
        track_id: None,
        visibility: None,
        visibility_score: None,
        ..annotation.clone()
    }
}
