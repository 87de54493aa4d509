//! UIDs that are derived from what they name, so that the same input gives the same bytes.

use sha2::{Digest, Sha256};

/// A UID of `parts`: the first 128 bits of their SHA-256 as a UUID of version 8 (RFC 9562), below the arc 2.25 (PS3.5 B.2).
/// Parts are separated by their lengths, so that no two lists give one hash.
pub(super) fn uid(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&hasher.finalize()[..16]);
    uuid[6] = uuid[6] & 0x0F | 0x80;
    uuid[8] = uuid[8] & 0x3F | 0x80;
    format!("2.25.{}", u128::from_be_bytes(uuid))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether `text` is a UID: numbers without leading zeros, joined by full stops, 64 characters at most.
    fn is_uid(text: &str) -> bool {
        let number = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_digit())
                && (part == "0" || !part.starts_with('0'))
        };
        text.len() <= 64 && text.split('.').count() > 1 && text.split('.').all(number)
    }

    #[test]
    fn uids_are_stable_valid_and_depend_on_every_part() {
        let one = uid(&[b"ab", b"c"]);
        assert_eq!(one, uid(&[b"ab", b"c"]));
        assert!(is_uid(&one), "{one}");
        assert_ne!(one, uid(&[b"a", b"bc"]));
        assert!(
            ["1", "1.02", "1..2", "a.1", &"1.2".repeat(30)]
                .iter()
                .all(|text| !is_uid(text))
        );
    }
}
