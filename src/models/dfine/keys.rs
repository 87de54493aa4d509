//! Names of tensors in checkpoints, brought to the ones the model is built from.
//!
//! Canonical names are those of the checkpoints on the hub, as transformers writes them (`model.backbone.model.…`).
//! The authors' own checkpoints and transformers' names in memory are mapped to them by the tables here.

use super::key_tables::{AUTHORS, HUGGING_FACE, JOINED, MASK_HEAD, PIXEL_HEAD, TRAINING_ONLY};
use crate::models::prefix::{self, PrefixError};
use candle_core::Tensor;
use std::collections::BTreeMap;

/// Whose names a checkpoint has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layout {
    /// transformers', on disk or in memory.
    HuggingFace,
    /// The authors' and those of trainers derived from their code.
    Authors,
}

/// Names that cannot be brought to the model's.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Neither transformers' nor the authors' names.
    #[error(
        "{origin}: not a D-FINE checkpoint (tensors such as {examples}); expected names as in the authors' or the hub's checkpoints, with or \
         without a common prefix"
    )]
    Unrecognised {
        /// The checkpoint.
        origin: String,
        /// A few of its names.
        examples: String,
    },
    /// The authors' names with others among them.
    #[error(
        "{origin}: {} no place in a D-FINE: {}; the checkpoint is of another model",
        if names.len() == 1 { "1 tensor has".to_owned() } else { format!("{} tensors have", names.len()) },
        names.join(", ")
    )]
    Unknown {
        /// The checkpoint.
        origin: String,
        /// All names without a place.
        names: Vec<String>,
    },
    /// A model for semantic segmentation, by a trainer of the authors' detector.
    #[error(
        "{origin}: is a model for semantic segmentation (D-FINE-seg, task sem_seg), which finds no boxes; use a checkpoint trained with \
         task detect or segment"
    )]
    SemanticSegmentation {
        /// The checkpoint.
        origin: String,
    },
    /// Prefixes that not all names have.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// Two names for one tensor, with different contents.
    #[error("{origin}: {name} is there twice with different values; the checkpoint is damaged")]
    Conflict {
        /// The checkpoint.
        origin: String,
        /// The canonical name.
        name: String,
    },
    /// Candle refused an operation.
    #[error("{origin}: tensor {name}: {source}")]
    Tensor {
        /// The checkpoint.
        origin: String,
        /// Name in the checkpoint.
        name: String,
        /// Candle's own error.
        source: Box<candle_core::Error>,
    },
}

/// What names of each layout begin with, and those of no other.
const MARKS: &[(Layout, &str)] = &[
    (Layout::HuggingFace, "model.backbone.model."),
    (Layout::Authors, "backbone.stem."),
];

/// Whether the model in its deploy form, of `layers` decoder layers, leaves a tensor of this canonical name unread.
///
/// That is so for what `TRAINING_ONLY` names, counters of batch normalisation, class heads and quality estimators
/// of all but the last layer, and whatever belongs to layers after it.
pub fn is_training_only(name: &str, layers: usize) -> bool {
    if name.ends_with(".num_batches_tracked") || TRAINING_ONLY.contains(&name) {
        return true;
    }
    let index = |prefix: &str| -> Option<usize> {
        name.strip_prefix(prefix)?.split('.').next()?.parse().ok()
    };
    let only_last = ["model.decoder.class_embed.", "model.decoder.lqe_layers."];
    let up_to_last = ["model.decoder.layers.", "model.decoder.bbox_embed."];
    only_last
        .iter()
        .filter_map(|p| index(p))
        .any(|i| i + 1 != layers)
        || up_to_last
            .iter()
            .filter_map(|p| index(p))
            .any(|i| i >= layers)
}

/// The canonical name of `name` by a table, or none where no pattern matches.
fn renamed(name: &str, table: &[(&str, &str)]) -> Option<String> {
    table.iter().find_map(|(from, to)| {
        let mut rest = name.split('.');
        let mut captured = Vec::new();
        for part in from.split('.') {
            let found = rest.next()?;
            match part {
                "*" => captured.push(found),
                _ if part == found => {}
                _ => return None,
            }
        }
        let mut captured = captured.into_iter();
        let parts = to.split('.').map(|part| {
            if part == "*" {
                captured.next().unwrap_or_default()
            } else {
                part
            }
        });
        Some(parts.chain(rest).collect::<Vec<_>>().join("."))
    })
}

