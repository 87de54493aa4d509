//! Options of network streams and devices.

use crate::{
    audit_args::{AuditArgs, duration},
    common_args::InputArgs,
    igtl_args,
    inputs::usage,
};
use clap::Args;
use std::{fmt, sync::Arc, time::Duration};
use ultramotion::{
    Run,
    audit::OpenStreams,
    engine::Engine,
    geometry::Size,
    live::{IgtlAddress, IgtlInput, LiveSource, StreamInput},
    progress::Cancel,
    sources::{
        DecodeDevice, Selected, Source, SourceError, SourceOptions, StreamAddress, StreamOptions,
    },
};

/// How streams are opened.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct StreamArgs {
    /// How long a stream may be silent before it is reconnected
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// End where the stream breaks, instead of reconnecting
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
    let addresses = addresses(&args.source.streams())?;
    let open = |address| {
        Ok(open_one(
            address,
            &args.stream,
            &options,
            cancel,
            args.duration,
        )?)
    };
    addresses.iter().map(open).collect()
}

/// What opens the streams among the inputs of an audit for each of its passes; none without any.
pub(crate) fn of_audit(
    args: &AuditArgs,
    options: &SourceOptions,
) -> anyhow::Result<Option<Arc<OpenStreams>>> {
    let addresses = addresses(&args.source.streams())?;
    if addresses.is_empty() {
        return Ok(None);
    }
    let (stream, options) = (args.stream.clone(), options.clone());
    Ok(Some(Arc::new(move |engine: &Engine, cancel: &Cancel| {
        let options = SourceOptions {
            device: Some(DecodeDevice::new(engine)),
            ..options.clone()
        };
        let open = |address| -> Result<Box<dyn Source>, SourceError> {
            let stream = open_one(address, &stream, &options, cancel, None)?;
            Ok(Box::new(Selected::new(stream, options.selection.clone())))
        };
        addresses.iter().map(open).collect()
    })))
}

/// The address of a stream.
#[derive(Debug, Clone)]
enum Address {
    Igtl(IgtlAddress),
    Other(StreamAddress),
}

/// Without what is secret in it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Igtl(address) => address.fmt(f),
            Self::Other(address) => address.fmt(f),
        }
    }
}

fn addresses(texts: &[String]) -> anyhow::Result<Vec<Address>> {
    let parsed = |text: &String| {
        Ok(match text.starts_with(igtl_args::SCHEME) {
            true => Address::Igtl(text.parse().map_err(|e| usage("--input", e))?),
            false => Address::Other(text.parse().map_err(|e| usage("--input", e))?),
        })
    };
    texts.iter().map(parsed).collect()
}

fn open_one(
    address: &Address,
    args: &StreamArgs,
    options: &SourceOptions,
    cancel: &Cancel,
    duration: Option<Duration>,
) -> Result<LiveSource, SourceError> {
    Ok(match address {
        Address::Igtl(address) => {
            let options = igtl_args::recording(args.timeout, options);
            let input = IgtlInput::connect(address, options);
            let input = input.map_err(|e| SourceError::new(address.to_string(), e.to_string()))?;
            LiveSource::new(input, cancel, duration)
        }
        Address::Other(address) => {
            let input = StreamInput::open(address.clone(), args.options(options), cancel)?;
            LiveSource::new(input, cancel, duration)
        }
    })
}

/// What runs over streams cannot do.
pub(crate) fn check(args: &InputArgs, resumes: bool) -> anyhow::Result<()> {
    let streams = addresses(&args.source.streams())?;
    if args.duration.is_some() && streams.is_empty() {
        let problem = "is the time of streams, and no input is one; leave it out, or see --frames";
        return Err(usage("--duration", problem));
    }
    let refused = [
        (resumes, "--resume"),
        (args.rename_sources.is_some(), "--rename-sources"),
        (args.shards.is_given(), "--shard"),
    ];
    let option = refused.iter().find(|(is_given, _)| *is_given);
    match (option, streams.first()) {
        (Some((_, option)), Some(stream)) => Err(usage(
            option,
            format_args!("{stream} is a stream, which cannot be read twice; leave the option out"),
        )),
        _ => Ok(()),
    }
}

/// Adds the streams to a run, whose frames are those that the options select.
pub(crate) fn added(run: Run, streams: Vec<LiveSource>, options: &SourceOptions) -> Run {
    streams.into_iter().fold(run, |run, stream| {
        run.source(Selected::new(Box::new(stream), options.selection.clone()))
    })
}
