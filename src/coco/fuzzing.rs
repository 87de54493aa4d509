//! What the fuzzer runs of the COCO formats.

use super::rle::{decode_counts, encode_counts};
use std::path::Path;

/// A `counts` string. Run lengths that were read are written and read as the same.
pub(crate) fn counts(data: &[u8], _: &Path) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Some(counts) = decode_counts(text) {
        assert!(counts.len() <= text.len());
        assert_eq!(decode_counts(&encode_counts(&counts)), Some(counts));
    }
}
