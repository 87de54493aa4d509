//! Ground truth: what of each target an observer could outline in the frame.

use super::probe::View;
use crate::{frame::Mask, geometry::Size};

/// Of less than this share of a target nobody could say what it is: it is not part of the truth.
pub(super) const LEAST_VISIBLE: f32 = 0.08;

/// Pixels that the beam-grid field puts above 0, without specks; none if nothing worth an outline is left.
pub(super) fn outline(view: &View, field: &[f32]) -> Option<Vec<u8>> {
    let mut pixels = view.scan_convert(field, 0u8, |v| u8::from(v > 0.0));
    let least = (view.size.pixels() / 12_000).max(6) as usize;
    keep_large_parts(&mut pixels, view.size, least).then_some(pixels)
}

/// The mask of row-major pixels; none if there are none.
pub(super) fn mask(size: Size, pixels: &[u8]) -> Option<Mask> {
    Mask::from_row_major(size, pixels).filter(|m| m.area() > 0)
}

/// Share of `points` (millimetres) whose pixel, or one two pixels away, is inside.
pub(super) fn visible_fraction(view: &View, pixels: &[u8], points: &[(f32, f32)]) -> f32 {
    let (w, h) = (view.size.width as i32, view.size.height as i32);
    let inside =
        |x: i32, y: i32| x >= 0 && y >= 0 && x < w && y < h && pixels[(y * w + x) as usize] != 0;
    let seen = points.iter().filter(|&&(x, z)| {
        let (u, v) = view.pixel(x, z);
        let (u, v) = (u.floor() as i32, v.floor() as i32);
        [(0, 0), (0, -2), (0, 2), (-2, 0), (2, 0)]
            .iter()
            .any(|(a, b)| inside(u + a, v + b))
    });
    seen.count() as f32 / points.len().max(1) as f32
}

/// Clears 8-connected parts smaller than `least` pixels or a twelfth of the largest; false if all are gone.
fn keep_large_parts(pixels: &mut [u8], size: Size, least: usize) -> bool {
    let (w, h) = (size.width as usize, size.height as usize);
    let mut parts: Vec<Vec<usize>> = Vec::new();
    let mut stack = Vec::new();
    for start in 0..pixels.len() {
        if pixels[start] != 1 {
            continue;
        }
        let mut part = Vec::new();
        stack.push(start);
        pixels[start] = 2;
        while let Some(i) = stack.pop() {
            part.push(i);
            let (x, y) = (i % w, i / w);
            for ny in y.saturating_sub(1)..(y + 2).min(h) {
                for nx in x.saturating_sub(1)..(x + 2).min(w) {
                    let n = ny * w + nx;
                    if pixels[n] == 1 {
                        pixels[n] = 2;
                        stack.push(n);
                    }
                }
            }
        }
        parts.push(part);
    }
    let largest = parts.iter().map(Vec::len).max().unwrap_or(0);
    let limit = least.max(largest / 12);
    for part in &parts {
        let value = u8::from(part.len() >= limit);
        part.iter().for_each(|&i| pixels[i] = value);
    }
    largest >= limit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specks_go_and_diagonal_neighbours_stay_together() {
        let size = Size::new(5, 4);
        #[rustfmt::skip]
        let mut pixels = [
            1, 0, 0, 0, 1,
            0, 1, 0, 0, 0,
            0, 0, 1, 0, 0,
            1, 0, 0, 0, 0,
        ];
        assert!(keep_large_parts(&mut pixels, size, 2));
        assert_eq!(pixels.iter().map(|&p| u32::from(p)).sum::<u32>(), 3);
        assert_eq!((pixels[0], pixels[4], pixels[15]), (1, 0, 0));
        assert!(!keep_large_parts(&mut pixels, size, 4));
    }
}
