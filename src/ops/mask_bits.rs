//! Masks on the host, from the bits that a GPU made of them.

use super::types::masks::{OFFSET, PackedMask, SCORE, STATISTICS, mask_words};
use std::ops::Range;

/// In the place of frame width - left: a mask with a logit that is not finite.
const NOT_FINITE: u32 = u32::MAX;

/// The score that came with the mask of one row of [`super::best_masks_to_bits`].
pub fn mask_score(row: &[u32]) -> f32 {
    row.get(SCORE)
        .map_or(f32::NAN, |&bits| f32::from_bits(bits))
}

/// Whether all logits of the mask of one row of [`super::masks_to_bits`] were finite.
pub fn mask_is_finite(row: &[u32]) -> bool {
    row.get(1) != Some(&NOT_FINITE)
}

/// The masks of a `frame` (height, width) from the numbers that [`super::masks_to_bits`] gave.
pub fn bits_to_runs(numbers: &[u32], frame: (usize, usize)) -> Vec<PackedMask> {
    let all = Window {
        columns: 0..frame.1,
        words: 0..frame.0.div_ceil(32),
    };
    let one = |row: &[u32]| {
        let (statistics, bits) = row.split_at(STATISTICS.min(row.len()));
        all.mask(statistics, bits, frame)
    };
    numbers.chunks_exact(mask_words(frame)).map(one).collect()
}

/// The numbers of [`super::pack_masks`] on the host.
#[derive(Debug, Clone, Copy)]
pub struct PackedMasks<'a> {
    statistics: &'a [u32],
    bits: &'a [u32],
}

impl<'a> PackedMasks<'a> {
    /// Those of `rows` masks.
    pub fn new(words: &'a [u32], rows: usize) -> Self {
        let (statistics, bits) = words.split_at((STATISTICS * rows).min(words.len()));
        Self { statistics, bits }
    }

    /// The row of a mask without its bits, for [`mask_score`] and [`mask_is_finite`]; empty behind the last.
    pub fn statistics(&self, at: usize) -> &'a [u32] {
        let rest = self.statistics.get(at * STATISTICS..);
        rest.and_then(|rest| rest.get(..STATISTICS)).unwrap_or(&[])
    }

    /// The numbers of bits that the first `rows` masks have, each of the frame (height, width) that `frame` states: they are complete where
    /// there is room for as many.
    pub fn needed(&self, rows: usize, frame: impl Fn(usize) -> (usize, usize)) -> usize {
        let one = |at| Window::of(self.statistics(at), frame(at)).len();
        (0..rows).map(one).sum()
    }

    /// A mask of a `frame` (height, width); none if its bits are not there.
    pub fn mask(&self, at: usize, frame: (usize, usize)) -> Option<PackedMask> {
        let statistics = self.statistics(at);
        let window = Window::of(statistics, frame);
        let start = *statistics.get(OFFSET)? as usize;
        let bits = self.bits.get(start..start.checked_add(window.len())?)?;
        Some(window.mask(statistics, bits, frame))
    }
}

/// The part of a mask whose bits are there: columns, and words of each.
struct Window {
    columns: Range<usize>,
    words: Range<usize>,
}

impl Window {
    /// What [`super::pack_masks`] keeps.
    fn of(statistics: &[u32], frame: (usize, usize)) -> Self {
        let finite = mask_is_finite(statistics);
        let bounds = bounds_of(statistics, frame).filter(|_| finite);
        let [left, top, right, bottom] = bounds.unwrap_or([0; 4]).map(|edge| edge as usize);
        Self {
            columns: left..right,
            words: top / 32..bottom.div_ceil(32),
        }
    }

    fn len(&self) -> usize {
        self.columns.len() * self.words.len()
    }

    /// The mask of a `frame` (height, width) that has these bits and none beside them.
    fn mask(
        &self,
        statistics: &[u32],
        bits: &[u32],
        (height, width): (usize, usize),
    ) -> PackedMask {
        let mut runs = Runs::default();
        if self.len() == 0 {
            runs.add(false, height * width);
        } else {
            runs.add(false, self.columns.start * height);
            for column in bits.chunks_exact(self.words.len()) {
                runs.add(false, 32 * self.words.start);
                for (i, &word) in self.words.clone().zip(column) {
                    runs.add_word(word, (height - 32 * i).min(32) as u32);
                }
                runs.add(false, height - height.min(32 * self.words.end));
            }
            runs.add(false, (width - self.columns.end) * height);
        }
        PackedMask {
            counts: runs.finish(),
            area: statistics.first().copied().map_or(0, u64::from),
            bounds: bounds_of(statistics, (height, width)),
        }
    }
}

/// Runs as they are found, zeros first.
#[derive(Default)]
struct Runs {
    runs: Vec<u32>,
    run: u32,
    inside: bool,
}

impl Runs {
    fn add(&mut self, inside: bool, count: usize) {
        if inside != self.inside && count > 0 {
            self.runs.push(std::mem::take(&mut self.run));
            self.inside = inside;
        }
        // A frame has fewer than 2^32 pixels.
        self.run += count as u32;
    }

