//! Where a video can be divided: at samples before which all frames are shown, and after which none needs one before.

use super::{
    coding::Coding,
    index::Entry,
    input::{ReadPacket, VideoInput},
    key_sample::{KeySample, key_sample},
};
use crate::av::{codec::Id, format::Pixel};
use std::{
    fs::File,
    io::{Read, Seek},
    path::Path,
};

/// Shown samples from the start among which the first frame is: decoders hold at most 16 pictures back.
const FIRST_AMONG: usize = 40;
/// First version of x264 whose streams decode alike with and without the note about it in their first picture.
const X264_CORRECT: u32 = 34;

/// A video in parts.
#[derive(Debug)]
pub(in crate::sources) struct VideoParts {
    pub(super) starts: Vec<Start>,
    pub(super) coding: Coding,
    /// Number of samples.
    pub(super) samples: usize,
    /// Number of frames.
    pub(in crate::sources) frames: u64,
    /// Presentation time of the first frame.
    pub(super) origin: i64,
    /// Whether all parts begin with the parameter sets that they need, and with how the picture is turned.
    pub(super) restates: Restates,
}

/// What the first samples of all parts state again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Restates {
    pub(super) sets: bool,
    pub(super) turn: bool,
}

/// Where a part begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Start {
    /// Number of the sample, in the order of decoding.
    pub(super) sample: usize,
    /// Number of its first frame.
    pub(super) frame: u64,
    pub(super) entry: Entry,
}

/// Why a video is not divided; none where nobody would expect that it is.
pub(in crate::sources) type Undivided = Option<String>;

impl VideoParts {
    /// Numbers of the first frames of the parts.
    pub(in crate::sources) fn firsts(&self) -> impl Iterator<Item = u64> {
        self.starts.iter().map(|start| start.frame)
    }

    /// The part with this frame.
    pub(super) fn part_of(&self, frame: u64) -> usize {
        let begun = self.starts.partition_point(|start| start.frame <= frame);
        begun.saturating_sub(1)
    }
}

/// Divides the video at `path` into parts of at least `least` frames; the last may have fewer.
///
/// # Errors
/// [`Undivided`] if there are not two.
pub(in crate::sources) fn divide(path: &Path, least: u64) -> Result<VideoParts, Undivided> {
    let file = File::open(path).map_err(|_| None)?;
    let mut input = VideoInput::open(path, file).map_err(|_| None)?;
    if input
        .facts()
        .frame_count
        .is_some_and(|count| count <= least)
    {
        return Err(None);
    }
    let coding = coding(&input)?;
    let mut file = File::open(path).map_err(|_| None)?;
    let mut search = Search::new(coding, &mut file, least);
    for sample in 0..input.entries() {
        let Some(entry) = input.entry(sample) else {
            return Err(Some("its index has gaps".to_owned()));
        };
        search.add(sample, entry)?;
    }
    let restates = Restates {
        sets: search.saw_sets,
        turn: search.saw_turned,
    };
    let frames = search.frames;
    let starts = search.end()?;
    Ok(VideoParts {
        restates,
        starts,
        coding,
        samples: input.entries(),
        frames,
        origin: first_time(&mut input)?,
    })
}

/// How the samples are looked into, of a video that could be divided.
fn coding(input: &VideoInput) -> Result<Coding, Undivided> {
    if input.facts().missing.is_some() {
        return Err(Some("the file ends early".to_owned()));
    }
    let (container, is_indexed) = input.container();
    if !is_indexed {
        return Err(Some(format!(
            "its container ({container}) has no index of all its frames"
        )));
    }
    if input.described_samples() == 0 || input.entries() == 0 {
        let reason = "it is fragmented: it has no index of all its frames";
        return Err(Some(reason.to_owned()));
    }
    let (codec, format) = input.coded_as();
    if codec == Id::H264 && is_444(format) {
        return Err(Some(
            "what its samples mean depends on a note in the first (H.264 in 4:4:4)".to_owned(),
        ));
    }
    let entry = input.sample_entry().ok_or(None)?;
    Coding::of(codec, &entry).map_err(Some)
}

/// Whether colour has as many samples as luma.
fn is_444(format: Pixel) -> bool {
    format
        .descriptor()
        .is_some_and(|d| d.nb_components() >= 3 && d.log2_chroma_w() == 0 && d.log2_chroma_h() == 0)
}

