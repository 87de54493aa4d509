//! What a segmenter outlines: boxes and points of the user.

use crate::{
    frame::{Confidence, Frame, Object},
    geometry::{BoxXyxy, Size},
    models::mobile_sam::{ObjectPrompt, PointLabel, PointPrompt},
    run::{
        boxes::{BoxPrompts, FrameBoxes, SourceFrames},
        error::{FrameError, RunError},
    },
    session::Prompted,
    sinks::SinkError,
    sources::{SourceOptions, SourceSpec, SourceWarning},
};
use serde::Serialize;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Prompts that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PromptTextError {
    /// `--box`.
    #[error("{0}: not a box; give four numbers x0,y0,x1,y1 in pixels with x0 < x1 and y0 < y1")]
    Box(String),
    /// `--point`.
    #[error(
        "{0}: not a point; give x,y in pixels, and 1 for inside the object or 0 for outside: x,y,0"
    )]
    Point(String),
}

/// Where the segmenter's prompts come from when there is no detector.
#[derive(Debug, Clone, Default)]
pub struct UserPrompts {
    /// Boxes for every frame, an object each.
    pub boxes: Vec<BoxXyxy>,
    /// Points for every frame, all of one object; with exactly one box they belong to that box's object.
    pub points: Vec<PointPrompt>,
    /// Boxes of each frame.
    pub of_frames: Option<BoxPrompts>,
    /// Threshold of the scores of boxes in `of_frames`.
    pub confidence: Confidence,
}

/// How many of a run's frames a file of boxes knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MatchedFrames {
    /// Frames that it knows, with boxes or without.
    pub matched: u64,
    /// All frames.
    pub frames: u64,
}

/// A box from `x0,y0,x1,y1`.
///
/// # Errors
/// [`PromptTextError::Box`].
pub fn parse_box(text: &str) -> Result<BoxXyxy, PromptTextError> {
    let bad = || PromptTextError::Box(text.to_owned());
    let numbers = numbers(text).ok_or_else(bad)?;
    let &[x0, y0, x1, y1] = &numbers[..] else {
        return Err(bad());
    };
    let bounds = BoxXyxy::new(x0, y0, x1, y1);
    if bounds.is_valid() {
        Ok(bounds)
    } else {
        Err(bad())
    }
}

/// A point from `x,y` or `x,y,label`.
///
/// # Errors
/// [`PromptTextError::Point`].
pub fn parse_point(text: &str) -> Result<PointPrompt, PromptTextError> {
    let bad = || PromptTextError::Point(text.to_owned());
    let numbers = numbers(text).ok_or_else(bad)?;
    let (x, y, label) = match numbers[..] {
        [x, y] | [x, y, 1.0] => (x, y, PointLabel::Foreground),
        [x, y, 0.0] => (x, y, PointLabel::Background),
        _ => return Err(bad()),
    };
    Ok(PointPrompt { x, y, label })
}

fn numbers(text: &str) -> Option<Vec<f32>> {
    let numbers: Option<Vec<f32>> = text.split(',').map(|n| n.trim().parse().ok()).collect();
    numbers.filter(|n| n.iter().all(|v| v.is_finite()))
}

impl UserPrompts {
    /// Whether there is nothing to outline in any frame.
    pub fn is_empty(&self) -> bool {
        self.boxes.is_empty() && self.points.is_empty() && self.of_frames.is_none()
    }
}

/// The prompts of a run's frames.
#[derive(Debug)]
pub(crate) struct RunPrompts<'a> {
    user: &'a UserPrompts,
    boxes: Option<FrameBoxes<'a>>,
    /// Threshold of the scores of these boxes.
    found_from: Confidence,
    /// Frames that were looked for among those of the file of boxes, and those that it knows.
    frames: AtomicU64,
    matched: AtomicU64,
}