    /// The first `rows` bits of a word, the lowest first.
    fn add_word(&mut self, word: u32, rows: u32) {
        let mut at = 0;
        while at < rows {
            let rest = word >> at;
            let same = match self.inside {
                true => rest.trailing_ones(),
                false => rest.trailing_zeros(),
            };
            let same = same.min(rows - at);
            (self.run, at) = (self.run + same, at + same);
            if at < rows {
                self.runs.push(std::mem::take(&mut self.run));
                self.inside = !self.inside;
            }
        }
    }

    fn finish(mut self) -> Vec<u32> {
        self.runs.push(self.run);
        self.runs
    }
}

/// The tight box that one row of [`super::masks_to_bits`] states; none for an empty mask.
fn bounds_of(row: &[u32], (height, width): (usize, usize)) -> Option<[u32; 4]> {
    let &[area, left, top, right, bottom, ..] = row else {
        return None;
    };
    let from_end = |length: usize, distance: u32| {
        u32::try_from(length)
            .unwrap_or(u32::MAX)
            .saturating_sub(distance)
    };
    (area > 0).then(|| [from_end(width, left), from_end(height, top), right, bottom])
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: (usize, usize) = (70, 9);

    /// A row of `masks_to_bits` for pixels (row, column).
    fn row(pixels: &[(usize, usize)]) -> Vec<u32> {
        let mut row = vec![0; mask_words(FRAME)];
        for &(y, x) in pixels {
            row[STATISTICS + x * FRAME.0.div_ceil(32) + y / 32] |= 1 << (y % 32);
        }
        let most =
            |of: fn(&(usize, usize)) -> usize| pixels.iter().map(of).max().unwrap_or(0) as u32;
        row[0] = pixels.len() as u32;
        if row[0] > 0 {
            row[1] = most(|p| FRAME.1 - p.1);
            row[2] = most(|p| FRAME.0 - p.0);
            (row[3], row[4]) = (most(|p| p.1 + 1), most(|p| p.0 + 1));
        }
        row[SCORE] = 0.5f32.to_bits();
        row
    }

    /// What `pack_masks` makes of rows, by the plain way.
    fn packed(rows: &[Vec<u32>], room: usize) -> Vec<u32> {
        let (mut statistics, mut bits) = (Vec::new(), Vec::new());
        for row in rows {
            let window = Window::of(row, FRAME);
            let mut head = row[..STATISTICS].to_vec();
            head[OFFSET] = bits.len() as u32;
            statistics.extend(head);
            for x in window.columns {
                let column = STATISTICS + x * FRAME.0.div_ceil(32);
                bits.extend(&row[column + window.words.start..column + window.words.end]);
            }
        }
        bits.truncate(room);
        [statistics, bits].concat()
    }

    fn some_masks() -> Vec<Vec<u32>> {
        let square = (35..69).flat_map(|y| (3..6).map(move |x| (y, x)));
        let corners = [(0, 0), (69, 0), (0, 8), (69, 8)];
        let broken = {
            let mut row = row(&[(1, 1)]);
            row[1] = NOT_FINITE;
            row
        };
        vec![
            row(&square.collect::<Vec<_>>()),
            row(&[]),
            row(&corners),
            broken,
            row(&[(40, 8)]),
        ]
    }

    #[test]
    fn packed_masks_are_those_of_whole_rows() {
        let rows = some_masks();
        let words = packed(&rows, usize::MAX);
        let masks = PackedMasks::new(&words, rows.len());
        for (at, row) in rows.iter().enumerate() {
            let statistics = masks.statistics(at);
            assert_eq!(mask_score(statistics), 0.5);
            assert_eq!(mask_is_finite(statistics), at != 3);
            if at != 3 {
                let whole = bits_to_runs(row, FRAME).pop();
                assert_eq!(masks.mask(at, FRAME), whole, "mask {at}");
            }
        }
        let square = masks.mask(0, FRAME).unwrap();
        assert_eq!(square.counts, [245, 34, 36, 34, 36, 34, 211]);
        let corners = masks.mask(2, FRAME).unwrap();
        assert_eq!(corners.counts, [0, 1, 68, 1, 490, 1, 68, 1]);
        // Columns 3 to 5, words 1 and 2; nothing; all; nothing; column 8, word 1.
        assert_eq!(masks.needed(rows.len(), |_| FRAME), 6 + 27 + 1);
    }

    #[test]
    fn bits_beyond_the_room_are_missed() {
        let rows = some_masks();
        let words = packed(&rows, 33);
        let masks = PackedMasks::new(&words, rows.len());
        assert!(masks.mask(2, FRAME).is_some());
        assert!(masks.mask(4, FRAME).is_none());
        assert!(masks.needed(rows.len(), |_| FRAME) > 33);
        assert!(masks.statistics(5).is_empty() && masks.mask(5, FRAME).is_none());
    }
}
