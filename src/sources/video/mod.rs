//! Video files through FFmpeg.
//!
//! video-rs's own decoder scales every frame with one colour matrix, drops what goes wrong and cannot read from memory;
//! so its FFmpeg bindings (`video_rs::ffmpeg`) are used directly.

mod clock;
mod decoder;
mod display_matrix;
mod ending;
mod ffmpeg;
mod input;
mod pixels;
mod support;

pub use support::{VideoSupport, video_support};

pub(super) use ffmpeg::{Probe, probe};

use super::{DEFAULT_MAX_PIXELS, Source, SourceError, SourceOptions, SourceSpec};
use crate::frame::{Frame, Physical, SourceInfo, SourceKind};
use decoder::VideoDecoder;
use input::VideoInput;
use std::{fs::File, io::Cursor, sync::Arc};

/// How a video is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoOptions {
    /// Threads of the decoder; 0 leaves it to FFmpeg (one for each core).
    pub threads: usize,
    /// Largest frame that is decoded, in pixels.
    pub max_pixels: u64,
}

impl Default for VideoOptions {
    fn default() -> Self {
        Self { threads: 0, max_pixels: DEFAULT_MAX_PIXELS }
    }
}

impl From<&SourceOptions> for VideoOptions {
    fn from(options: &SourceOptions) -> Self {
        Self { threads: options.decode_threads, max_pixels: options.max_pixels }
    }
}

/// A video file: every frame of its main video stream once, in presentation order.
///
/// - Numbers count the frames that the stream shows, from 0. A frame that is lost or damaged gives an error and keeps
///   its number; what the decoder patched up in its place is not given out.
/// - Times are the frames' own, from that of the first frame. Where the file has none, or one that goes backwards, the time
///   is the one before and one nominal frame (1/25 s where the file states no rate).
/// - Rotations and flips of the display matrix are applied, in steps of 90°. The shape of pixels (sample aspect ratio)
///   is not: a frame has the pixels of the file. Fields of interlaced video are not separated.
/// - YCbCr becomes RGB with the matrix and range that the frame states, BT.601 and limited range where it states none,
///   as FFmpeg does; grey formats stay grey; more than 8 bits are narrowed; alpha is composited over black. Each frame
///   has its own size. Neither transfer function nor primaries are converted.
pub struct VideoSource {
    info: Arc<SourceInfo>,
    physical: Option<Arc<Physical>>,
    decoder: VideoDecoder,
}

impl VideoSource {
    /// Opens a video file.
    ///
    /// # Errors
    /// [`SourceError`] if it cannot be read, its header is broken, it has no video stream, or FFmpeg has no decoder for it.
    pub fn open(spec: &SourceSpec, ordinal: usize, options: &VideoOptions) -> Result<Self, SourceError> {
        let file = File::open(&spec.path).map_err(|e| SourceError::new(&spec.path, format!("cannot be read: {e}")))?;
        let input = VideoInput::open(&spec.path, file)?;
        let info = SourceInfo {
            ordinal,
            path: spec.path.clone(),
            name: spec.name.clone(),
            kind: SourceKind::Video,
            frame_count: None,
            frame_rate: None,
            attributes: Default::default(),
        };
        Self::new(input, info, None, options)
    }

    /// Opens a video that lies in memory: a container or an elementary stream. `info` says what it belongs to; its frame
    /// count and rate are kept where given and filled in from the video where not. `physical` goes with every frame.
    ///
    /// # Errors
    /// As [`VideoSource::open`].
    pub fn from_bytes(
        bytes: impl AsRef<[u8]> + Send + 'static,
        info: SourceInfo,
        physical: Option<Arc<Physical>>,
        options: &VideoOptions,
    ) -> Result<Self, SourceError> {
        let input = VideoInput::open(&info.path, Cursor::new(bytes))?;
        Self::new(input, info, physical, options)
    }

    fn new(input: VideoInput, mut info: SourceInfo, physical: Option<Arc<Physical>>, options: &VideoOptions) -> Result<Self, SourceError> {
        info.frame_count = info.frame_count.or(input.facts().frame_count);
        info.frame_rate = info.frame_rate.or(input.facts().frame_rate);
        let decoder = VideoDecoder::new(info.path.clone(), input, options)?;
        Ok(Self { info: Arc::new(info), physical, decoder })
    }
}

impl Source for VideoSource {
    fn info(&self) -> &Arc<SourceInfo> {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError> {
        let Some((index, timestamp)) = self.decoder.advance()? else { return Ok(None) };
        let image = self.decoder.picture(index)?;
        Ok(Some(Frame {
            source: self.info.clone(),
            index,
            timestamp: Some(timestamp),
            file: None,
            pixels: image.into(),
            physical: self.physical.clone(),
            stored: None,
        }))
    }

    fn skip_frame(&mut self) -> Result<bool, SourceError> {
        self.decoder.advance().map(|frame| frame.is_some())
    }
}
