//! What was typed after `live`.

use crate::{
    audit_args::duration,
    common_args::{DetectorArgs, DeviceArgs, SegmenterArgs, SelectionArgs},
    igtl_args::{IgtlArgs, IgtlInputArgs},
    stream_args::StreamArgs,
    track_args::TrackArgs,
    words,
};
use clap::Args;
use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

#[derive(Debug, Args)]
pub(crate) struct LiveArgs {
    #[command(flatten)]
    pub(crate) input: LiveInputArgs,
    #[command(flatten)]
    pub(crate) output: LiveOutputArgs,
    #[command(flatten)]
    pub(crate) igtl: IgtlArgs,
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
    /// of FFmpeg's (v4l2:/dev/video0, lavfi:testsrc2,realtime); igtl://HOST[:PORT][/DEVICE], a server of OpenIGTLink such as PLUS; with
    /// --realtime a file
    #[arg(
        value_name = "INPUT",
        required_unless_present_any = ["input", "igtl_listen"],
        conflicts_with_all = ["input", "igtl_listen"],
        display_order = 0
    )]
    positional: Option<OsString>,
    /// The same as INPUT
    #[arg(short, long, value_name = "INPUT", conflicts_with = "igtl_listen")]
    input: Option<OsString>,
    #[command(flatten)]
    pub(crate) igtl: IgtlInputArgs,
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

/// Where results go, beside stdout.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct LiveOutputArgs {
    /// Record into this folder what `pipeline` writes; made if missing, refused if not empty. What cannot be written as fast as it comes
    /// is left out and counted, unless --every-frame
    #[arg(long, value_name = "DIR")]
    pub(crate) record: Option<PathBuf>,
    /// What to record, separated by commas [default: coco,masks,overlay; without a segmenter coco,overlay]
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = words::WRITE, requires = "record")]
    pub(crate) write: Option<Vec<String>>,
    /// Remove an earlier run's results from the folder first
    #[arg(long, requires = "record")]
    pub(crate) overwrite: bool,
    /// Show a page at this address: the newest frame with what was found, latency, rates, events. On the loopback interface (127.0.0.1,
    /// [::1]) only this machine reaches it; elsewhere anyone who reaches the address can watch. Port 0 is any that is free
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) monitor: Option<SocketAddr>,
    /// Append figures of each frame and event to this file (JSON lines if it ends in .jsonl)
    #[arg(long, value_name = "FILE")]
    pub(crate) kpi: Option<PathBuf>,
}
