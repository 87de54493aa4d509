//! Files of `torch.save`: the zip form (torch 1.6 on) and the older row of pickles.

mod archive;
mod extras;
mod legacy;
mod state_dict;
mod tensor;

use super::error::{Flaw, WeightsError};
use super::stored::{Region, StoredTensor};
pub use extras::Extra;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::Path;

/// What a torch file holds, without the data of its tensors.
pub(super) struct Contents {
    pub(super) tensors: BTreeMap<String, StoredTensor>,
    /// Dotted path of the dictionary the tensors were taken from; none at the top level.
    pub(super) sub_dictionary: Option<&'static str>,
    /// Prefix that all names had and that was removed.
    pub(super) prefix: Option<String>,
    pub(super) extras: BTreeMap<String, Extra>,
}

/// Storages of a file by the key that its pickle refers to them by.
struct Storages {
    regions: HashMap<String, Region>,
    big_endian: bool,
    /// Size of the file, to which the sum of all tensors is held.
    file_len: u64,
}

/// Reads the zip form.
pub(super) fn read_zip(path: &Path, file: &File, len: u64) -> Result<Contents, WeightsError> {
    let malformed = |flaw| WeightsError::Malformed {
        path: path.to_owned(),
        flaw,
    };
    let archive = archive::open(file, len).map_err(malformed)?;
    let (graph, _) = super::pickle::parse(&archive.pickle).map_err(malformed)?;
    state_dict::extract(path, &graph, &archive.storages)
}

/// Reads the form of torch before 1.6 (`_use_new_zipfile_serialization=False`).
pub(super) fn read_legacy(path: &Path, file: &File, len: u64) -> Result<Contents, WeightsError> {
    let (graph, storages) = legacy::open(file, len).map_err(|flaw| WeightsError::Malformed {
        path: path.to_owned(),
        flaw,
    })?;
    state_dict::extract(path, &graph, &storages)
}

/// Reads at most `limit` bytes of `region`.
fn read_region(mut file: &File, region: Region, limit: u64) -> Result<Vec<u8>, Flaw> {
    use std::io::{Read, Seek, SeekFrom};
    let mut bytes = Vec::new();
    let read = file
        .seek(SeekFrom::Start(region.offset))
        .and_then(|_| file.take(region.len.min(limit)).read_to_end(&mut bytes));
    read.map_err(|e| Flaw::new(format!("it cannot be read ({e})")))?;
    Ok(bytes)
}
