//! The numbers of frames in the names of their files.

use std::ops::Range;

/// Where the last number of a file's name without extension stands: its ASCII digits. That is the number of a frame; others
/// before it belong to the name of the sequence. None for a name without digits.
pub(crate) fn last_number(stem: &[u8]) -> Option<Range<usize>> {
    let end = stem.iter().rposition(u8::is_ascii_digit)? + 1;
    let start = stem[..end].iter().rposition(|b| !b.is_ascii_digit());
    Some(start.map_or(0, |at| at + 1)..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_is_the_whole_of_its_digits() {
        assert_eq!(last_number(b"p12_frame007_left"), Some(9..12));
        assert_eq!(last_number(b"0001"), Some(0..4));
        assert_eq!(last_number(b"a9"), Some(1..2));
        assert_eq!(last_number(b"portrait"), None);
        assert_eq!(last_number(b""), None);
    }
}
