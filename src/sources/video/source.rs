//! A video as a source of frames.

use super::{
    VideoOptions,
    decoder::{Step, VideoDecoder},
    gpu,
    input::{Facts, VideoInput},
    nvdec::VideoDevice,
};
use crate::{
    frame::{Frame, Physical, SourceInfo, SourceKind},
    sources::{Decode, Decoding, IssueKind, Source, SourceError, SourceSpec, SourceWarning},
};
use std::{fs::File, io::Cursor, sync::Arc, time::Duration};

/// A video file: every frame of its main video stream once, in presentation order.
///
/// - Numbers count the frames that the stream shows, from 0. A frame that is lost or damaged gives an error and keeps
///   its number; what the decoder patched up in its place is not given out.
/// - Times are the frames' own, from that of the first frame. Where the file has none, or one that goes backwards, the time
///   is the one before and one nominal frame (1/25 s where the file states no rate).
/// - Rotations and flips of the display matrix are applied, in steps of 90°. The shape of pixels (sample aspect ratio)
///   is not: a frame has the pixels of the file, and [`Physical::pixel_aspect`]. Fields of interlaced video are not separated.
/// - YCbCr becomes RGB with the matrix and range that the frame states, BT.601 and limited range where it states none,
///   as FFmpeg does; grey formats stay grey; more than 8 bits are narrowed; alpha is composited over black. Each frame
///   has its own size. Neither transfer function nor primaries are converted.
/// - On the GPU, H.264 and HEVC of 8 bits in 4:2:0 are decoded into device memory ([`crate::engine::Surface`]), with the same numbers, times and
///   turns. Damage that only shows inside of a picture's coded data is concealed there and not reported.
pub struct VideoSource {
    info: Arc<SourceInfo>,
    physical: Option<Arc<Physical>>,
    /// Opens the input once more.
    open: Opener,
    options: VideoOptions,
    /// `None` after the end.
    decoder: Option<VideoDecoder>,
    decoding: Decoding,
    warnings: Vec<SourceWarning>,
    /// The frame at which damage was met, until an error follows from it.
    concealed: Option<u64>,
}

/// Opens a video from its start.
type Opener = Box<dyn Fn() -> Result<VideoInput, SourceError> + Send>;

/// Bytes that several readers share.
struct SharedBytes<T>(Arc<T>);

impl<T: AsRef<[u8]>> AsRef<[u8]> for SharedBytes<T> {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

impl VideoSource {
    /// Opens a video file.
    ///
    /// # Errors
    /// [`SourceError`] if it cannot be read, its header is broken, it has no video stream, or FFmpeg has no decoder for it.
    pub fn open(
        spec: &SourceSpec,
        ordinal: usize,
        options: &VideoOptions,
    ) -> Result<Self, SourceError> {
        let path = spec.path.clone();
        let open = move || {
            let file = File::open(&path)
                .map_err(|e| SourceError::new(&path, format!("cannot be read: {e}")))?;
            let input = VideoInput::open(&path, file)?;
            Ok(match File::open(&path) {
                Ok(second) => input.judged_by(second),
                Err(_) => input,
            })
        };
        let input = open()?;
        let info = file_info(spec, ordinal, input.facts());
        Self::new(Box::new(open), input, info, None, options)
    }

    /// Opens a video that lies in memory: a container or an elementary stream. `info` says what it belongs to; its frame
    /// count and rate are kept where given and filled in from the video where not. `physical` goes with every frame.
    ///
    /// # Errors
    /// As [`VideoSource::open`].
    pub fn from_bytes(
        bytes: impl AsRef<[u8]> + Send + Sync + 'static,
        info: SourceInfo,
        physical: Option<Arc<Physical>>,
        options: &VideoOptions,
    ) -> Result<Self, SourceError> {
        let (path, bytes) = (info.path.clone(), Arc::new(bytes));
        let reader = move || Cursor::new(SharedBytes(bytes.clone()));
        let open = move || Ok(VideoInput::open(&path, reader())?.judged_by(reader()));
        let input = open()?;
        let info = with_facts(info, input.facts());
        Self::new(Box::new(open), input, info, physical, options)
    }

    fn new(
        open: Opener,
        input: VideoInput,
        info: SourceInfo,
        physical: Option<Arc<Physical>>,
        options: &VideoOptions,
    ) -> Result<Self, SourceError> {
        let (device, decoding) = device_of(&input, &info, options)?;
        let decoder = VideoDecoder::new(info.path.clone(), input, options, device)?;
        let options = options.clone();
        Ok(Self {
            info: Arc::new(info),
            physical,
            open,
            options,
            decoder: Some(decoder),
            decoding,
            warnings: Vec::new(),
            concealed: None,
        })
    }

