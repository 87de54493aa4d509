//! What a tracker knows of an object of a frame.

use super::{outline::Outline, rect::Rect};
use crate::frame::Object;

/// An object of this frame.
#[derive(Debug, Clone)]
pub(super) struct Observation {
    pub(super) rect: Rect,
    pub(super) score: f64,
    pub(super) class: u32,
    pub(super) outline: Option<Outline>,
}

impl Observation {
    /// Of an object; its mask is read only if masks are a cue.
    pub(super) fn of(object: &Object, with_mask: bool) -> Self {
        let mask = object.mask.as_ref().filter(|_| with_mask);
        Self {
            rect: Rect::of(&object.bbox),
            score: f64::from(object.score),
            class: object.class,
            outline: mask.and_then(Outline::of),
        }
    }

    /// IoU with another object of the frame: the lower of that of boxes and that of masks, where both have one.
    pub(super) fn iou(&self, other: &Self) -> f64 {
        let boxes = self.rect.iou(&other.rect, 0.0);
        if boxes == 0.0 {
            return 0.0;
        }
        let masks = self.outline.as_ref().zip(other.outline.as_ref());
        masks.map_or(boxes, |(one, other)| boxes.min(one.iou(other)))
    }
}
