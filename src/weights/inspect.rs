//! What a checkpoint is, without loading it: `ultramotion models inspect`.

use super::hub::digest::digest;
use super::{Checkpoint, CheckpointFormat, ElementType, Extra, TensorInfo, WeightsError};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A checkpoint in figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    /// The file.
    pub path: PathBuf,
    /// How it is stored.
    pub format: CheckpointFormat,
    /// Size of the file.
    pub bytes: u64,
    /// SHA-256 of the file, lower-case hexadecimal.
    pub sha256: String,
    /// Dictionary of a pickle that the tensors were taken from, where not its top level.
    pub sub_dictionary: Option<String>,
    /// Prefix that all names had and that is not in [`Inspection::tensors`].
    pub removed_prefix: Option<String>,
    /// Number of elements of all tensors; tensors that share storage count each.
    pub parameters: u64,
    /// Number of tensors by element type.
    pub elements: BTreeMap<ElementType, usize>,
    /// Safetensors' metadata.
    pub metadata: BTreeMap<String, String>,
    /// Plain values at the top level of a pickle.
    pub extras: BTreeMap<String, Extra>,
    /// All tensors by name.
    pub tensors: Vec<TensorInfo>,
}

/// Opens `path` and describes it; data of tensors is read only for the SHA-256.
///
/// # Errors
/// As [`Checkpoint::open`].
pub fn inspect(path: impl AsRef<Path>) -> Result<Inspection, WeightsError> {
    let path = path.as_ref();
    let checkpoint = Checkpoint::open(path)?;
    let (bytes, sha256) = digest(path).map_err(|source| WeightsError::Io { path: path.to_owned(), source })?;
    let tensors: Vec<TensorInfo> = checkpoint.infos().collect();
    let mut elements = BTreeMap::new();
    for info in &tensors {
        *elements.entry(info.element).or_default() += 1;
    }
    let count = |info: &TensorInfo| info.shape.iter().map(|d| *d as u64).fold(1u64, u64::saturating_mul);
    Ok(Inspection {
        path: path.to_owned(),
        format: checkpoint.format(),
        bytes,
        sha256,
        sub_dictionary: checkpoint.sub_dictionary().map(str::to_owned),
        removed_prefix: checkpoint.removed_prefix().map(str::to_owned),
        parameters: tensors.iter().map(count).fold(0, u64::saturating_add),
        elements,
        metadata: checkpoint.metadata().clone(),
        extras: checkpoint.extras().clone(),
        tensors,
    })
}
