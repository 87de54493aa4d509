//! What to outline in an image.

use crate::{
    frame::Object,
    geometry::{BoxXyxy, Size},
    models::mobile_sam::{ObjectPrompt, PointLabel, PointPrompt},
    session::prompted::Prompted,
};
use std::sync::Arc;

/// One object to outline: a box, points, or both, in pixels of the image.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    bounds: Option<BoxXyxy>,
    points: Vec<PointPrompt>,
}

/// A prompt that no image of this size can have.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PromptError {
    /// Neither a box nor a point.
    #[error("prompt {at}: has neither a box nor a point")]
    Empty {
        /// Place of the prompt in the list, from 0.
        at: usize,
    },
    /// A box without extent or not of numbers.
    #[error("prompt {at}: box {bounds:?} has no extent; give x0 < x1 and y0 < y1")]
    Extent {
        /// Place of the prompt in the list, from 0.
        at: usize,
        /// x0, y0, x1, y1.
        bounds: [f32; 4],
    },
    /// The box or a point is outside of the image.
    #[error("prompt {at}: {what} is outside of the image of {size} pixels")]
    Outside {
        /// Place of the prompt in the list, from 0.
        at: usize,
        /// The box or point.
        what: String,
        /// Size of the image.
        size: Size,
    },
}

impl Prompt {
    /// The object in a box: x0, y0, x1, y1, right and lower edges exclusive.
    pub fn bbox(x0: f32, y0: f32, x1: f32, y1: f32) -> Self {
        Self {
            bounds: Some(BoxXyxy::new(x0, y0, x1, y1)),
            points: Vec::new(),
        }
    }

    /// The object at points: x, y, and whether the point is inside of the object.
    pub fn points(points: &[(f32, f32, bool)]) -> Self {
        Self {
            bounds: None,
            points: Vec::new(),
        }
        .with_points(points)
    }

    /// The same with points beside its box.
    #[must_use]
    pub fn with_points(mut self, points: &[(f32, f32, bool)]) -> Self {
        let label = |inside| {
            if inside {
                PointLabel::Foreground
            } else {
                PointLabel::Background
            }
        };
        self.points
            .extend(points.iter().map(|&(x, y, inside)| PointPrompt {
                x,
                y,
                label: label(inside),
            }));
        self
    }

    /// The prompt in place `at` of a list, for an image of `size`.
    pub(crate) fn prompted(&self, at: usize, size: Size) -> Result<Prompted, PromptError> {
        if self.bounds.is_none() && self.points.is_empty() {
            return Err(PromptError::Empty { at });
        }
        let (width, height) = (size.width as f32, size.height as f32);
        let bounds = match self.bounds {
            None => None,
            Some(b) if !b.is_valid() => {
                return Err(PromptError::Extent {
                    at,
                    bounds: [b.x0, b.y0, b.x1, b.y1],
                });
            }
            Some(b) => {
                let outside = || PromptError::Outside {
                    at,
                    what: format!("box {},{},{},{}", b.x0, b.y0, b.x1, b.y1),
                    size,
                };
                Some(
                    Some(b.clamped(size))
                        .filter(BoxXyxy::is_valid)
                        .ok_or_else(outside)?,
                )
            }
        };
        let inside =
            |p: &PointPrompt| (0.0..=width).contains(&p.x) && (0.0..=height).contains(&p.y);
        if let Some(p) = self.points.iter().find(|p| !inside(p)) {
            return Err(PromptError::Outside {
                at,
                what: format!("point {},{}", p.x, p.y),
                size,
            });
        }
        let bbox = bounds.unwrap_or(BoxXyxy::new(0.0, 0.0, width, height));
        let label: Arc<str> = "object".into();
        Ok(Prompted {
            object: Object {
                bbox,
                score: 1.0,
                class: 0,
                label,
                mask: None,
                mask_score: None,
                track: None,
            },
            prompt: ObjectPrompt {
                bounds,
                points: self.points.clone(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size {
        width: 100,
        height: 50,
    };

    #[test]
    fn boxes_are_cut_to_the_image_and_those_outside_of_it_are_errors() {
        let inside = Prompt::bbox(-5.0, 10.0, 40.0, 500.0)
            .prompted(0, SIZE)
            .unwrap();
        assert_eq!(inside.object.bbox, BoxXyxy::new(0.0, 10.0, 40.0, 50.0));
        for (prompt, text) in [
            (
                Prompt::bbox(100.0, 0.0, 120.0, 10.0),
                "prompt 3: box 100,0,120,10 is outside of the image of 100×50 pixels",
            ),
            (
                Prompt::bbox(5.0, 0.0, 5.0, 10.0),
                "prompt 3: box [5.0, 0.0, 5.0, 10.0] has no extent",
            ),
            (Prompt::bbox(f32::NAN, 0.0, 5.0, 10.0), "has no extent"),
            (
                Prompt::points(&[(1.0, 1.0, true), (562.0, 10.0, true)]),
                "prompt 3: point 562,10 is outside",
            ),
            (Prompt::points(&[(f32::NAN, 1.0, true)]), "is outside"),
            (Prompt::points(&[]), "neither a box nor a point"),
        ] {
            let error = prompt.prompted(3, SIZE).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn points_are_inside_or_outside_of_the_object() {
        let prompted = Prompt::bbox(0.0, 0.0, 9.0, 9.0)
            .with_points(&[(1.0, 2.0, true), (3.0, 4.0, false)])
            .prompted(0, SIZE)
            .unwrap();
        let labels: Vec<PointLabel> = prompted.prompt.points.iter().map(|p| p.label).collect();
        assert_eq!(labels, [PointLabel::Foreground, PointLabel::Background]);
    }
}