    /// Number and time of the next frame. If the device refuses the stream at the first frame, decoding starts again on the CPU, which uses
    /// more threads; at a later frame the decoder continues in host memory. If damage is met, decoding starts again on one thread.
    fn advance(&mut self) -> Result<Option<(u64, Duration)>, SourceError> {
        loop {
            let Some(decoder) = &mut self.decoder else {
                return Ok(None);
            };
            let step = decoder.advance();
            if step.is_err() {
                self.concealed = None;
            }
            let (index, time) = match step? {
                Step::Frame(index, time) => (index, time),
                Step::Damage(given) => {
                    self.decoder = None;
                    self.concealed = Some(given);
                    self.decoder = Some(VideoDecoder::beyond(
                        given,
                        self.info.path.clone(),
                        (self.open)()?,
                        &self.options,
                    )?);
                    continue;
                }
                Step::End => {
                    self.warnings.extend(decoder.take_warning());
                    self.warnings.extend(
                        self.concealed
                            .take()
                            .map(|from| concealed(&self.info, from)),
                    );
                    self.decoder = None;
                    return Ok(None);
                }
            };
            let Some(reason) = decoder.refusal().filter(|_| self.decoding.on_gpu) else {
                return Ok(Some((index, time)));
            };
            if self.options.decode == Decode::Gpu {
                self.decoder = None;
                return Err(not_on_gpu(&self.info, &reason).at(index));
            }
            self.decoding = Decoding::on_cpu(Some(reason));
            if index > 0 {
                return Ok(Some((index, time)));
            }
            self.decoder = Some(VideoDecoder::new(
                self.info.path.clone(),
                (self.open)()?,
                &self.options,
                None,
            )?);
        }
    }

    /// Runs `work` as decoding, within the device's lock against captures if there is a device.
    fn working<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        match self
            .decoder
            .as_ref()
            .and_then(VideoDecoder::device)
            .cloned()
        {
            Some(device) => device.work(|| work(self)),
            None => work(self),
        }
    }
}

impl Drop for VideoSource {
    fn drop(&mut self) {
        // A decoder ends on the device too.
        self.working(|source| source.decoder = None);
    }
}

/// The facts of a video file.
pub(super) fn file_info(spec: &SourceSpec, ordinal: usize, facts: &Facts) -> SourceInfo {
    let info = SourceInfo {
        ordinal,
        path: spec.path.clone(),
        name: spec.name.clone(),
        kind: SourceKind::Video,
        folder: None,
        frame_count: None,
        frame_rate: None,
        attributes: Default::default(),
    };
    with_facts(info, facts)
}

/// `info` with the frame count and rate of the video where it has none.
fn with_facts(info: SourceInfo, facts: &Facts) -> SourceInfo {
    SourceInfo {
        frame_count: info.frame_count.or(facts.frame_count),
        frame_rate: info.frame_rate.or(facts.frame_rate),
        ..info
    }
}

/// The device that decodes the stream of `input`, if it is not the CPU, and what is said of it.
///
/// # Errors
/// [`SourceError`] if it must be a GPU and cannot be.
pub(super) fn device_of<'a>(
    input: &VideoInput,
    info: &SourceInfo,
    options: &'a VideoOptions,
) -> Result<(Option<&'a VideoDevice>, Decoding), SourceError> {
    if options.decode == Decode::Cpu {
        return Ok((None, Decoding::on_cpu(None)));
    }
    match gpu::device_for(input, options) {
        Ok(device) => Ok((Some(device), Decoding::on_gpu())),
        Err(reason) if options.decode == Decode::Gpu => Err(not_on_gpu(info, &reason)),
        Err(reason) => {
            let reason = options.has_gpu().then_some(reason);
            Ok((None, Decoding::on_cpu(reason)))
        }
    }
}

/// Keeps the shape of pixels with the physical facts.
pub(super) fn with_aspect(physical: &mut Option<Arc<Physical>>, aspect: Option<[u32; 2]>) {
    if physical.as_ref().and_then(|physical| physical.pixel_aspect) != aspect {
        let others = physical.as_deref().cloned().unwrap_or_default();
        *physical = Some(Arc::new(Physical {
            pixel_aspect: aspect,
            ..others
        }))
        .filter(|p| **p != Physical::default());
    }
}

fn concealed(info: &SourceInfo, from: u64) -> SourceWarning {
    let problem =
        "its coded data are damaged from about this frame on, and the decoder concealed it";
    SourceWarning::new(&info.path, problem)
        .at(from)
        .with_remedy("look at the frames that follow, or fetch the file again")
}

fn not_on_gpu(info: &SourceInfo, reason: &str) -> SourceError {
    SourceError::new(
        &info.path,
        format!("cannot be decoded on the GPU: {reason}"),
    )
    .with_kind(IssueKind::GpuDecoding)
    .with_remedy(
        "decode it on the CPU, or convert it to H.264 of 8 bits in 4:2:0 and run on a CUDA device",
    )
}

impl Source for VideoSource {
    fn info(&self) -> &Arc<SourceInfo> {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError> {
        let next = self.working(|source| {
            let Some((index, timestamp)) = source.advance()? else {
                return Ok(None);
            };
            let Some(decoder) = &mut source.decoder else {
                return Ok(None);
            };
            let aspect = decoder.pixel_aspect();
            Ok(Some((index, timestamp, aspect, decoder.picture(index)?)))
        })?;
        let Some((index, timestamp, aspect, pixels)) = next else {
            return Ok(None);
        };
        with_aspect(&mut self.physical, aspect);
        Ok(Some(Frame {
            source: self.info.clone(),
            index,
            timestamp: Some(timestamp),
            file: None,
            pixels,
            physical: self.physical.clone(),
            exif_orientation: None,
            stored: None,
        }))
    }

    fn skip_frame(&mut self) -> Result<bool, SourceError> {
        self.working(Self::advance).map(|frame| frame.is_some())
    }

    fn decoding(&self) -> Option<&Decoding> {
        Some(&self.decoding)
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        std::mem::take(&mut self.warnings)
    }
}
