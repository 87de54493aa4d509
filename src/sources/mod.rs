//! Where frames come from: images, folders, videos, DICOM.
//!
//! [`expand`] turns what the user gave into [`SourceSpec`]s, [`open`] makes a [`Source`] of one.

mod decode;
mod dicom;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod image;
mod inputs;
mod memory;
mod renamed;
mod selection;
mod sequence;
mod spooled_source;
mod stated;
mod video;
mod warning;

pub use self::{
    dicom::{DicomSeries, DicomSource, group_dicom},
    image::{ImageOptions, ImageSource},
};
pub use decode::{DECODE_SPAN, Decode, DecodeDevice, DecodeError, Decoding};
pub use inputs::{
    DicomGroup, DicomGrouping, DicomRefusal, ExpandOptions, Inputs, SourceSpec, Spooled,
    each_file_alone, expand,
};
pub use memory::{ImageError, IntoFrame, PixelLayout, PixelsRef};
pub use renamed::{Alias, Aliases, Renamed, hidden};
pub use selection::{FrameSelection, Selected, SelectionError};
pub use sequence::SequenceSource;
pub use stated::stated_frames;
pub use video::{VideoOptions, VideoSource, VideoSupport, video_support};
pub use warning::SourceWarning;

use crate::{
    dicom::DicomOptions,
    frame::{Frame, SourceInfo, SourceKind},
};
use spooled_source::SpooledSource;
use std::{path::PathBuf, sync::Arc};

/// A decoded stream of frames. Frames come in order, each once.
pub trait Source: Send {
    /// What is known of the source.
    fn info(&self) -> &Arc<SourceInfo>;

    /// The next frame, or none at the end. After an error the caller may call again: a source that cannot go on then
    /// says that it has ended; one that can (a sequence with one bad file) goes on with the frame after.
    ///
    /// # Errors
    /// [`SourceError`] for a frame that cannot be read or decoded.
    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError>;

    /// Passes over the next frame with as little work as the source can: false at the end. Otherwise as
    /// [`Source::next_frame`], whose numbers and times the frames after keep.
    ///
    /// # Errors
    /// [`SourceError`] where the source cannot tell a bad frame from the next without decoding it.
    fn skip_frame(&mut self) -> Result<bool, SourceError> {
        self.next_frame().map(|frame| frame.is_some())
    }

    /// Where it is decoded, where it is video; it may change as frames come.
    fn decoding(&self) -> Option<&Decoding> {
        None
    }

    /// Warnings since the last call: after opening, those about the whole source; later, those about the frames that
    /// came since. The same warning may come for every frame; a run reports it once.
    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        Vec::new()
    }
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn info(&self) -> &Arc<SourceInfo> {
        (**self).info()
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError> {
        (**self).next_frame()
    }

    fn skip_frame(&mut self) -> Result<bool, SourceError> {
        (**self).skip_frame()
    }

    fn decoding(&self) -> Option<&Decoding> {
        (**self).decoding()
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        (**self).take_warnings()
    }
}

/// How sources are read.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    /// Which frames of each source are wanted.
    pub selection: FrameSelection,
    /// Where videos are decoded.
    pub decode: Decode,
    /// The device that may decode them; a run takes that of its models where there is none.
    pub device: Option<DecodeDevice>,
    /// Threads of a video decoder on the CPU, and of the conversion of its frames to RGB; 0 is one for each core.
    pub decode_threads: usize,
    /// Largest picture that is decoded, in pixels; one frame of it takes up to 8 bytes a pixel while being decoded.
    pub max_pixels: u64,
    /// How DICOM is read; its window also scales grey images of more than 8 bits.
    pub dicom: DicomOptions,
    /// Neutral names of sources.
    pub aliases: Option<Arc<Aliases>>,
}

impl SourceOptions {
    /// The alias of a source; none where it has its own name.
    pub(crate) fn alias(&self, spec: &SourceSpec) -> Option<&Alias> {
        self.aliases.as_ref()?.of(spec)
    }
}

/// Default of [`SourceOptions::max_pixels`]: 16,384 × 8,192.
pub const DEFAULT_MAX_PIXELS: u64 = 16_384 * 8_192;

