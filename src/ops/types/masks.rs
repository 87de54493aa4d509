//! Layout of packed masks, and the weights of their interpolation.

use candle_core::Tensor;
use std::ops::Range;

/// One mask at the frame's resolution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedMask {
    /// Column-major run lengths, zeros first (COCO's order).
    pub counts: Vec<u32>,
    /// Pixels inside.
    pub area: u64,
    /// The tight box `[x0, y0, x1, y1]` around them in pixels, right and lower edges exclusive; none for an empty mask.
    pub bounds: Option<[u32; 4]>,
}

/// Numbers before the bits of a mask, see [`crate::ops::masks_to_bits`], and the place of its score among them.
pub(in crate::ops) const STATISTICS: usize = 8;
pub(in crate::ops) const SCORE: usize = 5;
/// In a row of [`crate::ops::pack_masks`], the place of the number that says where its bits begin.
pub(in crate::ops) const OFFSET: usize = 6;

/// Numbers of a row of [`crate::ops::masks_to_bits`] for a frame (height, width).
pub fn mask_words(frame: (usize, usize)) -> usize {
    STATISTICS + frame.1 * frame.0.div_ceil(32)
}

/// Numbers of [`crate::ops::pack_masks`] for `rows` masks with room for `room` numbers of bits.
pub fn packed_words(rows: usize, room: usize) -> usize {
    STATISTICS * rows + room
}

/// Rows of a batch's masks that belong to some of its frames, by the frame of each row as
/// [`SharedSlots`](super::objects::SharedSlots) has them.
#[derive(Debug, Clone)]
pub struct SlotRows<'a> {
    /// `[1 + N]` u32: how many rows are in use, then the frame of each row.
    pub owners: &'a Tensor,
    /// The frames.
    pub frames: Range<usize>,
}

/// The numbers that one output number of linear interpolation is the weighted mean of.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) struct Taps {
    from: [usize; 4],
    weight: [f32; 4],
    count: usize,
}

impl Taps {
    /// The two neighbours of output `i` where `from` numbers are brought to `to`, `align_corners=False`.
    fn linear(i: usize, from: usize, to: usize) -> [(usize, f32); 2] {
        let at = ((i as f32 + 0.5) * (from as f32 / to as f32) - 0.5).max(0.0);
        let first = (at as usize).min(from - 1);
        let share = at - first as f32;
        [(first, 1.0 - share), ((first + 1).min(from - 1), share)]
    }

    /// For each of `frame` numbers: `from` interpolated to `side`, the first `scaled` of these interpolated to `frame`.
    pub(in crate::ops) fn of_both_steps(
        from: usize,
        side: usize,
        scaled: usize,
        frame: usize,
    ) -> Vec<Self> {
        let one = |i| {
            let mut taps = Self {
                from: [0; 4],
                weight: [0.0; 4],
                count: 0,
            };
            for (middle, outer) in Self::linear(i, scaled, frame) {
                for (source, inner) in Self::linear(middle, from, side) {
                    taps.add(source, outer * inner);
                }
            }
            taps
        };
        (0..frame).map(one).collect()
    }

    fn add(&mut self, from: usize, weight: f32) {
        if weight == 0.0 {
            return;
        }
        let known = self.from[..self.count].iter().position(|&f| f == from);
        let at = known.unwrap_or(self.count);
        self.from[at] = from;
        self.weight[at] += weight;
        self.count = self.count.max(at + 1);
    }

    /// The weighted mean.
    pub(in crate::ops) fn mean(&self, numbers: &[f32]) -> f32 {
        let mut sum = 0.0;
        for i in 0..self.count {
            sum += numbers[self.from[i]] * self.weight[i];
        }
        sum
    }

    /// Sources and their weights, which add up to 1.
    pub(in crate::ops) fn iter(&self) -> impl Iterator<Item = (usize, f32)> {
        self.from.into_iter().zip(self.weight).take(self.count)
    }

    /// The first source.
    pub(in crate::ops) fn first(&self) -> usize {
        self.iter().map(|(from, _)| from).min().unwrap_or(0)
    }

    /// The last source.
    pub(in crate::ops) fn last(&self) -> usize {
        self.iter().map(|(from, _)| from).max().unwrap_or(0)
    }
}
