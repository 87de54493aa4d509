//! What the FFmpeg that this program was linked with can decode.

use super::ffmpeg::set_up;
use video_rs::ffmpeg::{self, codec::Id};

/// Version and decoders of FFmpeg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoSupport {
    /// Versions of libavcodec and libavformat.
    pub version: String,
    /// Names of codecs and whether there is a decoder.
    pub decoders: Vec<(&'static str, bool)>,
    /// The encoder of overlay videos, of those that serve: `libx264` (H.264), else `mpeg4`.
    pub encoder: Option<&'static str>,
}

/// Asks FFmpeg.
pub fn video_support() -> VideoSupport {
    set_up();
    let dotted = |v: u32| format!("{}.{}.{}", v >> 16, (v >> 8) & 0xff, v & 0xff);
    let version = format!(
        "libavcodec {}, libavformat {}",
        dotted(ffmpeg::codec::version()),
        dotted(ffmpeg::format::version())
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
        .find(|name| ffmpeg::encoder::find_by_name(name).is_some());
    VideoSupport {
        version,
        encoder,
        decoders: codecs
            .map(|(name, id)| (name, ffmpeg::decoder::find(id).is_some()))
            .to_vec(),
    }
}
