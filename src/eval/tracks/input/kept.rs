//! What the readers have in common.

use crate::{
    coco::Segmentation,
    eval::{
        error::EvalError,
        masks::checked_runs,
        tracks::{
            set::{Frame, Object, Sequence, TrackSet},
            shape::Runs,
        },
    },
};
use std::{collections::BTreeMap, path::Path};

/// Which of the two files is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::eval::tracks) enum Side {
    Truth,
    Predictions,
}

/// A mask as runs; none for an empty list of polygons.
pub(super) fn mask(
    segmentation: &Segmentation<'_>,
    size: Option<[u32; 2]>,
) -> Result<Option<Runs>, String> {
    let found = checked_runs(segmentation, size)?;
    Ok(found.map(|rle| Runs::new([rle.h, rle.w], &rle.counts)))
}

/// `[x0, y0, x1, y1]` of `[x, y, width, height]`.
pub(super) fn corners([x, y, width, height]: [f64; 4]) -> [f64; 4] {
    [x, y, x + width, y + height]
}

/// What is wrong with the numbers of a box `[x0, y0, x1, y1]`, in words.
pub(super) fn check_corners(corners: [f64; 4]) -> Result<(), String> {
    /// No box goes beyond this many pixels, so that no product overflows.
    const LARGEST: f64 = 2e9;
    if !corners.iter().all(|v| v.abs() <= LARGEST) {
        return Err(format!("the box {corners:?} is beyond any picture"));
    }
    if corners[2] < corners[0] || corners[3] < corners[1] {
        return Err(format!(
            "the box {corners:?} has a negative width or height"
        ));
    }
    Ok(())
}

/// Frames by number.
#[derive(Debug, Default)]
pub(super) struct Frames(BTreeMap<u64, Frame>);

impl Frames {
    /// Adds a frame.
    ///
    /// # Errors
    /// If it is there.
    pub(super) fn add(&mut self, frame: Frame) -> Result<(), String> {
        let number = frame.number;
        match self.0.insert(number, frame) {
            Some(_) => Err(format!("frame {number} is there twice")),
            None => Ok(()),
        }
    }

    /// Adds an object to the frame of this number.
    pub(super) fn push(&mut self, number: u64, object: Object) {
        let frame = self.0.entry(number).or_insert_with(|| Frame {
            number,
            ..Frame::default()
        });
        frame.objects.push(object);
    }

    pub(super) fn into_sequence(self, name: String, length: Option<u64>) -> Sequence {
        Sequence {
            name,
            frames: self.0.into_values().collect(),
            length,
        }
    }
}

/// Refuses tracks that are twice in a frame, and predictions of which none has a track.
pub(super) fn checked(set: TrackSet) -> Result<TrackSet, EvalError> {
    let mut objects = 0u64;
    for sequence in &set.sequences {
        for frame in &sequence.frames {
            objects += frame.objects.len() as u64;
            if let Some(track) = twice(&frame.objects) {
                let problem = format!(
                    "sequence {}, frame {}: track {track} is there twice",
                    sequence.name, frame.number
                );
                return Err(EvalError::new(&set.path, problem)
                    .with_remedy("give each object of a frame a number of its own"));
            }
        }
    }
    if objects == 0 && set.untracked > 0 {
        return Err(no_tracks(&set.path));
    }
    Ok(set)
}

/// The error of a file whose objects have no tracks.
pub(super) fn no_tracks(path: &Path) -> EvalError {
    EvalError::new(path, "none of its objects has a track").with_remedy(
        "give a file with track_id at each object, such as the output of a run that tracks",
    )
}

/// A track that two of `objects` have.
fn twice(objects: &[Object]) -> Option<i64> {
    use crate::eval::tracks::set::Role;
    let mut tracks: Vec<i64> = objects
        .iter()
        .filter(|object| !matches!(object.role, Role::Crowd | Role::CrowdOfAll))
        .map(|object| object.track)
        .collect();
    tracks.sort_unstable();
    tracks.windows(2).find(|w| w[0] == w[1]).map(|w| w[0])
}
