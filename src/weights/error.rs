//! What can go wrong between a model's name and its tensors.

use super::hub::HubError;
use super::role::Role;
use std::{fmt, io, path::PathBuf};

/// A checkpoint that cannot be read, or a model that cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file cannot be opened or read.
    #[error("{}: cannot be read: {source}; check the path and its permissions", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not a checkpoint, or a damaged one.
    #[error("{}: {flaw}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what would work.
        flaw: Flaw,
    },
    /// A pickle that holds a whole module (`torch.save(model)`): its class would have to be executed.
    #[error(
        "{}: holds a whole {class} object, not a state_dict; reading it would mean running its code; \
         save the tensors alone: torch.save(model.state_dict(), \"weights.pth\")",
        path.display()
    )]
    WholeModule {
        /// The file.
        path: PathBuf,
        /// Python's name of the class.
        class: String,
    },
    /// A pickle in which no dictionary of tensors was found.
    #[error(
        "{}: no tensors under ema.module, ema, model, model_state_dict, state_dict or the top level; it has {}",
        path.display(),
        shorten(keys)
    )]
    NoTensors {
        /// The file.
        path: PathBuf,
        /// Keys (or the class) found at the top level.
        keys: Vec<String>,
    },
    /// The checkpoint has no tensor of the requested name.
    #[error("{}: has no tensor {name}; a checkpoint of the same model has it", path.display())]
    NoTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
    /// A tensor cannot be turned into one of the types the product computes with.
    #[error("{}: tensor {name}: {reason}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// What is wrong and what would work.
        reason: String,
    },
    /// Two tensors of a checkpoint have one name after renaming.
    #[error("{}: tensors {first} and {second} both become {name}; the checkpoint mixes two naming schemes", path.display())]
    Duplicate {
        /// The file.
        path: PathBuf,
        /// Name in the checkpoint.
        first: String,
        /// Name in the checkpoint.
        second: String,
        /// The name both get.
        name: String,
    },
    /// The text names no model: neither a path, nor a known name, nor a hub id.
    #[error("{text}: {reason}; {known}")]
    UnknownModel {
        /// What the user gave.
        text: String,
        /// Why it is none.
        reason: String,
        /// What would be understood.
        known: String,
    },
    /// The text names a model of another role than the one that is needed.
    #[error("{text}: is a {role}, not a {wanted}; {known}")]
    OtherRole {
        /// What the user gave.
        text: String,
        /// Role of the model of this name.
        role: Role,
        /// Role that is needed.
        wanted: Role,
        /// What would be understood.
        known: String,
    },
    /// No model was named for a role, and none is compiled in.
    #[error(
        "no {role} is named, and this build has none of its own (feature embedded-models); \
         give a path, a hub id ORG/NAME[@REVISION], or one of {known}"
    )]
    NoDefault {
        /// Role without a model.
        role: Role,
        /// Names of models of this role.
        known: String,
    },
    /// A directory has no checkpoint in it, or several.
    #[error("{}: {reason}; a model directory has config.json and model.safetensors, or name the checkpoint file itself", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The hub or its cache did not give a file.
    #[error(transparent)]
    Hub(#[from] Box<HubError>),
}

impl From<HubError> for WeightsError {
    fn from(error: HubError) -> Self {
        Self::Hub(Box::new(error))
    }
}

fn shorten(names: &[String]) -> String {
    let shown = names
        .iter()
        .take(12)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len() {
        0 => "nothing in it".to_owned(),
        n if n > 12 => format!("{shown}, … ({} more)", n - 12),
        _ => shown,
    }
}

/// What is wrong with the bytes of a checkpoint; the path is added by the caller that knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    reason: String,
    advice: &'static str,
}

impl Flaw {
    /// A flaw whose remedy is a fresh copy of the file.
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            advice: "the file is damaged or incomplete: fetch or save it again",
        }
    }

    /// A flaw with a remedy of its own.
    pub(super) fn with_advice(reason: impl Into<String>, advice: &'static str) -> Self {
        Self {
            reason: reason.into(),
            advice,
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.reason, self.advice)
    }
}