impl Default for SourceOptions {
    fn default() -> Self {
        Self {
            selection: FrameSelection::default(),
            decode: Decode::default(),
            device: None,
            decode_threads: 0,
            max_pixels: DEFAULT_MAX_PIXELS,
            dicom: DicomOptions::default(),
            aliases: None,
        }
    }
}

/// Opens a source, the `ordinal`th of the run. Only the selected frames come out, numbered as in the file.
///
/// # Errors
/// [`SourceError`] if the file cannot be opened or its header cannot be read. Frames that turn out bad later give their
/// errors from [`Source::next_frame`].
pub fn open(
    spec: &SourceSpec,
    ordinal: usize,
    options: &SourceOptions,
) -> Result<Box<dyn Source>, SourceError> {
    let Some(alias) = options.alias(spec) else {
        return open_named(spec, ordinal, options);
    };
    let source = open_named(spec, ordinal, options).map_err(|error| alias.error(spec, error))?;
    Ok(Box::new(Renamed::new(source, spec, alias)))
}

fn open_named(
    spec: &SourceSpec,
    ordinal: usize,
    options: &SourceOptions,
) -> Result<Box<dyn Source>, SourceError> {
    if let [file] = &spec.files[..]
        && *file != spec.path
        && spec.kind != SourceKind::Sequence
    {
        let read = SourceSpec {
            path: file.clone(),
            ..spec.clone()
        };
        return Ok(Box::new(SpooledSource::open(&spec.path, || {
            open_named(&read, ordinal, options)
        })?));
    }
    let source: Box<dyn Source> = match spec.kind {
        SourceKind::Image => Box::new(ImageSource::open(
            spec,
            ordinal,
            &ImageOptions::from(options),
        )?),
        SourceKind::Sequence => Box::new(SequenceSource::new(
            spec,
            ordinal,
            &ImageOptions::from(options),
        )),
        SourceKind::Video => Box::new(VideoSource::open(
            spec,
            ordinal,
            &VideoOptions::from(options),
        )?),
        SourceKind::Dicom => dicom::open(spec, ordinal, options)?,
    };
    Ok(select(source, &options.selection))
}

/// The source, of which only the frames of `selection` come out.
pub(crate) fn select(source: Box<dyn Source>, selection: &FrameSelection) -> Box<dyn Source> {
    if selection.is_everything() {
        source
    } else {
        Box::new(Selected::new(source, selection.clone()))
    }
}

/// An input that cannot be read. Displayed as: what the user gave, what was wrong, what would work.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}{}: {problem}{}", path.display(), frame.map(|n| format!(", frame {n}")).unwrap_or_default(), remedy.as_deref().map(|r| format!("; {r}")).unwrap_or_default())]
pub struct SourceError {
    /// The file or folder.
    pub path: PathBuf,
    /// The frame, where one frame is at fault.
    pub frame: Option<u64>,
    /// What was wrong.
    pub problem: String,
    /// What would work.
    pub remedy: Option<String>,
}

impl SourceError {
    /// An error of the whole file or folder.
    pub fn new(path: impl Into<PathBuf>, problem: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            frame: None,
            problem: problem.into(),
            remedy: None,
        }
    }

    /// The same error, of one frame.
    #[must_use]
    pub fn at(mut self, frame: u64) -> Self {
        self.frame = Some(frame);
        self
    }

    /// The same error, with what would work.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// Opens one file, folder of numbered images, or DICOM series.
///
/// # Errors
/// [`SourceError`] if it cannot be opened, or is a folder of several sources; [`expand`] takes those.
pub fn open_path(path: impl AsRef<std::path::Path>) -> Result<Box<dyn Source>, SourceError> {
    let path = path.as_ref();
    let expanded = expand(
        &[path.as_os_str().to_owned()],
        ExpandOptions::default(),
        &mut std::io::empty(),
    );
    let count = expanded.sources.len();
    match (expanded.sources.into_iter().next(), count) {
        (Some(spec), 1) => open(&spec?, 0, &SourceOptions::default()),
        _ => Err(SourceError::new(path, format!("holds {count} sources"))
            .with_remedy("open them one by one, as sources::expand gives them")),
    }
}
