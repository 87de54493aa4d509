//! Which frames of a source are wanted.

use super::{Decoding, Source, SourceError, SourceWarning};
use crate::frame::{Frame, SourceInfo};
use std::{num::NonZeroU64, ops::Range, str::FromStr, sync::Arc};

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

/// A source of which only the selected frames come out. The others are passed over by [`Source::skip_frame`]; what is
/// wrong with them is not reported, unless the source ends with it before the selection does.
pub struct Selected<S> {
    inner: S,
    selection: FrameSelection,
    next: u64,
    held: Option<SourceError>,
    /// Whether a frame of the selection came, or failed.
    came: bool,
    /// Of the selected frames, those of one of several runs.
    share: Option<FrameShare>,
}

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
}

impl<S: Source> Selected<S> {
    /// The frames of `inner` that `selection` names. `inner` stands before its frame 0. Where it ends before the first of them
    /// that is an error.
    pub fn new(inner: S, selection: FrameSelection) -> Self {
        Self {
            inner,
            selection,
            next: 0,
            held: None,
            came: false,
            share: None,
        }
    }

    /// The same, of which only the frames of `share` come out.
    pub(crate) fn shared(self, share: FrameShare) -> Self {
        Self {
            share: Some(share),
            ..self
        }
    }

    fn contains(&self, index: u64) -> bool {
        self.selection.contains(index) && self.share.is_none_or(|share| share.contains(index))
    }

    /// The end of the source: an error, once, if the selection begins behind it.
    fn ended(&mut self) -> Result<Option<Frame>, SourceError> {
        if let Some(error) = self.held.take() {
            self.came = true;
            return Err(error);
        }
        let start = self.selection.range.as_ref().map_or(0, |range| range.start);
        if std::mem::replace(&mut self.came, true) || start == 0 || self.next > start {
            return Ok(None);
        }
        let problem = match self.next {
            1 => format!("has one frame, number 0, and those from {start} on are selected"),
            count => format!(
                "has {count} frames, and those from {start} on are selected (they count from 0)"
            ),
        };
        Err(SourceError::new(&self.inner.info().path, problem)
            .with_remedy(format!("select frames below {}", self.next)))
    }

    /// Passes over one frame; false at the end.
    fn skip(&mut self) -> Result<bool, SourceError> {
        match self.inner.skip_frame() {
            Ok(true) => {
                self.next += 1;
                self.held = None;
                Ok(true)
            }
            Ok(false) => Ok(false),
            Err(error) => {
                self.next = error.next_index(self.next);
                self.held = Some(error);
                Ok(true)
            }
        }
    }
}

impl<S: Source> Source for Selected<S> {
    fn info(&self) -> &Arc<SourceInfo> {
        self.inner.info()
    }

