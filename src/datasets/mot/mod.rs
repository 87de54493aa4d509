//! MOTChallenge: boxes (MOT) and masks (MOTS) of tracked objects.
//!
//! | file | what |
//! |---|---|
//! | `row` | the rows of both kinds, of [`crate::eval`] too |
//! | `info` | `seqinfo.ini` |
//! | `sequence` | the files of a sequence that is written |
//! | `writer`, `mots_writer` | `mot/` and `mots/` |
//! | `files` | the files of sequences in a folder, and of which kind they are |
//! | `found` | sequences that are read, as items |
//! | `reader`, `mots_reader` | both kinds, as other programs write them |

mod files;
mod found;
mod info;
mod mots_reader;
mod mots_writer;
mod reader;
mod row;
mod sequence;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use files::LABELS;
pub use files::{Form, sniff};
pub(crate) use info::Info;
pub use mots_reader::read as read_mots;
pub use mots_writer::MotsWriter;
pub use reader::read as read_mot;
pub(crate) use row::{INSTANCES, MOTS_IGNORED, MotRow, MotsRow};
pub use writer::MotWriter;
