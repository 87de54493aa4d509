//! A container opened: its main video stream, what it states, and its packets.

use super::{
    VideoOptions,
    clock::Clock,
    display_matrix,
    ending::{self, Missing},
    nvdec::{HwDecoderContext, VideoDevice},
    probe::DEMUXERS,
    transport::{Extent, Transport},
};
use crate::{
    av::{
        self, DamageListener, Dictionary, Error, Packet, Stream,
        codec::{
            self, Id,
            packet::{self, side_data},
        },
        decoder,
        ffi::AVPixelFormat,
        format::{
            self, Pixel,
            context::{Input, StreamIo},
            stream::Disposition,
        },
        media,
    },
    sources::SourceError,
};
use image::metadata::Orientation;
use std::{
    fs::File,
    io::{Read, Seek},
    path::Path,
};

/// Bytes read at once.
const BUFFER: usize = 1 << 16;

/// Facts that the container states about its video stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    /// Number of frames, as stated or by duration and rate.
    pub(super) frame_count: Option<u64>,
    /// Average frames a second.
    pub(super) frame_rate: Option<f64>,
    /// What makes its frames upright.
    pub(super) orientation: Orientation,
    /// Width and height of a pixel as shown, in relation, where the container states that they differ.
    pub(super) pixel_aspect: Option<[u32; 2]>,
    /// What is missing from the file according to its container.
    pub(super) missing: Option<Missing>,
}

/// An opened container.
pub(super) struct VideoInput {
    pub(super) input: Input,
    pub(super) stream: usize,
    facts: Facts,
    /// For a transport stream: a second reader of it.
    transport: Option<Transport>,
    /// Whether the last packet was called corrupt.
    suspect: bool,
    /// Where the last packet stands in the file.
    position: Option<u64>,
    /// Whether its decoder gives each picture as soon as it can.
    low_delay: bool,
}

/// A decoder that was opened.
pub(super) struct Opened {
    pub(super) decoder: decoder::Video,
    /// The tie to a device; must outlive the decoder.
    pub(super) hardware: Option<HwDecoderContext>,
    pub(super) damage: Option<DamageListener>,
}

/// Result of reading a packet.
pub(super) enum ReadPacket {
    Packet(Packet),
    /// Bytes that are no packet were passed over.
    Damaged,
    End,
    /// Reading failed for good.
    Failed(Error),
}

