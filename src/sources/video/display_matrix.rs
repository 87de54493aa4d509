//! Rotation and flip of a video by its display matrix.

use image::metadata::Orientation;

/// The orientation that makes a frame upright.
///
/// The matrix is nine little or big endian (as the machine) 32-bit numbers, `a b u; c d v; x y w`, that take a point of
/// the frame to (a·x + c·y, b·x + d·y) on the display (libavutil/display.h). Angles between right angles go to the
/// nearest; a matrix that is all zero turns nothing.
pub(super) fn orientation(matrix: &[u8]) -> Orientation {
    let entry = |i: usize| {
        matrix
            .get(4 * i..4 * i + 4)
            .and_then(|b| b.try_into().ok())
            .map(i32::from_ne_bytes)
            .map_or(0, i64::from)
    };
    let (a, b, c, d) = (entry(0), entry(1), entry(3), entry(4));
    if a == 0 && b == 0 && c == 0 && d == 0 {
        return Orientation::NoTransforms;
    }
    if a.abs() + d.abs() >= b.abs() + c.abs() {
        match (a < 0, d < 0) {
            (false, false) => Orientation::NoTransforms,
            (true, false) => Orientation::FlipHorizontal,
            (false, true) => Orientation::FlipVertical,
            (true, true) => Orientation::Rotate180,
        }
    } else {
        // (x, y) goes to (c·y, b·x).
        match (c < 0, b < 0) {
            (true, false) => Orientation::Rotate90,
            (false, true) => Orientation::Rotate270,
            (false, false) => Orientation::Rotate90FlipH,
            (true, true) => Orientation::Rotate270FlipH,
        }
    }
}

/// Whether an orientation exchanges width and height.
pub(super) fn is_transposed(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(
        orientation,
        Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        frame::{Channels, Image},
        geometry::Size,
        sources::image::oriented,
    };

    fn matrix(a: i32, b: i32, c: i32, d: i32) -> Vec<u8> {
        [a, b, 0, c, d, 0, 0, 0, 1 << 14]
            .iter()
            .flat_map(|v| (v * if v.abs() == 1 { 1 << 16 } else { 1 }).to_ne_bytes())
            .collect()
    }

    /// Moves every pixel of a 3 × 2 frame by the matrix and compares with the orientation found.
    #[test]
    fn every_right_angle_and_flip_agrees_with_the_matrix() {
        let pixels: Vec<u8> = (0..6).collect();
        for (a, b, c, d) in [
            (1, 0, 0, 1),
            (-1, 0, 0, 1),
            (1, 0, 0, -1),
            (-1, 0, 0, -1),
            (0, 1, -1, 0),
            (0, -1, 1, 0),
            (0, 1, 1, 0),
            (0, -1, -1, 0),
        ] {
            let moved = |x: i32, y: i32| (a * x + c * y, b * x + d * y);
            let corners: Vec<(i32, i32)> = (0..6).map(|i| moved(i % 3, i / 3)).collect();
            let left = corners.iter().map(|p| p.0).min().unwrap();
            let top = corners.iter().map(|p| p.1).min().unwrap();
            let width = corners.iter().map(|p| p.0).max().unwrap() - left + 1;
            let mut expected = vec![0; 6];
            for (value, (x, y)) in pixels.iter().zip(&corners) {
                expected[((y - top) * width + x - left) as usize] = *value;
            }
            let image = Image::new(Size::new(3, 2), Channels::Gray, pixels.clone()).unwrap();
            let turned = oriented(image, orientation(&matrix(a, b, c, d)));
            assert_eq!(
                (turned.size().width as i32, turned.data()),
                (width, expected.as_slice()),
                "{a} {b} {c} {d}"
            );
        }
    }

    #[test]
    fn an_empty_or_short_matrix_turns_nothing() {
        assert_eq!(orientation(&[0; 36]), Orientation::NoTransforms);
        assert_eq!(orientation(&[]), Orientation::NoTransforms);
    }
}
