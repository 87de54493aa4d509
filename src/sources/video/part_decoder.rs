//! Decodes parts of a video, each as if those before it had been decoded too, or not at all.

use super::{
    VideoOptions,
    clock::Clock,
    division::{Start, VideoParts},
    frame_decoder::FrameDecoder,
    index::Entry,
    input::{ReadPacket, VideoInput},
    nvdec::VideoDevice,
    units::{has_picture, is_leading, leaves_others_alone},
};
use crate::{
    av::{Error, Packet, error::EAGAIN},
    frame::Pixels,
    sources::SourceError,
};
use std::{
    collections::{BTreeSet, VecDeque},
    path::Path,
    sync::Arc,
    time::Duration,
};

/// Packets whose frames are still to come, at most. Decoders hold far fewer.
const MAX_AWAITED: usize = 1024;
/// Pictures after an IDR picture that may be shown before it, at most.
const MAX_LEADING: usize = 16;

/// A decoder of the parts of an opened container.
///
/// It holds the account of the index: the samples are those of the index, each gives one frame, and the frames come in the order of their
/// times, which are after those of the part before. Where that does not hold the whole source may number or time them otherwise.
///
/// A part but the last does not end with its samples: the decoder goes on with those after them until the part's frames have come, as it
/// does in the whole source. An error of a sample there costs the frame that would have come with it.
pub(super) struct PartDecoder {
    input: VideoInput,
    frames: FrameDecoder,
    parts: Arc<VideoParts>,
    /// The sample that is read next, and the one that begins the part after.
    sample: usize,
    end: usize,
    /// Packets that were read and not used yet.
    held: VecDeque<Packet>,
    index: u64,
    clock: Clock,
    /// Times of the samples that were sent and whose frames have not come.
    awaited: BTreeSet<i64>,
    last: Option<i64>,
    /// The latest time of the samples that were sent or passed over, and that of those before the part.
    latest: Option<i64>,
    before: Option<i64>,
    /// The time of the part's first frame, as far as its samples have been read.
    first: Option<i64>,
    /// The time of the first frame of the part after; none in the last.
    until: Option<i64>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Reading,
    Draining,
    Ended,
    Irregular,
}

/// Result of a step of decoding.
pub(super) enum PartAdvance {
    /// A frame: its number and time.
    Frame(u64, Duration),
    End,
    /// The account does not hold.
    Irregular,
}

/// The account does not hold.
struct Irregular;

impl PartDecoder {
    /// A decoder on `device`, or on the CPU if none is given, that begins with the part `part`.
    ///
    /// # Errors
    /// As [`VideoInput::decoder`].
    pub(super) fn new(
        path: &Path,
        input: VideoInput,
        options: &VideoOptions,
        device: Option<&VideoDevice>,
        parts: Arc<VideoParts>,
        part: usize,
    ) -> Result<Self, SourceError> {
        let mut decoder = Self {
            frames: FrameDecoder::new(path, &input, options, device, device.is_none())?,
            clock: input.clock(Some(parts.origin)),
            input,
            parts,
            sample: 0,
            end: 0,
            held: VecDeque::new(),
            index: 0,
            awaited: BTreeSet::new(),
            last: None,
            latest: None,
            before: None,
            first: None,
            until: None,
            stage: Stage::Reading,
        };
        decoder.begin(part);
        Ok(decoder)
    }

    /// Goes on with another part, with the same decoder.
    pub(super) fn restart(&mut self, part: usize) {
        self.frames.decoder.flush();
        if let Some(listener) = &self.frames.listener {
            listener.reset();
        }
        self.begin(part);
    }

    fn begin(&mut self, part: usize) {
        self.clock = self.input.clock(Some(self.parts.origin));
        self.awaited.clear();
        (self.last, self.first, self.until) = (None, None, None);
        (self.latest, self.before) = (None, None);
        self.stage = match self.place(part) {
            Ok(()) => Stage::Reading,
            Err(Irregular) => Stage::Irregular,
        };
    }

    /// Goes to the first sample of a part. The index must be the one that was divided.
    fn place(&mut self, part: usize) -> Result<(), Irregular> {
        let start: Start = *self.parts.starts.get(part).ok_or(Irregular)?;
        let end = self.parts.starts.get(part + 1);
        self.sample = start.sample;
        self.end = end.map_or(self.parts.samples, |start| start.sample);
        self.index = start.frame;
        if part == 0 {
            self.first = Some(self.parts.origin);
        }
        let is_same = self.input.entries() == self.parts.samples
            && self.input.entry(start.sample) == Some(start.entry);
        if is_same && self.go_to(&start) {
            Ok(())
        } else {
            Err(Irregular)
        }
    }

