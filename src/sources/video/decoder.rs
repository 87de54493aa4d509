//! Packets to frames, in presentation order, with an account of those that are lost.

use super::{
    VideoOptions,
    clock::Clock,
    ending::Missing,
    frame_decoder::FrameDecoder,
    input::{ReadPacket, VideoInput},
    losses::Losses,
    nvdec::VideoDevice,
};
use crate::{
    av::{Error, Packet, error::EAGAIN},
    frame::Pixels,
    sources::{SourceError, SourceWarning},
};
use std::{path::PathBuf, time::Duration};

/// Damaged places one after another, without a packet between them, at which reading stops.
const MAX_DAMAGED_IN_A_ROW: u32 = 1000;

/// A decoder over an opened container.
pub(super) struct VideoDecoder {
    path: PathBuf,
    input: VideoInput,
    frames: FrameDecoder,
    clock: Clock,
    /// Whether a frame is decoded and waits until the errors before it are reported.
    frame_is_waiting: bool,
    index: u64,
    losses: Losses,
    stage: Stage,
    /// A damaged packet, or one that is cut should it be the last, until the next one shows that it is not.
    held: Option<Packet>,
    /// Whether the file was cut short: by the container's account, or because its last packet is not all there.
    cut_short: bool,
    /// Decoding time up to which all packets have been read.
    decoded_until: Option<i64>,
    /// What ended the reading early.
    ending: Option<SourceError>,
    /// Whether damage was met.
    met_damage: bool,
    /// Frames and errors before this number were returned by another decoder.
    beyond: u64,
    warning: Option<SourceWarning>,
}

/// Result of a step of decoding.
pub(super) enum Step {
    /// A frame: its number and time.
    Frame(u64, Duration),
    /// Damage was met after so many frames; the decoder stops there.
    Damage(u64),
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Reading,
    Draining,
    Ended,
}

impl VideoDecoder {
    /// A decoder on `device`, or on the CPU if none is given. One on the CPU stops at the first damage.
    pub(super) fn new(
        path: PathBuf,
        input: VideoInput,
        options: &VideoOptions,
        device: Option<&VideoDevice>,
    ) -> Result<Self, SourceError> {
        Self::with(path, input, options, device, device.is_none())
    }

    /// A decoder on one thread of the CPU that continues after damage. The first `given` frames and their errors were returned before and
    /// are skipped.
    pub(super) fn beyond(
        given: u64,
        path: PathBuf,
        input: VideoInput,
        options: &VideoOptions,
    ) -> Result<Self, SourceError> {
        let options = VideoOptions {
            threads: 1,
            ..options.clone()
        };
        Ok(Self {
            beyond: given,
            ..Self::with(path, input, &options, None, false)?
        })
    }

    fn with(
        path: PathBuf,
        input: VideoInput,
        options: &VideoOptions,
        device: Option<&VideoDevice>,
        listens: bool,
    ) -> Result<Self, SourceError> {
        Ok(Self {
            frames: FrameDecoder::new(&path, &input, options, device, listens)?,
            met_damage: false,
            beyond: 0,
            warning: None,
            clock: input.clock(None),
            cut_short: input.facts().missing.is_some(),
            held: None,
            path,
            input,
            frame_is_waiting: false,
            index: 0,
            losses: Losses::default(),
            stage: Stage::Reading,
            decoded_until: None,
            ending: None,
        })
    }

    /// A warning about the stream, once it has ended.
    pub(super) fn take_warning(&mut self) -> Option<SourceWarning> {
        self.warning.take()
    }

    /// Decodes the next frame. Its picture is made by [`Self::picture`].
    pub(super) fn advance(&mut self) -> Result<Step, SourceError> {
        loop {
            let step = self.step();
            let is_known = match &step {
                Ok(Step::Frame(index, _)) => *index < self.beyond,
                Err(error) => error.frame.is_some_and(|index| index < self.beyond),
                Ok(Step::Damage(_) | Step::End) => false,
            };
            if !is_known {
                return step;
            }
        }
    }

    fn step(&mut self) -> Result<Step, SourceError> {
        loop {
            if self
                .frames
                .listener
                .as_ref()
                .is_some_and(|listener| self.met_damage || listener.has_damage())
            {
                return Ok(Step::Damage(self.index));
            }
            if self.losses.take_due() {
                return Err(self.lost("is lost: its data are damaged"));
            }
            if self.frame_is_waiting {
                self.frame_is_waiting = false;
                return self.emit();
            }
            if self.stage == Stage::Ended {
                return self.ending.take().map_or(Ok(Step::End), Err);
            }
            match self.frames.decoder.receive_frame(&mut self.frames.frame) {
                // Neither does any frame after it.
                Ok(()) if self.may_follow_missing() => self.end(),
                Ok(()) => {
                    self.losses.find_before(self.frames.frame.pts());
                    self.frame_is_waiting = true;
                }
                Err(Error::Other { errno: EAGAIN }) if self.stage == Stage::Reading => self.feed(),
                Err(Error::Eof | Error::Other { errno: EAGAIN }) => self.end(),
                Err(_) => self.note_damage(),
            }
        }
    }

    fn note_damage(&mut self) {
        self.met_damage = true;
        self.losses.add_error();
    }

    /// The device it decodes on.
    pub(super) fn device(&self) -> Option<&VideoDevice> {
        self.frames.device()
    }

