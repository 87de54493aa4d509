//! Which files of a repository are fetched, and what fetching gives.

use super::model_file::ModelFile;

/// Files chosen among others, or why none could be.
pub(in crate::weights) type Choice = Result<Vec<String>, String>;

/// Which files of a repository are wanted.
pub(in crate::weights) enum Wanted<'a> {
    /// These, with the SHA-256 that is known of them.
    Exactly(&'a [(&'a str, Option<&'a str>)]),
    /// Those that are chosen among all.
    Chosen(fn(&[String]) -> Choice),
}

/// Files of a repository at one commit.
pub(in crate::weights) struct Snapshot {
    pub(in crate::weights) commit: String,
    pub(in crate::weights) files: Vec<ModelFile>,
}
