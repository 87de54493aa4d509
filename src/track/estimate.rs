//! The motion of the camera from the pixels of two frames.
//!
//! Both frames are reduced to thumbnails, which are laid upon each other by the similarity transform of least squared
//! difference: Gauss-Newton steps of the inverse compositional form (Baker and Matthews 2004) from coarse to fine, with
//! weights that fall with the difference (Cauchy), so that what moves by itself counts little.

use super::{
    camera_motion::CameraMotion,
    thumbnail::{Level, Point, Thumbnail},
};
use crate::geometry::Size;

/// Steps on each level, at most, and the shift in pixels below which a level is done.
const STEPS: usize = 12;
const DONE: f64 = 0.01;
/// Fewest pixels that determine a motion.
const FEWEST: usize = 60;
/// What is taken for a motion: bounds of scale and angle, and of the shift as a part of the longest side.
const SCALES: std::ops::RangeInclusive<f64> = 0.8..=1.25;
const MOST_ANGLE: f64 = 0.35;
const MOST_SHIFT: f64 = 0.35;
/// The part of the difference of the frames that may be left; above it the frame counts as one where nothing moved, or
/// as one after a cut.
const LEFT: f64 = 0.85;

/// A similarity about the middle of a level: x' = a·x − b·y + x shift, y' = b·x + a·y + y shift.
#[derive(Debug, Clone, Copy)]
struct Warp {
    a: f64,
    b: f64,
    shift: [f64; 2],
}

impl Warp {
    const NONE: Self = Self {
        a: 1.0,
        b: 0.0,
        shift: [0.0; 2],
    };

    fn apply(&self, x: f64, y: f64) -> (f64, f64) {
        let [dx, dy] = self.shift;
        (self.a * x - self.b * y + dx, self.b * x + self.a * y + dy)
    }

    /// This warp after the inverse of (1 + da, db, shift).
    fn without(&self, [da, db, dx, dy]: [f64; 4]) -> Option<Self> {
        let (a, b) = (1.0 + da, db);
        let square = a * a + b * b;
        if square.is_nan() || square <= 1e-6 {
            return None;
        }
        // The inverse: turned back, then shifted back.
        let (ia, ib) = (a / square, -b / square);
        let (ix, iy) = (-(ia * dx - ib * dy), -(ib * dx + ia * dy));
        let (sx, sy) = self.apply(ix, iy);
        Some(Self {
            a: self.a * ia - self.b * ib,
            b: self.a * ib + self.b * ia,
            shift: [sx, sy],
        })
    }
}

/// What a warp leaves of the difference between two levels.
struct Residuals {
    /// For each point, where it is inside the other level.
    each: Vec<Option<f64>>,
    /// Mean absolute difference, the common offset of brightness taken out.
    mean: f64,
}

fn residuals(points: &[Point], this: &Level, warp: &Warp) -> Option<Residuals> {
    let (half_x, half_y) = this.middle();
    let mut each: Vec<Option<f64>> = Vec::with_capacity(points.len());
    let (mut sum, mut count) = (0.0, 0usize);
    for point in points {
        let (x, y) = warp.apply(point.x, point.y);
        let value = this.at(x + half_x, y + half_y);
        let residual = value.map(|value| f64::from(value - point.value));
        if let Some(residual) = residual {
            (sum, count) = (sum + residual, count + 1);
        }
        each.push(residual);
    }
    if count < FEWEST || 2 * count < points.len() {
        return None;
    }
    let offset = sum / count as f64;
    let mut mean = 0.0;
    for residual in each.iter_mut().flatten() {
        *residual -= offset;
        mean += residual.abs();
    }
    Some(Residuals {
        each,
        mean: mean / count as f64,
    })
}

