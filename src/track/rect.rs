//! Boxes by centre and size in f64, as the tracker computes with them.

use crate::geometry::BoxXyxy;

/// Centre, width and height in pixels: `[cx, cy, w, h]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rect {
    pub(super) cx: f64,
    pub(super) cy: f64,
    pub(super) w: f64,
    pub(super) h: f64,
}

impl Rect {
    pub(super) fn of(b: &BoxXyxy) -> Self {
        let [x0, y0, x1, y1] = [b.x0, b.y0, b.x1, b.y1].map(f64::from);
        Self {
            cx: (x0 + x1) / 2.0,
            cy: (y0 + y1) / 2.0,
            w: (x1 - x0).max(0.0),
            h: (y1 - y0).max(0.0),
        }
    }

    /// How alike the sizes are: the product of the ratios of widths and heights, in 0..1.
    pub(super) fn likeness(&self, other: &Self) -> f64 {
        let ratio = |a: f64, b: f64| a.min(b) / a.max(b).max(f64::MIN_POSITIVE);
        ratio(self.w, other.w) * ratio(self.h, other.h)
    }

    /// Intersection over union of the two boxes, each made wider and higher by `buffer` of its own width and height
    /// on each side (C-BIoU).
    pub(super) fn iou(&self, other: &Self, buffer: f64) -> f64 {
        let sides = [
            self.cx, self.cy, self.w, self.h, other.cx, other.cy, other.w, other.h,
        ];
        if !sides.iter().all(|side| side.is_finite()) {
            return 0.0;
        }
        let grow = 1.0 + 2.0 * buffer;
        let (aw, ah, bw, bh) = (self.w * grow, self.h * grow, other.w * grow, other.h * grow);
        let side = |a: f64, aw: f64, b: f64, bw: f64| {
            (a + aw / 2.0).min(b + bw / 2.0) - (a - aw / 2.0).max(b - bw / 2.0)
        };
        let width = side(self.cx, aw, other.cx, bw);
        let height = side(self.cy, ah, other.cy, bh);
        if width <= 0.0 || height <= 0.0 {
            return 0.0;
        }
        let inter = width * height;
        inter / (aw * ah + bw * bh - inter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_lets_boxes_meet_that_do_not_touch() {
        let a = Rect::of(&BoxXyxy::new(0., 0., 10., 10.));
        let b = Rect::of(&BoxXyxy::new(12., 0., 22., 10.));
        assert_eq!(a.iou(&b, 0.0), 0.0);
        // Both are 15 wide then, and share 3 of 27.
        assert!((a.iou(&b, 0.25) - 3.0 / 27.0).abs() < 1e-12);
        assert_eq!(a.iou(&a, 0.3), 1.0);
    }
}