impl VideoInput {
    /// Opens what `stream` holds from its start. `path` is for errors alone: FFmpeg never sees it, so that any name will do.
    pub(super) fn open<R: Read + Seek + Send + 'static>(
        path: &Path,
        mut stream: R,
    ) -> Result<Self, SourceError> {
        av::init().map_err(|why| SourceError::without_ffmpeg(path, why))?;
        let cannot = |e: std::io::Error| SourceError::new(path, format!("cannot be read: {e}"));
        let missing = ending::missing_from(&mut stream).map_err(cannot)?;
        stream.rewind().map_err(cannot)?;
        let mut options = Dictionary::new();
        options.set("format_whitelist", &DEMUXERS.join(","));
        let input = StreamIo::from_read_seek_with_capacity(stream, BUFFER)
            .and_then(|io| format::input_from_stream(io, None, Some(options)))
            .map_err(|e| cannot_open(path, e, missing))?;
        let opened = Self::of_main_stream(path, input)?;
        let facts = Facts {
            missing,
            ..opened.facts
        };
        Ok(Self { facts, ..opened })
    }

    /// A stream that was opened by its address; its decoder gives each picture as soon as it can.
    ///
    /// # Errors
    /// [`SourceError`] if it has no video.
    pub(super) fn of_stream(path: &Path, input: Input) -> Result<Self, SourceError> {
        let opened = Self::of_main_stream(path, input)?;
        Ok(Self {
            low_delay: true,
            ..opened
        })
    }

    /// The video stream of what was opened.
    fn of_main_stream(path: &Path, input: Input) -> Result<Self, SourceError> {
        let Some(stream) = main_stream(&input) else {
            return Err(SourceError::new(path, "has no video stream"));
        };
        let (index, facts) = (stream.index(), facts_of(&input, &stream));
        Ok(Self {
            input,
            stream: index,
            facts,
            transport: None,
            suspect: false,
            position: None,
            low_delay: false,
        })
    }

    /// Seconds a tick of the stream's times.
    pub(super) fn tick(&self) -> f64 {
        let stream = self.input.stream(self.stream);
        stream.map_or(1.0, |stream| f64::from(stream.time_base()))
    }

    /// The same, with a second reader of what the first read, by which packets are judged that FFmpeg calls corrupt.
    pub(super) fn judged_by<R: Read + Seek + Send + 'static>(self, second: R) -> Self {
        let is_transport = self
            .input
            .format()
            .name()
            .split(',')
            .any(|name| name == "mpegts");
        Self {
            transport: is_transport.then(|| Transport::new(second)),
            ..self
        }
    }

    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Codec and pixel format of the stream; the format is none where the container's header does not tell.
    #[allow(unsafe_code)]
    pub(super) fn coded_as(&self) -> (codec::Id, Pixel) {
        let Some(stream) = self.input.stream(self.stream) else {
            return (codec::Id::None, Pixel::None);
        };
        let parameters = stream.parameters();
        // SAFETY: reads a number of live parameters; those up to the last that the bindings know are all formats.
        let format = unsafe {
            let number = (*parameters.as_ptr()).format;
            let is_known = (AVPixelFormat::AV_PIX_FMT_NONE as i32
                ..AVPixelFormat::AV_PIX_FMT_NB as i32)
                .contains(&number);
            if is_known {
                std::mem::transmute::<i32, AVPixelFormat>(number)
            } else {
                AVPixelFormat::AV_PIX_FMT_NONE
            }
        };
        (parameters.id(), Pixel::from(format))
    }

    /// Opens a decoder for the stream, on `device` if one is given. `listens` adds a listener for damage.
    ///
    /// # Errors
    /// [`SourceError`] if FFmpeg has no decoder for the stream, or refuses it.
    pub(super) fn decoder(
        &self,
        path: &Path,
        options: &VideoOptions,
        device: Option<&VideoDevice>,
        listens: bool,
    ) -> Result<Opened, SourceError> {
        let failed = |e: Error| match self.facts.missing {
            Some(_) => cannot_open(path, e, self.facts.missing),
            None => SourceError::new(path, format!("its video stream cannot be decoded: {e}")),
        };
        let stream = self
            .input
            .stream(self.stream)
            .ok_or_else(|| failed(Error::StreamNotFound))?;
        let parameters = stream.parameters();
        let id = parameters.id();
        let codec = decoder::find(id).ok_or_else(|| match self.facts.missing {
            Some(_) => failed(Error::DecoderNotFound),
            None => no_decoder(path, id),
        })?;
        let mut decoder = codec::Context::from_parameters(parameters)
            .map_err(failed)?
            .decoder();
        decoder.set_packet_time_base(stream.time_base());
        let attach = |device: &VideoDevice| {
            device
                .attach(&mut decoder)
                .map_err(|e| SourceError::new(path, e.to_string()))
        };
        let hardware = device.map(attach).transpose()?;
        let mut settings = settings(id, options, device.is_some());
        if self.low_delay {
            settings.set("flags", "+low_delay");
            // Threads that work on a frame each would hold as many frames back.
            settings.set("thread_type", "slice");
        }
        let damage = listens.then(|| DamageListener::of(&mut decoder));
        let decoder = decoder
            .open_as_with(codec, settings)
            .and_then(decoder::Opened::video)
            .map_err(failed)?;
        Ok(Opened {
            decoder,
            hardware,
            damage,
        })
    }

    /// A clock for the stream, from `origin` where that is known already, the time of its first frame.
    pub(super) fn clock(&self, origin: Option<i64>) -> Clock {
        let stream = self.input.stream(self.stream);
        let (tick, start) = stream.map_or(((1, 1), i64::MIN), |s| {
            (
                (s.time_base().numerator(), s.time_base().denominator()),
                s.start_time(),
            )
        });
        Clock::new(
            tick,
            origin.or((start != i64::MIN).then_some(start)),
            self.facts.frame_rate,
        )
    }

    /// The packet, marked as corrupt if its data are not whole: of a transport stream the one that FFmpeg marks and the one
    /// after it, since a parser that gives out a picture when the next begins puts the mark on the picture before.
    fn judged(&mut self, mut packet: Packet) -> Packet {
        let marked = packet.is_corrupt();
        self.position = u64::try_from(packet.position()).ok();
        if (marked || self.suspect)
            && let (Some(transport), Some(position)) = (&mut self.transport, self.position)
            && let Ok(extent) = transport.extent(position)
        {
            let (flags, corrupt) = (packet.flags(), packet::Flags::CORRUPT);
            packet.set_flags(if extent == Extent::Broken {
                flags | corrupt
            } else {
                flags - corrupt
            });
        }
        self.suspect = marked;
        packet
    }

    /// Whether the last packet is not all there where the file was cut short, without a mark of FFmpeg.
    pub(super) fn holds_last(&self) -> bool {
        self.facts.missing.is_some()
            && (self.transport.is_some() || self.input.format().name() == "dv")
    }

    /// Whether the last packet is all there nevertheless.
    pub(super) fn has_last(&mut self) -> bool {
        let (Some(transport), Some(position)) = (&mut self.transport, self.position) else {
            return false;
        };
        transport
            .extent(position)
            .is_ok_and(|extent| extent == Extent::Whole)
    }

    /// Whether the data of the last packet may lack their end: they are those of a transport stream, which ends with them.
    pub(super) fn may_lack_an_end(&mut self) -> bool {
        let (Some(transport), Some(position)) = (&mut self.transport, self.position) else {
            return false;
        };
        transport
            .extent(position)
            .is_ok_and(|extent| extent == Extent::ToTheEnd)
    }

    /// The next packet of the stream.
    pub(super) fn read(&mut self) -> ReadPacket {
        loop {
            let mut packet = Packet::empty();
            match packet.read(&mut self.input) {
                Ok(()) if packet.stream() == self.stream => {
                    return ReadPacket::Packet(self.judged(packet));
                }
                Ok(()) => {}
                Err(Error::Eof) => return ReadPacket::End,
                Err(Error::InvalidData) => return ReadPacket::Damaged,
                Err(error) => return ReadPacket::Failed(error),
            }
        }
    }
}

