//! Whether files of further containers are all there: GIF, Ogg, FLV, IVF, ASF, MXF, DV, transport streams.

use super::bytes::{ebml_size, read_at};
use std::io::{self, Read, Seek};

/// Blocks, pages or frames that are looked at; a longer file is taken to be whole.
const MAX_PARTS: usize = 4_000_000;

/// Whether the file ends inside of a block. A GIF that ends after one, without the trailer, is whole: some are written so.
pub(super) fn gif_is_cut<R: Read + Seek>(file: &mut R, length: u64) -> io::Result<bool> {
    let table = |flags: u8| {
        if flags & 0x80 != 0 {
            3 << ((flags & 7) + 1)
        } else {
            0u64
        }
    };
    let mut at = 13 + table(read_at::<13, _>(file, 0)?[10]);
    for _ in 0..MAX_PARTS {
        if at >= length {
            return Ok(at > length);
        }
        let block = read_at::<10, _>(file, at)?;
        match block[0] {
            0x21 => at += 2,
            0x2c => at += 11 + table(block[9]),
            // The trailer, or what is none of a GIF.
            _ => return Ok(false),
        }
        // Parts of up to 255 bytes, the last of none.
        for _ in 0..MAX_PARTS {
            if at >= length {
                return Ok(true);
            }
            let [size] = read_at::<1, _>(file, at)?;
            at += 1 + u64::from(size);
            if size == 0 {
                break;
            }
        }
    }
    Ok(false)
}

/// Whether the last page of an Ogg file is not all there.
pub(super) fn ogg_is_cut<R: Read + Seek>(file: &mut R, length: u64) -> io::Result<bool> {
    let mut at = 0u64;
    for _ in 0..MAX_PARTS {
        if at >= length {
            return Ok(at > length);
        }
        let head = read_at::<282, _>(file, at)?;
        if !head.starts_with(b"OggS") {
            // Something else; what is left of the mark of a page where the file was cut inside of that.
            let left = usize::try_from(length - at).unwrap_or(usize::MAX);
            return Ok(left < 4
                && head
                    .get(..left)
                    .is_some_and(|left| b"OggS".starts_with(left)));
        }
        let segments = usize::from(head[26]);
        let body: u64 = head
            .iter()
            .skip(27)
            .take(segments)
            .map(|&n| u64::from(n))
            .sum();
        at += 27 + segments as u64 + body;
    }
    Ok(false)
}

/// Whether the last frame of an IVF file is not all there.
pub(super) fn ivf_is_cut<R: Read + Seek>(file: &mut R, length: u64) -> io::Result<bool> {
    let [_, _, _, _, _, _, low, high, ..] = read_at::<16, _>(file, 0)?;
    let mut at = u64::from(u16::from_le_bytes([low, high])).max(32);
    for _ in 0..MAX_PARTS {
        if at >= length {
            break;
        }
        let size = u32::from_le_bytes(read_at::<4, _>(file, at)?);
        at += 12 + u64::from(size);
    }
    Ok(at > length)
}

/// Whether the last tag of an FLV file is not all there.
pub(super) fn flv_is_cut<R: Read + Seek>(file: &mut R, length: u64) -> io::Result<bool> {
    let number = |bytes: &[u8]| bytes.iter().fold(0u64, |n, &b| n << 8 | u64::from(b));
    // After the header, and after each tag, comes the size of the tag before.
    let mut at = number(&read_at::<9, _>(file, 0)?[5..]).max(9) + 4;
    for _ in 0..MAX_PARTS {
        if at >= length {
            break;
        }
        let tag = read_at::<11, _>(file, at)?;
        if !matches!(tag[0] & 0x1f, 8 | 9 | 18) {
            return Ok(false);
        }
        at += 11 + number(&tag[1..4]) + 4;
    }
    // The size after the last tag is not missed.
    Ok(at > length + 4)
}

/// The file size that the File Properties object of an ASF file states; none in a live recording.
pub(super) fn asf_end<R: Read + Seek>(file: &mut R) -> io::Result<Option<u64>> {
    const FILE_PROPERTIES: [u8; 16] = [
        0xa1, 0xdc, 0xab, 0x8c, 0x47, 0xa9, 0xcf, 0x11, 0x8e, 0xe4, 0x00, 0xc0, 0x0c, 0x20, 0x53,
        0x65,
    ];
    let number = |bytes: Option<&[u8]>| {
        bytes
            .and_then(|b| b.try_into().ok())
            .map_or(0, u64::from_le_bytes)
    };
    let mut at = 30;
    for _ in 0..64 {
        let object = read_at::<96, _>(file, at)?;
        let size = number(object.get(16..24));
        if object.starts_with(&FILE_PROPERTIES) {
            let is_live = object[88] & 1 != 0;
            return Ok(Some(number(object.get(40..48))).filter(|&end| end > 0 && !is_live));
        }
        if size < 24 {
            break;
        }
        at += size.min(1 << 40);
    }
    Ok(None)
}