/// A checkpoint's tensors under canonical names.
#[derive(Debug, Clone)]
pub struct Canonical {
    /// Those of the detector.
    pub tensors: BTreeMap<String, Tensor>,
    /// Whose names they had.
    pub layout: Layout,
    /// What all names began with, as training wrappers write it; often empty.
    pub prefix: String,
    /// Tensors of a mask head, which a detector has no use for.
    pub mask_head: usize,
}

/// Gives every tensor of a checkpoint its canonical name.
///
/// `origin` names the checkpoint in errors.
///
/// # Errors
/// See [`KeysError`].
pub fn canonical(origin: &str, tensors: BTreeMap<String, Tensor>) -> Result<Canonical, KeysError> {
    let (layout, prefix) = recognise(origin, tensors.keys().map(String::as_str))?;
    let mut named = Named {
        origin,
        tensors: BTreeMap::new(),
        unknown: Vec::new(),
    };
    let mut mask_head = 0;
    for (name, tensor) in tensors {
        let name = name.get(prefix.len()..).unwrap_or_default();
        match layout {
            Layout::HuggingFace => named.insert(
                renamed(name, HUGGING_FACE).unwrap_or_else(|| name.to_owned()),
                tensor,
            )?,
            Layout::Authors if MASK_HEAD.iter().any(|head| name.starts_with(head)) => {
                mask_head += 1
            }
            Layout::Authors => named.insert_from_authors(name, &tensor)?,
        }
    }
    let (origin, names) = (origin.to_owned(), named.unknown);
    if names.iter().any(|name| name.starts_with(PIXEL_HEAD)) {
        return Err(KeysError::SemanticSegmentation { origin });
    }
    if !names.is_empty() {
        return Err(KeysError::Unknown { origin, names });
    }
    Ok(Canonical {
        tensors: named.tensors,
        layout,
        prefix,
        mask_head,
    })
}

/// Whose names these are, and the prefix that all have.
///
/// # Errors
/// [`KeysError::Unrecognised`] or [`KeysError::Prefix`].
pub fn recognise<'a>(
    origin: &str,
    names: impl Iterator<Item = &'a str> + Clone,
) -> Result<(Layout, String), KeysError> {
    let unrecognised = || {
        let examples = names.clone().take(3).collect::<Vec<_>>().join(", ");
        let examples = if examples.is_empty() {
            "none at all".to_owned()
        } else {
            examples
        };
        KeysError::Unrecognised {
            origin: origin.to_owned(),
            examples,
        }
    };
    prefix::find(origin, names.clone(), MARKS)?.ok_or_else(unrecognised)
}

struct Named<'a> {
    origin: &'a str,
    tensors: BTreeMap<String, Tensor>,
    unknown: Vec<String>,
}

impl Named<'_> {
    fn insert_from_authors(&mut self, name: &str, tensor: &Tensor) -> Result<(), KeysError> {
        let Some(canonical) = renamed(name, AUTHORS) else {
            self.unknown.push(name.to_owned());
            return Ok(());
        };
        for (suffix, kind) in JOINED {
            if let Some(scope) = canonical.strip_suffix(suffix) {
                let parts = tensor
                    .chunk(3, 0)
                    .map_err(|source| self.tensor_error(name, source))?;
                return ["q_proj", "k_proj", "v_proj"]
                    .iter()
                    .zip(parts)
                    .try_for_each(|(projection, part)| {
                        self.insert(format!("{scope}.{projection}.{kind}"), part)
                    });
            }
        }
        self.insert(canonical, tensor.clone())
    }

    fn insert(&mut self, name: String, tensor: Tensor) -> Result<(), KeysError> {
        match self.tensors.get(&name) {
            None => {
                self.tensors.insert(name, tensor);
                Ok(())
            }
            Some(first) => match same(first, &tensor) {
                Ok(true) => Ok(()),
                Ok(false) => Err(KeysError::Conflict {
                    origin: self.origin.to_owned(),
                    name,
                }),
                Err(source) => Err(self.tensor_error(&name, source)),
            },
        }
    }

    fn tensor_error(&self, name: &str, source: candle_core::Error) -> KeysError {
        KeysError::Tensor {
            origin: self.origin.to_owned(),
            name: name.to_owned(),
            source: Box::new(source),
        }
    }
}

fn same(a: &Tensor, b: &Tensor) -> candle_core::Result<bool> {
    if a.dims() != b.dims() || a.dtype() != b.dtype() {
        return Ok(false);
    }
    Ok(a.ne(b)?
        .flatten_all()?
        .to_dtype(candle_core::DType::U32)?
        .sum_all()?
        .to_scalar::<u32>()?
        == 0)
}

#[cfg(test)]
mod tests;
