//! A frame in grey, much reduced.

use crate::{
    frame::{Channels, Image},
    geometry::Size,
};

/// Longest side of a thumbnail.
const LONGEST: u32 = 160;
/// Shortest side of the coarsest level.
const COARSEST: usize = 12;
/// Samples of the frame along each side of a thumbnail's pixel, at most.
const SAMPLES: u32 = 4;
/// Part of the pixels, those with the strongest gradients, that are compared.
const COMPARED: f64 = 0.5;
/// Gradient below which a pixel says nothing, in grey levels a pixel.
const LEAST_GRADIENT: f32 = 1.0;

/// A frame in grey, reduced to 160 pixels along its longest side, and again by halves.
#[derive(Debug, Clone, PartialEq)]
pub struct Thumbnail {
    /// Size of the frame.
    pub(super) size: Size,
    /// From fine to coarse.
    pub(super) levels: Vec<Level>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Level {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Row by row, 0..255.
    grey: Vec<f32>,
}

impl Thumbnail {
    /// The thumbnail of a frame: means of up to 4×4 pixels of each area.
    pub fn of(image: &Image) -> Self {
        let size = image.size();
        let longest = size.width.max(size.height);
        let side = |side: u32| {
            if longest > LONGEST {
                (u64::from(side) * u64::from(LONGEST) / u64::from(longest)).max(1) as u32
            } else {
                side
            }
        };
        let (width, height) = (side(size.width), side(size.height));
        let places = |full: u32, reduced: u32| -> Vec<Vec<usize>> {
            let edge = |at: u32| (u64::from(at) * u64::from(full) / u64::from(reduced)) as u32;
            let place = |at: u32| {
                let (begin, end) = (edge(at), edge(at + 1));
                let step = ((end - begin) / SAMPLES).max(1) as usize;
                (begin as usize..end as usize).step_by(step).collect()
            };
            (0..reduced).map(place).collect()
        };
        let (columns, rows) = (places(size.width, width), places(size.height, height));
        let (stride, channels) = (size.width as usize, image.channels().count());
        // Green stands for the brightness of a coloured pixel.
        let channel = usize::from(image.channels() == Channels::Rgb);
        let data = image.data();
        let mut grey = Vec::with_capacity(columns.len() * rows.len());
        for ys in &rows {
            for xs in &columns {
                let line = |y: &usize| -> u32 {
                    let at = |x: &usize| u32::from(data[(y * stride + x) * channels + channel]);
                    xs.iter().map(at).sum()
                };
                let sum: u32 = ys.iter().map(line).sum();
                grey.push(sum as f32 / (xs.len() * ys.len()).max(1) as f32);
            }
        }
        let mut levels = vec![Level {
            width: width as usize,
            height: height as usize,
            grey,
        }];
        while let Some(half) = levels.last().and_then(Level::halved) {
            levels.push(half);
        }
        Self { size, levels }
    }
}

impl Level {
    /// Half the size; none if that would be too small.
    fn halved(&self) -> Option<Self> {
        let (width, height) = (self.width / 2, self.height / 2);
        if width.min(height) < COARSEST {
            return None;
        }
        let mut grey = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                let at = 2 * y * self.width + 2 * x;
                let below = at + self.width;
                let sum =
                    self.grey[at] + self.grey[at + 1] + self.grey[below] + self.grey[below + 1];
                grey.push(sum / 4.0);
            }
        }
        Some(Self {
            width,
            height,
            grey,
        })
    }

    /// The value at a place in pixels (centres at whole numbers), interpolated; none outside.
    pub(super) fn at(&self, x: f64, y: f64) -> Option<f32> {
        if !(x >= 0.0 && y >= 0.0) {
            return None;
        }
        let (left, top) = (x as usize, y as usize);
        if left + 1 >= self.width || top + 1 >= self.height {
            return None;
        }
        let (u, v) = ((x - left as f64) as f32, (y - top as f64) as f32);
        let at = top * self.width + left;
        let row = |at: usize| self.grey[at] + u * (self.grey[at + 1] - self.grey[at]);
        let upper = row(at);
        Some(upper + v * (row(at + self.width) - upper))
    }

    /// The pixels that tell motion: place about the middle, value, and the derivatives of the value by the warp.
    pub(super) fn points(&self) -> Vec<Point> {
        let (half_x, half_y) = self.middle();
        let mut points = Vec::with_capacity(self.grey.len());
        for row in 1..self.height.saturating_sub(1) {
            for column in 1..self.width.saturating_sub(1) {
                let at = row * self.width + column;
                let gx = (self.grey[at + 1] - self.grey[at - 1]) / 2.0;
                let gy = (self.grey[at + self.width] - self.grey[at - self.width]) / 2.0;
                let strength = gx.abs() + gy.abs();
                if strength >= LEAST_GRADIENT {
                    let (x, y) = (column as f64 - half_x, row as f64 - half_y);
                    let (gx, gy) = (f64::from(gx), f64::from(gy));
                    points.push(Point {
                        x,
                        y,
                        value: self.grey[at],
                        strength,
                        by: [gx * x + gy * y, gy * x - gx * y, gx, gy],
                    });
                }
            }
        }
        let kept = (COMPARED * self.grey.len() as f64) as usize;
        if points.len() > kept {
            points.select_nth_unstable_by(kept, |a, b| b.strength.total_cmp(&a.strength));
            points.truncate(kept);
        }
        points
    }

    pub(super) fn middle(&self) -> (f64, f64) {
        (
            (self.width as f64 - 1.0) / 2.0,
            (self.height as f64 - 1.0) / 2.0,
        )
    }
}

/// A pixel of the previous frame.
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) value: f32,
    strength: f32,
    /// Derivatives by the four numbers of the warp.
    pub(super) by: [f64; 4],
}
