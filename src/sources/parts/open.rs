//! Opens parts.

use super::{
    divided::{Content, Divided},
    part::PartSource,
    positioned::PositionedPart,
};
use crate::sources::{
    DicomSeries, DicomSource, ImageOptions, ImageSource, Renamed, SequenceSource, SourceError,
    SourceOptions, SourceSpec, VideoOptions, video::VideoPartSource, wanted::Wanted,
};
use std::path::PathBuf;

/// Opens a part of the source with number `ordinal` (from 0) of the run, which [`super::divide`] divided. It yields the
/// selected frames only.
///
/// # Errors
/// As [`crate::sources::open`]; if there is no such part.
pub(crate) fn open_part(
    spec: &SourceSpec,
    ordinal: usize,
    options: &SourceOptions,
    divided: &Divided,
    part: usize,
) -> Result<Box<dyn PartSource>, SourceError> {
    let Some(alias) = options.alias(spec) else {
        return open_named(spec, ordinal, options, divided, part);
    };
    let opened = open_named(spec, ordinal, options, divided, part)
        .map_err(|error| alias.error(spec, error))?;
    Ok(Box::new(Renamed::part(opened, spec, alias)))
}

fn open_named(
    spec: &SourceSpec,
    ordinal: usize,
    options: &SourceOptions,
    divided: &Divided,
    part: usize,
) -> Result<Box<dyn PartSource>, SourceError> {
    let selection = &options.selection;
    let images = ImageOptions::from(options);
    Ok(match divided.content() {
        Content::Sequence => {
            let source = SequenceSource::new(spec, ordinal, &images);
            Box::new(PositionedPart::new(source, divided, part, selection)?)
        }
        Content::Pages => {
            let source = ImageSource::open(spec, ordinal, &images)?;
            Box::new(PositionedPart::new(source, divided, part, selection)?)
        }
        Content::Dicom => {
            let file = spec.files.first().unwrap_or(&spec.path);
            let source = DicomSource::open(file, ordinal, &spec.name, options.dicom)?;
            Box::new(PositionedPart::new(source, divided, part, selection)?)
        }
        Content::Series(range) => {
            let files: Vec<PathBuf> = spec.files.clone();
            let source = DicomSeries::open(files, &spec.path, ordinal, &spec.name, options.dicom)?;
            let source = source.sharing(range.clone());
            Box::new(PositionedPart::new(source, divided, part, selection)?)
        }
        Content::Video(parts) => {
            divided.part(part, &spec.path)?;
            let video = VideoOptions::from(options);
            let wanted = Wanted::selected(selection.clone());
            Box::new(VideoPartSource::open(
                spec, ordinal, &video, &wanted, parts, part,
            )?)
        }
    })
}
