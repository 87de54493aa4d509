//! A stream while it is there: packets to pictures, as they arrive.

use super::{
    address::StreamAddress,
    options::StreamOptions,
    watch::{Stop, Watch},
};
use crate::{
    av::{self, Dictionary, Error, Packet, error::EAGAIN, has_protocol, init_for, open_stream},
    frame::{Physical, Pixels, SourceInfo},
    sources::{
        Decode, Decoding, SourceError,
        video::{
            frame_decoder::FrameDecoder,
            input::{Facts, ReadPacket, VideoInput},
            nvdec::VideoDevice,
            probe::DEMUXERS,
            source::{device_of, with_aspect},
        },
    },
};
use std::{
    collections::VecDeque,
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime},
};

/// Bytes and microseconds that are read, at most, until the streams of an address are known.
const PROBE: [&str; 2] = ["1000000", "1000000"];
/// Packets of 188 bytes that may wait in the receiver of UDP: 50 MB.
const UDP_PACKETS: &str = "278876";
/// Bytes that the operating system is to keep for it.
const UDP_BUFFER: &str = "8388608";
/// Pause between looks at a device that has no picture yet.
const NAP: Duration = Duration::from_millis(1);
/// Demuxers of streams beside those of files.
const OF_STREAMS: &str =
    "rtsp,rtp,mpjpeg,hls,live_flv,sdp,v4l2,video4linux2,lavfi,dshow,avfoundation";
/// What a stream may lead to: nothing on this machine's disks.
const PROTOCOLS: &str = "rtp,rtcp,srtp,udp,tcp,tls,http,https,httpproxy,crypto,rtmp,rtmps,rtmpt,rtmpe,srt,rist,mmsh,mmst";
/// Packets whose arrival is kept until their pictures come.
const IN_FLIGHT: usize = 64;

/// A stream that is open.
pub(super) struct Connection {
    input: VideoInput,
    frames: FrameDecoder,
    watch: Watch,
    options: StreamOptions,
    is_device: bool,
    /// Whether it has an end that it states, as a file does.
    is_finite: bool,
    arrivals: VecDeque<(Option<i64>, Moment)>,
    arrived: Option<Moment>,
    /// Seconds a tick of its times.
    tick: f64,
    draining: bool,
    /// Whether a picture came out of the decoder: before that, what does not decode belongs to one that began before.
    has_begun: bool,
    pub(super) decoding: Decoding,
}

/// When a packet was there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) instant: Instant,
    pub(super) time: SystemTime,
}

/// A decoded picture.
pub(super) struct Picture {
    pub(super) pixels: Pixels,
    /// The stream's own time, from an origin of its own.
    pub(super) time: Option<f64>,
    pub(super) arrival: Moment,
    pub(super) physical: Option<Arc<Physical>>,
}

/// What a stream gives next.
pub(super) enum Next {
    Picture(Picture),
    /// A picture that cannot be decoded: why.
    Failed(String),
    /// It broke.
    Broken(String),
    /// It ended, as a file does.
    Ended,
    /// The end was requested.
    Stopped,
}

impl Connection {
    /// Opens the stream of `address`.
    ///
    /// # Errors
    /// [`SourceError`] if it cannot be opened in time, has no video that can be decoded, or must be decoded on a GPU and cannot be.
    pub(super) fn open(
        address: &StreamAddress,
        info: &SourceInfo,
        options: &StreamOptions,
        stop: Stop,
    ) -> Result<Self, SourceError> {
        let watch = Watch::new(stop, options.timeout);
        let cannot =
            |problem: String| SourceError::new(&info.path, problem).with_remedy(remedy(address));
        let opening = av::StreamAddress {
            url: &address.url,
            format: address.device,
            nonblocking: address.is_device(),
        };
        init_for(&opening).map_err(|why| SourceError::without_ffmpeg(&info.path, why))?;
        if let Some(protocol) = address.protocol.filter(|protocol| !has_protocol(protocol)) {
            return Err(cannot(format!("this FFmpeg was built without {protocol}")));
        }
        let of_callback = watch.clone();
        let input = open_stream(&opening, settings(address, options), move || {
            of_callback.is_over()
        });
        let input = input.map_err(|error| {
            cannot(match error {
                Error::Exit if watch.is_stopped() => "opening it was cancelled".to_owned(),
                Error::Exit => silent(options.timeout),
                Error::DemuxerNotFound => {
                    "this FFmpeg was built without the device or format".to_owned()
                }
                error => format!("cannot be opened: {error}"),
            })
        })?;
        let is_finite = input.duration() > 0;
        let input = VideoInput::of_stream(&info.path, input)?;
        let video = options.video();
        let (device, decoding) = device_of(&input, info, &video)?;
        let frames = working(device, || {
            FrameDecoder::new(&info.path, &input, &video, device, false)
        })?;
        Ok(Self {
            tick: input.tick(),
            input,
            frames,
            watch,
            options: options.clone(),
            is_device: address.is_device(),
            is_finite,
            arrivals: VecDeque::with_capacity(IN_FLIGHT),
            arrived: None,
            draining: false,
            has_begun: false,
            decoding,
        })
    }

