//! How an image is brought to a model's input size, and points and boxes back again.

use super::{boxes::BoxXyxy, size::Size};

/// Scale so that the longest side fills the input, keep the aspect ratio, pad at right and bottom (SAM).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongestSide {
    /// The image as decoded.
    pub image: Size,
    /// Side of the square input.
    pub side: u32,
    /// The scaled image inside the input, before padding.
    pub scaled: Size,
}

impl LongestSide {
    /// The transform of `image` to a square of `side`: sides are rounded half up, as SAM's `ResizeLongestSide` does.
    pub fn new(image: Size, side: u32) -> Self {
        let scale = f64::from(side) / f64::from(image.width.max(image.height).max(1));
        let round = |v: u32| ((f64::from(v) * scale + 0.5) as u32).max(1);
        Self {
            image,
            side,
            scaled: Size::new(round(image.width), round(image.height)),
        }
    }

    /// A point of the image in input coordinates.
    pub fn point_to_input(&self, x: f32, y: f32) -> (f32, f32) {
        (
            x * (self.scaled.width as f32 / self.image.width as f32),
            y * (self.scaled.height as f32 / self.image.height as f32),
        )
    }

    /// A box of the image in input coordinates.
    pub fn box_to_input(&self, b: BoxXyxy) -> BoxXyxy {
        let (x0, y0) = self.point_to_input(b.x0, b.y0);
        let (x1, y1) = self.point_to_input(b.x1, b.y1);
        BoxXyxy::new(x0, y0, x1, y1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longest_side_of_the_portrait_clip() {
        let t = LongestSide::new(Size::new(422, 558), 1024);
        assert_eq!(t.scaled, Size::new(774, 1024));
        let (x, y) = t.point_to_input(422.0, 558.0);
        assert_eq!((x.round(), y.round()), (774.0, 1024.0));
    }
}
