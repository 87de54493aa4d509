//! Masks in a result on the host.

use crate::{
    frame::Mask,
    ops::{self, PackedMasks},
    session::{
        error::ModelError,
        executor::resident::layout::{FrameLayout, MaskRows},
        segmenter::{MASKS, SCORES},
    },
};

/// The masks of a result.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Masks<'a> {
    /// In their rows, among all other numbers.
    InPlace(&'a [u32]),
    /// Moved together.
    Packed(PackedMasks<'a>, Packing),
}

impl Masks<'_> {
    /// The mask of row `at` of `rows`, and its score.
    pub(super) fn read(
        &self,
        rows: &MaskRows,
        at: usize,
    ) -> Result<(Option<Mask>, f32), ModelError> {
        let frame = rows.frame();
        let (statistics, packed) = match self {
            Self::InPlace(words) => {
                let row = words.get(rows.start + at * rows.stride..);
                let row = row.and_then(|row| row.get(..ops::mask_words(frame)));
                let row = row.unwrap_or(&[]);
                (row, ops::bits_to_runs(row, frame).pop())
            }
            Self::Packed(masks, packing) => {
                let at = packing.index(rows) + at;
                (masks.statistics(at), masks.mask(at, frame))
            }
        };
        let score = ops::mask_score(statistics);
        if !score.is_finite() {
            return Err(ModelError::NotFinite(SCORES));
        }
        if !ops::mask_is_finite(statistics) {
            return Err(ModelError::NotFinite(MASKS));
        }
        let mask = packed.and_then(|m| Mask::from_measured(rows.size, m.counts, m.area, m.bounds));
        Ok((mask, score))
    }
}

/// How masks are moved together: the rows of all groups, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packing {
    /// Numbers before the masks.
    pub(super) head: usize,
    /// Numbers from one row to the next, before.
    pub(super) stride: usize,
    /// All rows.
    pub(super) rows: usize,
    /// Numbers of bits that there is room for.
    pub(super) room: usize,
}

impl Packing {
    /// For the result of frames with these layouts, of `words` numbers; none without masks.
    pub(super) fn new(layouts: &[FrameLayout], words: usize, room: usize) -> Option<Self> {
        let first = layouts.iter().find_map(|layout| layout.masks.first())?;
        let (head, stride) = (first.start, first.stride);
        Some(Self {
            head,
            stride,
            rows: (words - head).checked_div(stride)?,
            room,
        })
    }

    /// Numbers in all.
    pub(super) fn words(&self) -> usize {
        self.head + ops::packed_words(self.rows, self.room)
    }

    /// The masks among the numbers of a result.
    pub(super) fn read<'a>(&self, words: &'a [u32]) -> PackedMasks<'a> {
        PackedMasks::new(words.get(self.head..).unwrap_or(&[]), self.rows)
    }

    fn index(&self, rows: &MaskRows) -> usize {
        (rows.start - self.head)
            .checked_div(self.stride)
            .unwrap_or(0)
    }
}
