//! What the user asks the segmenter to outline.

use crate::{
    frame::{Confidence, Frame, Object},
    geometry::BoxXyxy,
    models::mobile_sam::{ObjectPrompt, PointLabel, PointPrompt},
    sinks::BoxPrompts,
};
use std::sync::Arc;

/// Prompts that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PromptTextError {
    /// `--box`.
    #[error("{0}: not a box; give four numbers x0,y0,x1,y1 in pixels with x0 < x1 and y0 < y1")]
    Box(String),
    /// `--point`.
    #[error("{0}: not a point; give x,y in pixels, and 1 for inside the object or 0 for outside: x,y,0")]
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

/// A box from `x0,y0,x1,y1`.
///
/// # Errors
/// [`PromptTextError::Box`].
pub fn parse_box(text: &str) -> Result<BoxXyxy, PromptTextError> {
    let bad = || PromptTextError::Box(text.to_owned());
    let numbers = numbers(text).ok_or_else(bad)?;
    let &[x0, y0, x1, y1] = &numbers[..] else { return Err(bad()) };
    let bounds = BoxXyxy::new(x0, y0, x1, y1);
    if bounds.is_valid() { Ok(bounds) } else { Err(bad()) }
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

/// An object to outline: what is known of it, and its prompt in pixels of the frame.
#[derive(Debug, Clone)]
pub(super) struct Prompted {
    pub object: Object,
    pub prompt: ObjectPrompt,
}

impl Prompted {
    /// An object that a detector found, or a box from a file.
    pub(super) fn from_object(object: Object) -> Self {
        Self { prompt: ObjectPrompt::from_box(object.bbox), object }
    }
}

impl UserPrompts {
    /// Whether there is nothing to outline in any frame.
    pub fn is_empty(&self) -> bool {
        self.boxes.is_empty() && self.points.is_empty() && self.of_frames.is_none()
    }

    /// The objects to outline in `frame`: the file's boxes of this frame, then the boxes and points of every frame.
    /// Boxes are cut to the frame; those outside of it are left out.
    pub(super) fn of(&self, frame: &Frame) -> Vec<Prompted> {
        let size = frame.size();
        let inside = |b: &BoxXyxy| Some(b.clamped(size)).filter(BoxXyxy::is_valid);
        let mut prompted: Vec<Prompted> = self.prompts_of_file(frame);
        let boxes: Vec<BoxXyxy> = self.boxes.iter().filter_map(inside).collect();
        let prompts = match (&boxes[..], self.points.is_empty()) {
            ([], true) => Vec::new(),
            ([], false) => vec![ObjectPrompt::from_points(self.points.clone())],
            (boxes, true) => boxes.iter().copied().map(ObjectPrompt::from_box).collect(),
            ([one], false) => vec![ObjectPrompt { bounds: Some(*one), points: self.points.clone() }],
            (boxes, false) => {
                let points = std::iter::once(ObjectPrompt::from_points(self.points.clone()));
                boxes.iter().copied().map(ObjectPrompt::from_box).chain(points).collect()
            }
        };
        let label: Arc<str> = "object".into();
        prompted.extend(prompts.into_iter().map(|prompt| {
            let bbox = prompt.bounds.unwrap_or(BoxXyxy::new(0.0, 0.0, size.width as f32, size.height as f32));
            Prompted { object: Object { bbox, score: 1.0, class: 0, label: label.clone(), mask: None, mask_score: None }, prompt }
        }));
        prompted
    }

    fn prompts_of_file(&self, frame: &Frame) -> Vec<Prompted> {
        let Some(prompts) = &self.of_frames else { return Vec::new() };
        let size = frame.size();
        let found = prompts.of(frame).unwrap_or_default().iter().filter(|p| self.confidence.passes(p.score)).filter_map(|p| {
            let bbox = Some(p.bbox.clamped(size)).filter(BoxXyxy::is_valid)?;
            Some(Object { bbox, score: p.score, class: p.class, label: p.label.clone(), mask: None, mask_score: None })
        });
        found.map(Prompted::from_object).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_and_points_are_read_and_nonsense_is_refused() {
        assert_eq!(parse_box("1, 2,3.5,4").unwrap(), BoxXyxy::new(1.0, 2.0, 3.5, 4.0));
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
