//! Polygons as masks.

use crate::{frame::Mask, geometry::Size};

/// The pixels whose centres lie within any of the closed lines (each by the even-odd rule); points are x, y in pixels, on pixel
/// edges. None for a size without pixels.
pub(super) fn filled(size: Size, polygons: &[Vec<[f64; 2]>]) -> Option<Mask> {
    let (width, height) = (size.width as usize, size.height as usize);
    let mut pixels = vec![0u8; width.checked_mul(height)?];
    let mut crossings = Vec::new();
    for polygon in polygons {
        let (top, bottom) = rows(polygon, height);
        for y in top..bottom {
            let centre = y as f64 + 0.5;
            crossings.clear();
            for (a, b) in polygon.iter().zip(polygon.iter().cycle().skip(1)) {
                if (a[1] > centre) != (b[1] > centre) {
                    crossings.push(a[0] + (centre - a[1]) / (b[1] - a[1]) * (b[0] - a[0]));
                }
            }
            crossings.sort_by(f64::total_cmp);
            for pair in crossings.chunks_exact(2) {
                let column = |x: f64| (x - 0.5).ceil().clamp(0.0, width as f64) as usize;
                let (start, end) = (column(pair[0]), column(pair[1]));
                pixels[y * width + start..y * width + end.max(start)].fill(1);
            }
        }
    }
    Mask::from_row_major(size, &pixels)
}

/// The rows that a line can reach: the first, and the one after the last.
fn rows(polygon: &[[f64; 2]], height: usize) -> (usize, usize) {
    let ys = polygon.iter().map(|p| p[1]);
    let low = ys.clone().fold(f64::INFINITY, f64::min).floor();
    let high = ys.fold(f64::NEG_INFINITY, f64::max).ceil();
    let row = |y: f64| y.clamp(0.0, height as f64) as usize;
    (row(low), row(high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_whose_centres_are_inside_are_filled() {
        let size = Size::new(4, 3);
        let square = vec![[1.0, 0.0], [3.0, 0.0], [3.0, 2.0], [1.0, 2.0]];
        let outside = vec![[-9.0, -9.0], [-5.0, -9.0], [-5.0, 99.0]];
        let mask = filled(size, &[square, outside, Vec::new()]).unwrap();
        assert_eq!(mask.to_row_major(), [0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0]);
    }
}
