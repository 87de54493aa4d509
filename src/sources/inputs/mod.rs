//! Expansion of the inputs that the user gave into an ordered list of sources.

mod braces;
mod draft;
mod expand;
mod folder;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod key;
mod list;
mod names;
mod natural;
mod numbered;
mod options;
mod pattern;
mod refusals;
mod search;
mod stdin;
mod walk;

pub use expand::{Inputs, expand};
pub use options::ExpandOptions;
pub use stdin::Spooled;
