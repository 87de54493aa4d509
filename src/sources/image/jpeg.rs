//! Whether a JPEG file is all there, and a copy of it without what libjpeg passes over. The decoder fills what is missing
//! with grey without an error.

use std::ops::Range;

/// The file as the decoder is to see it: bytes between segments are left out, and where the end marker is missing after
/// a scan that is whole (often with zeros in its place) it is put there.
/// Of an image of more than `max_pixels` pixels, which no decoder takes, a missing end marker stays missing: to try a scan
/// takes the memory of the image.
///
/// # Errors
/// What is wrong, where the file ends before the image does.
pub(super) fn whole(bytes: Vec<u8>, max_pixels: u64) -> Result<Vec<u8>, String> {
    let mut walk = Walk {
        bytes: &bytes,
        kept: Vec::new(),
        from: 0,
        components: 0,
        pixels: 0,
        single_scan: false,
    };
    match walk.until_end()? {
        End::Marker if walk.kept.is_empty() => Ok(bytes),
        End::Marker => Ok(walk.copy(bytes.len())),
        End::InScan(_) if walk.pixels > max_pixels => Ok(bytes),
        End::InScan(data) => walk.with_end_marker(data).ok_or_else(|| early(bytes.len())),
    }
}

fn early(length: usize) -> String {
    format!("the file ends early, after {length} bytes")
}

enum End {
    Marker,
    /// The coded data of a scan, from this byte on, reach to the end of the file.
    InScan(usize),
}

/// A walk along the markers.
struct Walk<'a> {
    bytes: &'a [u8],
    /// Parts before `from` that stay, where any was left out.
    kept: Vec<Range<usize>>,
    from: usize,
    /// Of the frame.
    components: u8,
    pixels: u64,
    /// Whether the frame is sequential and the last scan has all of its components.
    single_scan: bool,
}

impl Walk<'_> {
    fn until_end(&mut self) -> Result<End, String> {
        let (bytes, mut sequential) = (self.bytes, false);
        let cut = || early(bytes.len());
        let mut at = 2;
        loop {
            let (marker_at, marker) = self.next_marker(at).ok_or_else(cut)?;
            if marker_at > at {
                self.kept.push(self.from..at);
                self.from = marker_at;
            }
            at = marker_at + 2;
            match marker {
                0xd9 => return Ok(End::Marker),
                0x01 | 0xd0..=0xd8 => continue,
                _ => {}
            }
            let length = match bytes.get(at..at + 2) {
                Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])).max(2),
                _ => return Err(cut()),
            };
            let segment = bytes.get(at + 2..at + length).ok_or_else(cut)?;
            at += length;
            match marker {
                0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                    sequential = matches!(marker, 0xc0 | 0xc1);
                    self.components = segment.get(5).copied().unwrap_or(0);
                    if let Some(&[_, y1, y0, x1, x0]) = segment.first_chunk() {
                        let side = |bytes| u64::from(u16::from_be_bytes(bytes));
                        self.pixels = side([y1, y0]) * side([x1, x0]);
                    }
                }
                0xda => {
                    self.single_scan = sequential && segment.first() == Some(&self.components);
                    match end_of_scan(bytes, at) {
                        Some(end) => at = end,
                        None => return Ok(End::InScan(at)),
                    }
                }
                _ => {}
            }
        }
    }

    /// Where the next marker is, and which; what is none is passed over, as are fill bytes.
    fn next_marker(&self, mut at: usize) -> Option<(usize, u8)> {
        loop {
            at += self.bytes.get(at..)?.iter().position(|&b| b == 0xff)?;
            match self.bytes.get(at + 1)? {
                0xff => at += 1,
                0x00 => at += 2,
                &marker => return Some((at, marker)),
            }
        }
    }

    /// The file up to `end`, without the parts that were left out.
    fn copy(&self, end: usize) -> Vec<u8> {
        let parts = self
            .kept
            .iter()
            .cloned()
            .chain(std::iter::once(self.from..end));
        parts
            .flat_map(|part| self.bytes.get(part).unwrap_or_default())
            .copied()
            .collect()
    }

    /// The file with an end marker after its coded data, which begin at `data`, zeros after them left out; none if the data
    /// are not all there.
    fn with_end_marker(&self, data: usize) -> Option<Vec<u8>> {
        if !self.single_scan {
            return None;
        }
        let end = self.bytes.iter().rposition(|&b| b != 0)? + 1;
        // The last byte of the data may be zero itself, and 0xff is followed by zero always.
        let endings = [end, (end + 1).min(self.bytes.len())];
        endings
            .into_iter()
            .filter(|&end| end > data)
            .find_map(|end| {
                let mut file = self.copy(end);
                if file.last() == Some(&0xff) {
                    return None;
                }
                file.extend([0xff, 0xd9]);
                // Strict about data that end before the last block.
                libjpeg_turbo_rs::decompress(&file).is_ok().then_some(file)
            })
    }
}

/// Where the marker after a scan's coded data begins: the first 0xff that no 0x00, fill byte or restart marker follows.
fn end_of_scan(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += bytes.get(at..)?.iter().position(|&b| b == 0xff)?;
        match bytes.get(at + 1)? {
            0x00 | 0xd0..=0xd7 => at += 2,
            0xff => at += 1,
            _ => return Some(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_PIXELS: u64 = 1 << 16;

    fn fixture(name: &str) -> Vec<u8> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/media/");
        std::fs::read(format!("{folder}{name}")).unwrap()
    }

    #[test]
    fn an_end_marker_is_put_after_coded_data_alone() {
        let file = fixture("orientation1.jpg");
        let cut = file[..file.len() - 2].to_vec();
        let mended = whole(cut, MAX_PIXELS).unwrap();
        assert!(mended.ends_with(&[0xff, 0xd9]) && mended.len() + 1 >= file.len());
        // Zeros from within the header of the scan on: nothing is coded.
        let scan = file
            .windows(2)
            .position(|pair| pair == [0xff, 0xda])
            .unwrap();
        let mut header = file[..scan + 6].to_vec();
        header.resize(file.len(), 0);
        assert!(whole(header, MAX_PIXELS).is_err());
    }

    #[test]
    fn a_huge_image_is_not_decoded_to_see_whether_it_is_whole() {
        let file = fixture("orientation1.jpg");
        let mut cut = file[..file.len() - 2].to_vec();
        let frame = cut
            .windows(2)
            .position(|pair| pair == [0xff, 0xc0])
            .unwrap();
        cut[frame + 5..frame + 9].fill(0xff);
        assert_eq!(whole(cut.clone(), MAX_PIXELS), Ok(cut));
    }
}