    /// What it states.
    pub(super) fn facts(&self) -> &Facts {
        self.input.facts()
    }

    /// Waits for the next picture, for as long as the stream may be silent.
    pub(super) fn next(&mut self, stop: Stop) -> Next {
        self.watch.begin(stop, self.options.timeout);
        loop {
            if self.watch.is_stopped() {
                return Next::Stopped;
            }
            match self.decoded() {
                Decoded::Picture(next) => return next,
                Decoded::Ended => return Next::Ended,
                Decoded::Wants => {}
            }
            if let Some(next) = self.feed() {
                return next;
            }
        }
    }

    /// The next picture of the decoder, where it has one.
    fn decoded(&mut self) -> Decoded {
        let device = self.frames.device().cloned();
        working(device.as_ref(), || {
            match self.frames.decoder.receive_frame(&mut self.frames.frame) {
                Ok(()) => Decoded::Picture(self.picture()),
                Err(Error::Other { errno: EAGAIN }) if !self.draining => Decoded::Wants,
                Err(Error::Eof | Error::Other { errno: EAGAIN }) => Decoded::Ended,
                Err(_) if !self.has_begun => Decoded::Wants,
                Err(error) => Decoded::Picture(Next::Failed(format!("cannot be decoded: {error}"))),
            }
        })
    }

    fn picture(&mut self) -> Next {
        self.has_begun = true;
        if self.frames.has_damaged_frame() {
            return Next::Failed("is damaged".to_owned());
        }
        if let Some(reason) = self.frames.refusal().filter(|_| self.decoding.on_gpu) {
            if self.options.decode == Decode::Gpu {
                return Next::Failed(format!("cannot be decoded on the GPU: {reason}"));
            }
            self.decoding = Decoding {
                on_gpu: false,
                reason: Some(reason),
            };
        }
        let pts = self.frames.frame.timestamp();
        let arrival = self.arrival(self.frames.frame.pts());
        let mut physical = None;
        with_aspect(&mut physical, self.frames.pixel_aspect());
        match self.frames.picture(0) {
            Ok(pixels) => Next::Picture(Picture {
                pixels,
                time: pts.map(|pts| pts as f64 * self.tick),
                arrival,
                physical,
            }),
            Err(error) => Next::Failed(error.problem.clone()),
        }
    }

    /// When the data of the picture of this time were there, or else the last data.
    fn arrival(&mut self, pts: Option<i64>) -> Moment {
        let known = pts.and_then(|pts| self.arrivals.iter().position(|(of, _)| *of == Some(pts)));
        let found = match known {
            Some(at) => self.arrivals.drain(..=at).next_back(),
            None => self.arrivals.pop_front(),
        };
        let last = self.arrived.unwrap_or_else(now);
        found.map_or(last, |(_, moment)| moment)
    }

