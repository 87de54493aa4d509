//! Transfer syntaxes: how a data set and its pixel data are encoded.

use super::{error::DicomError, walk::Encoding};

/// How the pixel data are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PixelEncoding {
    /// Native: samples of Bits Allocated bits.
    Native,
    /// Run-length encoding (PS3.5 annex G).
    Rle,
    /// JPEG: baseline, extended, lossless.
    Jpeg,
    /// JPEG-LS, lossless or near-lossless.
    JpegLs,
    /// JPEG 2000 and high-throughput JPEG 2000.
    Jpeg2000,
    /// Each frame deflated.
    Deflated,
    /// An MPEG-2, H.264 or HEVC stream.
    Video(VideoCodec),
}

/// Codec of an encapsulated video stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VideoCodec {
    /// MPEG-2 main profile.
    Mpeg2,
    /// MPEG-4 AVC / H.264.
    H264,
    /// HEVC / H.265.
    Hevc,
}

impl VideoCodec {
    /// The codec's usual name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mpeg2 => "MPEG-2",
            Self::H264 => "H.264",
            Self::Hevc => "HEVC",
        }
    }
}

/// A transfer syntax, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Syntax {
    pub(super) encoding: Encoding,
    pub(super) deflated: bool,
    /// None where there is no decoder.
    pub(super) pixels: Option<PixelEncoding>,
}

pub(super) const IMPLICIT_LITTLE: &str = "1.2.840.10008.1.2";
pub(super) const EXPLICIT_LITTLE: &str = "1.2.840.10008.1.2.1";
pub(super) const EXPLICIT_BIG: &str = "1.2.840.10008.1.2.2";
const JPEG_FAMILY: &str = "1.2.840.10008.1.2.4.";

/// Encapsulated Uncompressed Explicit VR Little Endian: native frames in fragments.
pub(super) const ENCAPSULATED_NATIVE: &str = "1.2.840.10008.1.2.1.98";

/// Meaning of a transfer syntax UID. Unknown ones are read as explicit little endian, as the standard demands of all
/// new ones, with pixel data that cannot be decoded.
pub(super) fn syntax(uid: &str) -> Syntax {
    use PixelEncoding::*;
    let explicit = Encoding {
        explicit: true,
        big_endian: false,
    };
    let made = |encoding, deflated, pixels| Syntax {
        encoding,
        deflated,
        pixels,
    };
    let pixels = match uid {
        IMPLICIT_LITTLE => {
            return made(
                Encoding {
                    explicit: false,
                    ..explicit
                },
                false,
                Some(Native),
            );
        }
        EXPLICIT_BIG => {
            return made(
                Encoding {
                    big_endian: true,
                    ..explicit
                },
                false,
                Some(Native),
            );
        }
        "1.2.840.10008.1.2.1.99" => return made(explicit, true, Some(Native)),
        EXPLICIT_LITTLE | ENCAPSULATED_NATIVE => Some(Native),
        "1.2.840.10008.1.2.5" => Some(Rle),
        "1.2.840.10008.1.2.8.1" => Some(Deflated),
        _ => uid.strip_prefix(JPEG_FAMILY).and_then(encapsulated),
    };
    made(explicit, false, pixels)
}

fn encapsulated(suffix: &str) -> Option<PixelEncoding> {
    use PixelEncoding::*;
    let number = suffix
        .strip_suffix(".1")
        .unwrap_or(suffix)
        .parse::<u32>()
        .ok()?;
    match number {
        50..=70 => Some(Jpeg),
        80 | 81 => Some(JpegLs),
        90..=93 | 201..=203 => Some(Jpeg2000),
        100 | 101 => Some(Video(VideoCodec::Mpeg2)),
        102..=106 => Some(Video(VideoCodec::H264)),
        107 | 108 => Some(Video(VideoCodec::Hevc)),
        _ => None,
    }
}

/// The error for a transfer syntax without a decoder.
pub(super) fn unsupported(uid: &str) -> DicomError {
    let remedy = match uid.strip_prefix(JPEG_FAMILY) {
        Some("94" | "95" | "204" | "205") => {
            "the pixels are on a JPIP server; fetch them into the file first"
        }
        Some("110" | "111" | "112") => {
            "JPEG XL has no decoder here; convert the file to JPEG 2000 or an uncompressed transfer syntax"
        }
        _ => {
            "convert the file to an uncompressed transfer syntax, for example with dcmdjpeg or gdcmconv --raw"
        }
    };
    DicomError::TransferSyntax {
        uid: uid.to_owned(),
        remedy,
    }
}