    fn decoding(&self) -> Option<&Decoding> {
        self.inner.decoding()
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        self.inner.take_warnings()
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError> {
        loop {
            if self.selection.is_past(self.next) {
                return Ok(None);
            }
            if !self.contains(self.next) {
                if self.skip()? {
                    continue;
                }
                return self.ended();
            }
            match self.inner.next_frame() {
                Ok(Some(frame)) => {
                    self.next = frame.index + 1;
                    self.held = None;
                    if self.contains(frame.index) {
                        self.came = true;
                        return Ok(Some(frame));
                    }
                }
                Ok(None) => return self.ended(),
                Err(error) => {
                    self.came = true;
                    self.next = error.next_index(self.next);
                    return Err(error);
                }
            }
        }
    }
}

impl SourceError {
    /// The number of the frame after this error, where `expected` was due.
    fn next_index(&self, expected: u64) -> u64 {
        self.frame.map_or(expected, |frame| frame.max(expected)) + u64::from(self.frame.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        frame::{Channels, Image, SourceKind},
        geometry::Size,
    };
    use proptest::prelude::*;

    /// A source of frames 0, 1, 2 …, of which those of some numbers cannot be decoded.
    struct Numbers {
        info: Arc<SourceInfo>,
        next: u64,
        end: u64,
        broken: Vec<u64>,
    }

    impl Numbers {
        fn new(end: u64, broken: Vec<u64>) -> Self {
            let info = SourceInfo {
                ordinal: 0,
                path: "clip.mp4".into(),
                name: "clip".to_owned(),
                kind: SourceKind::Video,
                folder: None,
                frame_count: None,
                frame_rate: None,
                attributes: Default::default(),
            };
            Self {
                info: Arc::new(info),
                next: 0,
                end,
                broken,
            }
        }
    }

    impl Source for Numbers {
        fn info(&self) -> &Arc<SourceInfo> {
            &self.info
        }

        fn next_frame(&mut self) -> Result<Option<Frame>, SourceError> {
            if self.next == self.end {
                return Ok(None);
            }
            let number = self.next;
            self.next += 1;
            if self.broken.contains(&number) {
                return Err(SourceError::new("clip.mp4", "is damaged").at(number));
            }
            let pixel = Image::new(Size::new(1, 1), Channels::Gray, vec![0]).unwrap();
            Ok(Some(Frame::new(Arc::clone(&self.info), number, pixel)))
        }

        fn skip_frame(&mut self) -> Result<bool, SourceError> {
            self.next_frame().map(|frame| frame.is_some())
        }
    }

    fn selection() -> impl Strategy<Value = FrameSelection> {
        let range =
            proptest::option::of((0..40u64, 1..40u64).prop_map(|(start, n)| start..start + n));
        (range, 1..7u64).prop_map(|(range, stride)| FrameSelection {
            range,
            stride: NonZeroU64::new(stride).unwrap(),
        })
    }

    /// The numbers that a selection means, of the first `total`.
    fn naive(selection: &FrameSelection, total: u64) -> Vec<u64> {
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
                if selection.is_past(index) {
                    prop_assert!(expected.iter().all(|&wanted| wanted < index));
                }
            }
        }

        #[test]
        fn of_a_source_the_selected_frames_come_each_once(
            selection in selection(),
            total in 0..60u64,
            broken in proptest::collection::vec(0..60u64, 0..4),
        ) {
            let (mut found, mut failed, mut missing) = (Vec::new(), Vec::new(), 0);
            let mut source = Selected::new(Numbers::new(total, broken.clone()), selection.clone());
            loop {
                match source.next_frame() {
                    Ok(Some(frame)) => found.push(frame.index),
                    Ok(None) => break,
                    Err(error) if error.frame.is_some_and(|at| selection.contains(at)) => {
                        failed.extend(error.frame);
                    }
                    // The end came first; then there is nothing at all.
                    Err(_) => missing += 1,
                }
            }
            let (bad, good): (Vec<u64>, Vec<u64>) =
                naive(&selection, total).into_iter().partition(|index| broken.contains(index));
            prop_assert_eq!((&found, &failed), (&good, &bad));
            // An error of the selection itself, or of the frame with which the source ends.
            let may_end_in_error = found.is_empty() && failed.is_empty() || broken.contains(&(total.max(1) - 1));
            prop_assert!(missing == 0 || missing == 1 && may_end_in_error);
            prop_assert!(source.next_frame().is_ok_and(|frame| frame.is_none()));
        }

        #[test]
        fn shares_take_each_frame_once(
            selection in selection(),
            total in 0..60u64,
            (length, first, of) in (1..9u64, 0..100u64, 1..5u64),
        ) {
            let frames_of = |own| {
                let share = FrameShare {
                    length: NonZeroU64::new(length).unwrap(),
                    first,
                    own,
                    of: NonZeroU64::new(of).unwrap(),
                };
                let inner = Numbers::new(total, Vec::new());
                let mut source = Selected::new(inner, selection.clone()).shared(share);
                let mut found = Vec::new();
                loop {
                    match source.next_frame() {
                        Ok(Some(frame)) => found.push(frame.index),
                        Ok(None) => break,
                        Err(error) => assert!(found.is_empty() && naive(&selection, total).is_empty(), "{error}"),
                    }
                }
                found
            };
            let mut all: Vec<u64> = (0..of).flat_map(frames_of).collect();
            all.sort_unstable();
            prop_assert_eq!(all, naive(&selection, total));
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
