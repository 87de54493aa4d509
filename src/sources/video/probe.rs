//! Detection of video containers by their first bytes, with FFmpeg's probe.

use crate::av::{self, FfmpegUnavailable, ffi};
use std::ffi::CStr;

/// What FFmpeg takes a file for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sources) enum Probe {
    /// A format that may hold video and that is read.
    Video,
    /// Another format that FFmpeg knows: sound, subtitles, playlists.
    Other(String),
    /// Nothing known.
    Unknown,
}

/// Demuxers that are used, by FFmpeg's names. Formats that name other files or addresses (playlists, concatenations) are
/// not among them: an input never makes the program open another.
pub(super) const DEMUXERS: [&str; 31] = [
    "3gp",
    "amv",
    "asf",
    "av1",
    "avi",
    "dirac",
    "dv",
    "flv",
    "gif",
    "h261",
    "h263",
    "h264",
    "hevc",
    "ivf",
    "m4v",
    "matroska",
    "mjpeg",
    "mov",
    "mp4",
    "mpeg",
    "mpegts",
    "mpegvideo",
    "mpegtsraw",
    "mxf",
    "nut",
    "obu",
    "ogg",
    "rm",
    "vc1",
    "webm",
    "yuv4mpegpipe",
];

/// Tells by the first bytes of a file what FFmpeg takes it for.
///
/// # Errors
/// A library of FFmpeg that cannot be loaded.
#[allow(unsafe_code)]
pub(in crate::sources) fn probe(head: &[u8]) -> Result<Probe, FfmpegUnavailable> {
    // Scores at and below this one rest on next to nothing.
    const DOUBTFUL: i32 = 25;
    av::init()?;
    let mut padded = Vec::with_capacity(head.len() + ffi::AVPROBE_PADDING_SIZE as usize);
    padded.extend_from_slice(head);
    padded.resize(head.len() + ffi::AVPROBE_PADDING_SIZE as usize, 0);
    let Ok(length) = i32::try_from(head.len()) else {
        return Ok(Probe::Unknown);
    };
    let data = ffi::AVProbeData {
        filename: c"".as_ptr(),
        buf: padded.as_mut_ptr(),
        buf_size: length,
        mime_type: std::ptr::null(),
    };
    let mut score = DOUBTFUL;
    // SAFETY: `data` describes a live buffer of `buf_size` bytes with the padding that FFmpeg asks for; the format
    // returned is one of FFmpeg's constants, whose names are C strings that live as long as the program.
    let (name, long_name) = unsafe {
        let format = ffi::av_probe_input_format2(&data, 1, &mut score);
        if format.is_null() {
            return Ok(Probe::Unknown);
        }
        (text((*format).name), text((*format).long_name))
    };
    if name.split(',').any(|n| DEMUXERS.contains(&n)) {
        Ok(Probe::Video)
    } else {
        Ok(Probe::Other(long_name))
    }
}

/// # Safety
/// `pointer` is null or a C string that lives during the call.
#[allow(unsafe_code)]
unsafe fn text(pointer: *const std::ffi::c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(pointer) }
        .to_string_lossy()
        .into_owned()
}
