//! Opens sources of every kind.

use super::{
    dicom,
    image::{ImageOptions, ImageSource},
    inputs::{ExpandOptions, expand},
    issue::SourceError,
    options::SourceOptions,
    renamed::Renamed,
    selection::{FrameSelection, FrameShare, Selected},
    sequence::SequenceSource,
    source::Source,
    spec::SourceSpec,
    spooled_source::SpooledSource,
    video::{VideoOptions, VideoSource},
};
use crate::frame::SourceKind;
use std::path::Path;

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

/// Restricts a source to the frames of `selection`.
pub(crate) fn select(source: Box<dyn Source>, selection: &FrameSelection) -> Box<dyn Source> {
    if selection.is_everything() {
        source
    } else {
        Box::new(Selected::new(source, selection.clone()))
    }
}

/// Opens a source of which only the frames of `share`, of those that the options select, come out.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_share(
    spec: &SourceSpec,
    ordinal: usize,
    options: &SourceOptions,
    share: FrameShare,
) -> Result<Box<dyn Source>, SourceError> {
    let all = SourceOptions {
        selection: FrameSelection::default(),
        ..options.clone()
    };
    let source = open(spec, ordinal, &all)?;
    let selected = Selected::new(source, options.selection.clone());
    Ok(Box::new(selected.shared(share)))
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