    /// Goes to a sample, and reads it. Demuxers differ in the time that they seek by: that of decoding, or that of decoding and what
    /// separates it from that of presentation at least.
    fn go_to(&mut self, start: &Start) -> bool {
        [true, false].into_iter().any(|forward| {
            self.held.clear();
            self.input.seek(start.entry.dts, forward)
                && match self.input.read() {
                    ReadPacket::Packet(packet) => {
                        let is_there = is_of(&packet, &start.entry);
                        self.held.push_back(packet);
                        is_there
                    }
                    _ => false,
                }
        })
    }

    /// Goes on with a later part. What lies between is read and not decoded; where it is not such that the part is the same without it,
    /// [`Self::advance`] says so.
    pub(super) fn pass_to(&mut self, part: usize) {
        let passed = self.pass(part);
        let latest = self.latest;
        self.restart(part);
        (self.before, self.latest) = (latest, latest);
        if passed.is_err() {
            self.stage = Stage::Irregular;
        }
    }

    /// Reads what lies before a part: each sample is a picture, and none changes what those after the next key sample need.
    fn pass(&mut self, part: usize) -> Result<(), Irregular> {
        let until = self.parts.starts.get(part).ok_or(Irregular)?.sample;
        if self.stage == Stage::Irregular {
            return Err(Irregular);
        }
        if self.sample > self.end {
            // Samples after the part that was decoded are sent to the decoder without a look.
            let starts = &self.parts.starts;
            let next = starts.partition_point(|start| start.sample < self.end);
            self.place(next)?;
        }
        while self.sample < until {
            let (packet, entry) = self.read()?;
            self.look_at(&packet, &entry)?;
            if !has_picture(packet.data().unwrap_or_default(), self.parts.coding) {
                return Err(Irregular);
            }
        }
        Ok(())
    }

    /// Notes a sample that changes nothing about those after the next key sample.
    fn look_at(&mut self, packet: &Packet, entry: &Entry) -> Result<(), Irregular> {
        let (data, restates) = (packet.data().unwrap_or_default(), self.parts.restates);
        if !leaves_others_alone(data, self.parts.coding, restates.sets, restates.turn) {
            return Err(Irregular);
        }
        if entry.is_shown {
            let pts = packet.pts().ok_or(Irregular)?;
            self.latest = Some(self.latest.map_or(pts, |latest| latest.max(pts)));
        }
        Ok(())
    }

    /// The device it decodes on.
    pub(super) fn device(&self) -> Option<&VideoDevice> {
        self.frames.device()
    }

    /// Whether the device refused the stream.
    pub(super) fn was_refused(&self) -> bool {
        self.frames.was_refused()
    }

    /// Decodes the next frame of the part. Its picture is made by [`Self::picture`].
    pub(super) fn advance(&mut self) -> PartAdvance {
        loop {
            match self.stage {
                Stage::Ended => return PartAdvance::End,
                Stage::Irregular => return PartAdvance::Irregular,
                Stage::Reading | Stage::Draining => {}
            }
            match self.step() {
                Ok(Some((index, time))) => return PartAdvance::Frame(index, time),
                Ok(None) => {}
                Err(Irregular) => self.stage = Stage::Irregular,
            }
        }
    }

    fn step(&mut self) -> Result<Option<(u64, Duration)>, Irregular> {
        if self.until.is_some() && self.awaited.is_empty() {
            return self.finish();
        }
        let decoded = self.frames.decoder.receive_frame(&mut self.frames.frame);
        let listener = self.frames.listener.as_ref();
        if listener.is_some_and(|listener| listener.has_damage()) {
            return Err(Irregular);
        }
        match decoded {
            Ok(()) => return self.emit().map(Some),
            Err(Error::Other { errno: EAGAIN }) if self.stage == Stage::Reading => {}
            Err(Error::Eof) if self.stage == Stage::Draining => return self.finish(),
            Err(_) => return Err(Irregular),
        }
        if self.sample < self.end {
            self.feed()?;
        } else if self.end < self.parts.samples && self.until.is_none() {
            self.look_beyond()?;
        } else {
            self.feed_beyond()?;
        }
        Ok(None)
    }

