//! Options of video decoding.

use crate::sources::{DEFAULT_MAX_PIXELS, Decode, DecodeDevice, SourceOptions};

/// How a video is decoded.
#[derive(Debug, Clone)]
pub struct VideoOptions {
    /// Threads of a decoder on the CPU, and of the conversion of its frames to RGB; 0 is one for each core. Neither frames nor
    /// errors depend on it: a stream in which damage shows is decoded anew from its start, on one thread.
    pub threads: usize,
    /// Whether frames stay planes, as [`SourceOptions::planes`].
    pub planes: bool,
    /// Largest frame that is decoded, in pixels.
    pub max_pixels: u64,
    /// Where it is decoded.
    pub decode: Decode,
    /// The device, where there is one.
    pub device: Option<DecodeDevice>,
}

impl VideoOptions {
    pub(super) fn has_gpu(&self) -> bool {
        self.device.as_ref().is_some_and(DecodeDevice::is_gpu)
    }
}

impl Default for VideoOptions {
    fn default() -> Self {
        Self {
            threads: 0,
            planes: false,
            max_pixels: DEFAULT_MAX_PIXELS,
            decode: Decode::default(),
            device: None,
        }
    }
}

impl From<&SourceOptions> for VideoOptions {
    fn from(options: &SourceOptions) -> Self {
        let (decode, device) = (options.decode, options.device.clone());
        Self {
            threads: options.decode_threads,
            planes: options.planes,
            max_pixels: options.max_pixels,
            decode,
            device,
        }
    }
}
