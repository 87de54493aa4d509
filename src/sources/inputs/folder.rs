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
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// Files that are looked into at once, by as many threads as there are.
const IDENTIFIED_TOGETHER: usize = 1024;

/// Sources of a folder and its subfolders in natural order.
#[derive(Default)]
pub(super) struct Found {
    pub(super) sources: Vec<Result<Draft, SourceError>>,
    pub(super) ignored: Vec<PathBuf>,
    pub(super) warnings: Vec<SourceWarning>,
}

/// The files of a folder by what they hold.
#[derive(Default)]
struct Sorted {
    /// Videos and errors, by the path that orders them.
    placed: Vec<(PathBuf, Result<Draft, SourceError>)>,
    images: Vec<Numbered>,
    dicom: Vec<PathBuf>,
    /// Neither meant nor recognised as an input.
    ignored: Vec<PathBuf>,
}

impl Sorted {
    fn add(&mut self, path: PathBuf, found: Result<Contents, SourceError>, root: &Path) {
        let meant_as_image = contents::looks_like_image(&path);
        match found {
            Ok(Contents::Image(_)) => self.images.push(Numbered {
                path,
                problem: None,
            }),
            Ok(Contents::Video) => {
                let draft = Draft::file(path.clone(), SourceKind::Video, Some(root));
                self.placed.push((path, Ok(draft)));
            }
            Ok(Contents::Dicom) => self.dicom.push(path),
            Ok(other) if meant_as_image || matches!(other, Contents::Unread(_)) => {
                self.images.push(Numbered {
                    problem: Some(other.refusal(&path)),
                    path,
                });
            }
            Ok(other) if contents::looks_like_input(&path) => {
                let error = other.refusal(&path);
                self.placed.push((path, Err(error)));
            }
            Ok(_) => self.ignored.push(path),
            Err(error) if meant_as_image => self.images.push(Numbered {
                path,
                problem: Some(error),
            }),
            Err(error) => self.placed.push((path, Err(error))),
        }
    }
}

/// Searches a folder with its subfolders.
pub(super) fn search(root: &Path, options: &ExpandOptions<'_>, search: &Search<'_>) -> Found {
    let Files { files, errors } = files_below(root, search);
    let mut sorted = Sorted::default();
    for error in errors {
        sorted.placed.push((error.path.clone(), Err(error)));
    }
    let mut files = files.into_iter();
    loop {
        let part: Vec<PathBuf> = files.by_ref().take(IDENTIFIED_TOGETHER).collect();
        if part.is_empty() {
            break;
        }
        if search.is_stopped() {
            return Found::default();
        }
        // Most of the time is waiting for the file system, above all for one of a network.
        let found: Vec<_> = part.par_iter().map(|path| identify(path)).collect();
        for (path, found) in part.into_iter().zip(found) {
            sorted.add(path, found, root);
        }
    }
    let Sorted {
        mut placed,
        images,
        dicom,
        ignored,
    } = sorted;
    let mut without_image = Vec::new();
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
    placed.par_sort_by(|a, b| natural::compare_paths(&a.0, &b.0));
    Found {
        sources: placed.into_iter().map(|(_, source)| source).collect(),
        ignored,
        warnings: passed_over(root, &without_image).into_iter().collect(),
    }
}

/// Warning about DICOM files of the folder that hold no image.
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
