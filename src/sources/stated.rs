//! Number of frames that a source states.

use super::{ImageOptions, ImageSource, Source, SourceSpec, video};
use crate::{dicom::DicomFile, frame::SourceKind};

/// Number of frames that a source states, by its headers alone: files of a sequence or series, pages of an image, the
/// count of a container or DICOM file. `None` where nothing is stated or the source cannot be opened. The source may
/// yield more or fewer.
pub fn stated_frames(spec: &SourceSpec, max_pixels: u64) -> Option<u64> {
    match spec.kind {
        SourceKind::Sequence => Some(spec.files.len() as u64),
        SourceKind::Image => {
            ImageSource::open(
                spec,
                0,
                &ImageOptions {
                    max_pixels,
                    ..ImageOptions::default()
                },
            )
            .ok()?
            .info()
            .frame_count
        }
        SourceKind::Video => video::stated_frames(&spec.path),
        SourceKind::Dicom => match &spec.files[..] {
            [file] => DicomFile::open(file).ok()?.stated_frames(),
            files => Some(files.len() as u64),
        },
    }
}
