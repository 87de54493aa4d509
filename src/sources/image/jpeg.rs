//! Whether a JPEG file is all there. The decoder fills what is missing with grey and says nothing.

/// Walks the markers to the end of the image.
///
/// # Errors
/// What is wrong, where the file ends before the image does.
pub(super) fn check_complete(bytes: &[u8]) -> Result<(), String> {
    let early = || format!("the file ends early, after {} bytes", bytes.len());
    let mut at = 2;
    loop {
        let marker = loop {
            match (bytes.get(at), bytes.get(at + 1)) {
                (Some(0xff), Some(0xff)) => at += 1,
                (Some(0xff), Some(&marker)) => break marker,
                (Some(_), _) => return Err(format!("is damaged at byte {at}: a JPEG marker is missing")),
                (None, _) => return Err(early()),
            }
        };
        at += 2;
        match marker {
            0xd9 => return Ok(()),
            0x01 | 0xd0..=0xd8 => continue,
            _ => {}
        }
        let length = match bytes.get(at..at + 2) {
            Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
            _ => return Err(early()),
        };
        at += length.max(2);
        if marker == 0xda {
            at = end_of_scan(bytes, at).ok_or_else(early)?;
        }
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
