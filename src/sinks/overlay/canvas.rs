//! A picture to draw on.

use crate::{
    frame::{Channels, Image, Mask},
    geometry::Size,
    sinks::palette::Colour,
};

/// Red, green, blue of each pixel, rows top to bottom. Whatever lies outside is not drawn.
#[derive(Debug, Clone)]
pub(super) struct Canvas {
    width: i32,
    height: i32,
    pixels: Vec<Colour>,
}

/// A rectangle in pixels, right and lower edges exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rect {
    pub(super) x0: i32,
    pub(super) y0: i32,
    pub(super) x1: i32,
    pub(super) y1: i32,
}

impl Rect {
    pub(super) fn grown(self, by: i32) -> Self {
        Self {
            x0: self.x0 - by,
            y0: self.y0 - by,
            x1: self.x1 + by,
            y1: self.y1 + by,
        }
    }

    pub(super) fn meets(self, other: Self) -> bool {
        self.x0 < other.x1 && other.x0 < self.x1 && self.y0 < other.y1 && other.y0 < self.y1
    }
}

impl Canvas {
    pub(super) fn new(image: &Image) -> Self {
        let Size { width, height } = image.size();
        let pixels = match image.channels() {
            Channels::Gray => image.data().iter().map(|&v| [v; 3]).collect(),
            Channels::Rgb => image
                .data()
                .chunks_exact(3)
                .map(|p| [p[0], p[1], p[2]])
                .collect(),
        };
        // A side beyond i32 cannot occur with pixels in memory that a u8 each can index; drawing would stop short of it.
        let side = |v: u32| i32::try_from(v).unwrap_or(i32::MAX);
        Self {
            width: side(width),
            height: side(height),
            pixels,
        }
    }

    pub(super) fn width(&self) -> i32 {
        self.width
    }

    pub(super) fn height(&self) -> i32 {
        self.height
    }

    /// The samples, interleaved.
    pub(super) fn samples(&self) -> &[u8] {
        self.pixels.as_flattened()
    }

    /// Mixes `colour` into a pixel; `opacity` 0 leaves it, 255 replaces it.
    pub(super) fn blend(&mut self, x: i32, y: i32, colour: Colour, opacity: u8) {
        if (0..self.width).contains(&x) && (0..self.height).contains(&y) {
            let pixel = &mut self.pixels[y as usize * self.width as usize + x as usize];
            mix(pixel, colour, opacity);
        }
    }

    /// Mixes `colour` into a rectangle.
    pub(super) fn fill(&mut self, rect: Rect, colour: Colour, opacity: u8) {
        let (x0, x1) = (rect.x0.max(0), rect.x1.min(self.width));
        for y in rect.y0.max(0)..rect.y1.min(self.height) {
            let row = y as usize * self.width as usize;
            for x in x0..x1 {
                mix(&mut self.pixels[row + x as usize], colour, opacity);
            }
        }
    }

    /// Mixes `colour` into a frame of `thickness` along the inside of a rectangle's edges.
    pub(super) fn outline(&mut self, rect: Rect, thickness: i32, colour: Colour, opacity: u8) {
        let Rect { x0, y0, x1, y1 } = rect;
        let t = thickness
            .min((x1 - x0 + 1) / 2)
            .min((y1 - y0 + 1) / 2)
            .max(0);
        self.fill(
            Rect {
                x0,
                y0,
                x1,
                y1: y0 + t,
            },
            colour,
            opacity,
        );
        self.fill(
            Rect {
                x0,
                y0: (y1 - t).max(y0 + t),
                x1,
                y1,
            },
            colour,
            opacity,
        );
        self.fill(
            Rect {
                x0,
                y0: y0 + t,
                x1: x0 + t,
                y1: y1 - t,
            },
            colour,
            opacity,
        );
        self.fill(
            Rect {
                x0: (x1 - t).max(x0 + t),
                y0: y0 + t,
                x1,
                y1: y1 - t,
            },
            colour,
            opacity,
        );
    }

