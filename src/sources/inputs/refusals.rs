//! Errors of inputs that are no source.

use crate::sources::{IssueKind, SourceError};
use std::path::Path;

pub(super) fn absent(path: &Path, list_in: Option<&Path>) -> SourceError {
    let error = SourceError::new(path, "no such file or folder");
    match list_in {
        Some(folder) if folder.as_os_str().is_empty() => {
            error.with_remedy("paths on standard input are relative to the current folder")
        }
        Some(folder) => error.with_remedy(format!(
            "entries of a list are relative to its folder, {}",
            folder.display()
        )),
        None => error,
    }
}

pub(super) fn not_a_file(path: &Path) -> SourceError {
    let error = SourceError::new(path, "is a pipe or device, neither a file nor a folder");
    error
        .with_kind(IssueKind::StandardInput)
        .with_remedy("put what comes from it on standard input")
}

/// Whether it is an address of a network or of a file (`rtsp://…`), not a path.
pub(super) fn is_address(path: &Path) -> bool {
    let scheme = path
        .to_str()
        .and_then(|text| text.split_once("://"))
        .map(|(scheme, _)| scheme);
    scheme.is_some_and(|s| {
        s.starts_with(|c: char| c.is_ascii_alphabetic())
            && s.chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

pub(super) fn address(path: &Path) -> SourceError {
    let error = SourceError::new(
        path,
        "is an address; streams and downloads are not supported yet",
    );
    error.with_kind(IssueKind::StandardInput).with_remedy(
        "give a path, or put the bytes on standard input (ffmpeg -i ADDRESS -c copy -f matroska -)",
    )
}
