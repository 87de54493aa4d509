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
    /// Frames of each source that are read.
    pub selection: FrameSelection,
    /// Device that decodes videos.
    pub decode: Decode,
    /// GPU that may decode videos; `None` for that of the run's models.
    pub device: Option<DecodeDevice>,
    /// Threads of a video decoder on the CPU, and of the conversion of its frames to RGB; 0 for one per core.
    pub decode_threads: usize,
    /// Whether videos that the CPU decodes stay planes of YCbCr ([`crate::frame::Pixels::Planes`]), for a GPU to convert: those of 8 to 16
    /// bits in 4:2:0, 4:2:2 and 4:4:4. Others become grey or RGB all the same.
    pub planes: bool,
    /// Limit on the pixels of a picture; larger ones are an error. Decoding takes up to 8 bytes a pixel.
    pub max_pixels: u64,
    /// Options of DICOM; the window also scales grey images of more than 8 bits.
    pub dicom: DicomOptions,
    /// Neutral names of sources.
    pub aliases: Option<Arc<Aliases>>,
}

impl SourceOptions {
    /// The alias of a source; `None` where it keeps its own name.
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
            planes: false,
            max_pixels: DEFAULT_MAX_PIXELS,
            dicom: DicomOptions::default(),
            aliases: None,
        }
    }
}
