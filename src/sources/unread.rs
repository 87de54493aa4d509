//! Formats of pictures that are known and not read, among them some that FFmpeg takes for videos.

/// A format that is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sources) struct Unread {
    /// Its name, with an article.
    pub(in crate::sources) name: &'static str,
    /// What to do with the file.
    pub(in crate::sources) remedy: &'static str,
}

const fn unread(name: &'static str, remedy: &'static str) -> Unread {
    Unread { name, remedy }
}

const HEIC: Unread = unread(
    "an HEIC (HEIF) picture",
    "convert it to PNG or JPEG, for example: heif-convert IN.heic OUT.png",
);
const AVIF: Unread = unread(
    "an AVIF picture",
    "convert it to PNG or JPEG, for example: avifdec IN.avif OUT.png",
);
const JPEG_2000: Unread = unread(
    "a JPEG 2000 picture",
    "convert it to PNG or TIFF, for example: opj_decompress -i IN.jp2 -o OUT.png",
);
const JPEG_XL: Unread = unread(
    "a JPEG XL picture",
    "convert it to PNG or JPEG, for example: djxl IN.jxl OUT.png",
);
const RAW: Unread = unread("the raw picture of a camera", "convert it to TIFF or PNG");
const EXR: Unread = unread(
    "an OpenEXR picture",
    "convert it to PNG or TIFF of 8 or 16 bits",
);
const PHOTOSHOP: Unread = unread("a Photoshop document", "save it as PNG or TIFF");

/// The format of a file that begins so, if it is one of these.
pub(super) fn recognised(head: &[u8]) -> Option<Unread> {
    match head {
        [_, _, _, _, b'f', b't', b'y', b'p', major @ ..] => {
            major.first_chunk().and_then(|major| of_brand(major, head))
        }
        [0, 0, 0, 12, b'j', b'P', b' ', b' ', ..] | [0xff, 0x4f, 0xff, 0x51, ..] => Some(JPEG_2000),
        [0, 0, 0, 12, b'J', b'X', b'L', b' ', ..] | [0xff, 0x0a, ..] => Some(JPEG_XL),
        [0x76, 0x2f, 0x31, 0x01, ..] => Some(EXR),
        [b'8', b'B', b'P', b'S', ..] => Some(PHOTOSHOP),
        _ => None,
    }
}

/// By the brands of an ISO file: pictures are items of it, and FFmpeg, where it takes them for a video of one frame,
/// neither turns them nor knows of their alpha. Sequences whose frames are a track like that of a video are left to it.
fn of_brand(major: &[u8; 4], head: &[u8]) -> Option<Unread> {
    match major {
        b"avif" => Some(AVIF),
        b"heic" | b"heix" | b"heim" | b"heis" => Some(HEIC),
        b"crx " => Some(RAW),
        // Any picture of the family: what is in it stands among the compatible brands.
        b"mif1" => Some(if compatible(head).any(|brand| brand == b"avif") {
            AVIF
        } else {
            HEIC
        }),
        _ => None,
    }
}

fn compatible(head: &[u8]) -> impl Iterator<Item = &[u8; 4]> {
    let size = head
        .first_chunk()
        .map_or(0, |size| u32::from_be_bytes(*size) as usize);
    head.get(16..size.min(head.len()))
        .unwrap_or_default()
        .as_chunks()
        .0
        .iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_told_from_videos_by_their_brands() {
        let of = |bytes: &[u8]| recognised(bytes).map(|format| format.name);
        assert_eq!(
            of(b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf"),
            Some(HEIC.name)
        );
        assert_eq!(
            of(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf"),
            Some(AVIF.name)
        );
        assert_eq!(of(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic"), Some(HEIC.name));
        assert_eq!(
            of(b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf"),
            Some(AVIF.name)
        );
        assert_eq!(of(b"\xff\x0a\xfa\x1f"), Some(JPEG_XL.name));
        for video in [
            &b"\0\0\0\x18ftypmp42\0\0\0\0isom"[..],
            b"\0\0\0\x1cftypavis\0\0\0\0avifavis",
            b"\0\0\0",
            b"\0\0\0\x08ftyp",
        ] {
            assert_eq!(of(video), None);
        }
    }
}
