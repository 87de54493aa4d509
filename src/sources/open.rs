//! Opens sources of every kind.

use super::{
    dicom,
    image::{ImageOptions, ImageSource},
    inputs::{ExpandOptions, expand},
    issue::SourceError,
    options::SourceOptions,
    renamed::Renamed,
    selected::Selected,
    selection::FrameSelection,
    sequence::SequenceSource,
    source::Source,
    spec::SourceSpec,
    spooled_source::SpooledSource,
    video::{self, VideoOptions, VideoParts, VideoShareSource, VideoSource},
    wanted::{FrameShare, Wanted},
};
use crate::frame::SourceKind;
use std::path::Path;

/// Parts of a range of frames that a run decodes, where key frames allow them: what it decodes in vain before the range is one at most.
const PARTS_OF_RANGE: u64 = 32;
/// Frames of such a part where ranges are long.
const MOST_BEFORE: u64 = 128;

/// Opens the source with number `ordinal` (from 0) of the run. It yields the selected frames only, numbered as in the file.
///
/// # Errors
/// [`SourceError`] if the file cannot be opened or its header cannot be read. Errors of single frames are returned by
/// [`Source::next_frame`].
pub fn open(
    spec: &SourceSpec,
    ordinal: usize,
    options: &SourceOptions,
) -> Result<Box<dyn Source>, SourceError> {
    named(spec, options, open_named(spec, ordinal, options))
}

/// What was opened, under its alias if it has one.
fn named(
    spec: &SourceSpec,
    options: &SourceOptions,
    opened: Result<Box<dyn Source>, SourceError>,
) -> Result<Box<dyn Source>, SourceError> {
    let Some(alias) = options.alias(spec) else {
        return opened;
    };
    let source = opened.map_err(|error| alias.error(spec, error))?;
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

/// Restricts a source to the frames of `selection`.
pub(crate) fn select(source: Box<dyn Source>, selection: &FrameSelection) -> Box<dyn Source> {
    if selection.is_everything() {
        source
    } else {
        Box::new(Selected::new(source, selection.clone()))
    }
}

/// Opens a source of which only the frames of `share`, of those that the options select, come out. Each range of them begins at the key
/// frame before it; where the source cannot be divided there, that is why, if one might expect it, and all is decoded from its start.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_share(
    spec: &SourceSpec,
    ordinal: usize,
    options: &SourceOptions,
    share: FrameShare,
) -> Result<(Box<dyn Source>, Option<String>), SourceError> {
    let selection = &options.selection;
    let all = SourceOptions {
        selection: FrameSelection::default(),
        ..options.clone()
    };
    let first = selection.range.as_ref().map_or(0, |range| range.start);
    let reason = match divided(spec, share) {
        Ok(parts) if first < parts.frames => {
            let video = VideoOptions::from(options);
            let wanted = Wanted {
                selection: selection.clone(),
                share: Some(share),
            };
            let again = spec.clone();
            let whole = Box::new(move || open_named(&again, ordinal, &all));
            let opened = VideoShareSource::open(spec, ordinal, &video, wanted, parts, whole);
            let opened = opened.map(|source| -> Box<dyn Source> { Box::new(source) });
            return Ok((named(spec, options, opened)?, None));
        }
        Ok(_) => None,
        Err(reason) => reason,
    };
    let source = open(spec, ordinal, &all)?;
    let selected = Selected::new(source, selection.clone());
    Ok((Box::new(selected.shared(share)), reason))
}

/// The parts of a source, fine enough for a share.
fn divided(spec: &SourceSpec, share: FrameShare) -> Result<VideoParts, Option<String>> {
    match &spec.files[..] {
        [file] if *file == spec.path && spec.kind == SourceKind::Video => {
            let least = (share.length.get() / PARTS_OF_RANGE).clamp(1, MOST_BEFORE);
            video::divide(file, least)
        }
        _ => Err(None),
    }
}

/// Opens one file, folder of numbered images, or DICOM series.
///
/// # Errors
/// [`SourceError`] if it cannot be opened, or is a folder of several sources; [`expand`] takes those.
pub fn open_path(path: impl AsRef<Path>) -> Result<Box<dyn Source>, SourceError> {
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