/// Improves a warp on one level.
fn align(points: &[Point], this: &Level, mut warp: Warp) -> Option<Warp> {
    let reach = points
        .iter()
        .fold(0.0f64, |m, p| m.max(p.x.abs()).max(p.y.abs()));
    for _ in 0..STEPS {
        let Residuals { each, mean } = residuals(points, this, &warp)?;
        let scale = mean.max(0.5);
        let mut system = [[0.0; 5]; 4];
        for (point, residual) in points.iter().zip(&each) {
            let Some(residual) = residual else { continue };
            let weight = 1.0 / (1.0 + (residual / scale).powi(2));
            for (row, by) in system.iter_mut().zip(point.by) {
                for (cell, other) in row.iter_mut().zip(point.by) {
                    *cell += weight * by * other;
                }
                row[4] += weight * by * residual;
            }
        }
        let step = solve(system)?;
        warp = warp.without(step)?;
        let turned = (step[0].abs() + step[1].abs()) * reach;
        if turned + step[2].abs() + step[3].abs() < DONE {
            break;
        }
    }
    Some(warp)
}

/// Solves four equations (coefficients, then the right side) by elimination with pivots; none if they leave it open.
fn solve(mut rows: [[f64; 5]; 4]) -> Option<[f64; 4]> {
    let largest = (0..4).fold(0.0f64, |m, i| m.max(rows[i][i].abs()));
    for at in 0..4 {
        let pivot = (at..4).max_by(|&i, &j| rows[i][at].abs().total_cmp(&rows[j][at].abs()))?;
        rows.swap(at, pivot);
        let size = rows[at][at].abs();
        if size.is_nan() || size <= 1e-9 * largest {
            return None;
        }
        let row = rows[at];
        for other in (0..4).filter(|other| *other != at) {
            let factor = rows[other][at] / row[at];
            for (cell, value) in rows[other].iter_mut().zip(row) {
                *cell -= factor * value;
            }
        }
    }
    Some([0, 1, 2, 3].map(|i| rows[i][4] / rows[i][i]))
}

impl CameraMotion {
    /// The motion of the camera from the frame of `previous` to that of `this`, both of one size, as a shift, a turn and
    /// a change of scale. [`CameraMotion::IDENTITY`] where it cannot be estimated: frames of different sizes, too little
    /// structure, a cut, a motion by more than a third of the frame, or frames that no motion makes more alike.
    pub fn estimate(previous: &Thumbnail, this: &Thumbnail) -> Self {
        estimate(previous, this).unwrap_or(Self::IDENTITY)
    }
}

fn estimate(previous: &Thumbnail, this: &Thumbnail) -> Option<CameraMotion> {
    if previous.size != this.size {
        return None;
    }
    let mut warp = Warp::NONE;
    let mut levels = previous.levels.iter().zip(&this.levels).rev().peekable();
    while let Some((before, now)) = levels.next() {
        let points = before.points();
        if points.len() >= FEWEST {
            // A level that does not converge leaves the answer to the next finer one.
            warp = align(&points, now, warp).unwrap_or(warp);
        }
        if let Some((finer, _)) = levels.peek() {
            let [x, y] = [
                finer.width as f64 / before.width as f64,
                finer.height as f64 / before.height as f64,
            ];
            warp.shift = [warp.shift[0] * x, warp.shift[1] * y];
            continue;
        }
        let left = residuals(&points, now, &warp)?.mean;
        let all = residuals(&points, now, &Warp::NONE)?.mean;
        if left.is_nan() || left >= LEFT * all {
            return None;
        }
        return in_frame(&warp, before, previous.size);
    }
    None
}

