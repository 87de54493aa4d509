//! How sources are read.

use super::{
    decode::{Decode, DecodeDevice},
    renamed::{Alias, Aliases},
    selection::FrameSelection,
    spec::SourceSpec,
};
use crate::dicom::DicomOptions;
use std::sync::Arc;

/// How sources are read.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    /// Which frames of each source are wanted.
    pub selection: FrameSelection,
    /// Where videos are decoded.
    pub decode: Decode,
    /// The device that may decode them; a run takes that of its models where there is none.
    pub device: Option<DecodeDevice>,
    /// Threads of a video decoder on the CPU, and of the conversion of its frames to RGB; 0 is one for each core.
    pub decode_threads: usize,
    /// Largest picture that is decoded, in pixels; one frame of it takes up to 8 bytes a pixel while being decoded.
    pub max_pixels: u64,
    /// How DICOM is read; its window also scales grey images of more than 8 bits.
    pub dicom: DicomOptions,
    /// Neutral names of sources.
    pub aliases: Option<Arc<Aliases>>,
}

impl SourceOptions {
    /// The alias of a source; none where it has its own name.
    pub(crate) fn alias(&self, spec: &SourceSpec) -> Option<&Alias> {
        self.aliases.as_ref()?.of(spec)
    }
}

/// Default of [`SourceOptions::max_pixels`]: 16,384 × 8,192.
pub const DEFAULT_MAX_PIXELS: u64 = 16_384 * 8_192;

impl Default for SourceOptions {
    fn default() -> Self {
        Self {
            selection: FrameSelection::default(),
            decode: Decode::default(),
            device: None,
            decode_threads: 0,
            max_pixels: DEFAULT_MAX_PIXELS,
            dicom: DicomOptions::default(),
            aliases: None,
        }
    }
}
