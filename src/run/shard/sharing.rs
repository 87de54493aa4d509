//! What one of several runs has in common with the others, and what is its own.

use super::{
    number::{Shard, ShardBy},
    owner::Owner,
};
use crate::{
    frame::SourceKind,
    run::{counts::InputProblem, journal::Ordinals, unreadable::Unreadable},
    sources::FrameShare,
};
use std::{
    num::NonZeroU64,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

/// A run's part in the work of several.
pub(crate) struct Sharing {
    shard: Shard,
    /// Places of its sources among all that can be read.
    ordinals: Arc<[usize]>,
    /// What the sources at `ordinals` are dealt out by, where ranges of their frames are: videos.
    videos: Vec<Option<u64>>,
    image_root: Option<PathBuf>,
    owner: OnceLock<Owner>,
    /// Inputs that cannot be read and are dealt to this shard.
    unreadable: Vec<Unreadable>,
    total: usize,
    has_all: bool,
}

impl Sharing {
    /// The share that `shard` has of `sources`, in the order of all shards, which are dealt out by the keys beside them. `has_all` says
    /// whether the plan goes on with the specifications of all of them, or with its own.
    pub(super) fn new(
        shard: &Shard,
        sources: impl Iterator<Item = (Result<SourceKind, InputProblem>, u64)>,
        image_root: Option<PathBuf>,
        has_all: bool,
    ) -> Self {
        let of = u64::from(shard.of);
        let own = u64::from(shard.number) - 1;
        let (mut ordinals, mut videos, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
        let (mut good, mut bad) = (0, 0);
        for (source, key) in sources {
            match source {
                Ok(kind) => {
                    let ranges = shard.by != ShardBy::Source && kind == SourceKind::Video;
                    if ranges || key % of == own {
                        ordinals.push(good);
                        videos.push(ranges.then_some(key));
                    }
                    good += 1;
                }
                Err(problem) => {
                    if key % of == own {
                        unreadable.push(Unreadable { at: bad, problem });
                    }
                    bad += 1;
                }
            }
        }
        Self {
            shard: shard.clone(),
            ordinals: ordinals.into(),
            videos,
            image_root,
            owner: OnceLock::new(),
            unreadable,
            total: good,
            has_all,
        }
    }

    pub(crate) fn shard(&self) -> &Shard {
        &self.shard
    }

    /// How many sources all shards have together.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// Whether the plan has the specifications of all sources, of which [`Sharing::ordinals`] picks this shard's; else it has these alone.
    pub(crate) fn has_all(&self) -> bool {
        self.has_all
    }

    pub(crate) fn ordinals(&self) -> Ordinals {
        Ordinals::Listed(self.ordinals.clone())
    }

    /// Positions of this shard's sources.
    pub(crate) fn listed(&self) -> &[usize] {
        &self.ordinals
    }

    pub(crate) fn unreadable(&self) -> &[Unreadable] {
        &self.unreadable
    }

    /// The folder of the pictures of all shards.
    pub(crate) fn image_root(&self) -> Option<PathBuf> {
        self.image_root.clone()
    }

    /// The frames of the source at `ordinal` that are this shard's; none where all are.
    pub(crate) fn frames_of(&self, ordinal: usize) -> Option<FrameShare> {
        let ShardBy::Frames(length) = self.shard.by else {
            return None;
        };
        let place = self.ordinals.binary_search(&ordinal).ok()?;
        Some(FrameShare {
            length,
            first: (*self.videos.get(place)?)?,
            own: u64::from(self.shard.number) - 1,
            of: NonZeroU64::new(u64::from(self.shard.of))?,
        })
    }

    /// Keeps the right to write until the run is over.
    pub(super) fn own(&self, owner: Owner) {
        let _ = self.owner.set(owner);
    }

    /// Who writes to the shard's folder: this process, unless another has taken over.
    pub(crate) fn owner(&self) -> Option<&Owner> {
        self.owner.get()
    }
}

impl std::fmt::Debug for Sharing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: {} of {} sources",
            self.shard,
            self.ordinals.len(),
            self.total
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_is_dealt_to_one_shard_and_each_range_of_a_video_too() {
        let bad = Err(InputProblem {
            input: "x".to_owned(),
            problem: "is broken".to_owned(),
            kind: Default::default(),
        });
        let sources = [
            (Ok(SourceKind::Image), 7),
            (bad, 8),
            (Ok(SourceKind::Video), 9),
            (Ok(SourceKind::Dicom), u64::MAX),
        ];
        for by in [ShardBy::Source, ShardBy::Frames(NonZeroU64::MIN)] {
            let shard = |number| {
                let shard = Shard::new(number, 3).unwrap().by(by);
                Sharing::new(&shard, sources.iter().cloned(), None, true)
            };
            let shards: Vec<Sharing> = (1..=3).map(shard).collect();
            let listed: Vec<&[usize]> = shards.iter().map(Sharing::listed).collect();
            assert_eq!(shards[2].unreadable().len(), 1);
            if by == ShardBy::Source {
                assert_eq!(listed, [&[1, 2][..], &[0], &[]]);
                assert!(shards[0].frames_of(1).is_none());
                continue;
            }
            assert_eq!(listed, [&[1, 2][..], &[0, 1], &[1]]);
            for frame in 0..20 {
                let takers = shards.iter().filter(|shard| {
                    let share = shard.frames_of(1);
                    share.is_some_and(|share| share.contains(frame))
                });
                assert_eq!(takers.count(), 1, "{frame}");
            }
            assert!(shards[0].frames_of(2).is_none(), "a series is dealt whole");
        }
    }
}
