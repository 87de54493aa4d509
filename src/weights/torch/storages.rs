//! Where the storages of a file lie.

use crate::weights::error::Flaw;
use crate::weights::stored::Region;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

/// Storages of a file by the key that its pickle refers to them by.
pub(super) struct Storages {
    pub(super) regions: HashMap<String, Region>,
    pub(super) big_endian: bool,
    /// Size of the file, to which the sum of all tensors is held.
    pub(super) file_len: u64,
}

/// Reads at most `limit` bytes of `region`.
pub(super) fn read_region(mut file: &File, region: Region, limit: u64) -> Result<Vec<u8>, Flaw> {
    let mut bytes = Vec::new();
    let read = file
        .seek(SeekFrom::Start(region.offset))
        .and_then(|_| file.take(region.len.min(limit)).read_to_end(&mut bytes));
    read.map_err(|e| Flaw::new(format!("it cannot be read ({e})")))?;
    Ok(bytes)
}
