//! The selected frames of a source.

use super::{
    Decoding, Source, SourceError, SourceWarning,
    selection::FrameSelection,
    wanted::{FrameShare, Wanted},
};
use crate::frame::{Frame, SourceInfo};
use std::sync::Arc;

/// A source of which only the selected frames come out. The others are passed over by [`Source::skip_frame`]; what is
/// wrong with them is not reported, unless the source ends with it before the selection does.
pub struct Selected<S> {
    inner: S,
    wanted: Wanted,
    next: u64,
    held: Option<SourceError>,
    /// Whether a frame of the selection came, or failed.
    came: bool,
}

impl<S: Source> Selected<S> {
    /// The frames of `inner` that `selection` names. `inner` stands before its frame 0. Where it ends before the first of them
    /// that is an error.
    pub fn new(inner: S, selection: FrameSelection) -> Self {
        Self {
            inner,
            wanted: Wanted::selected(selection),
            next: 0,
            held: None,
            came: false,
        }
    }

    /// The same, of which only the frames of `share` come out.
    pub(crate) fn shared(self, share: FrameShare) -> Self {
        let share = Some(share);
        Self {
            wanted: Wanted {
                share,
                ..self.wanted
            },
            ..self
        }
    }

    /// The end of the source: an error, once, if the selection begins behind it.
    fn ended(&mut self) -> Result<Option<Frame>, SourceError> {
        if let Some(error) = self.held.take() {
            self.came = true;
            return Err(error);
        }
        let start = self
            .wanted
            .selection
            .range
            .as_ref()
            .map_or(0, |range| range.start);
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
            if self.wanted.selection.is_past(self.next) {
                return Ok(None);
            }
            if !self.wanted.contains(self.next) {
                if self.skip()? {
                    continue;
                }
                return self.ended();
            }
            match self.inner.next_frame() {
                Ok(Some(frame)) => {
                    self.next = frame.index + 1;
                    self.held = None;
                    if self.wanted.contains(frame.index) {
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
        sources::selection::tests::{naive, selection},
    };
    use proptest::prelude::*;
    use std::num::NonZeroU64;

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

    proptest! {
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
    }
}
