//! How a source is divided.

use super::part::Part;
use crate::sources::{SourceError, video::VideoParts};
use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

/// Whether a source is decoded in parts.
#[derive(Debug, Clone)]
pub(crate) enum Division {
    /// It is not.
    Whole {
        /// Why it cannot be, as a clause about "it"; none where nobody would expect that it is.
        reason: Option<String>,
    },
    /// It is.
    Parts(Divided),
}

impl Division {
    pub(super) fn whole(reason: impl Into<String>) -> Self {
        Self::Whole {
            reason: Some(reason.into()),
        }
    }

    /// A source that is too short, or of one frame.
    pub(super) const SHORT: Self = Self::Whole { reason: None };
}

/// A source in at least two parts. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Divided(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: Vec<Part>,
    content: Content,
}

/// What opening a part takes.
#[derive(Debug)]
pub(super) enum Content {
    /// Numbered images.
    Sequence,
    /// Pages of a TIFF.
    Pages,
    /// Frames of a DICOM file that stand alone.
    Dicom,
    /// Files of a DICOM series, with the range of their values once it was needed.
    Series(Arc<OnceLock<(f64, f64)>>),
    /// A video file.
    Video(Arc<VideoParts>),
}

impl Divided {
    /// The parts, in order; together they are all frames of the source.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.0.parts
    }

    /// The part with this number.
    ///
    /// # Errors
    /// [`SourceError`] about the source at `path` if there is no such part.
    pub(super) fn part(&self, number: usize, path: &Path) -> Result<Part, SourceError> {
        let part = self.0.parts.get(number).copied();
        part.ok_or_else(|| SourceError::new(path, format!("has no part {number}")))
    }

    pub(super) fn content(&self) -> &Content {
        &self.0.content
    }

    /// A video that was divided.
    pub(super) fn video(video: VideoParts) -> Self {
        let firsts: Vec<u64> = video.firsts().collect();
        let ends = firsts.iter().skip(1).copied().map(Some).chain([None]);
        let parts = firsts
            .iter()
            .zip(ends)
            .map(|(&first, end)| Part { first, end })
            .collect();
        let content = Content::Video(Arc::new(video));
        Self(Arc::new(Inner { parts, content }))
    }

    /// `count` frames, any of which may begin a part, in parts of `least`.
    pub(super) fn evenly(count: u64, least: u64, content: Content) -> Division {
        let least = least.max(1);
        let number = count.div_ceil(least);
        if number < 2 {
            return Division::SHORT;
        }
        let parts = (0..number)
            .map(|n| Part {
                first: n * least,
                end: (n + 1 < number).then_some((n + 1) * least),
            })
            .collect();
        Division::Parts(Self(Arc::new(Inner { parts, content })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_follow_on_each_other(count in 0..500u64, least in 0..600u64) {
            let Division::Parts(divided) = Divided::evenly(count, least, Content::Sequence) else {
                prop_assert!(count <= least.max(1));
                return Ok(());
            };
            let mut next = 0;
            for part in divided.parts() {
                prop_assert_eq!(part.first, next);
                let end = part.end.unwrap_or(count);
                prop_assert!(end > part.first && (part.end.is_none() || end - part.first >= least));
                next = end;
            }
            prop_assert_eq!(next, count);
            prop_assert!(divided.parts().last().is_some_and(|last| last.end.is_none()));
        }
    }
}
