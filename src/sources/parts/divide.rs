//! Which sources are divided, and where.

use super::divided::{Content, Divided, Division};
use crate::{
    dicom::{DicomFile, DicomImage},
    frame::SourceKind,
    sources::{
        ImageOptions, ImageSource, Source, SourceOptions, SourceSpec,
        contents::{Contents, identify},
        video,
    },
};
use image::ImageFormat;
use std::{path::Path, sync::Arc};

/// Divides a source into parts of at least `least` frames; the last may have fewer. A source that cannot be opened is whole: opening
/// it reports why.
pub(crate) fn divide(spec: &SourceSpec, options: &SourceOptions, least: u64) -> Division {
    let selects_range = options.selection.range.as_ref();
    if selects_range.is_some_and(|range| *range != (0..u64::MAX)) {
        return Division::whole("a range of its frames is selected");
    }
    if spec.kind == SourceKind::Sequence {
        return Divided::evenly(spec.files.len() as u64, least, Content::Sequence);
    }
    let [file] = &spec.files[..] else {
        let content = Content::Series(Arc::default());
        return match spec.kind {
            SourceKind::Dicom => Divided::evenly(spec.files.len() as u64, least, content),
            _ => Division::SHORT,
        };
    };
    match spec.kind {
        SourceKind::Image => pages(spec, options, least),
        _ if *file != spec.path => Division::whole("it is read from standard input"),
        SourceKind::Dicom => dicom(file, options, least),
        _ => match video::divide(file, least) {
            Ok(video) => Division::Parts(Divided::video(video)),
            Err(reason) => Division::Whole { reason },
        },
    }
}

fn pages(spec: &SourceSpec, options: &SourceOptions, least: u64) -> Division {
    // Of animations each frame builds on the one before.
    if !matches!(identify(&spec.path), Ok(Contents::Image(ImageFormat::Tiff))) {
        return Division::SHORT;
    }
    match ImageSource::open(spec, 0, &ImageOptions::from(options)) {
        Ok(source) if source.has_pages() => Divided::evenly(
            source.info().frame_count.unwrap_or(0),
            least,
            Content::Pages,
        ),
        _ => Division::SHORT,
    }
}

fn dicom(file: &Path, options: &SourceOptions, least: u64) -> Division {
    let Ok(opened) = DicomFile::open(file) else {
        return Division::SHORT;
    };
    if opened.is_video() {
        return Division::whole("its pixel data are a video stream inside a DICOM file");
    }
    if opened.stated_frames().is_none_or(|frames| frames <= least) {
        return Division::SHORT;
    }
    let Ok(image) = DicomImage::from_file(opened, options.dicom.window) else {
        return Division::SHORT;
    };
    if image.needs_range().unwrap_or(true) {
        return Division::whole("its grey values are scaled by the range of all its frames");
    }
    Divided::evenly(image.frames(), least, Content::Dicom)
}