/// FFmpeg's settings of a decoder.
fn settings(id: Id, options: &VideoOptions, on_device: bool) -> Dictionary<'static> {
    // The device decodes one picture after the other: threads would only hold more of them. VP8 takes any data, and with threads the result
    // for damaged data depends on chance.
    let threads = if on_device || id == Id::VP8 {
        1
    } else {
        options.threads
    };
    let threads = match threads {
        0 => "auto".to_owned(),
        n => n.min(64).to_string(),
    };
    let max_pixels = options.max_pixels.min(i32::MAX as u64);
    let mut settings = Dictionary::new();
    settings.set("threads", &threads);
    settings.set("max_pixels", &max_pixels.to_string());
    settings
}

fn no_decoder(path: &Path, id: Id) -> SourceError {
    SourceError::new(
        path,
        format!("is coded as {id:?}, which this FFmpeg has no decoder for"),
    )
    .with_remedy("convert it to H.264, or install an FFmpeg that decodes it")
}

fn cannot_open(path: &Path, error: Error, missing: Option<Missing>) -> SourceError {
    match (error, missing) {
        (_, Some(missing @ Missing::UpTo(_))) => {
            SourceError::new(path, format!("{missing} and more of its header"))
        }
        (_, Some(missing)) => {
            SourceError::new(path, format!("{missing}: its header is not all there"))
        }
        (Error::InvalidData | Error::Eof, None) => {
            SourceError::new(path, "its header is damaged or the file ends early")
        }
        (error, None) => SourceError::new(path, format!("cannot be opened: {error}")),
    }
}

/// Number of frames that the container states or implies; `None` if it states none or cannot be opened.
pub(in crate::sources) fn stated_frames(path: &Path) -> Option<u64> {
    VideoInput::open(path, File::open(path).ok()?)
        .ok()?
        .facts()
        .frame_count
}

/// The stream that FFmpeg holds for the main one, pictures of a cover aside.
fn main_stream(input: &Input) -> Option<Stream<'_>> {
    let is_video = |s: &Stream<'_>| {
        s.parameters().medium() == media::Type::Video
            && !s.disposition().contains(Disposition::ATTACHED_PIC)
    };
    input
        .streams()
        .best(media::Type::Video)
        .filter(is_video)
        .or_else(|| input.streams().find(is_video))
}

fn facts_of(input: &Input, stream: &Stream<'_>) -> Facts {
    let rate =
        |r: crate::av::Rational| (r.numerator() > 0 && r.denominator() > 0).then(|| f64::from(r));
    let frame_rate = rate(stream.avg_frame_rate()).or_else(|| rate(stream.rate()));
    let stated =
        (stream.duration() > 0).then(|| stream.duration() as f64 * f64::from(stream.time_base()));
    // Matroska states the length of the whole alone, in microseconds here.
    let seconds = stated.or_else(|| (input.duration() > 0).then(|| input.duration() as f64 / 1e6));
    let estimated = seconds
        .zip(frame_rate)
        .map(|(s, r)| (s * r).round())
        .filter(|n| *n >= 1.0)
        .map(|n| n as u64);
    let frame_count = u64::try_from(stream.frames())
        .ok()
        .filter(|n| *n > 0)
        .or(estimated);
    let matrix = stream
        .side_data()
        .find(|data| data.kind() == side_data::Type::DisplayMatrix);
    let orientation = matrix.map_or(Orientation::NoTransforms, |data| {
        display_matrix::orientation(data.data())
    });
    Facts {
        frame_count,
        frame_rate,
        orientation,
        pixel_aspect: pixel_aspect(stream),
        missing: None,
    }
}

#[allow(unsafe_code)]
fn pixel_aspect(stream: &Stream<'_>) -> Option<[u32; 2]> {
    // SAFETY: reads a field of a live stream.
    let ratio = unsafe { (*stream.as_ptr()).sample_aspect_ratio };
    unequal(ratio.num, ratio.den)
}

/// The relation of two sides in its lowest terms; none if they are equal or unknown.
pub(super) fn unequal(width: i32, height: i32) -> Option<[u32; 2]> {
    let (width, height) = (
        u32::try_from(width).ok().filter(|n| *n > 0)?,
        u32::try_from(height).ok().filter(|n| *n > 0)?,
    );
    let (mut divisor, mut rest) = (width, height);
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    (width != height).then_some([width / divisor, height / divisor])
}
