//! Capabilities of the FFmpeg that is there.

use crate::av::{self, FfmpegUnavailable, codec::Id};

/// Version and decoders of FFmpeg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoSupport {
    /// Versions of libavcodec and libavformat.
    pub version: String,
    /// Names of codecs and whether there is a decoder.
    pub decoders: Vec<(&'static str, bool)>,
    /// Kinds of decoding hardware that FFmpeg was built for, by FFmpeg's names (`cuda`, `vaapi`); whether the machine has them is not
    /// looked at.
    pub hardware: Vec<&'static str>,
    /// The encoder of overlay videos, of those that serve: `libx264` (H.264), else `mpeg4`.
    pub encoder: Option<&'static str>,
}

/// Asks FFmpeg.
///
/// # Errors
/// A library that cannot be loaded.
pub fn video_support() -> Result<VideoSupport, FfmpegUnavailable> {
    av::init()?;
    let dotted = |v: u32| format!("{}.{}.{}", v >> 16, (v >> 8) & 0xff, v & 0xff);
    let version = format!(
        "libavcodec {}, libavformat {}",
        dotted(av::codec::version()),
        dotted(av::format::version())
    );
    let codecs = [
        ("H.264", Id::H264),
        ("HEVC", Id::HEVC),
        ("VP9", Id::VP9),
        ("AV1", Id::AV1),
        ("MPEG-4", Id::MPEG4),
        ("MPEG-2", Id::MPEG2VIDEO),
        ("MJPEG", Id::MJPEG),
    ];
    let encoder = ["libx264", "mpeg4"]
        .into_iter()
        .find(|name| av::encoder::find_by_name(name).is_some());
    Ok(VideoSupport {
        version,
        encoder,
        hardware: av::hardware_decoders(),
        decoders: codecs
            .map(|(name, id)| (name, av::decoder::find(id).is_some()))
            .to_vec(),
    })
}
