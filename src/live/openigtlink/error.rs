//! Errors of inputs and outputs of OpenIGTLink.

use crate::igtl::EncodeError;
use std::io;

/// An input or output of OpenIGTLink cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IgtlError {
    /// An address cannot be listened at.
    #[error(
        "{address}: cannot be listened at: {error}; use another port, or end the program that has it"
    )]
    Listen {
        /// The address.
        address: String,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// A thread cannot be started.
    #[error("{address}: no thread can be started: {error}")]
    Thread {
        /// What it is for.
        address: String,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// A device name does not fit into its field, or is given twice.
    #[error("device name {name:?}: {problem}")]
    Device {
        /// The name.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

impl IgtlError {
    pub(super) fn device(name: &str, error: &EncodeError) -> Self {
        Self::Device {
            name: name.to_owned(),
            problem: error.to_string(),
        }
    }
}
