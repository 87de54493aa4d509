//! Masks of outlines.

use super::{item::Outline, masks::fill};
use crate::{frame::Mask, geometry::Size};
use std::borrow::Cow;

impl Outline {
    /// The outline as the pixels of a picture of `size` whose centres are inside. A polygon's inside is that of the even-odd
    /// rule. None for a mask of another size, for a picture of more than 2^28 pixels, and for polygons with too many vertices.
    pub fn to_mask(&self, size: Size) -> Option<Cow<'_, Mask>> {
        match self {
            Self::Mask(mask) => (mask.size() == size).then_some(Cow::Borrowed(mask)),
            Self::Polygons(polygons) => fill(polygons, size).ok().map(Cow::Owned),
        }
    }
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
