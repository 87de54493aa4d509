//! Axis-aligned boxes, by corners in pixels and by centre in normalised coordinates.

use super::size::Size;
use serde::{Deserialize, Serialize};

/// A box by its corners, in pixels of the frame: `x0 <= x1`, `y0 <= y1`, the right and lower edges exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BoxXyxy {
    /// Left edge.
    pub x0: f32,
    /// Upper edge.
    pub y0: f32,
    /// Right edge.
    pub x1: f32,
    /// Lower edge.
    pub y1: f32,
}

/// A box by centre and extent, each in 0..1 of the image's width or height: D-FINE's output.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BoxCxCyWh {
    /// Centre, horizontally.
    pub cx: f32,
    /// Centre, vertically.
    pub cy: f32,
    /// Width.
    pub w: f32,
    /// Height.
    pub h: f32,
}

impl BoxXyxy {
    /// A box from its corners.
    pub const fn new(x0: f32, y0: f32, x1: f32, y1: f32) -> Self {
        Self { x0, y0, x1, y1 }
    }

    /// Width in pixels.
    pub fn width(&self) -> f32 {
        self.x1 - self.x0
    }

    /// Height in pixels.
    pub fn height(&self) -> f32 {
        self.y1 - self.y0
    }

    /// Area in square pixels; 0 for a box without extent.
    pub fn area(&self) -> f32 {
        self.width().max(0.0) * self.height().max(0.0)
    }

    /// Whether all four coordinates are finite and the box has extent.
    pub fn is_valid(&self) -> bool {
        [self.x0, self.y0, self.x1, self.y1]
            .iter()
            .all(|v| v.is_finite())
            && self.x1 > self.x0
            && self.y1 > self.y0
    }

    /// The part of the box inside an image of `size`.
    pub fn clamped(&self, size: Size) -> Self {
        let (w, h) = (size.width as f32, size.height as f32);
        Self::new(
            self.x0.clamp(0.0, w),
            self.y0.clamp(0.0, h),
            self.x1.clamp(0.0, w),
            self.y1.clamp(0.0, h),
        )
    }

    /// The box as COCO writes it: `[x, y, width, height]`.
    pub fn to_coco(&self) -> [f32; 4] {
        [self.x0, self.y0, self.width(), self.height()]
    }

    /// The box in normalised centre form, relative to an image of `size`.
    pub fn normalised(&self, size: Size) -> BoxCxCyWh {
        let (w, h) = (size.width as f32, size.height as f32);
        BoxCxCyWh {
            cx: (self.x0 + self.x1) / 2.0 / w,
            cy: (self.y0 + self.y1) / 2.0 / h,
            w: self.width() / w,
            h: self.height() / h,
        }
    }

    /// Intersection over union with `other`, in 0..1; 0 where either has no area.
    pub fn iou(&self, other: &Self) -> f32 {
        let inter = Self::new(
            self.x0.max(other.x0),
            self.y0.max(other.y0),
            self.x1.min(other.x1),
            self.y1.min(other.y1),
        )
        .area();
        let union = self.area() + other.area() - inter;
        if union > 0.0 { inter / union } else { 0.0 }
    }
}

impl BoxCxCyWh {
    /// The box by corners in pixels of an image of `size`, not clamped to it.
    pub fn to_pixels(&self, size: Size) -> BoxXyxy {
        let (w, h) = (size.width as f32, size.height as f32);
        BoxXyxy::new(
            (self.cx - self.w / 2.0) * w,
            (self.cy - self.h / 2.0) * h,
            (self.cx + self.w / 2.0) * w,
            (self.cy + self.h / 2.0) * h,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn centre_form_and_back_is_the_same_box() {
        let size = Size::new(422, 558);
        let b = BoxXyxy::new(10.0, 20.5, 300.25, 400.0);
        let back = b.normalised(size).to_pixels(size);
        assert!(
            (back.x0 - b.x0).abs() < 1e-3 && (back.y1 - b.y1).abs() < 1e-3,
            "{back:?}"
        );
    }

    #[test]
    fn iou_of_half_overlapping_boxes_is_a_third() {
        let (a, b) = (BoxXyxy::new(0., 0., 2., 2.), BoxXyxy::new(1., 0., 3., 2.));
        assert!((a.iou(&b) - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!(a.iou(&BoxXyxy::new(5., 5., 5., 9.)), 0.0);
    }
}