    /// The reason why the frame that [`Self::advance`] returned last is in host memory; `None` if the decoder has no device, or it is there.
    pub(super) fn refusal(&self) -> Option<String> {
        self.frames.refusal()
    }

    /// The pixels of the frame that [`Self::advance`] returned last. Those on a device are moved out: a second call fails.
    ///
    /// # Errors
    /// [`SourceError`] if the frame is too large, cannot be converted, or the device failed.
    pub(super) fn picture(&mut self, index: u64) -> Result<Pixels, SourceError> {
        self.frames.picture(index)
    }

    /// Width and height of a pixel of the upright frame, in relation: as the container states, else as the stream does.
    pub(super) fn pixel_aspect(&self) -> Option<[u32; 2]> {
        self.frames.pixel_aspect()
    }

    fn emit(&mut self) -> Result<Step, SourceError> {
        let arrived_damaged = self
            .frames
            .frame
            .pts()
            .is_some_and(|pts| self.losses.is_damaged(pts));
        let is_damaged = arrived_damaged || self.frames.has_damaged_frame();
        if is_damaged && self.frames.listener.is_some() {
            return Ok(Step::Damage(self.index));
        }
        let time = self
            .clock
            .time(self.frames.frame.timestamp(), self.index == 0);
        if is_damaged {
            return Err(self.lost("is damaged"));
        }
        let index = self.index;
        self.index += 1;
        Ok(Step::Frame(index, time))
    }

    fn lost(&mut self, problem: &str) -> SourceError {
        let error = SourceError::new(&self.path, problem).at(self.index);
        self.index += 1;
        error
    }

    /// Whether the frame may come, in a file that was cut short, after one that is missing: packets are stored in the
    /// order of decoding, so that a missing one may belong anywhere after the decoding time of the last.
    fn may_follow_missing(&self) -> bool {
        self.stage == Stage::Draining
            && self.cut_short
            && match self
                .frames
                .frame
                .pts()
                .or(self.frames.frame.timestamp())
                .zip(self.decoded_until)
            {
                Some((pts, until)) => pts > until,
                None => self.frames.decoder.has_b_frames(),
            }
    }

    /// Sends the decoder one packet, or starts draining it at the end.
    fn feed(&mut self) {
        let mut damaged_in_a_row = 0;
        loop {
            match self.input.read() {
                ReadPacket::Packet(packet) => {
                    let sent_one = self.held.take().map(|held| self.send(&held)).is_some();
                    if packet.is_corrupt() || self.input.holds_last() {
                        self.held = Some(packet);
                    } else {
                        return self.send(&packet);
                    }
                    if sent_one {
                        return;
                    }
                }
                ReadPacket::Damaged if damaged_in_a_row < MAX_DAMAGED_IN_A_ROW => {
                    damaged_in_a_row += 1;
                    // In a file that was cut short it is the end that is met, not damage.
                    if !self.cut_short && damaged_in_a_row == 1 {
                        self.note_damage();
                    }
                }
                ReadPacket::Damaged => {
                    let index = self.index;
                    let problem =
                        format!("is damaged after frame {index}: nothing readable follows");
                    self.ending = Some(SourceError::new(&self.path, problem));
                    break;
                }
                ReadPacket::Failed(error) => {
                    let problem = format!("cannot be read further: {error}");
                    self.ending = Some(SourceError::new(&self.path, problem));
                    break;
                }
                ReadPacket::End => match self.take_last() {
                    // The end comes once more.
                    Some(last) => return self.send(&last),
                    None => break,
                },
            }
        }
        self.stage = Stage::Draining;
        // A decoder that refuses to drain has no frames left.
        if self.frames.decoder.send_eof().is_err() {
            self.end();
        }
    }

    /// The packet that was held back, at the end of the file, if it is all there; what is missing otherwise is noted.
    fn take_last(&mut self) -> Option<Packet> {
        match self.held.take() {
            Some(held) if !held.is_corrupt() && self.input.has_last() => return Some(held),
            Some(_) => self.cut_short = true,
            None => {
                if !self.cut_short && self.input.may_lack_an_end() {
                    let problem =
                        "the file ends with the data of its last picture, which may lack their end";
                    let remedy = "see whether the last frame is whole, or fetch the file again";
                    self.warning =
                        Some(SourceWarning::new(&self.path, problem).with_remedy(remedy));
                }
            }
        }
        None
    }

    fn send(&mut self, packet: &Packet) {
        if packet.is_corrupt() {
            self.met_damage = true;
            self.losses.add_damaged(packet.pts());
        }
        self.decoded_until = packet
            .dts()
            .map(|dts| dts.saturating_add(packet.duration().max(0)));
        self.losses.add_in_flight(packet.pts());
        match self.frames.decoder.send_packet(packet) {
            Ok(()) | Err(Error::Eof | Error::Other { errno: EAGAIN }) => {}
            Err(_) => self.note_damage(),
        }
    }

    fn end(&mut self) {
        self.stage = Stage::Ended;
        // Errors of the decoder at the end of a file that was cut short are reported once, as that.
        self.losses.end(!self.cut_short);
        if self.ending.is_none() && self.cut_short {
            let missing = self.input.facts().missing.unwrap_or(Missing::Rest);
            let problem = missing.after_frames(self.index);
            self.ending = Some(SourceError::new(&self.path, problem));
        }
        if self.ending.is_none() && self.index == 0 && !self.losses.has_due() {
            self.ending = Some(SourceError::new(
                &self.path,
                "its video stream has no frame that can be decoded",
            ));
        }
    }
}
