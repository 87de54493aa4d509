//! Opens the file or series of a specification.

use super::{
    frames::{DicomSeries, DicomSource, physical},
    issues::{source_error, warning},
};
use crate::{
    dicom::{self, DicomFile},
    frame::{Frame, SourceInfo, SourceKind},
    sources::{
        Decoding, Source, SourceError, SourceOptions, SourceSpec, SourceWarning, VideoOptions,
        VideoSource,
    },
};
use std::{path::Path, sync::Arc};

/// Largest encapsulated video that is read; FFmpeg reads it from memory.
const LARGEST_VIDEO: u64 = 4 << 30;

/// Opens the file or series of a specification.
pub(in crate::sources) fn open(
    spec: &SourceSpec,
    ordinal: usize,
    options: &SourceOptions,
) -> Result<Box<dyn Source>, SourceError> {
    let [file] = &spec.files[..] else {
        return Ok(Box::new(DicomSeries::open(
            spec.files.clone(),
            &spec.path,
            ordinal,
            &spec.name,
            options.dicom,
        )?));
    };
    let mut opened = DicomFile::open(file).map_err(|e| source_error(file, None, e))?;
    if opened.is_video() {
        let warnings = opened
            .burned_in()
            .map(|finding| warning(file, None, &finding))
            .into_iter()
            .collect();
        let video = open_video(spec, file, &mut opened, ordinal, options)?;
        return Ok(Box::new(EncapsulatedSource { video, warnings }));
    }
    Ok(Box::new(DicomSource::open(
        file,
        ordinal,
        &spec.name,
        options.dicom,
    )?))
}

/// The video stream of a DICOM file, with the warnings about the file.
struct EncapsulatedSource {
    video: VideoSource,
    warnings: Vec<SourceWarning>,
}

impl Source for EncapsulatedSource {
    fn info(&self) -> &Arc<SourceInfo> {
        self.video.info()
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError> {
        self.video.next_frame()
    }

    fn skip_frame(&mut self) -> Result<bool, SourceError> {
        self.video.skip_frame()
    }

    fn decoding(&self) -> Option<&Decoding> {
        self.video.decoding()
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        let mut warnings = std::mem::take(&mut self.warnings);
        warnings.extend(self.video.take_warnings());
        warnings
    }
}

/// The stream of a video transfer syntax goes to FFmpeg as it was stored.
fn open_video(
    spec: &SourceSpec,
    file: &Path,
    opened: &mut DicomFile,
    ordinal: usize,
    options: &SourceOptions,
) -> Result<VideoSource, SourceError> {
    let info = SourceInfo {
        ordinal,
        path: spec.path.clone(),
        name: spec.name.clone(),
        kind: SourceKind::Dicom,
        folder: None,
        frame_count: None,
        frame_rate: None,
        attributes: opened.output_attributes(&options.dicom),
    };
    let facts = physical(opened, 0, &options.dicom);
    let fail = |e| source_error(file, None, e);
    let mut bytes = Vec::new();
    if let Some(mut video) = dicom::encapsulated_video(opened).map_err(fail)? {
        if video.len() > LARGEST_VIDEO {
            return Err(SourceError::new(
                file,
                format!(
                    "holds a video of {} bytes, more than fits into memory",
                    video.len()
                ),
            ));
        }
        video.write_to(&mut bytes).map_err(fail)?;
    }
    VideoSource::from_bytes(bytes, info, facts, &VideoOptions::from(options))
}
