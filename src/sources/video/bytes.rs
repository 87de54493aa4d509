//! Bytes of a file at a place, and the sizes that Matroska writes.

use std::io::{self, Read, Seek, SeekFrom};

/// A variable-length size and the bytes it takes; none if unknown (all ones).
pub(super) fn ebml_size(bytes: &[u8]) -> Option<(u64, u64)> {
    let first = *bytes.first()?;
    let count = first.leading_zeros() as usize + 1;
    if count > 8 {
        return None;
    }
    let field = bytes
        .get(..count)?
        .iter()
        .fold(0u64, |value, &b| value << 8 | u64::from(b));
    let mask = (1u64 << (7 * count)) - 1;
    (field & mask != mask).then_some((field & mask, count as u64))
}

/// Bytes at a place, zeros after the end of the file.
pub(super) fn read_at<const N: usize, R: Read + Seek>(
    file: &mut R,
    at: u64,
) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.seek(SeekFrom::Start(at))?;
    let mut filled = 0;
    while filled < N {
        match file.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(bytes)
}
