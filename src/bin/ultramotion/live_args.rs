//! What was typed after `live`.

use crate::{
    audit_args::duration,
    common_args::{DetectorArgs, DeviceArgs, SegmenterArgs, SelectionArgs},
    track_args::TrackArgs,
    words,
};
use clap::Args;
use std::{ffi::OsString, path::PathBuf, time::Duration};
use ultramotion::{
    geometry::Size,
    sources::{SourceOptions, StreamOptions},
};

#[derive(Debug, Args)]
pub(crate) struct LiveArgs {
    #[command(flatten)]
    pub(crate) input: LiveInputArgs,
    #[command(flatten)]
    pub(crate) output: LiveOutputArgs,
    #[command(flatten)]
    pub(crate) detector: DetectorArgs,
    #[command(flatten)]
    pub(crate) segmenter: SegmenterArgs,
    /// Boxes alone: objects get no masks
    #[arg(long, conflicts_with = "segmenter", help_heading = "Models")]
    pub(crate) no_segmenter: bool,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    #[command(flatten)]
    pub(crate) track: TrackArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

/// Where frames come from, and which of them count.
#[derive(Debug, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct LiveInputArgs {
    /// rtsp://, http(s)://, udp://, rtp://, tcp://, rtmp:// or srt:// and an address; a camera or capture card (/dev/video0), another device
    /// of FFmpeg's (v4l2:/dev/video0, lavfi:testsrc2,realtime); with --realtime a file
    #[arg(
        value_name = "INPUT",
        required_unless_present = "input",
        conflicts_with = "input",
        display_order = 0
    )]
    positional: Option<OsString>,
    /// The same as INPUT
    #[arg(short, long, value_name = "INPUT")]
    input: Option<OsString>,
    /// Play a file (video, DICOM cine, folder of numbered images) at its own pace
    #[arg(long)]
    pub(crate) realtime: bool,
    /// Begin a file again at its end, until the end is requested
    #[arg(long, requires = "realtime")]
    pub(crate) repeat: bool,
    #[command(flatten)]
    pub(crate) stream: StreamArgs,
    /// Drop no frame: where the models are behind, the stream waits and results are late
    #[arg(long)]
    pub(crate) every_frame: bool,
    /// End so long after the first frame (30s, 5m, 1h)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    /// End after so many frames with a result
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_frames: Option<u64>,
    /// Refuse pictures of more than this many pixels
    #[arg(long, value_name = "N", default_value_t = ultramotion::sources::DEFAULT_MAX_PIXELS)]
    pub(crate) max_pixels: u64,
    /// Where to decode video
    #[arg(long, value_name = "PLACE", default_value = "auto", value_parser = words::DECODE)]
    pub(crate) decode: String,
}

impl LiveInputArgs {
    /// The input, as it was typed.
    pub(crate) fn input(&self) -> OsString {
        let given = self.input.as_ref().or(self.positional.as_ref());
        given.cloned().unwrap_or_default()
    }
}

/// How streams are opened.
#[derive(Debug, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct StreamArgs {
    /// How long a stream may be silent before it is taken up again
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// End where the stream breaks, instead of taking it up again
    #[arg(long)]
    pub(crate) no_reconnect: bool,
    /// Width and height of the pictures of a camera or capture card, of those it offers
    #[arg(long, value_name = "WxH", value_parser = video_size)]
    pub(crate) video_size: Option<Size>,
    /// Pictures a second of a camera or capture card, of those it offers
    #[arg(long, value_name = "N")]
    pub(crate) rate: Option<f64>,
    /// Pixel format or codec of a camera or capture card by FFmpeg's name (mjpeg, yuyv422), of those it offers
    #[arg(long, value_name = "FORMAT")]
    pub(crate) camera_format: Option<String>,
    /// RTSP by UDP instead of TCP
    #[arg(long)]
    pub(crate) rtsp_udp: bool,
}

impl StreamArgs {
    /// The same for the library.
    pub(crate) fn options(&self, source: &SourceOptions) -> StreamOptions {
        StreamOptions {
            timeout: self.timeout,
            reconnect: !self.no_reconnect,
            size: self.video_size,
            rate: self.rate,
            format: self.camera_format.clone(),
            rtsp_over_udp: self.rtsp_udp,
            max_pixels: source.max_pixels,
            decode: source.decode,
            device: source.device.clone(),
        }
    }
}

/// `WxH` in pixels.
fn video_size(text: &str) -> Result<Size, String> {
    let side = |text: &str| text.trim().parse::<u32>().ok().filter(|side| *side > 0);
    let sides = text.split_once(['x', 'X', '×']);
    sides
        .and_then(|(width, height)| Some(Size::new(side(width)?, side(height)?)))
        .ok_or_else(|| "give width and height in pixels, as 1280x720".to_owned())
}

/// Where results go, beside stdout.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct LiveOutputArgs {
    /// Append figures of each frame and event to this file (JSON lines if it ends in .jsonl)
    #[arg(long, value_name = "FILE")]
    pub(crate) kpi: Option<PathBuf>,
}
