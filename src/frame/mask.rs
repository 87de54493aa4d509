//! Binary masks as COCO run lengths.

use crate::geometry::{BoxXyxy, Size};

/// A binary mask at a frame's own resolution, as COCO stores it: run lengths in column-major order, starting with the
/// run of zeros (which may be 0 long), alternating. Area and tight box are computed once, when the mask is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    size: Size,
    counts: Vec<u32>,
    area: u64,
    bounds: Option<[u32; 4]>,
}

impl Mask {
    /// A mask over run lengths; none if they do not add up to width × height.
    pub fn from_counts(size: Size, counts: Vec<u32>) -> Option<Self> {
        let (area, bounds) = measure(size, &counts);
        fills(size, &counts).then_some(Self {
            size,
            counts,
            area,
            bounds,
        })
    }

    /// A mask over run lengths whose `area` in pixels and tight box `[x0, y0, x1, y1]` (right and lower edges exclusive;
    /// none for an empty mask) are known already; none if the run lengths do not add up to width × height.
    pub fn from_measured(
        size: Size,
        counts: Vec<u32>,
        area: u64,
        bounds: Option<[u32; 4]>,
    ) -> Option<Self> {
        debug_assert!(!fills(size, &counts) || measure(size, &counts) == (area, bounds));
        fills(size, &counts).then_some(Self {
            size,
            counts,
            area,
            bounds,
        })
    }

    /// A mask from row-major pixels, non-zero being inside; none if the length is not width × height.
    pub fn from_row_major(size: Size, pixels: &[u8]) -> Option<Self> {
        if pixels.len() as u64 != size.pixels() {
            return None;
        }
        let (w, h) = (size.width as usize, size.height as usize);
        let (mut counts, mut run, mut inside) = (Vec::new(), 0u32, false);
        for x in 0..w {
            for y in 0..h {
                if (pixels[y * w + x] != 0) != inside {
                    counts.push(run);
                    (run, inside) = (0, !inside);
                }
                run += 1;
            }
        }
        counts.push(run);
        Self::from_counts(size, counts)
    }

    /// Width and height.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Run lengths, column-major, zeros first.
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// Number of pixels inside.
    pub fn area(&self) -> u64 {
        self.area
    }

    /// Calls `paint(x, y0, y1)` for each vertical run inside, `y1` exclusive, columns left to right.
    pub fn for_each_run(&self, mut paint: impl FnMut(u32, u32, u32)) {
        let h = u64::from(self.size.height.max(1));
        let mut at = 0u64;
        for (i, &count) in self.counts.iter().enumerate() {
            let end = at + u64::from(count);
            while i % 2 == 1 && at < end {
                let column_end = (at / h + 1) * h;
                let stop = end.min(column_end);
                paint(
                    (at / h) as u32,
                    (at % h) as u32,
                    (stop - 1 - at / h * h) as u32 + 1,
                );
                at = stop;
            }
            at = end;
        }
    }

    /// The tight box around the pixels inside; none for an empty mask.
    pub fn bounds(&self) -> Option<BoxXyxy> {
        self.bounds
            .map(|[x0, y0, x1, y1]| BoxXyxy::new(x0 as f32, y0 as f32, x1 as f32, y1 as f32))
    }

    /// Row-major pixels, 1 inside and 0 outside.
    pub fn to_row_major(&self) -> Vec<u8> {
        let w = self.size.width as usize;
        let mut pixels = vec![0u8; self.size.pixels() as usize];
        self.for_each_run(|x, y0, y1| {
            for y in y0..y1 {
                pixels[y as usize * w + x as usize] = 1;
            }
        });
        pixels
    }
}

/// Whether run lengths add up to width × height.
fn fills(size: Size, counts: &[u32]) -> bool {
    counts.iter().map(|&c| u64::from(c)).sum::<u64>() == size.pixels()
}

/// Pixels inside, and the tight box around them; of run lengths that fill the size.
fn measure(size: Size, counts: &[u32]) -> (u64, Option<[u32; 4]>) {
    let h = u64::from(size.height.max(1));
    let (mut at, mut area) = (0u64, 0u64);
    let mut bounds: Option<[u64; 4]> = None;
    for (i, &count) in counts.iter().enumerate() {
        let (start, end) = (at, at + u64::from(count));
        at = end;
        if i % 2 == 0 || count == 0 {
            continue;
        }
        area += u64::from(count);
        let (first, last) = (start / h, (end - 1) / h);
        // A run that goes on into the next column touches the lower and the upper edge.
        let (top, bottom) = if first == last {
            (start % h, (end - 1) % h + 1)
        } else {
            (0, h)
        };
        let [x0, y0, x1, y1] = bounds.unwrap_or([first, top, 0, 0]);
        bounds = Some([x0, y0.min(top), x1.max(last + 1), y1.max(bottom)]);
    }
    (area, bounds.map(|b| b.map(|v| v as u32)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn runs_are_column_major_and_round_trip() {
        let size = Size::new(3, 2);
        let pixels = [1, 0, 1, 1, 0, 0];
        let mask = Mask::from_row_major(size, &pixels).unwrap();
        assert_eq!(mask.counts(), [0, 2, 2, 1, 1]);
        assert_eq!(mask.area(), 3);
        assert_eq!(mask.to_row_major(), pixels);
        assert_eq!(mask.bounds(), Some(BoxXyxy::new(0., 0., 3., 2.)));
    }

    #[test]
    fn an_empty_mask_has_no_bounds_and_wrong_totals_are_refused() {
        let size = Size::new(4, 4);
        assert_eq!(Mask::from_row_major(size, &[0; 16]).unwrap().bounds(), None);
        assert!(Mask::from_counts(size, vec![3, 4]).is_none());
    }

    proptest! {
        #[test]
        fn any_pixels_come_back(
            (width, pixels) in (1..24u32).prop_flat_map(|width| {
                let rows = 1..24usize;
                (Just(width), rows.prop_flat_map(move |rows| proptest::collection::vec(0..2u8, rows * width as usize)))
            })
        ) {
            let size = Size::new(width, pixels.len() as u32 / width);
            let mask = Mask::from_row_major(size, &pixels).unwrap();
            prop_assert_eq!(mask.to_row_major(), &pixels[..]);
            prop_assert_eq!(mask.area(), pixels.iter().map(|&p| u64::from(p)).sum::<u64>());
            prop_assert_eq!(Mask::from_counts(size, mask.counts().to_vec()), Some(mask.clone()));
            // Only the first run may be of no pixel: one mask has one form.
            prop_assert!(mask.counts().iter().skip(1).all(|&count| count > 0));
            let inside = |x: u32, y: u32| pixels[(y * width + x) as usize] != 0;
            let found: Vec<(u32, u32)> = (0..size.width)
                .flat_map(|x| (0..size.height).map(move |y| (x, y)))
                .filter(|&(x, y)| inside(x, y))
                .collect();
            let least = |side: fn(&(u32, u32)) -> u32| found.iter().map(side).min();
            let most = |side: fn(&(u32, u32)) -> u32| found.iter().map(side).max();
            let expected = least(|p| p.0).map(|x0| {
                let (y0, x1, y1) = (least(|p| p.1), most(|p| p.0), most(|p| p.1));
                let [y0, x1, y1] = [y0, x1, y1].map(Option::unwrap);
                BoxXyxy::new(x0 as f32, y0 as f32, x1 as f32 + 1., y1 as f32 + 1.)
            });
            prop_assert_eq!(mask.bounds(), expected);
        }
    }
}
