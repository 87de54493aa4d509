//! What a file holds, by its first bytes.

use super::unread::{self, Unread};
use crate::{
    av::FfmpegUnavailable,
    dicom,
    sources::{issue::SourceError, video},
};
use image::ImageFormat;
use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::Path,
};

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sources) enum Contents {
    /// A still image that can be decoded, or a file of several.
    Image(ImageFormat),
    /// A container or stream that FFmpeg reads.
    Video,
    /// DICOM.
    Dicom,
    /// A picture of a format that is not read.
    Unread(Unread),
    /// Nothing.
    Empty,
    /// What FFmpeg alone could tell, which is not there.
    Unasked(FfmpegUnavailable),
    /// Anything else, in words where it was recognised.
    Other(Option<String>),
}

/// Bytes that suffice for images and DICOM.
const HEAD: usize = 4096;
/// Bytes that suffice for FFmpeg to recognise stream formats without a signature.
const PROBE: u64 = 65_536;

const IMAGE_EXTENSIONS: [&str; 16] = [
    "png", "apng", "jpg", "jpeg", "jpe", "jfif", "tif", "tiff", "bmp", "webp", "dib", "heic",
    "heif", "avif", "jp2", "jxl",
];
const VIDEO_EXTENSIONS: [&str; 22] = [
    "mp4", "m4v", "mov", "qt", "mkv", "webm", "avi", "mpg", "mpeg", "ts", "m2ts", "mts", "wmv",
    "asf", "flv", "ogv", "gif", "3gp", "mxf", "h264", "hevc", "ivf",
];
const DICOM_EXTENSIONS: [&str; 3] = ["dcm", "dicom", "ima"];

/// Determines what a file holds by its first bytes, at most [`HEAD`] + [`PROBE`]; by its extension only for DICOM without a
/// signature.
///
/// # Errors
/// [`SourceError`] if the file cannot be read.
pub(in crate::sources) fn identify(path: &Path) -> Result<Contents, SourceError> {
    let cannot = |e: std::io::Error| SourceError::unreadable(path, &e);
    let mut file = File::open(path).map_err(cannot)?;
    let mut head = vec![0; HEAD];
    let mut filled = 0;
    while filled < head.len() {
        match file.read(&mut head[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(cannot(e)),
        }
    }
    head.truncate(filled);
    if head.is_empty() {
        return Ok(Contents::Empty);
    }
    if let Some(contents) = by_signature(&head) {
        return Ok(contents);
    }
    // Before video: pixel data may look like a stream without a signature.
    if may_be_bare_dicom(&head) && dicom::is_dicom(path) {
        return Ok(Contents::Dicom);
    }
    file.take(PROBE).read_to_end(&mut head).map_err(cannot)?;
    Ok(match video::probe(&head) {
        Ok(video::Probe::Video) => Contents::Video,
        _ if has_extension(path, &DICOM_EXTENSIONS) => Contents::Dicom,
        Ok(video::Probe::Other(name)) => Contents::Other(Some(name)),
        Ok(video::Probe::Unknown) => Contents::Other(None),
        Err(why) => Contents::Unasked(why),
    })
}

fn by_signature(head: &[u8]) -> Option<Contents> {
    // First, because the 128 bytes before it may be anything, a TIFF header among others.
    if head.get(128..132) == Some(b"DICM") {
        return Some(Contents::Dicom);
    }
    let is_bmp = || {
        head.starts_with(b"BM")
            && matches!(
                head.get(14..18),
                Some([12 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0])
            )
    };
    let format = match head {
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => ImageFormat::Png,
        [0xff, 0xd8, 0xff, ..] => ImageFormat::Jpeg,
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => ImageFormat::Tiff,
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => ImageFormat::WebP,
        _ if is_bmp() => ImageFormat::Bmp,
        _ => return unread::recognised(head).map(Contents::Unread),
    };
    Some(Contents::Image(format))
}

/// Whether the first bytes allow for DICOM without the mark at its place: `DICM` at the start, or a group with which data
/// sets begin there or after a preamble.
fn may_be_bare_dicom(head: &[u8]) -> bool {
    let group_at =
        |at: usize| matches!(head.get(at..at + 2), Some([2 | 4 | 8, 0] | [0, 2 | 4 | 8]));
    head.starts_with(b"DICM") || group_at(0) || group_at(128)
}

/// Whether the extension is that of an image.
pub(in crate::sources) fn looks_like_image(path: &Path) -> bool {
    has_extension(path, &IMAGE_EXTENSIONS)
}

/// Whether the extension is that of an image, a video or DICOM.
pub(in crate::sources) fn looks_like_input(path: &Path) -> bool {
    looks_like_image(path)
        || has_extension(path, &VIDEO_EXTENSIONS)
        || has_extension(path, &DICOM_EXTENSIONS)
}

pub(in crate::sources) fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension()
        .is_some_and(|found| extensions.iter().any(|e| found.eq_ignore_ascii_case(e)))
}

impl Contents {
    /// The error for a file that was given as an input and is none.
    pub(in crate::sources) fn refusal(&self, path: &Path) -> SourceError {
        if let Self::Unread(Unread { name, remedy }) = self {
            return SourceError::new(path, format!("is {name}, which is not read"))
                .with_remedy(*remedy);
        }
        if let Self::Unasked(why) = self {
            return SourceError::without_ffmpeg(path, why.clone());
        }
        let problem = match self {
            Self::Empty => "is empty (0 bytes)".to_owned(),
            Self::Other(Some(name)) => {
                format!("its content is {name}, not an image, a video or DICOM")
            }
            _ => "its content is not that of an image, a video or DICOM".to_owned(),
        };
        SourceError::new(path, problem)
            .with_remedy("images may be PNG, JPEG, TIFF, BMP or WebP; videos MP4, MOV, MKV, WebM, AVI or another that FFmpeg reads")
    }
}
