//! Which segments share pixels.

use super::masks::{FrameMasks, SegmentKey};
use crate::frame::Mask;
use std::collections::BTreeSet;

/// The pairs of segments that share a pixel of a frame, the lower key first.
pub(in crate::datasets) fn overlaps(frames: &[FrameMasks]) -> BTreeSet<(SegmentKey, SegmentKey)> {
    let mut found = BTreeSet::new();
    for frame in frames {
        for (i, (a, mask)) in frame.masks.iter().enumerate() {
            for (b, other) in &frame.masks[i + 1..] {
                let pair = (*a.min(b), *a.max(b));
                if a != b && !found.contains(&pair) && share(mask, other) {
                    found.insert(pair);
                }
            }
        }
    }
    found
}

/// Whether two masks of one size have a pixel in common.
fn share(a: &Mask, b: &Mask) -> bool {
    let boxes = a.bounds().zip(b.bounds());
    if boxes.is_none_or(|(a, b)| a.x0 >= b.x1 || b.x0 >= a.x1 || a.y0 >= b.y1 || b.y0 >= a.y1) {
        return false;
    }
    let (mut a, mut b) = (inside(a), inside(b));
    let (mut one, mut other) = (a.next(), b.next());
    while let (Some(x), Some(y)) = (one, other) {
        if x.0 < y.1 && y.0 < x.1 {
            return true;
        }
        if x.1 <= y.1 {
            one = a.next();
        } else {
            other = b.next();
        }
    }
    false
}

/// Runs inside as column-major places: the first, and the one after the last.
fn inside(mask: &Mask) -> impl Iterator<Item = (u64, u64)> + '_ {
    let mut at = 0;
    mask.counts()
        .iter()
        .enumerate()
        .filter_map(move |(i, &count)| {
            let start = at;
            at += u64::from(count);
            (i % 2 == 1 && count > 0).then_some((start, at))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn masks_share_what_their_pixels_share(
            a in proptest::collection::vec(0..2u8, 24),
            b in proptest::collection::vec(prop_oneof![4 => Just(0u8), 1 => Just(1)], 24),
        ) {
            let mask = |pixels: &[u8]| Mask::from_row_major(Size::new(6, 4), pixels).unwrap();
            let expected = a.iter().zip(&b).any(|(a, b)| a & b == 1);
            prop_assert_eq!(share(&mask(&a), &mask(&b)), expected);
        }
    }
}
