//! Errors of image files.

use crate::sources::{IssueKind, SourceError};
use image::ImageError;
use std::path::Path;

pub(in crate::sources) fn float_samples(path: &Path) -> SourceError {
    SourceError::new(
        path,
        "its samples are floating point, whose range is not known",
    )
    .with_kind(IssueKind::Window)
    .with_remedy("a window (center and width) shows grey ones; else convert it to 8 or 16 bits")
}

pub(in crate::sources) fn too_large(path: &Path, what: &str, max_pixels: u64) -> SourceError {
    SourceError::new(
        path,
        format!("{what} is over the limit of {max_pixels} pixels"),
    )
    .with_kind(IssueKind::PixelLimit)
    .with_remedy("raise the limit")
}

pub(in crate::sources) fn image_error(
    path: &Path,
    error: &ImageError,
    max_pixels: u64,
) -> SourceError {
    match error {
        ImageError::Limits(_) => too_large(path, "the image", max_pixels),
        ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            SourceError::new(path, "the file ends early")
        }
        ImageError::IoError(e) => SourceError::new(path, format!("cannot be decoded: {e}")),
        ImageError::Unsupported(e) => SourceError::new(path, format!("cannot be decoded: {e}"))
            .with_remedy("convert it to 8-bit PNG"),
        e => SourceError::new(path, format!("cannot be decoded: {e}")),
    }
}
