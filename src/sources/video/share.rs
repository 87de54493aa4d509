//! The frames of a video that one of several runs takes, each range of them from the key frame before it.

use super::{VideoOptions, division::VideoParts, part_source::VideoPartSource};
use crate::{
    frame::{Frame, SourceInfo},
    sources::{
        Decoding, PartSource, PartStep, Source, SourceError, SourceSpec, SourceWarning,
        selected::Selected, wanted::Wanted,
    },
};
use std::sync::Arc;

/// Opens all frames of the video from its start.
type OpenWhole = Box<dyn Fn() -> Result<Box<dyn Source>, SourceError> + Send>;

/// Of a video that can be divided, the frames of a share.
///
/// What lies between its ranges is looked through and not decoded. Where anything in there or in what is decoded is for a decoder of the
/// whole to judge, the video is decoded from its start, and the frames go on with the one that was due.
pub(in crate::sources) struct VideoShareSource {
    info: Arc<SourceInfo>,
    reader: Reader,
    parts: Arc<VideoParts>,
    wanted: Wanted,
    /// The part that is decoded; none before the first.
    part: Option<usize>,
    /// The frame after the last that came.
    next: u64,
    /// Whether its last frame, if that is in the share, was the last indeed.
    saw_end: bool,
    open_whole: OpenWhole,
    warnings: Vec<SourceWarning>,
}

/// What frames are read from.
enum Reader {
    Parts(Box<VideoPartSource>),
    Whole(Selected<Box<dyn Source>>),
    /// It could not be opened.
    Nothing,
}

impl VideoShareSource {
    /// Opens the frames that are `wanted` of a video file with these parts, before the first of them.
    ///
    /// # Errors
    /// As [`super::VideoSource::open`].
    pub(in crate::sources) fn open(
        spec: &SourceSpec,
        ordinal: usize,
        options: &VideoOptions,
        wanted: Wanted,
        parts: VideoParts,
        open_whole: OpenWhole,
    ) -> Result<Self, SourceError> {
        let parts = Arc::new(parts);
        let frames = VideoPartSource::open(spec, ordinal, options, &wanted, &parts, 0)?;
        Ok(Self {
            info: frames.info().clone(),
            reader: Reader::Parts(Box::new(frames)),
            parts,
            wanted,
            part: None,
            next: 0,
            saw_end: false,
            open_whole,
            warnings: Vec::new(),
        })
    }

    /// What comes next in the parts: a frame, the end, or that the whole source must be opened.
    fn of_parts(&mut self) -> Result<PartStep, SourceError> {
        let count = self.parts.frames;
        let Some(due) = self.wanted.first_in(self.next..count) else {
            let has_last = self.wanted.reaches(count.saturating_sub(1));
            if self.saw_end || !has_last {
                return Ok(PartStep::End);
            }
            self.saw_end = true;
            return self.decode(count.saturating_sub(1));
        };
        Ok(match self.decode(due)? {
            // It is in that part.
            PartStep::End => PartStep::Irregular,
            step => step,
        })
    }

    /// Decodes the part with that frame to the next wanted frame or to its end, and before it the part before: times that are not in the
    /// order of pictures show there, before a frame comes whose time the whole source would have corrected.
    fn decode(&mut self, due: u64) -> Result<PartStep, SourceError> {
        let Reader::Parts(frames) = &mut self.reader else {
            return Ok(PartStep::Irregular);
        };
        let target = self.parts.part_of(due);
        loop {
            let next = match self.part {
                Some(part) if part == target => None,
                Some(part) if part + 1 == target => Some(target),
                _ => Some(target.saturating_sub(1)),
            };
            if let Some(part) = next {
                if part > 0 {
                    frames.pass_to(part);
                }
                self.part = Some(part);
            }
            match frames.next_frame()? {
                PartStep::End if self.part != Some(target) => {}
                step => return Ok(step),
            }
        }
    }

    /// Goes on with the whole source.
    fn take_whole(&mut self) -> Result<(), SourceError> {
        // Its decoder ends first.
        let parts = std::mem::replace(&mut self.reader, Reader::Nothing);
        if matches!(&parts, Reader::Parts(frames) if !frames.was_refused()) {
            self.note_irregular();
        }
        drop(parts);
        let whole = Selected::new((self.open_whole)()?, self.wanted.selection.clone());
        self.reader = Reader::Whole(match self.wanted.share {
            Some(share) => whole.shared(share),
            None => whole,
        });
        Ok(())
    }

