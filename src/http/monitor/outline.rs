//! Outlines of masks at the resolution of the picture that is shown.

use crate::{datasets::mask_parts, frame::Mask, geometry::Size};

/// How far a line may be from the pixels' edges, in pixels of the shown picture.
const TOLERANCE: f64 = 0.75;
/// Pixels of the shown picture below which a part is a speck.
const SPECK: u64 = 6;

/// The closed lines around a mask and its holes (to be filled by the even-odd rule), in pixels of the mask's own frame: x, y of
/// each vertex in turn. They are traced on every `factor`th column and row.
pub(super) fn lines(mask: &Mask, factor: u32) -> Vec<Vec<f32>> {
    let reduced = reduced(mask, factor);
    let Some(mask) = reduced.as_ref().or((factor <= 1).then_some(mask)) else {
        return Vec::new();
    };
    let flat = |line: &Vec<[f64; 2]>| -> Vec<f32> {
        line.iter()
            .flatten()
            .map(|v| (v * f64::from(factor)) as f32)
            .collect()
    };
    let parts = mask_parts(mask, TOLERANCE);
    let kept = parts.iter().filter(|part| part.area >= SPECK);
    kept.flat_map(|part| std::iter::once(&part.outer).chain(&part.holes).map(flat))
        .collect()
}

/// Every `factor`th column and row of a mask.
fn reduced(mask: &Mask, factor: u32) -> Option<Mask> {
    if factor <= 1 {
        return None;
    }
    let size = mask.size();
    let reduced = Size::new(size.width.div_ceil(factor), size.height.div_ceil(factor));
    // Ends of runs outside and inside in turn, in column-major order.
    let (mut counts, mut at) = (Vec::new(), 0u64);
    let mut open = 0u32;
    mask.for_each_run(|x, top, bottom| {
        if x % factor != 0 {
            return;
        }
        let column = u64::from(x / factor) * u64::from(reduced.height);
        let start = column + u64::from(top.div_ceil(factor));
        let end = column + u64::from(bottom.div_ceil(factor));
        if start >= end {
            return;
        }
        if start == at && open > 0 {
            open += (end - start) as u32;
        } else {
            if open > 0 {
                counts.push(open);
            }
            counts.push((start - at) as u32);
            open = (end - start) as u32;
        }
        at = end;
    });
    if open > 0 {
        counts.push(open);
    }
    let rest = (u64::from(reduced.width) * u64::from(reduced.height)).checked_sub(at)?;
    if rest > 0 || counts.is_empty() {
        counts.push(rest as u32);
    }
    Mask::from_counts(reduced, counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(width: u32, height: u32, inside: impl Fn(u32, u32) -> bool) -> Mask {
        let pixels: Vec<u8> = (0..width * height)
            .map(|at| u8::from(inside(at % width, at / width)))
            .collect();
        Mask::from_row_major(Size::new(width, height), &pixels).unwrap()
    }

    #[test]
    fn every_nth_pixel_of_a_mask_is_kept() {
        let inside = |x: u32, y: u32| (x * 31 + y * 17) % 11 < 6 || y == 12 || x == 18;
        for (width, height) in [(37, 25), (36, 24)] {
            for factor in 2..5 {
                let full = mask(width, height, inside);
                let (w, h) = (width.div_ceil(factor), height.div_ceil(factor));
                let expected = mask(w, h, |x, y| inside(x * factor, y * factor));
                assert_eq!(reduced(&full, factor), Some(expected), "{factor}");
            }
        }
        let empty = mask(9, 9, |_, _| false);
        assert_eq!(reduced(&empty, 2), Some(mask(5, 5, |_, _| false)));
        let all = mask(9, 9, |_, _| true);
        assert_eq!(reduced(&all, 2), Some(mask(5, 5, |_, _| true)));
    }

    #[test]
    fn lines_are_in_pixels_of_the_frame() {
        let square = |x: u32, y: u32| (20..60).contains(&x) && (10..50).contains(&y);
        let hole = |x: u32, y: u32| (30..40).contains(&x) && (20..30).contains(&y);
        let full = mask(100, 80, |x, y| square(x, y) && !hole(x, y));
        for factor in [1, 2] {
            let lines = lines(&full, factor);
            assert_eq!(lines.len(), 2, "the square and its hole");
            let xs: Vec<f32> = lines[0].iter().step_by(2).copied().collect();
            let ends = xs
                .iter()
                .fold((f32::MAX, f32::MIN), |e, x| (e.0.min(*x), e.1.max(*x)));
            assert_eq!(ends, (20.0, 60.0));
        }
        assert!(lines(&mask(9, 9, |_, _| false), 2).is_empty());
    }
}
