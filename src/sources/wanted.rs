//! Which frames of a source one of several runs wants.

use super::selection::FrameSelection;
use std::{num::NonZeroU64, ops::Range};

/// The part of a source's frames that one of several runs takes: ranges of `length` frames, dealt out in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameShare {
    /// Frames of a range.
    pub(crate) length: NonZeroU64,
    /// The run that takes the first range, from 0.
    pub(crate) first: u64,
    /// This run, from 0.
    pub(crate) own: u64,
    /// How many runs there are.
    pub(crate) of: NonZeroU64,
}

impl FrameShare {
    /// Whether the frame with this number is one of this run's.
    pub(crate) fn contains(&self, index: u64) -> bool {
        let range = index / self.length;
        (self.first % self.of + range % self.of) % self.of == self.own
    }

    /// The first frame after the range of `index` that is one of this run's.
    fn next_range(&self, index: u64) -> Option<u64> {
        let next = index / self.length + 1;
        let taker = (self.first % self.of + next % self.of) % self.of;
        let ranges = (self.own + self.of.get() - taker) % self.of;
        next.checked_add(ranges)?.checked_mul(self.length.get())
    }
}

/// Of the selected frames of a source those of a share, if it is shared.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(super) selection: FrameSelection,
    pub(super) share: Option<FrameShare>,
}

impl Wanted {
    /// All that are selected.
    pub(super) fn selected(selection: FrameSelection) -> Self {
        Self {
            selection,
            share: None,
        }
    }

    /// Whether the frame with this number is one.
    pub(super) fn contains(&self, index: u64) -> bool {
        self.selection.contains(index) && self.share.is_none_or(|share| share.contains(index))
    }

    /// Whether this frame is in the share, and not after the last that is selected.
    pub(super) fn reaches(&self, index: u64) -> bool {
        !self.selection.is_past(index) && self.share.is_none_or(|share| share.contains(index))
    }

    /// The first in a range of frames.
    pub(super) fn first_in(&self, frames: Range<u64>) -> Option<u64> {
        let mut from = frames.start;
        loop {
            let next = self
                .selection
                .next_from(from)
                .filter(|next| *next < frames.end)?;
            match self.share {
                Some(share) if !share.contains(next) => from = share.next_range(next)?,
                _ => return Some(next),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::selection::tests::selection;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_first_of_a_range_is_the_first_that_is_one(
            selection in selection(),
            (length, first, of) in (1..9u64, any::<u64>(), 1..5u64),
            frames in (0..80u64, 0..80u64),
        ) {
            let share = |own| FrameShare {
                length: NonZeroU64::new(length).unwrap(),
                first,
                own,
                of: NonZeroU64::new(of).unwrap(),
            };
            for share in (0..of).map(share).map(Some).chain([None]) {
                let wanted = Wanted { selection: selection.clone(), share };
                let expected = (frames.0..frames.1).find(|index| wanted.contains(*index));
                prop_assert_eq!(wanted.first_in(frames.0..frames.1), expected);
            }
        }
    }
}