    /// Reads a packet and gives it to the decoder.
    fn feed(&mut self) -> Option<Next> {
        match self.input.read() {
            ReadPacket::Packet(packet) => self.send(&packet),
            ReadPacket::Damaged => None,
            ReadPacket::End if self.is_finite || self.is_device => {
                self.draining = true;
                // A decoder that refuses to drain has no pictures left.
                let device = self.frames.device().cloned();
                let drains = working(device.as_ref(), || self.frames.decoder.send_eof());
                drains.is_err().then_some(Next::Ended)
            }
            ReadPacket::End => Some(Next::Broken("the sender ended it".to_owned())),
            ReadPacket::Failed(Error::Other { errno: EAGAIN }) => {
                if self.watch.is_over() {
                    return Some(self.over());
                }
                thread::sleep(NAP);
                None
            }
            ReadPacket::Failed(Error::Exit) => Some(self.over()),
            ReadPacket::Failed(error) => Some(Next::Broken(format!("it broke: {error}"))),
        }
    }

    fn over(&self) -> Next {
        if self.watch.is_stopped() {
            return Next::Stopped;
        }
        Next::Broken(silent(self.options.timeout))
    }

    fn send(&mut self, packet: &Packet) -> Option<Next> {
        let moment = now();
        self.arrived = Some(moment);
        if self.arrivals.len() >= IN_FLIGHT {
            self.arrivals.pop_front();
        }
        self.arrivals.push_back((packet.pts(), moment));
        let device = self.frames.device().cloned();
        let sent = working(device.as_ref(), || self.frames.decoder.send_packet(packet));
        match sent {
            Ok(()) | Err(Error::Eof | Error::Other { errno: EAGAIN }) => None,
            Err(_) if !self.has_begun => None,
            Err(error) => Some(Next::Failed(format!("cannot be decoded: {error}"))),
        }
    }

    /// Ends it: the decoder on its device, where nothing may be captured meanwhile, then the connection, which may take the network's time.
    pub(super) fn close(self) {
        let Self { frames, input, .. } = self;
        let device = frames.device().cloned();
        working(device.as_ref(), move || drop(frames));
        drop(input);
    }
}

/// What the decoder has.
enum Decoded {
    Picture(Next),
    /// It needs more data.
    Wants,
    Ended,
}

/// Runs `work` as decoding on `device`, if there is one.
fn working<T>(device: Option<&VideoDevice>, work: impl FnOnce() -> T) -> T {
    match device {
        Some(device) => device.work(work),
        None => work(),
    }
}

fn now() -> Moment {
    Moment {
        instant: Instant::now(),
        time: SystemTime::now(),
    }
}

fn silent(timeout: Duration) -> String {
    format!("nothing came for {} s", timeout.as_secs_f64())
}

/// What would work where an address cannot be opened.
fn remedy(address: &StreamAddress) -> &'static str {
    match (address.device, address.protocol) {
        (Some("v4l2"), _) => {
            "see `v4l2-ctl --list-devices` for devices, and whether another program or missing rights keep it"
        }
        (Some(_), _) => {
            "see `ffmpeg -devices` for what FFmpeg has, and its documentation of the device"
        }
        (_, Some("udp")) => {
            "start the sender, and give the address that it sends to: udp://:PORT for this machine, udp://GROUP:PORT for multicast"
        }
        _ => "start the sender, and see whether `ffplay` with the same address shows it",
    }
}

/// FFmpeg's settings of an address.
fn settings(address: &StreamAddress, options: &StreamOptions) -> Dictionary<'static> {
    let mut settings = Dictionary::new();
    if address.is_device() {
        if let Some(size) = options.size {
            settings.set("video_size", &format!("{}x{}", size.width, size.height));
        }
        if let Some(rate) = options.rate {
            settings.set("framerate", &rate.to_string());
        }
        if let Some(format) = &options.format {
            settings.set("input_format", format);
        }
        return settings;
    }
    settings.set("probesize", PROBE[0]);
    settings.set("analyzeduration", PROBE[1]);
    settings.set(
        "format_whitelist",
        &format!("{},{OF_STREAMS}", DEMUXERS.join(",")),
    );
    settings.set("protocol_whitelist", PROTOCOLS);
    if address.url.starts_with("rtsp") {
        let transport = if options.rtsp_over_udp { "udp" } else { "tcp" };
        settings.set("rtsp_transport", transport);
    }
    if address.protocol == Some("udp") {
        settings.set("fifo_size", UDP_PACKETS);
        settings.set("overrun_nonfatal", "1");
        settings.set("buffer_size", UDP_BUFFER);
    }
    settings
}
