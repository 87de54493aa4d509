//! Sources that have no name yet.

use crate::{
    frame::SourceKind,
    sources::{DicomGroup, DicomGrouping, DicomRefusal},
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

/// A source that has no name yet.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) path: PathBuf,
    pub(super) kind: SourceKind,
    pub(super) files: Vec<PathBuf>,
    /// The folder below which the name is taken; none for the file's own name.
    pub(super) base: Option<PathBuf>,
    /// Distinguishes a sequence from others of its folder.
    pub(super) pattern: Option<String>,
}

impl Draft {
    pub(super) fn file(path: PathBuf, kind: SourceKind, base: Option<&Path>) -> Self {
        Self {
            files: vec![path.clone()],
            path,
            kind,
            base: base.map(Path::to_owned),
            pattern: None,
        }
    }
}

/// Runs the grouping over `files` and gives its sources by the file at whose place they come.
pub(super) fn place_groups(
    files: Vec<PathBuf>,
    group: DicomGrouping<'_>,
    base_of: impl Fn(&Path) -> Option<PathBuf>,
) -> HashMap<PathBuf, Vec<Result<Draft, DicomRefusal>>> {
    let mut placed: HashMap<PathBuf, Vec<_>> = HashMap::new();
    let Some(first) = files.first().cloned() else {
        return placed;
    };
    let order: HashMap<PathBuf, usize> = files
        .iter()
        .cloned()
        .enumerate()
        .map(|(i, path)| (path, i))
        .collect();
    for outcome in group(files) {
        let (place, draft) = match outcome {
            Ok(DicomGroup { path, files }) => {
                let place = files
                    .iter()
                    .filter(|f| order.contains_key(*f))
                    .min_by_key(|f| order[*f])
                    .cloned();
                let base = base_of(place.as_deref().unwrap_or(&first));
                (
                    place,
                    Ok(Draft {
                        path,
                        kind: SourceKind::Dicom,
                        files,
                        base,
                        pattern: None,
                    }),
                )
            }
            Err(refusal) => {
                let (DicomRefusal::NoImage(error) | DicomRefusal::Unreadable(error)) = &refusal;
                (
                    Some(error.path.clone()).filter(|p| order.contains_key(p)),
                    Err(refusal),
                )
            }
        };
        placed
            .entry(place.unwrap_or_else(|| first.clone()))
            .or_default()
            .push(draft);
    }
    placed
}
