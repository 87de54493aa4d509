//! What a folder holds.

use super::{
    Contents, Draft, ExpandOptions, contents, identify, natural,
    numbered::{self, Numbered},
    pattern::{io_text, is_hidden},
    place_groups,
};
use crate::{frame::SourceKind, sources::SourceError};
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// Sources of a folder and its subfolders in natural order.
#[derive(Default)]
pub(super) struct Found {
    pub(super) sources: Vec<Result<Draft, SourceError>>,
    pub(super) ignored: Vec<PathBuf>,
}

/// Searches a folder with its subfolders. Hidden names are left out, links followed, loops of links cut.
pub(super) fn search(root: &Path, options: &ExpandOptions<'_>) -> Found {
    let (files, mut placed) = list(root);
    let (mut images, mut dicom, mut ignored) = (Vec::new(), Vec::new(), Vec::new());
    for path in files {
        match identify(&path) {
            Ok(Contents::Image(_)) => images.push(Numbered { path, problem: None }),
            Ok(Contents::Video) => placed.push((path.clone(), Ok(Draft::file(path, SourceKind::Video, Some(root))))),
            Ok(Contents::Dicom) => dicom.push(path),
            Ok(other) if matches!(other, Contents::Unread(_)) || contents::looks_like_image(&path) => {
                images.push(Numbered { problem: Some(other.refusal(&path)), path })
            }
            Ok(other) if contents::looks_like_input(&path) => placed.push((path.clone(), Err(other.refusal(&path)))),
            Ok(_) => ignored.push(path),
            Err(error) if contents::looks_like_image(&path) => images.push(Numbered { problem: Some(error), path }),
            Err(error) => placed.push((path, Err(error))),
        }
    }
    for (place, drafts) in place_groups(dicom, options.group_dicom, |_| Some(root.to_owned())) {
        placed.extend(drafts.into_iter().map(|draft| (place.clone(), draft)));
    }
    placed.extend(numbered::sources(images, options.as_images, root));
    if placed.is_empty() {
        let problem = if ignored.is_empty() { "the folder is empty" } else { "the folder holds no image, video or DICOM file" };
        placed.push((root.to_owned(), Err(SourceError::new(root, problem))));
    }
    placed.sort_by(|a, b| natural::compare_paths(&a.0, &b.0));
    Found { sources: placed.into_iter().map(|(_, source)| source).collect(), ignored }
}

type Placed = Vec<(PathBuf, Result<Draft, SourceError>)>;

/// All files in natural order, and what could not be searched.
fn list(root: &Path) -> (Vec<PathBuf>, Placed) {
    let (mut files, mut failed) = (Vec::new(), Vec::new());
    let walk = WalkDir::new(root).follow_links(true).min_depth(1).into_iter();
    for entry in walk.filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry.file_name())) {
        match entry {
            Ok(entry) if entry.file_type().is_file() => files.push(entry.into_path()),
            Ok(_) => {}
            Err(error) if error.loop_ancestor().is_some() => {}
            Err(error) => {
                let path = error.path().unwrap_or(root).to_owned();
                if !path.file_name().is_some_and(is_hidden) || path == root {
                    failed.push((path.clone(), Err(SourceError::new(path, format!("cannot be read: {}", io_text(&error))))));
                }
            }
        }
    }
    files.sort_by(|a, b| natural::compare_paths(a, b));
    (files, failed)
}
