//! Objects of one file, as they are compared: sequences of frames of objects with tracks.

use super::shape::Runs;
use std::path::PathBuf;

/// A file or folder of tracks.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct TrackSet {
    pub(super) path: PathBuf,
    pub(super) format: Format,
    /// Classes that it names; of MOT text without names, none.
    pub(super) classes: Vec<Class>,
    /// Whether their names are those of MOTS itself, because no list names them.
    pub(super) default_names: bool,
    pub(super) sequences: Vec<Sequence>,
    /// Objects without a track, which were left out.
    pub(super) untracked: u64,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Format {
    /// COCO, the record of a run, or another data set whose frames are listed.
    #[default]
    Listed,
    /// MOTChallenge text without a list of class names.
    Mot,
    /// MOTChallenge text with one.
    NamedMot,
    /// MOTS text.
    Mots,
}

impl Format {
    /// Whether frames without objects are listed too, so that one that is missing was not looked at.
    pub(super) fn lists_frames(self) -> bool {
        self == Self::Listed
    }
}

/// A class of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) id: i64,
    pub(super) name: String,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sequence {
    pub(super) name: String,
    /// By number, each once.
    pub(super) frames: Vec<Frame>,
    /// Frames, where the file says so; of text without it none.
    pub(super) length: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Frame {
    /// From 0.
    pub(super) number: u64,
    /// The picture's file name, where the file has one.
    pub(super) image: Option<String>,
    /// Height, width in pixels, where they are stated.
    pub(super) size: Option<[u32; 2]>,
    /// In the order of the file.
    pub(super) objects: Vec<Object>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Object {
    /// The track's number in its sequence; of a crowd it says nothing.
    pub(super) track: i64,
    /// The class's id in its file.
    pub(super) class: i64,
    /// `[x0, y0, x1, y1]` in pixels.
    pub(super) corners: [f64; 4],
    pub(super) mask: Option<Runs>,
    pub(super) score: Option<f64>,
    pub(super) role: Role,
}

/// What an object of the ground truth is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Role {
    #[default]
    Object,
    /// Marked as not to be considered.
    Unmarked,
    /// A region in which predictions of its class are not judged.
    Crowd,
    /// A region in which no prediction is judged.
    CrowdOfAll,
}
