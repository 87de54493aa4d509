//! Whether files of further containers are all there: GIF, Ogg, IVF, ASF, MXF, DV, transport streams.

use super::ending::read_at;
use std::io::{self, Read, Seek};

/// Blocks, pages or frames that are looked at; a longer file is taken to be whole.
const MAX_PARTS: usize = 4_000_000;

/// Whether the file ends inside of a block. A GIF that ends after one, without the trailer, is whole: some are written so.
pub(super) fn gif_is_cut<R: Read + Seek>(file: &mut R, length: u64) -> io::Result<bool> {
    let table = |flags: u8| if flags & 0x80 != 0 { 3 << ((flags & 7) + 1) } else { 0u64 };
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
            return Ok(left < 4 && head.get(..left).is_some_and(|left| b"OggS".starts_with(left)));
        }
        let segments = usize::from(head[26]);
        let body: u64 = head.iter().skip(27).take(segments).map(|&n| u64::from(n)).sum();
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

/// The file size that the File Properties object of an ASF file states; none in a live recording.
pub(super) fn asf_end<R: Read + Seek>(file: &mut R) -> io::Result<Option<u64>> {
    const FILE_PROPERTIES: [u8; 16] = [0xa1, 0xdc, 0xab, 0x8c, 0x47, 0xa9, 0xcf, 0x11, 0x8e, 0xe4, 0x00, 0xc0, 0x0c, 0x20, 0x53, 0x65];
    let number = |bytes: Option<&[u8]>| bytes.and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes);
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
    let length_bytes = if head[16] & 0x80 != 0 { 1 + usize::from(head[16] & 0x7f) } else { 1 };
    let at = 16 + length_bytes + 4 + 4 + 8 + 8;
    let footer = head.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_be_bytes);
    // The footer's own key is the least that follows.
    Ok((footer > 0).then(|| footer.saturating_add(17)))
}

/// Whether the last frame of a DV stream is not all there: frames are 120,000 bytes at 60 fields a second, 144,000 at 50, or
/// multiples of that.
pub(super) fn dv_is_cut(head: &[u8; 16], length: u64) -> bool {
    let frame = if head[3] & 0x80 != 0 { 144_000 } else { 120_000 };
    length % frame != 0
}

/// Whether the last packet of a transport stream is not all there.
pub(super) fn transport_is_cut<R: Read + Seek>(file: &mut R, length: u64) -> io::Result<bool> {
    const SYNC: u8 = 0x47;
    let head = read_at::<1024, _>(file, 0)?;
    // The distance between packets, and the bytes before the first: plain, with times, with checksums.
    let measures = [(188u64, 0u64), (192, 4), (204, 0)];
    let is_sync = |at: u64| usize::try_from(at).ok().and_then(|at| head.get(at)) == Some(&SYNC);
    let found = measures.into_iter().find(|(distance, start)| (0..4).all(|n| is_sync(start + n * distance)));
    let Some((distance, start)) = found.filter(|(distance, _)| length > 4 * distance) else { return Ok(false) };
    let over = length % distance;
    // What is left over begins as a packet does, or else it is something else.
    Ok(over > start && read_at::<1, _>(file, length - over + start)? == [SYNC])
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
        assert!(!cut(&gif) && !cut(&[&gif[..], b";"].concat()) && !cut(&[&gif[..], b";junk"].concat()));
        for length in (20..gif.len()).filter(|&length| length != 27) {
            assert!(cut(&gif[..length]), "{length}");
        }
    }

    #[test]
    fn transport_streams_and_dv_are_cut_inside_of_a_packet() {
        for (distance, start) in [(188, 0), (192, 4), (204, 0)] {
            let mut stream = vec![0; 8 * distance];
            (0..8).for_each(|n| stream[start + n * distance] = 0x47);
            let cut = |bytes: &[u8]| transport_is_cut(&mut Cursor::new(bytes), bytes.len() as u64).unwrap();
            assert!(!cut(&stream) && cut(&stream[..7 * distance + 50]) && !cut(&[&stream[..], &[0; 50]].concat()));
        }
        let head = *b"\x1f\x07\0\xbf............";
        assert!(!dv_is_cut(&head, 288_000) && dv_is_cut(&head, 287_999));
    }

    #[test]
    fn ogg_and_ivf_are_cut_inside_of_a_part() {
        let page = [&b"OggS"[..], &[0; 22], &[2, 3, 1], b"abcd"].concat();
        let cut = |bytes: &[u8]| ogg_is_cut(&mut Cursor::new(bytes), bytes.len() as u64).unwrap();
        assert!(!cut(&page.repeat(2)) && cut(&page.repeat(2)[..61]) && cut(&page.repeat(2)[..36]) && !cut(&page));
        let ivf = [&b"DKIF\0\0\x20\0"[..], &[0; 24], &[3, 0, 0, 0], &[0; 8], b"abc"].concat();
        let cut = |bytes: &[u8]| ivf_is_cut(&mut Cursor::new(bytes), bytes.len() as u64).unwrap();
        assert!(!cut(&ivf) && cut(&ivf[..46]) && cut(&ivf[..33]) && !cut(&ivf[..32]));
    }
}
