//! What a folder holds.

use super::{
    draft::{Draft, place_groups},
    natural,
    numbered::{self, Numbered},
    options::ExpandOptions,
    search::Search,
    walk::{Files, files_below},
};
use crate::{
    frame::SourceKind,
    sources::{
        DicomRefusal, SourceError, SourceWarning,
        contents::{self, Contents, identify},
    },
};
use std::path::{Path, PathBuf};

/// Sources of a folder and its subfolders in natural order.
#[derive(Default)]
pub(super) struct Found {
    pub(super) sources: Vec<Result<Draft, SourceError>>,
    pub(super) ignored: Vec<PathBuf>,
    pub(super) warnings: Vec<SourceWarning>,
}

/// Searches a folder with its subfolders.
pub(super) fn search(root: &Path, options: &ExpandOptions<'_>, search: &Search<'_>) -> Found {
    let Files { files, errors } = files_below(root, search);
    let mut placed: Vec<(PathBuf, Result<Draft, SourceError>)> = errors
        .into_iter()
        .map(|error| (error.path.clone(), Err(error)))
        .collect();
    let (mut images, mut dicom, mut ignored) = (Vec::new(), Vec::new(), Vec::new());
    let mut without_image = Vec::new();
    for path in files {
        if search.is_stopped() {
            return Found::default();
        }
        match identify(&path) {
            Ok(Contents::Image(_)) => images.push(Numbered {
                path,
                problem: None,
            }),
            Ok(Contents::Video) => placed.push((
                path.clone(),
                Ok(Draft::file(path, SourceKind::Video, Some(root))),
            )),
            Ok(Contents::Dicom) => dicom.push(path),
            Ok(other)
                if matches!(other, Contents::Unread(_)) || contents::looks_like_image(&path) =>
            {
                images.push(Numbered {
                    problem: Some(other.refusal(&path)),
                    path,
                })
            }
            Ok(other) if contents::looks_like_input(&path) => {
                placed.push((path.clone(), Err(other.refusal(&path))))
            }
            Ok(_) => ignored.push(path),
            Err(error) if contents::looks_like_image(&path) => images.push(Numbered {
                problem: Some(error),
                path,
            }),
            Err(error) => placed.push((path, Err(error))),
        }
    }
    for (place, drafts) in place_groups(dicom, options.group_dicom, |_| Some(root.to_owned())) {
        for draft in drafts {
            match draft {
                Err(DicomRefusal::NoImage(error)) => without_image.push(error.path.clone()),
                draft => placed.push((place.clone(), draft.map_err(DicomRefusal::into_error))),
            }
        }
    }
    without_image.sort_by(|a, b| natural::compare_paths(a, b));
    placed.extend(numbered::sources(images, options.as_images, root));
    if placed.is_empty() {
        let problem = match (without_image.is_empty(), ignored.is_empty()) {
            (false, _) => "the folder holds no image or video, and its DICOM files are none",
            (true, false) => "the folder holds no image, video or DICOM file",
            (true, true) => "the folder is empty",
        };
        placed.push((root.to_owned(), Err(SourceError::new(root, problem))));
    }
    placed.sort_by(|a, b| natural::compare_paths(&a.0, &b.0));
    let warnings = passed_over(root, &without_image).into_iter().collect();
    Found {
        sources: placed.into_iter().map(|(_, source)| source).collect(),
        ignored,
        warnings,
    }
}

/// A word on DICOM files of the folder that hold no image.
fn passed_over(root: &Path, files: &[PathBuf]) -> Option<SourceWarning> {
    const NAMED: usize = 3;
    let names = files.iter().take(NAMED).map(|file| {
        file.strip_prefix(root)
            .unwrap_or(file)
            .display()
            .to_string()
    });
    let names = names.collect::<Vec<_>>().join(", ");
    let more = if files.len() > NAMED { ", …" } else { "" };
    let problem = match files.len() {
        0 => return None,
        1 => format!("1 DICOM file without an image was passed over ({names})"),
        n => format!("{n} DICOM files without an image were passed over ({names}{more})"),
    };
    Some(SourceWarning::new(root, problem))
}
