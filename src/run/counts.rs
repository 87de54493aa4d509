//! What a run counted, and what it could not read.

use crate::{
    frame::{Detections, Object},
    sources::{IssueKind, SourceError, SourceWarning},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Totals of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Sources that have ended.
    pub sources: u64,
    /// Frames with a result.
    pub frames: u64,
    /// Objects in them.
    pub objects: u64,
    /// Objects by class name.
    pub per_class: BTreeMap<String, u64>,
}

impl Counts {
    /// Adds a frame and its objects.
    pub fn add(&mut self, found: &Detections) {
        self.frames += 1;
        for Object { label, .. } in &found.objects {
            self.add_object(label);
        }
    }

    /// Adds the frames and objects of another run; its sources are not counted.
    pub(crate) fn extend(&mut self, other: &Self) {
        self.frames += other.frames;
        self.objects += other.objects;
        for (name, count) in &other.per_class {
            *self.per_class.entry(name.clone()).or_insert(0) += count;
        }
    }

    /// Adds one object.
    pub(crate) fn add_object(&mut self, label: &str) {
        self.objects += 1;
        match self.per_class.get_mut(label) {
            Some(count) => *count += 1,
            None => {
                self.per_class.insert(label.to_owned(), 1);
            }
        }
    }
}

/// An input that could not be read, or not wholly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputProblem {
    /// The input as the user gave it.
    pub input: String,
    /// What was wrong.
    pub problem: String,
    /// What it is about; not stored, so that a problem read from a report has [`IssueKind::Other`].
    #[serde(skip)]
    pub kind: IssueKind,
}

impl From<&SourceWarning> for InputProblem {
    fn from(warning: &SourceWarning) -> Self {
        Self {
            input: warning.path.display().to_string(),
            problem: warning.to_string(),
            kind: warning.kind,
        }
    }
}

impl From<&SourceError> for InputProblem {
    fn from(error: &SourceError) -> Self {
        Self {
            input: error.path.display().to_string(),
            problem: error.to_string(),
            kind: error.kind,
        }
    }
}

/// Errors or warnings of a run: all are counted, the first thousand kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputProblems {
    /// How many there were.
    pub count: u64,
    /// The first of them.
    pub first: Vec<InputProblem>,
}

impl InputProblems {
    /// Those kept; the rest is only counted.
    pub const KEPT: usize = 1000;

    /// Adds one.
    pub fn push(&mut self, error: InputProblem) {
        self.count += 1;
        if self.first.len() < Self::KEPT {
            self.first.push(error);
        }
    }

    /// Adds one unless it is among those kept.
    pub fn push_new(&mut self, problem: &InputProblem) {
        let is_kept =
            |kept: &InputProblem| kept.input == problem.input && kept.problem == problem.problem;
        if !self.first.iter().any(is_kept) {
            self.push(problem.clone());
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds those of `other`.
    pub fn extend(&mut self, other: Self) {
        self.count += other.count;
        let room = Self::KEPT.saturating_sub(self.first.len());
        self.first.extend(other.first.into_iter().take(room));
    }
}
