//! Reading tracks of all forms.

mod coco;
mod find;
mod kept;
mod other;
mod record;
mod text;

pub(super) use find::{Side, read};
#[cfg(any(test, fuzzing))]
pub(super) use text::parse;