/// The presentation time of the first frame.
fn first_time(input: &mut VideoInput) -> Result<i64, Undivided> {
    let (mut first, mut sample, mut shown) = (None::<i64>, 0, 0);
    while shown < FIRST_AMONG {
        let packet = match input.read() {
            ReadPacket::Packet(packet) => packet,
            ReadPacket::End => break,
            ReadPacket::Damaged | ReadPacket::Failed(_) => return Err(None),
        };
        if input.entry(sample).is_some_and(|entry| entry.is_shown) {
            let pts = packet
                .pts()
                .ok_or_else(|| Some("its frames have no times".to_owned()))?;
            first = Some(first.map_or(pts, |first| first.min(pts)));
            shown += 1;
        }
        sample += 1;
    }
    first.ok_or(None)
}

/// The search for the starts of parts.
struct Search<'a, R> {
    coding: Coding,
    file: &'a mut R,
    least: u64,
    starts: Vec<Start>,
    frames: u64,
    /// Decoding time of the sample before.
    before: Option<i64>,
    /// Whether a sample had all parameter sets in it, and stated how the picture is turned.
    saw_sets: bool,
    saw_turned: bool,
    refused: Refused,
}

/// Key samples at which no part could begin.
#[derive(Default)]
struct Refused {
    dependent: bool,
    without_sets: bool,
}

impl<'a, R: Read + Seek> Search<'a, R> {
    fn new(coding: Coding, file: &'a mut R, least: u64) -> Self {
        Self {
            coding,
            file,
            least: least.max(1),
            starts: Vec::new(),
            frames: 0,
            before: None,
            saw_sets: false,
            saw_turned: false,
            refused: Refused::default(),
        }
    }

    /// Adds the next sample.
    fn add(&mut self, sample: usize, entry: Entry) -> Result<(), Undivided> {
        if self.before.is_some_and(|before| entry.dts <= before) {
            let reason = "its samples are not in the order of their times, as after edits that repeat or move parts";
            return Err(Some(reason.to_owned()));
        }
        self.before = Some(entry.dts);
        let is_far = |start: &Start| self.frames - start.frame >= self.least;
        if sample == 0 {
            let found = self.look(&entry)?;
            if found
                .side
                .x264
                .is_some_and(|version| version < X264_CORRECT)
            {
                let reason = "what its samples mean depends on a note in the first (an old x264)";
                return Err(Some(reason.to_owned()));
            }
            self.start(sample, entry);
        } else if entry.is_key && entry.is_shown && self.starts.last().is_some_and(is_far) {
            self.consider(sample, entry)?;
        } else if entry.is_key && !self.saw_sets && self.may_change() {
            self.look(&entry)?;
        }
        self.frames += u64::from(entry.is_shown);
        Ok(())
    }

    /// Begins a part at a key sample if it can begin one.
    fn consider(&mut self, sample: usize, entry: Entry) -> Result<(), Undivided> {
        let found = self.look(&entry)?;
        if !found.begins {
            self.refused.dependent = true;
            return Ok(());
        }
        let in_entry = match self.coding {
            Coding::Units { has_sets, .. } => has_sets && !self.saw_sets,
            Coding::Jpeg | Coding::Alone => false,
        };
        if (found.has_sets || in_entry) && (found.side.is_turned || !self.saw_turned) {
            self.start(sample, entry);
        } else {
            self.refused.without_sets = true;
        }
        Ok(())
    }

    /// Whether a sample may have parameter sets that those after it need.
    fn may_change(&self) -> bool {
        matches!(
            self.coding,
            Coding::Units {
                may_change: true,
                ..
            }
        )
    }

    fn look(&mut self, entry: &Entry) -> Result<KeySample, Undivided> {
        // A file that cannot be read is an error of the source.
        let found = key_sample(self.coding, self.file, entry).map_err(|_| None)?;
        self.saw_sets |= found.has_sets;
        self.saw_turned |= found.side.is_turned;
        Ok(found)
    }

    fn start(&mut self, sample: usize, entry: Entry) {
        self.starts.push(Start {
            sample,
            frame: self.frames,
            entry,
        });
    }

    /// The starts, if there are two.
    fn end(self) -> Result<Vec<Start>, Undivided> {
        if self.starts.len() > 1 {
            return Ok(self.starts);
        }
        Err(if self.frames <= self.least {
            None
        } else if self.refused.without_sets {
            Some("its key frames need parameters that stand before them".to_owned())
        } else if self.refused.dependent {
            Some("its key frames depend on frames before them (open GOPs)".to_owned())
        } else {
            Some(format!(
                "it has no key frame after its first {} frames",
                self.least
            ))
        })
    }
}
