//! Packets to frames, in presentation order, with an account of those that are lost.

use super::{
    VideoOptions,
    clock::Clock,
    display_matrix,
    ending::Missing,
    gpu,
    input::{Opened, Read1, VideoInput, unequal},
    nvdec::{HwDecoderContext, VideoDevice},
    pixels::Converter,
};
use crate::av::{
    DamageListener, Error, Packet,
    decoder::Video,
    error::EAGAIN,
    frame::{self, side_data},
};
use crate::{
    frame::Pixels,
    sources::{SourceError, SourceWarning, image::oriented},
};
use image::metadata::Orientation;
use std::{collections::BTreeSet, mem, path::PathBuf, sync::Arc, time::Duration};

/// Damaged places one after another, without a packet between them, at which reading is given up.
const MAX_DAMAGED_IN_A_ROW: u32 = 1000;
/// Packets whose frames are still to come that are remembered.
const MAX_IN_FLIGHT: usize = 1024;

/// A decoder over an opened container.
pub(super) struct VideoDecoder {
    path: PathBuf,
    input: VideoInput,
    decoder: Video,
    /// The device it decodes on, and the tie to it; after the decoder, which must be dropped first.
    device: Option<(VideoDevice, HwDecoderContext)>,
    max_pixels: u64,
    converter: Converter,
    clock: Clock,
    frame: frame::Video,
    /// A decoded frame that waits until the errors before it are told.
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
    /// Hears of damage, where the decoder is to stop at the first.
    watches: Option<DamageListener>,
    /// Whether it met it.
    met_damage: bool,
    /// Frames and errors up to this number have been given out by another decoder.
    beyond: u64,
    warning: Option<SourceWarning>,
}

/// What decoding came to.
pub(super) enum Step {
    /// A frame's number and time.
    Frame(u64, Duration),
    /// Damage was met after so many frames, and is not gone into.
    Damage(u64),
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Reading,
    Draining,
    Ended,
}

/// Which frames the decoder owes.
#[derive(Default)]
struct Losses {
    /// Timestamps of packets given to the decoder whose frames have not come out.
    in_flight: BTreeSet<i64>,
    /// Timestamps of packets that arrived damaged.
    damaged: BTreeSet<i64>,
    /// Errors of the decoder that no frame has been found missing for yet.
    unplaced: u64,
    /// Frames known to be lost before the one that waits.
    due: u64,
}

impl VideoDecoder {
    /// A decoder on `device`, or on the CPU where none is given. One on the CPU stops at the first damage.
    pub(super) fn new(
        path: PathBuf,
        input: VideoInput,
        options: &VideoOptions,
        device: Option<&VideoDevice>,
    ) -> Result<Self, SourceError> {
        Self::with(path, input, options, device, device.is_none())
    }

