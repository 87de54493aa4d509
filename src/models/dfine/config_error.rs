//! What can be wrong with a configuration, and where it comes from.

use super::value_text;
use serde::Serialize;

/// What a configuration was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigFile {
    /// `config.json`.
    Config,
    /// `preprocessor_config.json`.
    Preprocessor,
    /// The tensors of a checkpoint without configuration, and its metadata.
    Checkpoint,
    /// The input size that the user gave.
    User,
}

impl std::fmt::Display for ConfigFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Config => "config.json",
            Self::Preprocessor => "preprocessor_config.json",
            Self::Checkpoint => "the checkpoint",
            Self::User => "input size",
        })
    }
}

/// A configuration that cannot be read or makes no model.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct ConfigError {
    /// What was read.
    pub file: ConfigFile,
    /// What is wrong with it.
    pub problem: ConfigProblem,
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigProblem {
    /// Not JSON, or a field of the wrong kind.
    #[error("{0}; expected what transformers writes for a D-FINE")]
    Json(String),
    /// A value that the model cannot have or that is not supported.
    #[error("{field}: {value} is not supported: {reason}")]
    Value {
        /// Name of the setting.
        field: &'static str,
        /// What it says.
        value: String,
        /// What it may be.
        reason: String,
    },
    /// Without a `config.json` the sizes are read from the tensors, and those do not tell.
    #[error(
        "the configuration cannot be read from the tensors: {0}; give a directory with config.json, or a checkpoint of D-FINE"
    )]
    NotInferable(String),
}

impl ConfigError {
    /// A setting of `config.json`.
    pub(super) fn value(
        field: &'static str,
        value: impl Serialize,
        reason: impl Into<String>,
    ) -> Self {
        let problem = ConfigProblem::Value {
            field,
            value: value_text::of(&value),
            reason: reason.into(),
        };
        Self {
            file: ConfigFile::Config,
            problem,
        }
    }

    /// Tensors that do not tell.
    pub(super) fn not_inferable(what: impl Into<String>) -> Self {
        Self {
            file: ConfigFile::Checkpoint,
            problem: ConfigProblem::NotInferable(what.into()),
        }
    }

    /// The same of another file.
    pub(super) fn of(self, file: ConfigFile) -> Self {
        Self { file, ..self }
    }
}
