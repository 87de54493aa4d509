//! Whether a container says that it is longer than its file: the demuxers take a file that was cut short for one that ends.

use super::{
    bytes::{ebml_size, read_at},
    streams,
};
use std::{
    fmt,
    io::{self, Read, Seek, SeekFrom},
};

/// Maximum number of boxes or elements of the top level that are read.
const MAX_BOXES: usize = 100_000;

/// What is missing from a file according to its container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// It ought to have so many bytes.
    UpTo(u64),
    /// It ends inside of something.
    Rest,
}

impl Missing {
    /// The problem of a file of which only the first `frames` frames could be decoded.
    pub(super) fn after_frames(self, frames: u64) -> String {
        match frames {
            0 => format!("{self}; no frame of it can be decoded"),
            n => format!("{self}; the frames after the first {n} are missing"),
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UpTo(end) => write!(f, "the file ends early: it ought to have {end} bytes"),
            Self::Rest => write!(f, "the file ends early"),
        }
    }
}

/// What is missing from the file according to its container. Knows MP4/MOV, Matroska/WebM, AVI, ASF, MXF, Ogg, GIF, FLV, IVF, AV1, Y4M, DV and
/// transport streams; leaves
/// the position of `file` anywhere.
///
/// # Errors
/// What reading gives.
pub(super) fn missing_from<R: Read + Seek>(file: &mut R) -> io::Result<Option<Missing>> {
    let length = file.seek(SeekFrom::End(0))?;
    let head = read_at::<16, _>(file, 0)?;
    let declared = match &head {
        [b'G', b'I', b'F', b'8', ..] => {
            return Ok(streams::gif_is_cut(file, length)?.then_some(Missing::Rest));
        }
        [b'O', b'g', b'g', b'S', ..] => {
            return Ok(streams::ogg_is_cut(file, length)?.then_some(Missing::Rest));
        }
        [b'F', b'L', b'V', 1, ..] => {
            return Ok(streams::flv_is_cut(file, length)?.then_some(Missing::Rest));
        }
        [b'D', b'K', b'I', b'F', ..] => {
            return Ok(streams::ivf_is_cut(file, length)?.then_some(Missing::Rest));
        }
        [0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11, ..] => streams::asf_end(file)?,
        [0x12, 0x00, ..] => streams::obu_end(file, length)?,
        [b'Y', b'U', b'V', b'4', b'M', b'P', b'E', b'G', ..] => {
            return Ok(streams::y4m_is_cut(file, length)?.then_some(Missing::Rest));
        }
        [0x06, 0x0e, 0x2b, 0x34, ..] => streams::mxf_end(file)?,
        [0x1f, 0x07, 0x00, _, ..] => {
            return Ok(streams::dv_is_cut(&head, length).then_some(Missing::Rest));
        }
        _ if streams::transport_is_cut(file, length)? => return Ok(Some(Missing::Rest)),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            size @ ..,
            b'A',
            b'V',
            b'I',
            b' ',
            _,
            _,
            _,
            _,
        ] => riff_end(size),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => matroska_end(file)?,
        [_, _, _, _, b'f', b't', b'y', b'p', ..]
        | [_, _, _, _, b'm', b'o', b'o', b'v', ..]
        | [_, _, _, _, b'm', b'd', b'a', b't', ..]
        | [_, _, _, _, b'w', b'i', b'd', b'e', ..] => iso_end(file, length)?,
        _ => None,
    };
    Ok(declared.filter(|&end| end > length).map(Missing::UpTo))
}

/// End of the first RIFF chunk; none where the writer never filled in its size.
fn riff_end(size: &[u8]) -> Option<u64> {
    let size = u32::from_le_bytes(size.try_into().ok()?);
    (size != 0 && size != u32::MAX).then(|| u64::from(size) + 8)
}

/// End of the last box of the top level.
fn iso_end<R: Read + Seek>(file: &mut R, length: u64) -> io::Result<Option<u64>> {
    const KNOWN: [&[u8; 4]; 12] = [
        b"ftyp", b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"uuid", b"sidx", b"mfra",
        b"styp", b"meta",
    ];
    let (mut at, mut is_fragment) = (0u64, false);
    for _ in 0..MAX_BOXES {
        if at.saturating_add(8) > length {
            // The data of a fragment follow its description.
            return Ok(Some(if is_fragment {
                at.saturating_add(8)
            } else {
                at
            }));
        }
        let head = read_at::<16, _>(file, at)?;
        let [s0, s1, s2, s3, t0, t1, t2, t3, large @ ..] = head;
        let size = match u32::from_be_bytes([s0, s1, s2, s3]) {
            1 => u64::from_be_bytes(large),
            size => u64::from(size),
        };
        // Size 0 is "to the end of the file"; a type that is not known is what was left behind the last box.
        if size < 8 || !KNOWN.contains(&&[t0, t1, t2, t3]) {
            return Ok(None);
        }
        is_fragment = [t0, t1, t2, t3] == *b"moof";
        at = at.saturating_add(size);
    }
    Ok(Some(at))
}

/// End of the Segment that follows the EBML header; where its size is unknown, as in live recordings, that of its last part.
fn matroska_end<R: Read + Seek>(file: &mut R) -> io::Result<Option<u64>> {
    let mut at = 4;
    let Some((header, bytes)) = ebml_size(&read_at::<8, _>(file, at)?) else {
        return Ok(None);
    };
    at += bytes + header;
    for _ in 0..16 {
        let head = read_at::<16, _>(file, at)?;
        let (id_bytes, is_segment) = match head {
            [0x18, 0x53, 0x80, 0x67, ..] => (4, true),
            [0xec, ..] => (1, false),
            _ => return Ok(None),
        };
        let Some((size, bytes)) = head.get(id_bytes..).and_then(ebml_size) else {
            let size_bytes = head
                .get(id_bytes)
                .map_or(0, |first| u64::from(first.leading_zeros()) + 1);
            return if is_segment {
                streams::parts_end(file, at + id_bytes as u64 + size_bytes)
            } else {
                Ok(None)
            };
        };
        at = at
            .saturating_add(id_bytes as u64 + bytes)
            .saturating_add(size);
        if is_segment {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn missing(bytes: &[u8]) -> Option<u64> {
        match missing_from(&mut Cursor::new(bytes)).unwrap() {
            Some(Missing::UpTo(end)) => Some(end),
            other => {
                assert_eq!(other, None);
                None
            }
        }
    }

    #[test]
    fn boxes_that_reach_past_the_end_are_found() {
        let mut mp4 = b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x0cmdatabcd".to_vec();
        assert_eq!(missing(&mp4), None);
        assert_eq!(missing(&mp4[..27]), Some(28));
        mp4.extend(b"\0\0\0\xffjunk");
        assert_eq!(missing(&mp4), None);
    }

    #[test]
    fn segments_that_reach_past_the_end_are_found() {
        let matroska = b"\x1a\x45\xdf\xa3\x82ab\x18\x53\x80\x67\x84abcd";
        assert_eq!(missing(matroska), None);
        assert_eq!(missing(&matroska[..14]), Some(16));
        // Of unknown size, with a cluster of unknown size in it that holds a block of four bytes.
        let live = b"\x1a\x45\xdf\xa3\x82ab\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff\x1f\x43\xb6\x75\xff\xa3\x84abcd";
        assert_eq!((missing(live), missing(&live[..26])), (None, Some(30)));
    }

    #[test]
    fn avi_states_its_length() {
        assert_eq!(missing(b"RIFF\x10\0\0\0AVI LIST"), Some(24));
        assert_eq!(missing(b"RIFF\0\0\0\0AVI LIST"), None);
    }
}