    /// A frame of `thickness` along the inside of a rectangle's edges, in strokes of `length` with gaps as long.
    pub(super) fn dashed(&mut self, rect: Rect, thickness: i32, colour: Colour, length: i32) {
        let Rect { x0, y0, x1, y1 } = rect;
        let length = length.max(1);
        let (right, bottom) = ((x1 - thickness).max(x0), (y1 - thickness).max(y0));
        // Strokes begin at the rectangle's corner; those outside of the picture are passed over.
        let strokes = |from: i32, to: i32, end: i32| {
            let skipped = (-from).max(0) / (2 * length) * 2 * length;
            (from + skipped..to.min(end))
                .step_by(2 * length as usize)
                .map(move |start| (start, (start + length).min(to)))
        };
        for (start, stop) in strokes(x0, x1, self.width) {
            for top in [y0, bottom] {
                let stroke = Rect {
                    x0: start,
                    y0: top,
                    x1: stop,
                    y1: (top + thickness).min(y1),
                };
                self.fill(stroke, colour, 255);
            }
        }
        for (start, stop) in strokes(y0, y1, self.height) {
            for left in [x0, right] {
                let stroke = Rect {
                    x0: left,
                    y0: start,
                    x1: (left + thickness).min(x1),
                    y1: stop,
                };
                self.fill(stroke, colour, 255);
            }
        }
    }

    /// Mixes `colour` into a mask, and fully into a line of `thickness` along the inside of its edge.
    pub(super) fn mask(&mut self, mask: &Mask, thickness: i32, colour: Colour, opacity: u8) {
        let (Some(bounds), Size { width, height }) = (mask.bounds(), mask.size()) else {
            return;
        };
        if i64::from(width) != i64::from(self.width) || i64::from(height) != i64::from(self.height)
        {
            return;
        }
        // The mask's box with a margin as wide as the line, so that every neighbour looked at is there.
        let margin = thickness.max(0) as usize;
        let (x0, y0) = (bounds.x0 as usize, bounds.y0 as usize);
        let (w, h) = (
            bounds.width() as usize + 2 * margin,
            bounds.height() as usize + 2 * margin,
        );
        let mut inside = vec![false; w * h];
        mask.for_each_run(|x, top, bottom| {
            let first = (top as usize - y0 + margin) * w + x as usize - x0 + margin;
            inside[first..]
                .iter_mut()
                .step_by(w)
                .take((bottom - top) as usize)
                .for_each(|v| *v = true);
        });
        for y in margin..h - margin {
            let row = &inside[y * w..(y + 1) * w];
            let (above, below) = (&inside[(y - margin) * w..], &inside[(y + margin) * w..]);
            let at = (y - margin + y0) * self.width as usize + x0;
            for (x, pixel) in (margin..w - margin).zip(&mut self.pixels[at..]) {
                if row[x] {
                    let edge = !(row[x - margin] && row[x + margin] && above[x] && below[x]);
                    mix(pixel, colour, if edge { 255 } else { opacity });
                }
            }
        }
    }
}

fn mix(pixel: &mut Colour, colour: Colour, opacity: u8) {
    let a = u32::from(opacity);
    for (p, c) in pixel.iter_mut().zip(colour) {
        *p = ((u32::from(*p) * (255 - a) + u32::from(c) * a + 127) / 255) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn black(width: u32, height: u32) -> Canvas {
        let size = Size::new(width, height);
        Canvas::new(&Image::new(size, Channels::Gray, vec![0; size.pixels() as usize]).unwrap())
    }

    #[test]
    fn outlines_cover_their_edges_once_and_stay_inside() {
        let mut canvas = black(8, 6);
        canvas.outline(
            Rect {
                x0: 1,
                y0: 1,
                x1: 7,
                y1: 5,
            },
            1,
            [100; 3],
            128,
        );
        let lit: Vec<u8> = canvas.pixels.iter().map(|p| p[0]).collect();
        assert_eq!(lit.iter().filter(|v| **v == 50).count(), 16);
        assert_eq!(lit.iter().filter(|v| **v != 0).count(), 16);
        canvas.outline(
            Rect {
                x0: -9,
                y0: -9,
                x1: 99,
                y1: 99,
            },
            40,
            [255; 3],
            255,
        );
        canvas.outline(
            Rect {
                x0: 5,
                y0: 5,
                x1: 5,
                y1: 5,
            },
            3,
            [255; 3],
            255,
        );
    }

    #[test]
    fn a_mask_is_tinted_with_a_full_edge() {
        let mut canvas = black(9, 9);
        let pixels: Vec<u8> = (0..81)
            .map(|i| u8::from((2..7).contains(&(i % 9)) && (2..7).contains(&(i / 9))))
            .collect();
        canvas.mask(
            &Mask::from_row_major(Size::new(9, 9), &pixels).unwrap(),
            1,
            [200; 3],
            100,
        );
        let count = |value| canvas.pixels.iter().filter(|p| p[0] == value).count();
        assert_eq!((count(200), count(78), count(0)), (16, 9, 56));
    }
}