impl<'a> RunPrompts<'a> {
    /// The prompts of `user` for the frames of `sources`; boxes of its file from the score `found_from` on.
    ///
    /// # Errors
    /// [`RunError::Boxes`] if the file of boxes can have none for any of them.
    pub(crate) fn new(
        user: &'a UserPrompts,
        found_from: Confidence,
        sources: &[SourceSpec],
        options: &SourceOptions,
    ) -> Result<Self, RunError> {
        let boxes = user
            .of_frames
            .as_ref()
            .map(|boxes| boxes.for_sources(sources.iter().map(|spec| frames_of(spec, options))));
        let prompts = Self {
            user,
            boxes,
            found_from,
            frames: AtomicU64::new(0),
            matched: AtomicU64::new(0),
        };
        match prompts.mismatch().filter(|_| {
            !sources.is_empty()
                && prompts
                    .boxes
                    .as_ref()
                    .is_some_and(FrameBoxes::match_nothing)
        }) {
            Some(error) => Err(RunError::Boxes(error)),
            None => Ok(prompts),
        }
    }

    /// What is to be said about how frames were found in the file of boxes.
    pub(crate) fn warnings(&self) -> Vec<SourceWarning> {
        let (Some(file), Some(boxes)) = (&self.user.of_frames, &self.boxes) else {
            return Vec::new();
        };
        let mut warnings = Vec::new();
        if let Some((ours, known)) = boxes.doubtful().first() {
            let count = boxes.doubtful().len();
            let whose = if count == 1 {
                "an input has".to_owned()
            } else {
                format!("{count} inputs have")
            };
            let problem = format!(
                "{whose} nothing but the name in common with the image whose boxes it gets: {ours} gets those of {known}"
            );
            warnings.push(
                SourceWarning::new(file.path(), problem)
                    .with_remedy("give the file the paths of the inputs if that is not right"),
            );
        }
        if let Some(name) = boxes.ambiguous().first() {
            let count = boxes.ambiguous().len();
            let problem = format!(
                "{count} of the inputs could be several of its images, and get no boxes: {name}"
            );
            warnings.push(
                SourceWarning::new(file.path(), problem)
                    .with_remedy("give the file names with the folders that tell them apart"),
            );
        }
        warnings
    }

    /// Notes that the run has a frame, and whether the file of boxes knows it.
    pub(crate) fn count(&self, frame: &Frame) {
        if let Some(boxes) = &self.boxes {
            self.frames.fetch_add(1, Ordering::Relaxed);
            self.matched.fetch_add(
                u64::from(!matches!(boxes.of(frame), Ok(None))),
                Ordering::Relaxed,
            );
        }
    }

    /// What to outline in a frame, which is counted.
    ///
    /// # Errors
    /// As [`RunPrompts::of`].
    pub(crate) fn take(&self, frame: &Frame) -> Result<Vec<Prompted>, FrameError> {
        self.count(frame);
        self.of(frame)
    }

    /// Of how many of the frames that were counted the file of boxes knows how many; none without such a file.
    pub(crate) fn matched(&self) -> Option<MatchedFrames> {
        self.boxes.as_ref()?;
        Some(MatchedFrames {
            matched: self.matched.load(Ordering::Relaxed),
            frames: self.frames.load(Ordering::Relaxed),
        })
    }

    /// The error for a file of boxes that has none for any frame.
    pub(crate) fn mismatch(&self) -> Option<SinkError> {
        let (file, boxes) = (self.user.of_frames.as_ref()?, self.boxes.as_ref()?);
        let remedy = "give the file that belongs to these inputs; the names in it must be paths of the inputs, with or without leading folders; \
                      a COCO results list, and a data set that lost its list of videos, need --images-of with the COCO file of their images";
        Some(SinkError::new(file.path(), boxes.mismatch()).with_remedy(remedy))
    }