/// Where the footer of an MXF file begins, and with it what must be there; none where the header does not know.
pub(super) fn mxf_end<R: Read + Seek>(file: &mut R) -> io::Result<Option<u64>> {
    let head = read_at::<64, _>(file, 0)?;
    // Key (16 bytes), length, versions (4), KAG size (4), this, previous and footer partition (8 each).
    let length_bytes = if head[16] & 0x80 != 0 {
        1 + usize::from(head[16] & 0x7f)
    } else {
        1
    };
    let at = 16 + length_bytes + 4 + 4 + 8 + 8;
    let footer = head
        .get(at..at + 8)
        .and_then(|b| b.try_into().ok())
        .map_or(0, u64::from_be_bytes);
    // The footer's own key is the least that follows.
    Ok((footer > 0).then(|| footer.saturating_add(17)))
}

/// End of the last element of a Matroska segment of unknown size that begins at `at`: of clusters of unknown size, that of
/// their last block.
pub(super) fn parts_end<R: Read + Seek>(file: &mut R, mut at: u64) -> io::Result<Option<u64>> {
    const CLUSTER: [u8; 4] = [0x1f, 0x43, 0xb6, 0x75];
    let length = file.seek(io::SeekFrom::End(0))?;
    for _ in 0..MAX_PARTS {
        if at >= length {
            return Ok(Some(at));
        }
        let head = read_at::<12, _>(file, at)?;
        let id_bytes = head[0].leading_zeros() as usize + 1;
        let (true, Some(rest)) = (id_bytes <= 4, head.get(id_bytes..)) else {
            return Ok(None);
        };
        at += match ebml_size(rest) {
            Some((size, bytes)) => (id_bytes as u64 + bytes).saturating_add(size),
            None if head.starts_with(&CLUSTER) => {
                (id_bytes + rest[0].leading_zeros() as usize + 1) as u64
            }
            None => return Ok(None),
        };
    }
    Ok(None)
}

