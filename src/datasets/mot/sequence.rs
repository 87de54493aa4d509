//! The files of a sequence that is written.

use super::info::{FILE, Info};
use crate::{
    datasets::{
        item::{Annotation, Item, Place},
        names::TreeNames,
        writer::Note,
    },
    geometry::Size,
    sinks::{AtomicFile, SinkError, write_atomic},
    text::counted,
};
use std::{
    collections::BTreeSet,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Folders of ground truth and of results below that of the kind.
pub(super) const TRUTH: &str = "sequences";
const RESULTS: &str = "data";

const BUFFER: usize = 1 << 16;

/// A file that is being written.
struct Text {
    path: PathBuf,
    file: BufWriter<AtomicFile>,
}

impl Text {
    fn create(path: PathBuf) -> Result<Self, SinkError> {
        let file = BufWriter::with_capacity(BUFFER, AtomicFile::create(&path)?);
        Ok(Self { path, file })
    }

    fn add(&mut self, row: &str) -> Result<(), SinkError> {
        self.file
            .write_all(row.as_bytes())
            .map_err(|e| SinkError::io(&self.path, "write the file", &e))
    }

    fn finish(self) -> Result<(), SinkError> {
        let file = self.file.into_inner();
        file.map_err(|e| SinkError::io(&self.path, "write the file", e.error()))?
            .commit()
    }
}

/// The files of a source: `sequences/NAME/gt/gt.txt` with `labels.txt` and `seqinfo.ini`, and `data/NAME.txt`.
pub(super) struct Sequence {
    source: Arc<str>,
    folder: PathBuf,
    frame_rate: Option<f64>,
    size: Size,
    /// Frames up to the last that came.
    length: u64,
    /// Objects, and those that are left out as they have no track of their own in their frame.
    tracked: u64,
    untracked: u64,
    truth: Text,
    results: Text,
}

impl Sequence {
    /// Starts the files of the source of `item` below `root`, the folder of the kind.
    fn new(root: &Path, name: &str, item: &Item, place: &Place) -> Result<Self, SinkError> {
        let folder = root.join(TRUTH).join(name);
        Ok(Self {
            source: Arc::clone(&place.source),
            frame_rate: place.frame_rate,
            size: item.size,
            length: 0,
            tracked: 0,
            untracked: 0,
            truth: Text::create(folder.join("gt").join("gt.txt"))?,
            results: Text::create(root.join(RESULTS).join(format!("{name}.txt")))?,
            folder,
        })
    }

    /// The folder of the sequence.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The objects of `item` that have a track which no object before them in the picture has, with its number.
    pub(super) fn tracked<'a>(&mut self, item: &'a Item) -> Vec<(u64, &'a Annotation)> {
        let mut seen = BTreeSet::new();
        let tracked = item.annotations.iter().filter_map(|annotation| {
            let id = annotation.track_id.filter(|id| seen.insert(*id))?;
            Some((id, annotation))
        });
        let tracked: Vec<_> = tracked.collect();
        self.tracked += tracked.len() as u64;
        self.untracked += (item.annotations.len() - tracked.len()) as u64;
        tracked
    }

    /// Adds a row of ground truth and one of results.
    pub(super) fn add(&mut self, truth: &str, results: &str) -> Result<(), SinkError> {
        self.truth.add(truth)?;
        self.results.add(results)
    }

    /// Completes the files; what is left out is added to `notes`.
    fn finish(self, kind: &str, labels: &str, notes: &mut Vec<Note>) -> Result<(), SinkError> {
        self.truth.finish()?;
        self.results.finish()?;
        write_atomic(&self.folder.join("gt/labels.txt"), labels.as_bytes())?;
        let info = Info {
            name: Some(self.source.to_string()),
            frame_rate: self.frame_rate,
            length: Some(self.length),
            size: Some(self.size),
        };
        write_atomic(&self.folder.join(FILE), info.text("img1").as_bytes())?;
        // Sources without any track say the same, which is then said once.
        let problem = match (self.tracked, self.untracked) {
            (_, 0) => return Ok(()),
            (0, _) => format!("its objects have no tracks, and are left out of {kind}"),
            (_, some) => format!(
                "{} left out of {kind}: without a track, or with one that another object of the frame has",
                counted(some, "object")
            ),
        };
        notes.push(Note {
            source: self.source.to_string(),
            problem,
        });
        Ok(())
    }
}

/// The sequences of a folder, one after the other.
pub(super) struct Sequences {
    root: PathBuf,
    /// Name of the kind in messages.
    kind: &'static str,
    names: TreeNames,
    labels: String,
    open: Option<Sequence>,
    notes: Vec<Note>,
    /// Objects of still pictures.
    stills: u64,
}

impl Sequences {
    /// Sequences below `root`, the folder of the kind.
    pub(super) fn new(root: PathBuf, kind: &'static str, classes: &[Arc<str>]) -> Self {
        let line = |name: &Arc<str>| format!("{}\n", name.replace(['\r', '\n'], " "));
        Self {
            root,
            kind,
            names: TreeNames::default(),
            labels: classes.iter().map(line).collect(),
            open: None,
            notes: Vec::new(),
            stills: 0,
        }
    }

    /// Names of the classes, a line each.
    pub(super) fn labels(&self) -> &str {
        &self.labels
    }

    /// The sequence of `item`, and the number of its frame from 1; none for a still picture.
    pub(super) fn of(&mut self, item: &Item) -> Result<Option<(&mut Sequence, u64)>, SinkError> {
        let Some(place) = &item.place else {
            self.stills += item.annotations.len() as u64;
            return Ok(None);
        };
        let other = |open: &Sequence| open.source != place.source;
        if self.open.as_ref().is_none_or(other) {
            self.end()?;
            // The name of a source has no extension: what follows a dot is part of it.
            let name = self.names.of(&format!("{}.txt", place.source));
            let name = name.strip_suffix(".txt").unwrap_or(&name);
            self.open = Some(Sequence::new(&self.root, name, item, place)?);
        }
        let number = place.frame.saturating_add(1);
        Ok(self.open.as_mut().map(|open| {
            open.length = open.length.max(number);
            (open, number)
        }))
    }

    fn end(&mut self) -> Result<(), SinkError> {
        match self.open.take() {
            Some(open) => open.finish(self.kind, &self.labels, &mut self.notes),
            None => Ok(()),
        }
    }

    /// Completes the last sequence.
    pub(super) fn finish(&mut self) -> Result<(), SinkError> {
        self.end()?;
        if std::mem::take(&mut self.stills) > 0 {
            self.notes.push(Note {
                source: "still pictures".to_owned(),
                problem: format!("are no sequences, and are left out of {}", self.kind),
            });
        }
        Ok(())
    }

    /// Adds to what is left out.
    pub(super) fn note(&mut self, source: String, problem: String) {
        self.notes.push(Note { source, problem });
    }

    /// What is left out.
    pub(super) fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }
}
