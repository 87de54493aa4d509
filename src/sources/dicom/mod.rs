//! DICOM files and series among the sources: how files are grouped, and what opens each.

mod frames;

pub use frames::{DicomSeries, DicomSource};

use super::{
    Decoding, DicomGroup, DicomRefusal, Source, SourceError, SourceOptions, SourceSpec,
    SourceWarning, VideoOptions, VideoSource,
};
use crate::{
    dicom::{self, DicomError, DicomFile},
    frame::{Frame, SourceInfo, SourceKind},
};
use frames::{physical, source_error, warning};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Largest encapsulated video that is read; FFmpeg reads it from memory.
const LARGEST_VIDEO: u64 = 4 << 30;

/// Sorts DICOM files into sources: a series of single-frame files is one, a multi-frame or video file another. A
/// DICOMDIR stands for the files it refers to; a file that comes twice counts once. An object without an image, such as a
/// report, is refused as [`DicomRefusal::NoImage`].
pub fn group_dicom(files: Vec<PathBuf>) -> Vec<Result<DicomGroup, DicomRefusal>> {
    let (mut paths, mut errors, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    let mut add = |path: PathBuf, paths: &mut Vec<PathBuf>| {
        if seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())) {
            paths.push(path);
        }
    };
    for path in files {
        match DicomFile::open(&path) {
            Ok(file) if file.is_directory() => match dicom::directory_files(&path) {
                Ok(listed) if listed.is_empty() => {
                    errors.push(Err(DicomRefusal::NoImage(SourceError::new(
                        &path,
                        "the DICOMDIR refers to no image",
                    ))));
                }
                Ok(listed) => listed
                    .into_iter()
                    .for_each(|listed| add(listed, &mut paths)),
                Err(error) => errors.push(Err(source_error(&path, None, error).into())),
            },
            // Whatever else is wrong with it, the scan says.
            _ => add(path, &mut paths),
        }
    }
    let scan = dicom::scan(&paths);
    let group = |series: dicom::Series| DicomGroup {
        path: place(&series.files),
        files: series.files,
    };
    let failed = scan.failures.into_iter().map(|(path, error)| {
        let no_image = matches!(error, DicomError::NoImage { .. });
        let error = source_error(&path, None, error);
        Err(if no_image {
            DicomRefusal::NoImage(error)
        } else {
            DicomRefusal::Unreadable(error)
        })
    });
    scan.series
        .into_iter()
        .map(|series| Ok(group(series)))
        .chain(failed)
        .chain(errors)
        .collect()
}

/// The file of a lone one, the folder of several.
fn place(files: &[PathBuf]) -> PathBuf {
    match files {
        [one] => one.clone(),
        files => files
            .first()
            .and_then(|file| file.parent())
            .map_or_else(|| PathBuf::from("."), Path::to_owned),
    }
}

/// Opens the file or series of a specification.
pub(super) fn open(
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

/// A video out of a DICOM file, with what there is to say of the file.
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
