//! Masks in a result on the host.

use crate::{
    frame::Mask,
    geometry::{LongestSide, Size},
    models::mobile_sam::IMAGE_SIDE,
    ops::{self, PackedMasks},
    session::{
        error::ModelError,
        segmenter::{MASKS, SCORES},
    },
};

/// A frame of `size` within the segmenter's input (height, width).
pub(crate) fn scaled(size: Size) -> (usize, usize) {
    LongestSide::new(size, IMAGE_SIDE as u32)
        .scaled
        .rows_columns()
}

/// Rows of mask bits in a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MaskRows {
    /// Where the first begins.
    pub(crate) start: usize,
    pub(crate) count: usize,
    /// Numbers from one row to the next.
    pub(crate) stride: usize,
    pub(super) size: Size,
    /// For prompts of the user, the places of the objects in the frame's list.
    pub(super) objects: Vec<usize>,
}

impl MaskRows {
    /// The frame (height, width).
    pub(crate) fn frame(&self) -> (usize, usize) {
        self.size.rows_columns()
    }

    /// The frame within the segmenter's input (height, width).
    pub(crate) fn scaled(&self) -> (usize, usize) {
        scaled(self.size)
    }

    /// The `count` rows from row `first` on.
    pub(crate) fn part(&self, first: usize, count: usize) -> Self {
        Self {
            start: self.start + first * self.stride,
            count,
            ..self.clone()
        }
    }
}

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
    /// For a result of `words` numbers whose first masks are these.
    pub(super) fn new(first: &MaskRows, words: usize, room: usize) -> Option<Self> {
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