    /// A decoder on one thread of the CPU that goes on where damage is; the first `given` frames, and their errors, have
    /// been given out.
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
        watches: bool,
    ) -> Result<Self, SourceError> {
        let Opened {
            decoder,
            hardware,
            damage,
        } = input.decoder(&path, options, device, watches)?;
        Ok(Self {
            watches: damage,
            met_damage: false,
            beyond: 0,
            warning: None,
            device: device.cloned().zip(hardware),
            max_pixels: options.max_pixels,
            clock: input.clock(),
            cut_short: input.facts().missing.is_some(),
            held: None,
            path,
            input,
            decoder,
            converter: Converter::new(options.max_pixels, options.threads),
            frame: frame::Video::empty(),
            frame_is_waiting: false,
            index: 0,
            losses: Losses::default(),
            stage: Stage::Reading,
            decoded_until: None,
            ending: None,
        })
    }

    /// What is to be said of the stream when it has ended.
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
                .watches
                .as_ref()
                .is_some_and(|watch| self.met_damage || watch.has_damage())
            {
                return Ok(Step::Damage(self.index));
            }
            if self.losses.due > 0 {
                self.losses.due -= 1;
                return Err(self.lost("is lost: its data are damaged"));
            }
            if self.frame_is_waiting {
                self.frame_is_waiting = false;
                return self.hand_out();
            }
            if self.stage == Stage::Ended {
                return self.ending.take().map_or(Ok(Step::End), Err);
            }
            match self.decoder.receive_frame(&mut self.frame) {
                // Neither does any frame after it.
                Ok(()) if self.may_follow_the_break() => self.end(),
                Ok(()) => {
                    self.losses.find_before(self.frame.pts());
                    self.frame_is_waiting = true;
                }
                Err(Error::Other { errno: EAGAIN }) if self.stage == Stage::Reading => self.feed(),
                Err(Error::Eof | Error::Other { errno: EAGAIN }) => self.end(),
                Err(_) => self.meet_damage(),
            }
        }
    }

    fn meet_damage(&mut self) {
        self.met_damage = true;
        self.losses.unplaced += 1;
    }

    /// The device it decodes on.
    pub(super) fn device(&self) -> Option<&VideoDevice> {
        self.device.as_ref().map(|(device, _)| device)
    }

    /// Why the frame that [`Self::advance`] gave last is in host memory, where it was to be on the device.
    pub(super) fn refusal(&self) -> Option<String> {
        let (_, context) = self
            .device
            .as_ref()
            .filter(|(_, context)| !context.is_on_device(&self.frame))?;
        Some(
            context
                .refusal()
                .unwrap_or_else(|| "the device did not decode it".to_owned()),
        )
    }

    /// The pixels of the frame that [`Self::advance`] gave last; those on a device can be had once.
    pub(super) fn picture(&mut self, index: u64) -> Result<Pixels, SourceError> {
        let orientation = self.orientation();
        let wrong = |problem| SourceError::new(&self.path, problem).at(index);
        match &self.device {
            Some((device, context)) if context.is_on_device(&self.frame) => {
                let frame = mem::replace(&mut self.frame, frame::Video::empty());
                let surface = gpu::surface((device, context), frame, orientation, self.max_pixels)
                    .map_err(wrong)?;
                Ok(Pixels::Device(Arc::new(surface)))
            }
            _ => Ok(oriented(
                self.converter.convert(&self.frame).map_err(wrong)?,
                orientation,
            )
            .into()),
        }
    }

    /// What makes the frame that [`Self::advance`] gave last upright.
    fn orientation(&self) -> Orientation {
        let matrix = self.frame.side_data(side_data::Type::DisplayMatrix);
        matrix.map_or(self.input.facts().orientation, |data| {
            display_matrix::orientation(data.data())
        })
    }

    /// The shape of the pixels of that frame, upright: what the container states counts before what the stream does.
    pub(super) fn pixel_aspect(&self) -> Option<[u32; 2]> {
        use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
        let ratio = self.frame.aspect_ratio();
        let [width, height] = self
            .input
            .facts()
            .pixel_aspect
            .or_else(|| unequal(ratio.numerator(), ratio.denominator()))?;
        let lies = matches!(
            self.orientation(),
            Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH
        );
        Some(if lies {
            [height, width]
        } else {
            [width, height]
        })
    }

    fn hand_out(&mut self) -> Result<Step, SourceError> {
        let arrived_damaged = self
            .frame
            .pts()
            .is_some_and(|pts| self.losses.damaged.contains(&pts));
        let is_damaged =
            arrived_damaged || self.frame.is_corrupt() || self.frame.has_decode_errors();
        if is_damaged && self.watches.is_some() {
            return Ok(Step::Damage(self.index));
        }
        let time = self.clock.time(self.frame.timestamp(), self.index == 0);
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
    fn may_follow_the_break(&self) -> bool {
        self.stage == Stage::Draining
            && self.cut_short
            && match self
                .frame
                .pts()
                .or(self.frame.timestamp())
                .zip(self.decoded_until)
            {
                Some((pts, until)) => pts > until,
                None => self.decoder.has_b_frames(),
            }
    }

    /// Gives the decoder one packet, or tells it that there is none.
    fn feed(&mut self) {
        let mut damaged_in_a_row = 0;
        loop {
            match self.input.read() {
                Read1::Packet(packet) => {
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
                Read1::Damaged if damaged_in_a_row < MAX_DAMAGED_IN_A_ROW => {
                    damaged_in_a_row += 1;
                    // In a file that was cut short it is the end that is met, not damage.
                    if !self.cut_short && damaged_in_a_row == 1 {
                        self.meet_damage();
                    }
                }
                Read1::Damaged => {
                    self.ending = Some(SourceError::new(
                        &self.path,
                        format!(
                            "is damaged after frame {}: nothing readable follows",
                            self.index
                        ),
                    ));
                    break;
                }
                Read1::Failed(error) => {
                    self.ending = Some(SourceError::new(
                        &self.path,
                        format!("cannot be read further: {error}"),
                    ));
                    break;
                }
                Read1::End => match self.held.take() {
                    // The end comes once more.
                    Some(held) if !held.is_corrupt() && self.input.has_last() => {
                        return self.send(&held);
                    }
                    Some(_) => {
                        self.cut_short = true;
                        break;
                    }
                    None => {
                        if !self.cut_short && self.input.may_lack_an_end() {
                            let problem = "the file ends with the data of its last picture, which may lack their end";
                            let remedy =
                                "see whether the last frame is whole, or fetch the file again";
                            self.warning =
                                Some(SourceWarning::new(&self.path, problem).with_remedy(remedy));
                        }
                        break;
                    }
                },
            }
        }
        self.stage = Stage::Draining;
        // A decoder that refuses to drain has no frames left.
        if self.decoder.send_eof().is_err() {
            self.end();
        }
    }

    fn send(&mut self, packet: &Packet) {
        if packet.is_corrupt() {
            self.met_damage = true;
            self.losses.damaged.extend(packet.pts());
        }
        self.decoded_until = packet
            .dts()
            .map(|dts| dts.saturating_add(packet.duration().max(0)));
        self.losses.in_flight.extend(packet.pts());
        self.losses.forget_oldest();
        match self.decoder.send_packet(packet) {
            Ok(()) | Err(Error::Eof | Error::Other { errno: EAGAIN }) => {}
            Err(_) => self.meet_damage(),
        }
    }

    fn end(&mut self) {
        self.stage = Stage::Ended;
        let unplaced = std::mem::take(&mut self.losses.unplaced);
        // What the decoder complains of at the end of a file that was cut short is told once, as that.
        if !self.cut_short {
            self.losses.due += unplaced;
        }
        if self.ending.is_none() && self.cut_short {
            let lacks = self.input.facts().missing.unwrap_or(Missing::Rest);
            let missing = match self.index {
                0 => "no frame of it can be decoded".to_owned(),
                n => format!("the frames after the first {n} are missing"),
            };
            self.ending = Some(SourceError::new(&self.path, format!("{lacks}; {missing}")));
        }
        if self.ending.is_none() && self.index == 0 && self.losses.due == 0 {
            self.ending = Some(SourceError::new(
                &self.path,
                "its video stream has no frame that can be decoded",
            ));
        }
    }
}

impl Losses {
    /// A frame with this timestamp came out: of the packets with earlier ones that gave none, as many are lost as the
    /// decoder reported errors. (Packets that give no frame without an error are the codec's affair.)
    fn find_before(&mut self, pts: Option<i64>) {
        let Some(pts) = pts else {
            self.due += std::mem::take(&mut self.unplaced);
            return;
        };
        let later = self.in_flight.split_off(&pts);
        let missing = std::mem::replace(&mut self.in_flight, later).len() as u64;
        self.in_flight.remove(&pts);
        let lost = missing.min(self.unplaced);
        self.unplaced -= lost;
        self.due += lost;
        self.damaged = self.damaged.split_off(&pts);
    }

    fn forget_oldest(&mut self) {
        while self.in_flight.len() > MAX_IN_FLIGHT {
            self.in_flight.pop_first();
        }
        while self.damaged.len() > MAX_IN_FLIGHT {
            self.damaged.pop_first();
        }
    }
}
