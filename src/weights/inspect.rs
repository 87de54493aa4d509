//! What a checkpoint is, without loading it: `ultramotion models inspect`.

use super::{
    Checkpoint, CheckpointFormat, ElementType, Extra, ModelFile, TensorInfo, WeightsError,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

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
    /// Number of tensors.
    pub tensor_count: usize,
    /// Number of tensors by element type.
    #[serde(rename = "dtypes")]
    pub elements: BTreeMap<ElementType, usize>,
    /// Safetensors' metadata.
    pub metadata: BTreeMap<String, String>,
    /// Plain values at the top level of a pickle.
    pub extras: BTreeMap<String, Extra>,
    /// All tensors by name; left out of JSON where a caller cleared them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tensors: Vec<TensorInfo>,
}

/// Opens a file of a model and describes it.
///
/// # Errors
/// As [`Checkpoint::of`].
pub fn inspect(file: &ModelFile) -> Result<Inspection, WeightsError> {
    let checkpoint = Checkpoint::of(file)?;
    let tensors: Vec<TensorInfo> = checkpoint.infos().collect();
    let mut elements = BTreeMap::new();
    for info in &tensors {
        *elements.entry(info.element).or_default() += 1;
    }
    let count = |info: &TensorInfo| {
        info.shape
            .iter()
            .map(|d| *d as u64)
            .fold(1u64, u64::saturating_mul)
    };
    Ok(Inspection {
        path: file.path.clone(),
        format: checkpoint.format(),
        bytes: file.bytes,
        sha256: file.sha256.clone(),
        sub_dictionary: checkpoint.sub_dictionary().map(str::to_owned),
        removed_prefix: checkpoint.removed_prefix().map(str::to_owned),
        parameters: tensors.iter().map(count).fold(0, u64::saturating_add),
        tensor_count: tensors.len(),
        elements,
        metadata: checkpoint.metadata().clone(),
        extras: checkpoint.extras().clone(),
        tensors,
    })
}
