//! A mask as the spans of its columns, which two masks are compared by without their pixels.

use super::rect::Rect;
use crate::frame::Mask;

/// Columns at which two masks are compared, at most.
const SAMPLES: f64 = 32.0;

/// The vertical spans of a mask, column by column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outline {
    /// The first column that is not empty.
    x0: u32,
    /// Where the spans of each column begin in `spans`, and at last where those of the last end.
    starts: Vec<u32>,
    /// Upper and lower edge of each span, the lower one exclusive.
    spans: Vec<(f32, f32)>,
}

/// How a box came to lie where another is: stretched and shifted along each axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shift {
    scale: [f64; 2],
    offset: [f64; 2],
}

impl Shift {
    /// What brings `from` to `to`; only shifts along an axis on which `from` has no extent.
    pub(super) fn between(from: &Rect, to: &Rect) -> Self {
        let scale = |from: f64, to: f64| {
            if from > 0.0 && to > 0.0 {
                to / from
            } else {
                1.0
            }
        };
        let scale = [scale(from.w, to.w), scale(from.h, to.h)];
        Self {
            scale,
            offset: [to.cx - scale[0] * from.cx, to.cy - scale[1] * from.cy],
        }
    }

    const NONE: Self = Self {
        scale: [1.0; 2],
        offset: [0.0; 2],
    };
}

impl Outline {
    /// The outline of a mask; none if the mask is empty.
    pub(super) fn of(mask: &Mask) -> Option<Self> {
        let bounds = mask.bounds()?;
        let (x0, columns) = (bounds.x0 as u32, bounds.width() as usize);
        let height = mask.size().height.max(1);
        let mut starts = Vec::with_capacity(columns + 1);
        let mut spans = Vec::with_capacity(mask.counts().len() / 2);
        let (mut x, mut y) = (0u32, 0u32);
        for (place, &count) in mask.counts().iter().enumerate() {
            let mut rest = count;
            if place % 2 == 0 {
                // Zeros: on to where the next run begins. Most stay in their column or end in the next.
                if rest < height - y {
                    y += rest;
                } else if rest < height + (height - y) {
                    (x, y) = (x + 1, rest - (height - y));
                } else {
                    let at = u64::from(y) + u64::from(rest);
                    x += (at / u64::from(height)) as u32;
                    y = (at % u64::from(height)) as u32;
                }
                continue;
            }
            while rest > 0 {
                let part = rest.min(height - y);
                while starts.len() <= (x - x0) as usize {
                    starts.push(spans.len() as u32);
                }
                spans.push((y as f32, (y + part) as f32));
                rest -= part;
                y += part;
                if y == height {
                    (x, y) = (x + 1, 0);
                }
            }
        }
        starts.push(spans.len() as u32);
        Some(Self { x0, starts, spans })
    }

    /// The spans of column `x`.
    fn column(&self, x: f64) -> &[(f32, f32)] {
        let column = x.floor() - f64::from(self.x0);
        if column < 0.0 || column >= (self.starts.len() - 1) as f64 {
            return &[];
        }
        let column = column as usize;
        &self.spans[self.starts[column] as usize..self.starts[column + 1] as usize]
    }

    fn columns(&self) -> [f64; 2] {
        let x0 = f64::from(self.x0);
        [x0, x0 + (self.starts.len() - 1) as f64]
    }

    /// IoU of the two masks as they lie.
    pub(super) fn iou(&self, other: &Self) -> f64 {
        self.shifted_iou(&Shift::NONE, other)
    }

    /// IoU of this mask, shifted, and `other`, in 0..1, by up to 32 evenly spaced columns of both.
    pub(super) fn shifted_iou(&self, shift: &Shift, other: &Self) -> f64 {
        let ([scale_x, scale_y], [offset_x, offset_y]) = (shift.scale, shift.offset);
        let [left, right] = self.columns().map(|x| scale_x * x + offset_x);
        let [other_left, other_right] = other.columns();
        if left >= other_right || right <= other_left {
            return 0.0;
        }
        let (left, right) = (left.min(other_left), right.max(other_right));
        let samples = (right - left).ceil().clamp(1.0, SAMPLES);
        let step = (right - left) / samples;
        let (mut shared, mut sum) = (0.0, 0.0);
        for sample in 0..samples as u32 {
            let x = left + (f64::from(sample) + 0.5) * step;
            let ours = self.column((x - offset_x) / scale_x);
            let theirs = other.column(x);
            let to_frame = |y: f32| scale_y * f64::from(y) + offset_y;
            for &(y0, y1) in theirs {
                sum += f64::from(y1 - y0);
            }
            for &(y0, y1) in ours {
                let (y0, y1) = (to_frame(y0), to_frame(y1));
                sum += y1 - y0;
                for &(t0, t1) in theirs {
                    shared += (y1.min(f64::from(t1)) - y0.max(f64::from(t0))).max(0.0);
                }
            }
        }
        let union = sum - shared;
        if union > 0.0 {
            (shared / union).min(1.0)
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{BoxXyxy, Size};
    use proptest::prelude::*;

    fn mask(size: Size, inside: impl Fn(u32, u32) -> bool) -> Mask {
        let at = (0..size.height).flat_map(|y| (0..size.width).map(move |x| (x, y)));
        let pixels: Vec<u8> = at.map(|(x, y)| u8::from(inside(x, y))).collect();
        Mask::from_row_major(size, &pixels).unwrap()
    }

    #[test]
    fn a_shifted_mask_meets_itself() {
        let size = Size::new(90, 80);
        let disc = |cx: i64, cy: i64| {
            let inside = move |x: u32, y: u32| {
                (i64::from(x) - cx).pow(2) + (i64::from(y) - cy).pow(2) < 15 * 15
            };
            Outline::of(&mask(size, inside)).unwrap()
        };
        let (here, there) = (disc(30, 30), disc(50, 41));
        let rect = |x: f32, y: f32| Rect::of(&BoxXyxy::new(x - 15., y - 15., x + 15., y + 15.));
        let shift = Shift::between(&rect(30., 30.), &rect(50., 41.));
        assert_eq!(here.shifted_iou(&shift, &there), 1.0);
        assert!(here.iou(&there) < 0.2);
        assert_eq!(here.iou(&disc(70, 30)), 0.0);
    }

    #[test]
    fn an_empty_mask_has_no_outline() {
        assert_eq!(Outline::of(&mask(Size::new(3, 3), |_, _| false)), None);
    }

    proptest! {
        /// Up to 32 columns are all compared, so the IoU is that of the pixels.
        #[test]
        fn iou_is_that_of_the_pixels(
            (width, a, b) in (1..32usize, 1..20usize).prop_flat_map(|(w, h)| {
                let pixels = || proptest::collection::vec(0..2u8, w * h);
                (Just(w), pixels(), pixels())
            })
        ) {
            let size = Size::new(width as u32, (a.len() / width) as u32);
            let outline = |pixels: &[u8]| Outline::of(&Mask::from_row_major(size, pixels).unwrap());
            let pairs = || a.iter().zip(&b);
            let shared = pairs().filter(|&(&a, &b)| a & b == 1).count() as f64;
            let union = pairs().filter(|&(&a, &b)| a | b == 1).count() as f64;
            if let Some((one, other)) = outline(&a).zip(outline(&b)) {
                prop_assert!((one.iou(&other) - shared / union).abs() < 1e-9);
                prop_assert_eq!(one.iou(&one), 1.0);
            }
        }
    }
}
