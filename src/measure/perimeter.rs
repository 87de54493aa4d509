//! The length of a mask's outline.
//!
//! The Cauchy–Crofton formula: the length of a curve is half of the number of times that it is crossed by lines, integrated
//! over all lines of the plane. Here the lines are those through the pixels' centres in eight directions (ten where the sides
//! of pixels are unequal), the crossings are the neighbours along a line of which one is inside and one outside, and a
//! direction counts for the angles nearer to it than to others, in millimetres: with `C` crossings of lines in the direction
//! of the neighbour `v`, `P = ½ Σ Δθ · C · dx · dy / |v|`. It is the estimator of scikit-image (`perimeter_crofton`), which has
//! two or four directions and square pixels alone; its documentation names the literature.
//!
//! Digitised discs come out right within 3 % from a radius of 5 pixels on and within 1 % from 13 on, unless many pixels'
//! centres lie on the circle itself, and in the mean over their places within 0.6 % from 5 on; straight sides in any direction
//! within 3 % (4 % where the sides of pixels are 1 to 2.5). A line of one pixel comes out a fifth to a third short, one of two
//! pixels up to a seventh: the farther neighbours lie beyond.

use super::scale::Spacing;
use crate::frame::Mask;
use std::f64::consts::PI;

/// Neighbours x, y, by rising angle from just above −90° to 90°, for any spacing.
const NEIGHBOURS: [[i32; 2]; 12] = [
    [1, -3],
    [1, -2],
    [1, -1],
    [2, -1],
    [3, -1],
    [1, 0],
    [3, 1],
    [2, 1],
    [1, 1],
    [1, 2],
    [1, 3],
    [0, 1],
];
/// The farthest neighbour.
const REACH: usize = 3;
/// Relation of the sides of pixels from which on a third neighbour along the shorter side counts: there the directions are
/// far from each other.
const UNEQUAL: f64 = 1.5;

/// How often lines in each direction cross a mask's outline.
pub(super) struct Crossings([u64; 12]);

impl Crossings {
    /// Of a mask; what touches the picture's border ends there.
    pub(super) fn of(mask: &Mask) -> Self {
        let Some(columns) = Columns::new(mask) else {
            return Self([0; 12]);
        };
        Self(NEIGHBOURS.map(|[dx, dy]| columns.differing(dx as usize, dy)))
    }

    /// The outline's length in millimetres for this spacing.
    pub(super) fn length(&self, [dx, dy]: Spacing) -> f64 {
        let counts = |[x, y]: [i32; 2]| match (x, y.abs()) {
            (3, _) => dy > UNEQUAL * dx,
            (_, 3) => dx > UNEQUAL * dy,
            _ => true,
        };
        // Angle of the direction, and crossings times the distance between its lines.
        let directions: Vec<(f64, f64)> = NEIGHBOURS
            .into_iter()
            .zip(self.0)
            .filter(|(neighbour, _)| counts(*neighbour))
            .map(|([x, y], crossings)| {
                let (vx, vy) = (f64::from(x) * dx, f64::from(y) * dy);
                let apart = dx * dy / (vx * vx + vy * vy).sqrt();
                (libm::atan2(vy, vx), crossings as f64 * apart)
            })
            .collect();
        // A direction is the same after half a turn.
        let angle = |i: usize| match i.checked_sub(directions.len()) {
            Some(i) => directions[i % directions.len()].0 + PI,
            None => directions[i].0,
        };
        let mut length = 0.0;
        for (i, (_, crossed)) in directions.iter().enumerate() {
            let before = match i {
                0 => angle(directions.len() - 1) - PI,
                _ => angle(i - 1),
            };
            length += 0.5 * (angle(i + 1) - before) / 2.0 * crossed;
        }
        length
    }
}

/// The pixels of a mask's tight box as bits, by columns, with room around.
struct Columns {
    words: usize,
    count: usize,
    bits: Vec<u64>,
}

impl Columns {
    fn new(mask: &Mask) -> Option<Self> {
        let bounds = mask.bounds()?;
        let (x0, y0) = (bounds.x0 as usize, bounds.y0 as usize);
        let height = bounds.height() as usize + 2 * REACH;
        let mut columns = Self {
            words: height.div_ceil(64),
            count: bounds.width() as usize + 2 * REACH,
            bits: Vec::new(),
        };
        columns.bits = vec![0; columns.words * columns.count];
        mask.for_each_run(|x, top, bottom| {
            let column = x as usize - x0 + REACH;
            let (top, bottom) = (top as usize - y0 + REACH, bottom as usize - y0 + REACH);
            let words = &mut columns.bits[column * columns.words..][..columns.words];
            for (i, word) in words.iter_mut().enumerate().skip(top / 64) {
                let (first, end) = (top.saturating_sub(64 * i), bottom.saturating_sub(64 * i));
                if end == 0 {
                    break;
                }
                *word |= (u64::MAX >> (64 - end.min(64))) & (u64::MAX << first.min(63));
            }
        });
        Some(columns)
    }

    fn column(&self, x: usize) -> &[u64] {
        &self.bits[x * self.words..][..self.words]
    }

    /// Pixels that differ from the one `dx` columns to the right and `dy` rows below.
    fn differing(&self, dx: usize, dy: i32) -> u64 {
        let mut count = 0;
        for x in 0..self.count - dx {
            // Upwards is downwards from the other one.
            let (here, there) = if dy < 0 { (x + dx, x) } else { (x, x + dx) };
            let (here, there) = (self.column(here), self.column(there));
            let shift = dy.unsigned_abs();
            for (i, word) in here.iter().enumerate() {
                let next = there.get(i + 1).copied().unwrap_or(0);
                let below = if shift == 0 {
                    there[i]
                } else {
                    there[i] >> shift | next << (64 - shift)
                };
                count += u64::from((word ^ below).count_ones());
            }
        }
        count
    }
}