/// End of the last unit of a stream of AV1 units that state their sizes.
pub(super) fn obu_end<R: Read + Seek>(file: &mut R, length: u64) -> io::Result<Option<u64>> {
    let mut at = 0u64;
    for _ in 0..MAX_PARTS {
        if at >= length {
            return Ok(Some(at));
        }
        let head = read_at::<10, _>(file, at)?;
        // Forbidden bit, type, extension, has a size.
        if head[0] & 0x82 != 0x02 {
            return Ok(None);
        }
        let start = if head[0] & 4 != 0 { 2 } else { 1 };
        let (mut size, mut bytes) = (0u64, 0);
        for byte in head.iter().skip(start).take(8) {
            size |= u64::from(byte & 0x7f) << (7 * bytes);
            bytes += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        at = at.saturating_add(start as u64 + bytes).saturating_add(size);
    }
    Ok(None)
}

/// Whether the last frame of an uncompressed YUV4MPEG stream is not all there.
pub(super) fn y4m_is_cut<R: Read + Seek>(file: &mut R, length: u64) -> io::Result<bool> {
    let head = read_at::<512, _>(file, 0)?;
    let Some(end) = head.iter().position(|&b| b == b'\n') else {
        return Ok(false);
    };
    let line = String::from_utf8_lossy(&head[..end]);
    let field = |letter| {
        line.split(' ')
            .skip(1)
            .find_map(|word| word.strip_prefix(letter))
    };
    let number = |letter| field(letter).and_then(|text: &str| text.parse::<u64>().ok());
    // No picture has sides of a million pixels; such numbers are not multiplied.
    let side = |letter| number(letter).filter(|&n| n < 1 << 20);
    let (Some(width), Some(height)) = (side('W'), side('H')) else {
        return Ok(false);
    };
    let format = field('C').unwrap_or("420jpeg");
    let half = |n: u64| n.div_ceil(2);
    let samples = match format.get(..3) {
        Some("420") => width * height + 2 * half(width) * half(height),
        Some("422") => width * height + 2 * half(width) * height,
        Some("444") if !format.contains("alpha") => 3 * width * height,
        Some("mon") => width * height,
        _ => return Ok(false),
    };
    let deep = [
        "p9", "p10", "p12", "p14", "p16", "mono9", "mono10", "mono12", "mono16",
    ];
    let frame = samples
        * if deep.iter().any(|deep| format.ends_with(deep)) {
            2
        } else {
            1
        };
    let mut at = end as u64 + 1;
    for _ in 0..MAX_PARTS {
        if at >= length {
            break;
        }
        let mark = read_at::<80, _>(file, at)?;
        let Some(line) = mark.iter().position(|&b| b == b'\n') else {
            return Ok(length - at < 80);
        };
        at = at.saturating_add(line as u64 + 1).saturating_add(frame);
    }
    Ok(at > length)
}

/// Whether the last frame of a DV stream is not all there: frames are 120,000 bytes at 60 fields a second, 144,000 at 50, or
/// multiples of that.
pub(super) fn dv_is_cut(head: &[u8; 16], length: u64) -> bool {
    let frame = if head[3] & 0x80 != 0 {
        144_000
    } else {
        120_000
    };
    !length.is_multiple_of(frame)
}

/// Whether the last packet of a transport stream is not all there.
pub(super) fn transport_is_cut<R: Read + Seek>(file: &mut R, length: u64) -> io::Result<bool> {
    const SYNC: u8 = 0x47;
    let head = read_at::<1024, _>(file, 0)?;
    // The distance between packets, and the bytes before the first: plain, with times, with checksums.
    let measures = [(188u64, 0u64), (192, 4), (204, 0)];
    let is_sync = |at: u64| usize::try_from(at).ok().and_then(|at| head.get(at)) == Some(&SYNC);
    let found = measures
        .into_iter()
        .find(|(distance, start)| (0..4).all(|n| is_sync(start + n * distance)));
    let Some((distance, start)) = found.filter(|(distance, _)| length > 4 * distance) else {
        return Ok(false);
    };
    let over = length % distance;
    // What is left over begins as a packet does, as far as it goes, or else it is something else.
    Ok(over > 0 && (over <= start || read_at::<1, _>(file, length - over + start)? == [SYNC]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn a_gif_is_cut_inside_of_its_blocks_alone() {
        let mut gif = b"GIF89a\x01\0\x01\0\x80\0\0rgbRGB".to_vec();
        gif.extend(b"\x21\xf9\x04\0\0\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0");
        let cut = |bytes: &[u8]| gif_is_cut(&mut Cursor::new(bytes), bytes.len() as u64).unwrap();
        assert!(
            !cut(&gif) && !cut(&[&gif[..], b";"].concat()) && !cut(&[&gif[..], b";junk"].concat())
        );
        for length in (20..gif.len()).filter(|&length| length != 27) {
            assert!(cut(&gif[..length]), "{length}");
        }
    }

    #[test]
    fn transport_streams_and_dv_are_cut_inside_of_a_packet() {
        for (distance, start) in [(188, 0), (192, 4), (204, 0)] {
            let mut stream = vec![0; 8 * distance];
            (0..8).for_each(|n| stream[start + n * distance] = 0x47);
            let cut = |bytes: &[u8]| {
                transport_is_cut(&mut Cursor::new(bytes), bytes.len() as u64).unwrap()
            };
            assert!(
                !cut(&stream)
                    && cut(&stream[..7 * distance + 50])
                    && !cut(&[&stream[..], &[0; 50]].concat())
            );
        }
        let head = *b"\x1f\x07\0\xbf............";
        assert!(!dv_is_cut(&head, 288_000) && dv_is_cut(&head, 287_999));
    }

    #[test]
    fn av1_units_and_uncompressed_frames_are_cut_inside_of_one() {
        let units = b"\x12\0\x0a\x03abc\x36\0\x02xy";
        let end = |bytes: &[u8]| obu_end(&mut Cursor::new(bytes), bytes.len() as u64).unwrap();
        assert_eq!(
            (
                end(units),
                end(&units[..10]),
                end(&units[..7]),
                end(b"\x12\0\x90")
            ),
            (Some(12), Some(12), Some(7), None)
        );
        for (format, bytes) in [("C420jpeg", 6 + 2 * 2), ("C444p10", 36), ("Cmono", 6)] {
            let stream = [
                format!("YUV4MPEG2 W3 H2 F25:1 {format}\nFRAME\n").as_bytes(),
                &vec![b'x'; bytes],
            ]
            .concat();
            let cut =
                |bytes: &[u8]| y4m_is_cut(&mut Cursor::new(bytes), bytes.len() as u64).unwrap();
            assert!(
                !cut(&stream)
                    && cut(&stream[..stream.len() - 1])
                    && cut(&stream[..stream.len() - bytes - 2]),
                "{format}"
            );
        }
    }

    #[test]
    fn ogg_and_ivf_are_cut_inside_of_a_part() {
        let page = [&b"OggS"[..], &[0; 22], &[2, 3, 1], b"abcd"].concat();
        let cut = |bytes: &[u8]| ogg_is_cut(&mut Cursor::new(bytes), bytes.len() as u64).unwrap();
        assert!(
            !cut(&page.repeat(2))
                && cut(&page.repeat(2)[..61])
                && cut(&page.repeat(2)[..36])
                && !cut(&page)
        );
        let flv = [
            &b"FLV\x01\x01\0\0\0\x09\0\0\0\0\x09\0\0\x03\0\0\0\0\0\0\0"[..],
            b"abc",
            &[0, 0, 0, 14],
        ]
        .concat();
        let cut = |bytes: &[u8]| flv_is_cut(&mut Cursor::new(bytes), bytes.len() as u64).unwrap();
        assert!(
            !cut(&flv)
                && !cut(&flv[..27])
                && cut(&flv[..26])
                && cut(&flv[..14])
                && !cut(&flv[..13])
        );
        let ivf = [
            &b"DKIF\0\0\x20\0"[..],
            &[0; 24],
            &[3, 0, 0, 0],
            &[0; 8],
            b"abc",
        ]
        .concat();
        let cut = |bytes: &[u8]| ivf_is_cut(&mut Cursor::new(bytes), bytes.len() as u64).unwrap();
        assert!(!cut(&ivf) && cut(&ivf[..46]) && cut(&ivf[..33]) && !cut(&ivf[..32]));
    }
}