    /// The objects to outline in `frame`: the file's boxes of this frame, then the boxes and points of every frame.
    /// Boxes are cut to the frame.
    ///
    /// # Errors
    /// [`FrameError::Outside`] for a box or point outside of the frame, [`FrameError::OtherSize`] for boxes of a picture of
    /// another size.
    fn of(&self, frame: &Frame) -> Result<Vec<Prompted>, FrameError> {
        let size = frame.size();
        let mut prompted: Vec<Prompted> = self.prompts_of_file(frame)?;
        let boxes: Vec<BoxXyxy> = self
            .user
            .boxes
            .iter()
            .map(|bounds| inside(*bounds, size))
            .collect::<Result<_, _>>()?;
        let points = &self.user.points;
        if let Some(point) = points.iter().find(|point| !contains(size, point)) {
            return Err(FrameError::Outside {
                what: format!("the point {},{}", point.x, point.y),
                size,
            });
        }
        let prompts = match (&boxes[..], points.is_empty()) {
            ([], true) => Vec::new(),
            ([], false) => vec![ObjectPrompt::from_points(points.clone())],
            (boxes, true) => boxes.iter().copied().map(ObjectPrompt::from_box).collect(),
            ([one], false) => vec![ObjectPrompt {
                bounds: Some(*one),
                points: points.clone(),
            }],
            (boxes, false) => {
                let points = std::iter::once(ObjectPrompt::from_points(points.clone()));
                boxes
                    .iter()
                    .copied()
                    .map(ObjectPrompt::from_box)
                    .chain(points)
                    .collect()
            }
        };
        let label: Arc<str> = "object".into();
        prompted.extend(prompts.into_iter().map(|prompt| {
            let bbox = prompt.bounds.unwrap_or(BoxXyxy::new(
                0.0,
                0.0,
                size.width as f32,
                size.height as f32,
            ));
            Prompted {
                object: Object {
                    bbox,
                    score: 1.0,
                    class: 0,
                    label: label.clone(),
                    mask: None,
                    mask_score: None,
                    track: None,
                },
                prompt,
            }
        }));
        Ok(prompted)
    }

    fn prompts_of_file(&self, frame: &Frame) -> Result<Vec<Prompted>, FrameError> {
        let Some(boxes) = &self.boxes else {
            return Ok(Vec::new());
        };
        let known = boxes.of(frame)?.unwrap_or_default();
        // A box without extent, as of an empty mask, prompts nothing.
        let wanted = known
            .iter()
            .filter(|p| self.found_from.passes(p.score) && p.bbox.is_valid());
        wanted
            .map(|p| {
                let bbox = inside(p.bbox, frame.size())?;
                let object = Object {
                    bbox,
                    score: p.score,
                    class: p.class,
                    label: p.label.clone(),
                    mask: None,
                    mask_score: None,
                    track: None,
                };
                Ok(Prompted::from_object(object))
            })
            .collect()
    }
}

/// The source as its frames and outputs name it.
fn frames_of<'s>(spec: &'s SourceSpec, options: &'s SourceOptions) -> SourceFrames<'s> {
    let (path, files) = options
        .alias(spec)
        .map_or((&spec.path, &spec.files), |alias| {
            (&alias.path, &alias.files)
        });
    SourceFrames {
        kind: spec.kind,
        path,
        name: &spec.name,
        files,
    }
}

/// The part of a box inside of a frame.
fn inside(bounds: BoxXyxy, size: Size) -> Result<BoxXyxy, FrameError> {
    let outside = || FrameError::Outside {
        what: format!(
            "the box {},{},{},{}",
            bounds.x0, bounds.y0, bounds.x1, bounds.y1
        ),
        size,
    };
    Some(bounds.clamped(size))
        .filter(BoxXyxy::is_valid)
        .ok_or_else(outside)
}

fn contains(size: Size, point: &PointPrompt) -> bool {
    (0.0..size.width as f32).contains(&point.x) && (0.0..size.height as f32).contains(&point.y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_and_points_are_read_and_nonsense_is_refused() {
        assert_eq!(
            parse_box("1, 2,3.5,4").unwrap(),
            BoxXyxy::new(1.0, 2.0, 3.5, 4.0)
        );
        for bad in ["", "1,2,3", "3,2,1,4", "1,2,nan,4", "a,b,c,d", "1,2,3,4,5"] {
            assert!(parse_box(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_point("5,6").unwrap().label, PointLabel::Foreground);
        assert_eq!(parse_point("5,6,0").unwrap().label, PointLabel::Background);
        for bad in ["5", "5,6,2", "5,6,1,1", "x,y"] {
            assert!(parse_point(bad).is_err(), "{bad}");
        }
    }
}
