//! Which frames of a source are wanted.

use std::{num::NonZeroU64, ops::Range, str::FromStr};

/// The frames with numbers in `range` (those of the file, end exclusive), of these every `stride`th, the first included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameSelection {
    /// Frame numbers; none is every frame.
    pub range: Option<Range<u64>>,
    /// 1 is every frame of the range.
    pub stride: NonZeroU64,
}

/// A range of frames that was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given}: {problem}; use A..B (frames A to B-1, counted from 0), A.. or ..B")]
pub struct SelectionError {
    /// What the user gave.
    pub given: String,
    /// What was wrong.
    pub problem: &'static str,
}

impl Default for FrameSelection {
    fn default() -> Self {
        Self {
            range: None,
            stride: NonZeroU64::MIN,
        }
    }
}

impl FromStr for FrameSelection {
    type Err = SelectionError;

    /// `A..B`, `A..` or `..B`, end exclusive; the stride is 1.
    fn from_str(given: &str) -> Result<Self, SelectionError> {
        let error = |problem| SelectionError {
            given: given.to_owned(),
            problem,
        };
        let (start, end) = given
            .trim()
            .split_once("..")
            .ok_or_else(|| error("not a range"))?;
        let number = |text: &str, default| match text.trim() {
            "" => Ok(default),
            text => text.parse().map_err(|_| error("not a frame number")),
        };
        let range = number(start, 0)?..number(end, u64::MAX)?;
        if range.is_empty() {
            return Err(error("holds no frame"));
        }
        Ok(Self {
            range: Some(range),
            stride: NonZeroU64::MIN,
        })
    }
}

impl FrameSelection {
    /// The same range with a stride.
    #[must_use]
    pub fn with_stride(mut self, stride: NonZeroU64) -> Self {
        self.stride = stride;
        self
    }

    /// Whether nothing is left out.
    pub fn is_everything(&self) -> bool {
        self.stride.get() == 1 && self.range.as_ref().is_none_or(|r| *r == (0..u64::MAX))
    }

    /// Whether the frame with this number is wanted.
    pub fn contains(&self, index: u64) -> bool {
        let start = self.range.as_ref().map_or(0, |r| r.start);
        index >= start && !self.is_past(index) && (index - start) % self.stride == 0
    }

    /// The first wanted frame from this one on.
    pub(super) fn next_from(&self, index: u64) -> Option<u64> {
        let start = self.range.as_ref().map_or(0, |range| range.start);
        let steps = index.saturating_sub(start).div_ceil(self.stride.get());
        let next = steps.checked_mul(self.stride.get())?.checked_add(start)?;
        (!self.is_past(next)).then_some(next)
    }

    /// Whether neither this frame nor one after it is wanted.
    pub fn is_past(&self, index: u64) -> bool {
        self.range.as_ref().is_some_and(|r| index >= r.end)
    }

    /// How many of `total` frames are wanted.
    pub fn count_of(&self, total: u64) -> u64 {
        let range = self.range.clone().unwrap_or(0..u64::MAX);
        range
            .end
            .min(total)
            .saturating_sub(range.start)
            .div_ceil(self.stride.get())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(in crate::sources) fn selection() -> impl Strategy<Value = FrameSelection> {
        let range =
            proptest::option::of((0..40u64, 1..40u64).prop_map(|(start, n)| start..start + n));
        (range, 1..7u64).prop_map(|(range, stride)| FrameSelection {
            range,
            stride: NonZeroU64::new(stride).unwrap(),
        })
    }

    /// The numbers that a selection means, of the first `total`.
    pub(in crate::sources) fn naive(selection: &FrameSelection, total: u64) -> Vec<u64> {
        let range = selection.range.clone().unwrap_or(0..u64::MAX);
        (range.start..range.end.min(total).max(range.start))
            .step_by(selection.stride.get() as usize)
            .collect()
    }

    proptest! {
        #[test]
        fn it_is_the_plain_filter(selection in selection(), total in 0..60u64) {
            let expected = naive(&selection, total);
            prop_assert_eq!(selection.count_of(total), expected.len() as u64);
            for index in 0..total {
                prop_assert_eq!(selection.contains(index), expected.contains(&index));
                let next = expected.iter().copied().find(|wanted| *wanted >= index);
                prop_assert_eq!(selection.next_from(index).filter(|next| *next < total), next);
                if selection.is_past(index) {
                    prop_assert!(expected.iter().all(|&wanted| wanted < index));
                }
            }
        }

        #[test]
        fn ranges_are_read_as_they_are_written(start in 0..1000u64, count in 1..1000u64) {
            let end = start + count;
            let read = |text: String| text.parse::<FrameSelection>().unwrap().range;
            prop_assert_eq!(read(format!("{start}..{end}")), Some(start..end));
            prop_assert_eq!(read(format!(" {start} .. ")), Some(start..u64::MAX));
            prop_assert_eq!(read(format!("..{end}")), Some(0..end));
            let empty = format!("{end}..{start}");
            prop_assert!(empty.parse::<FrameSelection>().is_err());
        }
    }
}