/// The motion in the frame's pixels; none if it is too large to be believed.
fn in_frame(warp: &Warp, level: &Level, size: Size) -> Option<CameraMotion> {
    let (width, height) = (f64::from(size.width), f64::from(size.height));
    let (scale, angle) = (warp.a.hypot(warp.b), warp.b.atan2(warp.a));
    let shift = [
        warp.shift[0] * width / level.width as f64,
        warp.shift[1] * height / level.height as f64,
    ];
    let believed = SCALES.contains(&scale)
        && angle.abs() <= MOST_ANGLE
        && shift[0].hypot(shift[1]) <= MOST_SHIFT * width.max(height);
    // About the middle of the frame so far; the corner is where coordinates begin.
    let (x, y) = (width / 2.0, height / 2.0);
    let corner = [
        x - (warp.a * x - warp.b * y) + shift[0],
        y - (warp.b * x + warp.a * y) + shift[1],
    ];
    believed.then(|| CameraMotion::new(scale, angle, corner))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Channels, Image};

    /// A scene of smooth blobs, seen by a camera that moved by `motion`; a square of it moves by itself.
    fn view(size: Size, motion: &CameraMotion, gain: f64, square: f64) -> Image {
        let (scale, angle, shift) = (motion.scale(), motion.angle(), motion.shift());
        let (sin, cos) = angle.sin_cos();
        let mut data = Vec::new();
        for row in 0..size.height {
            for column in 0..size.width {
                let (x, y) = (f64::from(column) + 0.5, f64::from(row) + 0.5);
                let (dx, dy) = (x - shift[0], y - shift[1]);
                let (u, v) = ((cos * dx + sin * dy) / scale, (cos * dy - sin * dx) / scale);
                let wave = |a: f64, b: f64, p: f64| (a * u + b * v + p).sin();
                let mut value = 120.0
                    + 35.0 * wave(0.031, 0.017, 0.3)
                    + 30.0 * wave(-0.022, 0.045, 1.1)
                    + 20.0 * wave(0.081, -0.062, 2.0)
                    + 15.0 * wave(0.11, 0.13, 0.7);
                if (x - 200.0 - square).abs() < 40.0 && (y - 180.0).abs() < 40.0 {
                    value = 230.0;
                }
                data.push((gain * value).clamp(0.0, 255.0) as u8);
            }
        }
        Image::new(size, Channels::Gray, data).unwrap()
    }

    fn furthest(a: &CameraMotion, b: &CameraMotion, size: Size) -> f64 {
        let (w, h) = (f64::from(size.width), f64::from(size.height));
        let corners = [(0.0, 0.0), (w, 0.0), (0.0, h), (w, h)];
        let distance = corners.map(|(x, y)| {
            let ((ax, ay), (bx, by)) = (a.apply(x, y), b.apply(x, y));
            (ax - bx).hypot(ay - by)
        });
        distance.into_iter().fold(0.0, f64::max)
    }

    #[test]
    fn shifts_turns_and_scales_are_found() {
        let size = Size::new(640, 480);
        let before = Thumbnail::of(&view(size, &CameraMotion::IDENTITY, 1.0, 0.0));
        for (scale, angle, shift) in [
            (1.0, 0.0, [12.0, -7.0]),
            (1.0, 0.0, [60.0, 25.0]),
            (1.03, 0.02, [-10.0, 4.0]),
            (0.96, -0.03, [20.0, 10.0]),
        ] {
            let moved = CameraMotion::new(scale, angle, shift);
            let after = Thumbnail::of(&view(size, &moved, 0.9, 25.0));
            let found = CameraMotion::estimate(&before, &after);
            let wrong = furthest(&found, &moved, size);
            assert!(wrong < 2.0, "{moved:?}: off by {wrong} pixels, {found:?}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_no_motion() {
        let size = Size::new(640, 480);
        let still = Thumbnail::of(&view(size, &CameraMotion::IDENTITY, 1.0, 0.0));
        let flat = |value| {
            let data = vec![value; size.pixels() as usize];
            Thumbnail::of(&Image::new(size, Channels::Gray, data).unwrap())
        };
        let tiny = Thumbnail::of(&Image::new(Size::new(1, 1), Channels::Rgb, vec![9; 3]).unwrap());
        let noise: Vec<u8> = (0..size.pixels())
            .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
            .collect();
        let noise = Thumbnail::of(&Image::new(size, Channels::Gray, noise).unwrap());
        // The object alone moves, nothing does, there is nothing, a cut.
        let object = Thumbnail::of(&view(size, &CameraMotion::IDENTITY, 1.0, 30.0));
        let pairs = [
            (&still, &object),
            (&still, &still),
            (&flat(0), &flat(200)),
            (&still, &flat(10)),
            (&still, &noise),
            (&noise, &still),
            (&still, &tiny),
            (&tiny, &tiny),
        ];
        for (place, (before, after)) in pairs.into_iter().enumerate() {
            let found = CameraMotion::estimate(before, after);
            assert_eq!(found, CameraMotion::IDENTITY, "pair {place}");
        }
    }
}
