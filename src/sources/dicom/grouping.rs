//! Which DICOM files make one source.

use super::issues::source_error;
use crate::{
    dicom::{self, DicomError, DicomFile},
    sources::issue::SourceError,
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// DICOM files that make one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DicomGroup {
    /// The file of a single one, the folder of a series.
    pub path: PathBuf,
    /// Files in the order of the series.
    pub files: Vec<PathBuf>,
}

/// Reason why a DICOM file belongs to no source.
#[derive(Debug, Clone)]
pub enum DicomRefusal {
    /// It is sound, but no image: a report, presentation state, key object selection or document. An error where the user
    /// named the file; a search passes it over.
    NoImage(SourceError),
    /// It cannot be read.
    Unreadable(SourceError),
}

impl From<SourceError> for DicomRefusal {
    fn from(error: SourceError) -> Self {
        Self::Unreadable(error)
    }
}

impl DicomRefusal {
    /// The error, whatever the reason.
    pub fn into_error(self) -> SourceError {
        let (Self::NoImage(error) | Self::Unreadable(error)) = self;
        error
    }
}

/// Groups DICOM files into sources. Gets the files of one input in natural order; returns the groups in the order of the
/// sources, and a refusal for each file that belongs to none.
pub type DicomGrouping<'a> = &'a dyn Fn(Vec<PathBuf>) -> Vec<Result<DicomGroup, DicomRefusal>>;

/// The grouping in which every file is a source of its own.
pub fn each_file_alone(files: Vec<PathBuf>) -> Vec<Result<DicomGroup, DicomRefusal>> {
    files
        .into_iter()
        .map(|path| {
            Ok(DicomGroup {
                files: vec![path.clone()],
                path,
            })
        })
        .collect()
}

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
            // The scan reports whatever else is wrong with it.
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
