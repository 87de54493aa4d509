//! What bodies of header version 2 and later have around their content: before it the extended header, after it metadata.
//!
//! Extended header: u16 its own size (12, later ones may have more), u16 size of the metadata's index, u32 size of the metadata's
//! keys and values, u32 number of the message. Index: u16 number of entries, then for each u16 size of the key, u16 encoding of
//! the value (IANA MIBenum: 3 US-ASCII, 106 UTF-8), u32 size of the value. After the index, keys and values in turn.

use super::{
    error::{DecodeError, EncodeError},
    wire::{Fields, lossy},
};

/// Bytes of the extended header that is written, and the least of one that is read.
pub(super) const EXTENDED: usize = 12;

const ENTRY: usize = 8;
const ASCII: u16 = 3;
const UTF8: u16 = 106;

/// Sizes that an extended header states, checked to fit into a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extended {
    /// Its own size.
    pub(super) size: usize,
    /// Size of the metadata's index.
    index: usize,
    /// Size of the index with keys and values.
    pub(super) metadata: usize,
}

impl Extended {
    /// From the first bytes of a body of `body` bytes.
    ///
    /// # Errors
    /// [`DecodeError::ExtendedHeader`], [`DecodeError::Metadata`] for sizes that do not fit.
    pub(super) fn decode(start: &[u8], body: u64) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(start);
        let (size, index, texts) = (fields.u16(), fields.u16(), fields.u32());
        let stated = u64::from(size);
        if start.len() < EXTENDED || stated < EXTENDED as u64 || stated > body {
            return Err(DecodeError::ExtendedHeader { stated, body });
        }
        let metadata = u64::from(index) + u64::from(texts);
        if metadata > body - stated {
            return Err(DecodeError::Metadata(
                "it is longer than what is left of the body",
            ));
        }
        Ok(Self {
            size: usize::from(size),
            index: usize::from(index),
            metadata: usize::try_from(metadata)
                .map_err(|_| DecodeError::Metadata("it is too long"))?,
        })
    }

    /// Keys and values of the `metadata` bytes at the end of a body.
    ///
    /// # Errors
    /// [`DecodeError::Metadata`] for sizes that do not fit, [`DecodeError::Encoding`], [`DecodeError::Text`].
    pub(super) fn entries(&self, bytes: &[u8]) -> Result<Vec<(String, String)>, DecodeError> {
        if bytes.is_empty() {
            return Ok(Vec::new());
        }
        let (index, texts) = bytes.split_at(self.index.min(bytes.len()));
        let (mut index, mut texts) = (Fields::new(index), Fields::new(texts));
        let count = usize::from(index.u16());
        if self.index < 2 || count * ENTRY > self.index - 2 {
            return Err(DecodeError::Metadata(
                "its index is shorter than its entries",
            ));
        }
        let mut left = self.metadata - self.index;
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            let (key, encoding) = (usize::from(index.u16()), index.u16());
            let value = index.u32() as usize;
            left = key
                .checked_add(value)
                .and_then(|size| left.checked_sub(size))
                .ok_or(DecodeError::Metadata("keys and values are longer than it"))?;
            let key = lossy(texts.bytes(key));
            entries.push((key, text_of(encoding, texts.bytes(value))?));
        }
        Ok(entries)
    }
}

/// Text in a stated encoding. Senders state US-ASCII, or 0, for UTF-8 too.
///
/// # Errors
/// [`DecodeError::Encoding`], [`DecodeError::Text`].
pub(super) fn text_of(encoding: u16, bytes: &[u8]) -> Result<String, DecodeError> {
    match encoding {
        0 | ASCII | UTF8 => String::from_utf8(bytes.to_vec()).map_err(|_| DecodeError::Text),
        other => Err(DecodeError::Encoding(other)),
    }
}

/// The encoding to state for a text.
pub(super) fn encoding_of(text: &str) -> u16 {
    if text.is_ascii() { ASCII } else { UTF8 }
}

/// # Errors
/// [`EncodeError::TooLong`] for more entries or bytes than the fields can state.
pub(super) fn check(entries: &[(String, String)]) -> Result<(), EncodeError> {
    let too_long = |what, found, most| Err(EncodeError::TooLong { what, found, most });
    // The size of the index is 16 bits wide, too.
    let most = (usize::from(u16::MAX) - 2) / ENTRY;
    if entries.len() > most {
        return too_long("an index of metadata", entries.len() * ENTRY, most * ENTRY);
    }
    for (key, _) in entries {
        if key.len() > usize::from(u16::MAX) {
            return too_long("a key of metadata", key.len(), usize::from(u16::MAX));
        }
    }
    let texts: usize = entries.iter().map(|(k, v)| k.len() + v.len()).sum();
    if u32::try_from(texts).is_err() {
        return too_long("metadata", texts, u32::MAX as usize);
    }
    Ok(())
}

/// The extended header for checked entries.
pub(super) fn put_extended(out: &mut Vec<u8>, entries: &[(String, String)]) {
    let texts: usize = entries.iter().map(|(k, v)| k.len() + v.len()).sum();
    out.extend_from_slice(&(EXTENDED as u16).to_be_bytes());
    out.extend_from_slice(&((2 + entries.len() * ENTRY) as u16).to_be_bytes());
    out.extend_from_slice(&(texts as u32).to_be_bytes());
    out.extend_from_slice(&0u32.to_be_bytes());
}

/// Index, keys and values of checked entries.
pub(super) fn put_entries(out: &mut Vec<u8>, entries: &[(String, String)]) {
    out.extend_from_slice(&(entries.len() as u16).to_be_bytes());
    for (key, value) in entries {
        out.extend_from_slice(&(key.len() as u16).to_be_bytes());
        out.extend_from_slice(&encoding_of(value).to_be_bytes());
        out.extend_from_slice(&(value.len() as u32).to_be_bytes());
    }
    for (key, value) in entries {
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(value.as_bytes());
    }
}