    /// A warning that the frames are not those of the index, by which other runs go.
    fn note_irregular(&mut self) {
        let problem = "is not what its index says from about this frame on, and was decoded from its start; \
                       other shares of it may number or time the frames after this one otherwise";
        let warning = SourceWarning::new(&self.info.path, problem).at(self.next);
        let remedy = "deal it out whole to be sure";
        self.warnings.push(warning.with_remedy(remedy));
    }
}

impl Source for VideoShareSource {
    fn info(&self) -> &Arc<SourceInfo> {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError> {
        loop {
            let whole = match &mut self.reader {
                Reader::Whole(whole) => whole,
                Reader::Nothing => return Ok(None),
                Reader::Parts(_) => {
                    match self.of_parts()? {
                        PartStep::Frame(frame) => {
                            self.next = frame.index + 1;
                            return Ok(Some(frame));
                        }
                        PartStep::End => return Ok(None),
                        PartStep::Irregular => self.take_whole()?,
                    }
                    continue;
                }
            };
            match whole.next_frame() {
                Ok(Some(frame)) if frame.index < self.next => {}
                Err(error) if error.frame.is_some_and(|at| at < self.next) => {}
                other => return other,
            }
        }
    }

    fn decoding(&self) -> Option<&Decoding> {
        match &self.reader {
            Reader::Parts(frames) => frames.decoding(),
            Reader::Whole(whole) => whole.decoding(),
            Reader::Nothing => None,
        }
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        let mut warnings = match &mut self.reader {
            Reader::Parts(frames) => frames.take_warnings(),
            Reader::Whole(whole) => whole.take_warnings(),
            Reader::Nothing => Vec::new(),
        };
        warnings.append(&mut self.warnings);
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        frame::SourceKind,
        sources::{
            FrameSelection, FrameShare,
            video::{divide, input::VideoInput},
        },
    };
    use std::{fs, num::NonZeroU64, path::Path};

    /// The last ranges of ten frames of a clip whose parts are of as many.
    fn last(path: &Path) -> VideoShareSource {
        let spec = SourceSpec {
            path: path.to_owned(),
            kind: SourceKind::Video,
            files: vec![path.to_owned()],
            name: "clip".to_owned(),
            folder: None,
        };
        let parts = divide(path, 10).unwrap();
        let wanted = Wanted {
            selection: FrameSelection::default(),
            share: Some(FrameShare {
                length: NonZeroU64::new(10).unwrap(),
                first: 0,
                own: 3,
                of: NonZeroU64::new(4).unwrap(),
            }),
        };
        let (options, whole) = (VideoOptions::default(), spec.clone());
        let whole = move || -> Result<Box<dyn Source>, SourceError> {
            let options = VideoOptions::default();
            Ok(Box::new(super::super::VideoSource::open(
                &whole, 0, &options,
            )?))
        };
        VideoShareSource::open(&spec, 0, &options, wanted, parts, Box::new(whole)).unwrap()
    }

    fn next(source: &mut VideoShareSource) -> u64 {
        source.next_frame().unwrap().unwrap().index
    }

    #[test]
    fn what_lies_before_a_range_is_not_decoded_unless_it_matters_to_it() {
        let clip = "tests/fixtures/media/parts/closed.mp4";
        let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join(clip);
        let mut source = last(&clip);
        assert_eq!(next(&mut source), 30);
        let start = source.parts.starts[source.part.unwrap()];
        assert!(start.frame > 10 && start.frame <= 30, "{start:?}");
        assert!(matches!(source.reader, Reader::Parts(_)));

        // A picture before it becomes a set of parameters.
        let input = VideoInput::open(&clip, fs::File::open(&clip).unwrap()).unwrap();
        let fourth = input.entry(3).unwrap();
        let mut bytes = fs::read(&clip).unwrap();
        let kind = &mut bytes[fourth.position as usize + 4];
        assert_eq!(*kind & 0x1f, 1);
        *kind = *kind & 0xe0 | 8;
        let folder = tempfile::tempdir().unwrap();
        let changed = folder.path().join("changed.mp4");
        fs::write(&changed, bytes).unwrap();
        let mut source = last(&changed);
        assert_eq!(next(&mut source), 30);
        assert!(matches!(source.reader, Reader::Whole(_)));
    }
}
