//! From a file of `torch.save` to its tensors.

use super::contents::Contents;
use super::{archive, legacy, state_dict};
use crate::weights::error::WeightsError;
use crate::weights::pickle;
use std::fs::File;
use std::path::Path;

/// Reads the zip form.
pub(in crate::weights) fn read_zip(
    path: &Path,
    file: &File,
    len: u64,
) -> Result<Contents, WeightsError> {
    let malformed = |flaw| WeightsError::Malformed {
        path: path.to_owned(),
        flaw,
    };
    let archive = archive::open(file, len).map_err(malformed)?;
    let (graph, _) = pickle::parse(&archive.pickle).map_err(malformed)?;
    state_dict::extract(path, &graph, &archive.storages)
}

/// Reads the form of torch before 1.6 (`_use_new_zipfile_serialization=False`).
pub(in crate::weights) fn read_legacy(
    path: &Path,
    file: &File,
    len: u64,
) -> Result<Contents, WeightsError> {
    let (graph, storages) = legacy::open(file, len).map_err(|flaw| WeightsError::Malformed {
        path: path.to_owned(),
        flaw,
    })?;
    state_dict::extract(path, &graph, &storages)
}
