//! Options of network streams and devices.

use crate::{audit_args::duration, common_args::InputArgs, igtl_args, inputs::usage};
use clap::Args;
use std::time::Duration;
use ultramotion::{
    Run,
    engine::Engine,
    geometry::Size,
    live::{LiveSource, StreamInput},
    progress::Cancel,
    sources::{DecodeDevice, Selected, SourceOptions, StreamAddress, StreamOptions},
};

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

/// The streams among the inputs, opened, which `cancel` ends; `engine` decodes them where it can.
pub(crate) fn open(
    args: &InputArgs,
    options: &SourceOptions,
    engine: Option<&Engine>,
    cancel: &Cancel,
) -> anyhow::Result<Vec<LiveSource>> {
    let of_models = engine.map(DecodeDevice::new);
    let options = SourceOptions {
        device: options.device.clone().or(of_models),
        ..options.clone()
    };
    let open = |text: String| {
        if text.starts_with(igtl_args::SCHEME) {
            let (timeout, max_pixels) = (args.stream.timeout, options.max_pixels);
            let input = igtl_args::recorded(&text, timeout, max_pixels, options.dicom.window)?;
            return Ok(LiveSource::new(input, cancel, args.duration));
        }
        let address: StreamAddress = text.parse().map_err(|e| usage("--input", e))?;
        let input = StreamInput::open(address, args.stream.options(&options), cancel)?;
        Ok(LiveSource::new(input, cancel, args.duration))
    };
    args.source.streams().into_iter().map(open).collect()
}

/// What runs over streams cannot do.
pub(crate) fn check(args: &InputArgs, resumes: bool) -> anyhow::Result<()> {
    let has_streams = !args.source.streams().is_empty();
    if args.duration.is_some() && !has_streams {
        let problem = "is the time of streams, and no input is one; leave it out, or see --frames";
        return Err(usage("--duration", problem));
    }
    let refused = [
        (resumes, "--resume"),
        (args.rename_sources.is_some(), "--rename-sources"),
        (args.shards.is_given(), "--shard"),
    ];
    match refused
        .iter()
        .find(|(is_given, _)| *is_given && has_streams)
    {
        Some((_, option)) => Err(usage(
            option,
            "an input is a stream, which cannot be read twice; leave the option out",
        )),
        None => Ok(()),
    }
}

/// Adds the streams to a run, whose frames are those that the options select.
pub(crate) fn added(run: Run, streams: Vec<LiveSource>, options: &SourceOptions) -> Run {
    streams.into_iter().fold(run, |run, stream| {
        run.source(Selected::new(Box::new(stream), options.selection.clone()))
    })
}
