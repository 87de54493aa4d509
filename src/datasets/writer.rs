//! What writes one kind of data set.

use super::{item::Item, split::Parts};
use crate::{coco::Classes, sinks::SinkError};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What all writers are made with.
#[derive(Debug, Clone)]
pub struct WriteOptions {
    /// The folder that is written to.
    pub root: PathBuf,
    /// Names of all classes of the data set, class 0 first.
    pub classes: Classes,
    /// Folder of the pictures, relative to `root` or absolute: [`Item::file_name`] is below it. None where the data set has no
    /// pictures of its own and its originals have no common folder.
    pub images: Option<PathBuf>,
    /// How masks are written where a kind has a choice.
    pub masks: MaskForm,
    /// The parts that the data set is divided into.
    pub parts: Parts,
}

/// How masks are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MaskForm {
    /// As run lengths: exact.
    #[default]
    Rle,
    /// As polygons, within three quarters of a pixel of the mask's edges.
    Polygon,
}

/// Writes one kind of data set. Items come in the order of their sources, those of a source one after the other with rising
/// frame numbers. The same items give the same bytes. Files appear under their names when they are complete.
pub trait DatasetWriter: Send {
    /// Adds a picture with its annotations.
    ///
    /// # Errors
    /// [`SinkError`] if a file cannot be written.
    fn item(&mut self, item: &Item) -> Result<(), SinkError>;

    /// Completes all files.
    ///
    /// # Errors
    /// [`SinkError`] if a file cannot be written.
    fn finish(&mut self) -> Result<(), SinkError>;

    /// Removes and returns what the user should know of the files: what is left out, and why. Complete after
    /// [`DatasetWriter::finish`].
    fn take_notes(&mut self) -> Vec<Note> {
        Vec::new()
    }
}

/// What is left out of a data set, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Name of the source.
    pub source: String,
    /// What is left out of it, and why.
    pub problem: String,
}

impl Note {
    /// The notes as lines; those of more than three sources that say the same are one.
    pub(crate) fn lines(notes: &[Self]) -> Vec<String> {
        let mut by_problem: Vec<(&str, Vec<&str>)> = Vec::new();
        for note in notes {
            match by_problem
                .iter_mut()
                .find(|(problem, _)| *problem == note.problem)
            {
                Some((_, sources)) => sources.push(&note.source),
                None => by_problem.push((&note.problem, vec![&note.source])),
            }
        }
        let lines = by_problem
            .into_iter()
            .flat_map(|(problem, sources)| match &sources[..] {
                [first, _, _, others @ ..] if !others.is_empty() => {
                    vec![format!(
                        "{first} and {} other sources: {problem}",
                        sources.len() - 1
                    )]
                }
                _ => sources
                    .iter()
                    .map(|source| format!("{source}: {problem}"))
                    .collect(),
            });
        lines.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_sources_have_in_common_is_said_once() {
        let note = |source: &str, problem: &str| Note {
            source: source.to_owned(),
            problem: problem.to_owned(),
        };
        let mut notes = vec![note("a", "is no cine"), note("b", "overlaps")];
        assert_eq!(Note::lines(&notes), ["a: is no cine", "b: overlaps"]);
        notes.extend(["c", "d", "e"].map(|source| note(source, "is no cine")));
        assert_eq!(
            Note::lines(&notes),
            ["a and 3 other sources: is no cine", "b: overlaps"]
        );
    }
}
