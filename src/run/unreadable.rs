//! Inputs that cannot be read, with their places: where several runs share the inputs, each is reported by one of them.

use crate::run::counts::InputProblem;
use serde::{Deserialize, Serialize};

/// An input that cannot be read, as the report of a shard has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unreadable {
    /// Its place among all that cannot be read.
    pub(crate) at: usize,
    /// What is wrong.
    pub(crate) problem: InputProblem,
}
