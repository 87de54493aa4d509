//! What a segmentation object is made with.

use super::codes::SegCodes;
use serde::{Deserialize, Serialize};

/// How masks are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SegType {
    /// Segmentation Storage, BINARY: a bit a pixel, a frame for each segment and frame of the source. Segments may overlap.
    #[default]
    Binary,
    /// Label Map Segmentation Storage, LABELMAP: the segment's number a pixel, one frame for each frame of the source. Where
    /// objects overlap the one with the best score has the pixel.
    LabelMap,
}

/// The geometry of frames whose source has none: no Frame of Reference with orientation, position and spacing. A source's own
/// geometry is always copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SegGeometry {
    /// None: frames refer to those of the source by number, as the standard has it.
    #[default]
    Source,
    /// A made-up Frame of Reference in which frames lie 1 mm apart along z, for readers that insist on one. Content
    /// Description says so.
    Frames,
}

/// What made the masks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegAlgorithm {
    /// Its name, 64 characters at most.
    pub name: String,
    /// Its version, 64 characters at most.
    pub version: String,
    /// Models in the order of their use: role or name, and digest such as `sha256:…`.
    pub models: Vec<(String, String)>,
    /// Whether a person gave boxes or points to it: Segment Algorithm Type SEMIAUTOMATIC instead of AUTOMATIC.
    pub guided: bool,
}

impl SegAlgorithm {
    /// An algorithm that worked without a person.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            ..Self::default()
        }
    }

    /// Adds a model: its role or name, and its digest such as `sha256:…`.
    #[must_use]
    pub fn with_model(mut self, name: impl Into<String>, digest: impl Into<String>) -> Self {
        self.models.push((name.into(), digest.into()));
        self
    }
}

/// How segmentation objects are written.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SegOptions {
    /// How masks are stored.
    pub seg_type: SegType,
    /// The geometry of frames whose source has none.
    pub geometry: SegGeometry,
    /// Writes Deflated Explicit VR Little Endian instead of Explicit VR Little Endian.
    pub deflate: bool,
    /// Codes of the classes.
    pub codes: SegCodes,
    /// Copies the attributes of patient and study from the source. Otherwise a pseudonym made of the Study Instance UID stands
    /// for the patient, and 1900-01-01 for all dates. References to the source by UID are there in either case.
    pub keep_patient_data: bool,
    /// What made the masks; none for those that people drew (Segment Algorithm Type MANUAL).
    pub algorithm: Option<SegAlgorithm>,
}