    /// Ends the part if all frames came, before those of the part after.
    fn finish(&mut self) -> Result<Option<(u64, Duration)>, Irregular> {
        let is_before = self
            .until
            .is_none_or(|until| self.last.is_none_or(|last| last < until));
        if !is_before || !self.awaited.is_empty() {
            return Err(Irregular);
        }
        self.stage = Stage::Ended;
        Ok(None)
    }

    /// The frame that was decoded, if it is the one that is due.
    fn emit(&mut self) -> Result<(u64, Duration), Irregular> {
        let pts = self.frames.frame.pts().ok_or(Irregular)?;
        let is_due = self.awaited.pop_first() == Some(pts)
            && self.frames.frame.timestamp() == Some(pts)
            && match self.last {
                Some(last) => pts > last,
                None => self.first == Some(pts) && self.before.is_none_or(|before| before < pts),
            };
        if !is_due || self.frames.has_damaged_frame() || self.frames.refusal().is_some() {
            return Err(Irregular);
        }
        self.last = Some(pts);
        let index = self.index;
        self.index += 1;
        Ok((index, self.clock.time(Some(pts), index == 0)))
    }

    /// Sends the decoder the next sample.
    fn feed(&mut self) -> Result<(), Irregular> {
        let is_first = self.first.is_none();
        let (packet, entry) = self.read()?;
        self.look_at(&packet, &entry)?;
        if entry.is_shown {
            let pts = packet.pts().ok_or(Irregular)?;
            if !self.awaited.insert(pts) || self.awaited.len() > MAX_AWAITED {
                return Err(Irregular);
            }
            if is_first || self.is_leading(&packet) {
                self.first = Some(self.first.map_or(pts, |first| first.min(pts)));
            }
        }
        self.frames
            .decoder
            .send_packet(&packet)
            .map_err(|_| Irregular)
    }

    /// The next sample, if it is that of the index.
    fn read(&mut self) -> Result<(Packet, Entry), Irregular> {
        let packet = match self.held.pop_front() {
            Some(held) => held,
            None => match self.input.read() {
                ReadPacket::Packet(packet) => packet,
                _ => return Err(Irregular),
            },
        };
        let entry = self.input.entry(self.sample).ok_or(Irregular)?;
        self.sample += 1;
        if is_of(&packet, &entry) && !packet.is_corrupt() {
            Ok((packet, entry))
        } else {
            Err(Irregular)
        }
    }

    /// Whether a sample that follows the part's first is shown before it.
    fn is_leading(&self, packet: &Packet) -> bool {
        is_leading(packet.data().unwrap_or_default(), self.parts.coding)
    }

    /// Reads ahead for the time of the next part's first frame.
    fn look_beyond(&mut self) -> Result<(), Irregular> {
        let (packet, _) = self.read()?;
        let mut first = packet.pts().ok_or(Irregular)?;
        let mut ahead = VecDeque::from([packet]);
        while ahead.len() <= MAX_LEADING && self.sample < self.parts.samples {
            let (packet, _) = self.read()?;
            let pts = packet.pts().ok_or(Irregular)?;
            let is_leading = self.is_leading(&packet);
            ahead.push_back(packet);
            if !is_leading {
                break;
            }
            first = first.min(pts);
        }
        self.sample -= ahead.len();
        self.held = ahead;
        self.until = Some(first);
        Ok(())
    }

    /// Sends the decoder the next sample after the part, or starts draining it at the end of the stream.
    fn feed_beyond(&mut self) -> Result<(), Irregular> {
        if self.sample < self.parts.samples {
            let (packet, _) = self.read()?;
            return self
                .frames
                .decoder
                .send_packet(&packet)
                .map_err(|_| Irregular);
        }
        match self.input.read() {
            ReadPacket::End => self.frames.decoder.send_eof().map_err(|_| Irregular)?,
            _ => return Err(Irregular),
        }
        self.stage = Stage::Draining;
        Ok(())
    }

    /// The pixels of the frame that [`Self::advance`] returned last. Those on a device are moved out: a second call fails.
    ///
    /// # Errors
    /// As [`FrameDecoder::picture`].
    pub(super) fn picture(&mut self, index: u64) -> Result<Pixels, SourceError> {
        self.frames.picture(index)
    }

    /// As [`FrameDecoder::pixel_aspect`].
    pub(super) fn pixel_aspect(&self) -> Option<[u32; 2]> {
        self.frames.pixel_aspect()
    }
}

/// Whether a packet is the sample of an entry.
fn is_of(packet: &Packet, entry: &Entry) -> bool {
    i64::try_from(packet.position()) == Ok(entry.position) && packet.dts() == Some(entry.dts)
}
