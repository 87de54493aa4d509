//! The key that a client must show.

use crate::http::HttpError;
use sha2::{Digest, Sha256};

/// A key that requests must have in the header `Token`. Only its digest is kept; it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey([u8; 32]);

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

impl ApiKey {
    /// A key of 1 to 256 characters of ASCII without blanks, which a header can carry.
    ///
    /// # Errors
    /// [`HttpError::ApiKey`] for any other.
    pub fn new(key: &str) -> Result<Self, HttpError> {
        let problem = match key.len() {
            0 => "is empty",
            257.. => "is too long",
            _ if !key.chars().all(|c| c.is_ascii_graphic()) => {
                "has characters that no header carries"
            }
            _ => return Ok(Self(Sha256::digest(key.as_bytes()).into())),
        };
        Err(HttpError::ApiKey { problem })
    }

    /// Whether `shown` is it. Digests are compared, so that the time says nothing of the key.
    pub(super) fn is(&self, shown: &[u8]) -> bool {
        let shown: [u8; 32] = Sha256::digest(shown).into();
        shown == self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_a_header_can_carry() {
        let key = ApiKey::new("s3cret").unwrap();
        assert!(key.is(b"s3cret") && !key.is(b"s3cre") && !key.is(b""));
        assert!(!format!("{key:?}").contains("s3cret"));
        for wrong in ["", "a b", "ä", "a\n", &"a".repeat(257)] {
            assert!(ApiKey::new(wrong).is_err(), "{wrong:?}");
        }
    }
}
