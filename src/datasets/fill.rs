//! Masks of polygons.

use super::item::Outline;
use crate::{frame::Mask, geometry::Size};
use std::borrow::Cow;

impl Outline {
    /// The outline as the pixels of a picture of `size` whose centres are inside. A polygon's inside is that of the even-odd
    /// rule. None for a mask of another size, and for a size whose pixels do not fit in 32 bits.
    pub fn to_mask(&self, size: Size) -> Option<Cow<'_, Mask>> {
        match self {
            Self::Mask(mask) => (mask.size() == size).then_some(Cow::Borrowed(mask)),
            Self::Polygons(polygons) => filled(polygons, size).map(Cow::Owned),
        }
    }
}

/// The union of polygons.
fn filled(polygons: &[Vec<[f64; 2]>], size: Size) -> Option<Mask> {
    u32::try_from(size.pixels()).ok()?;
    let extents: Vec<[f64; 2]> = polygons.iter().map(|polygon| extent(polygon)).collect();
    // Spans of rows inside, a column after the other, as run lengths: outside, inside, outside.
    let (mut counts, mut outside) = (Vec::new(), 0u32);
    let (mut spans, mut crossings) = (Vec::new(), Vec::new());
    for x in 0..size.width {
        let centre = f64::from(x) + 0.5;
        spans.clear();
        for (polygon, [left, right]) in polygons.iter().zip(&extents) {
            if (*left..*right).contains(&centre) {
                crossed(polygon, centre, &mut crossings);
                spans.extend(crossings.chunks_exact(2).filter_map(|c| rows(c, size)));
            }
        }
        spans.sort_unstable();
        let mut at = 0;
        for &(top, bottom) in &spans {
            let top = top.max(at);
            if bottom <= top {
                continue;
            }
            outside += top - at;
            add(&mut counts, outside, bottom - top);
            (at, outside) = (bottom, 0);
        }
        outside += size.height - at;
    }
    if outside > 0 || counts.is_empty() {
        counts.push(outside);
    }
    Mask::from_counts(size, counts)
}

/// Adds a run inside behind one of `outside`; one that follows another is a part of it.
fn add(counts: &mut Vec<u32>, outside: u32, inside: u32) {
    match counts.last_mut() {
        Some(last) if outside == 0 => *last += inside,
        _ => counts.extend([outside, inside]),
    }
}

/// Least and greatest x.
fn extent(polygon: &[[f64; 2]]) -> [f64; 2] {
    polygon
        .iter()
        .fold([f64::INFINITY, f64::NEG_INFINITY], |[least, most], p| {
            [least.min(p[0]), most.max(p[0])]
        })
}

/// Where the polygon's lines cross the vertical line at `x`, from above.
fn crossed(polygon: &[[f64; 2]], x: f64, crossings: &mut Vec<f64>) {
    crossings.clear();
    let next = polygon.iter().cycle().skip(1);
    for (a, b) in polygon.iter().zip(next) {
        if (a[0] > x) != (b[0] > x) {
            crossings.push(a[1] + (x - a[0]) / (b[0] - a[0]) * (b[1] - a[1]));
        }
    }
    crossings.sort_unstable_by(f64::total_cmp);
}

/// Rows whose centres are between two crossings, the second exclusive.
fn rows(crossings: &[f64], size: Size) -> Option<(u32, u32)> {
    // A row's centre is at its number and a half; numbers out of range are clipped to the picture's rows.
    let row = |y: f64| (y - 0.5).ceil().clamp(0.0, f64::from(size.height)) as u32;
    let (top, bottom) = (row(crossings[0]), row(crossings[1]));
    (top < bottom).then_some((top, bottom))
}

#[cfg(test)]
mod tests {
    use super::super::outline::parts;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn polygons_are_a_union_with_their_own_holes() {
        let size = Size::new(8, 6);
        let square = |x: f64, y: f64, s: f64| vec![[x, y], [x + s, y], [x + s, y + s], [x, y + s]];
        let outline = Outline::Polygons(vec![square(0.0, 0.0, 3.0), square(2.0, 1.0, 4.0)]);
        let mask = outline.to_mask(size).unwrap();
        #[rustfmt::skip]
        assert_eq!(mask.to_row_major(), [
            1, 1, 1, 0, 0, 0, 0, 0,
            1, 1, 1, 1, 1, 1, 0, 0,
            1, 1, 1, 1, 1, 1, 0, 0,
            0, 0, 1, 1, 1, 1, 0, 0,
            0, 0, 1, 1, 1, 1, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 0,
        ]);
        let beyond = Outline::Polygons(vec![square(-5.0, -5.0, 100.0)]);
        assert_eq!(beyond.to_mask(size).unwrap().area(), 48);
        let nothing = Outline::Polygons(vec![vec![], vec![[1.0, 1.0]], vec![[f64::NAN; 2]; 4]]);
        assert_eq!(nothing.to_mask(size).unwrap().area(), 0);
        let other = Outline::Mask(mask.into_owned());
        assert!(other.to_mask(Size::new(6, 8)).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_mask_comes_back_from_its_exact_lines(pixels in proptest::collection::vec(0..2u8, 9 * 11)) {
            let size = Size::new(9, 11);
            let mask = Mask::from_row_major(size, &pixels).unwrap();
            let lines = parts(&mask, 0.0).iter().map(|part| part.joined()).collect();
            let filled = Outline::Polygons(lines).to_mask(size).unwrap().into_owned();
            prop_assert_eq!(filled, mask);
        }
    }
}
