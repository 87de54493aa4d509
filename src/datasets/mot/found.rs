//! Sequences that are read, as items.

use super::{
    files::{Form, SequenceFile},
    info::Info,
};
use crate::{
    datasets::{
        item::{Annotation, Item, Place},
        names::{Ignored, Labels, TreeNames, below, lines_of},
        reader::{Dataset, DatasetError},
    },
    frame::SourceKind,
    geometry::Size,
};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    sync::Arc,
};

/// Frames without objects of a sequence that are listed at most.
const MAX_FRAMES: u64 = 1 << 20;

/// The classes of MOTChallenge from 1, for files without a list of names.
const MOT_NAMES: [&str; 12] = [
    "pedestrian",
    "person on vehicle",
    "car",
    "bicycle",
    "motorbike",
    "non motorized vehicle",
    "static person",
    "distractor",
    "occluder",
    "occluder on the ground",
    "occluder full",
    "reflection",
];

/// The same of MOTS.
const MOTS_NAMES: [&str; 2] = ["car", "pedestrian"];

/// All sequences that were read.
pub(super) struct Reading {
    pub(super) labels: Labels,
    pub(super) ignored: Ignored,
    names: TreeNames,
    items: Vec<Item>,
}

/// A sequence that is read.
pub(super) struct Found {
    name: String,
    info: Info,
    /// Names of the classes from 1; none where there is no list.
    pub(super) classes: Vec<String>,
    form: Form,
    /// Size of the frames, as far as it is known.
    pub(super) size: Option<Size>,
    /// Objects by frame, from 0.
    pub(super) frames: BTreeMap<u64, Vec<Annotation>>,
}

impl Found {
    /// A sequence of which `folder` states size, length and `labels` the names of the classes.
    ///
    /// # Errors
    /// [`DatasetError`] if the list of names cannot be read.
    fn new(
        name: &str,
        folder: Option<&Path>,
        labels: Option<&Path>,
        form: Form,
    ) -> Result<Self, DatasetError> {
        let info = folder.map(Info::read).unwrap_or_default();
        Ok(Self {
            name: name.to_owned(),
            size: info.size,
            info,
            classes: labels.map(lines_of).transpose()?.unwrap_or_default(),
            form,
            frames: BTreeMap::new(),
        })
    }

    /// The name of a class from 1.
    pub(super) fn class_name(&self, class: Option<u32>) -> String {
        let Some(class) = class else {
            return "object".to_owned();
        };
        let at = class.saturating_sub(1) as usize;
        let known = match self.form {
            Form::Boxes => &MOT_NAMES[..],
            Form::Masks => &MOTS_NAMES[..],
        };
        let known = known.get(at).filter(|_| self.classes.is_empty());
        let listed = self.classes.get(at).map(String::as_str);
        match listed.or(known.copied()) {
            Some(name) => name.to_owned(),
            None => format!("class {class}"),
        }
    }

    fn items(mut self, name: &str) -> Vec<Item> {
        let listed = self.info.length.filter(|length| *length <= MAX_FRAMES);
        for frame in 0..listed.unwrap_or(0) {
            self.frames.entry(frame).or_default();
        }
        let source: Arc<str> = Arc::from(name);
        let (size, frame_rate) = (self.size.unwrap_or(Size::new(0, 0)), self.info.frame_rate);
        let items = self.frames.into_iter().map(|(frame, mut annotations)| {
            annotations.sort_by(by_score);
            Item {
                file_name: format!("{name}/{frame:06}.png"),
                original: None,
                size,
                place: Some(Place {
                    source: Arc::clone(&source),
                    kind: SourceKind::Video,
                    path: Arc::clone(&source),
                    file: None,
                    frame,
                    timestamp: None,
                    frame_rate,
                    attributes: Default::default(),
                }),
                annotations,
                physical: None,
                exif_orientation: None,
                changes: Vec::new(),
            }
        });
        items.collect()
    }
}

impl Reading {
    pub(super) fn new() -> Self {
        Self {
            labels: Labels::default(),
            ignored: Ignored::default(),
            names: TreeNames::default(),
            items: Vec::new(),
        }
    }

    /// Begins the sequence of a file.
    ///
    /// # Errors
    /// [`DatasetError`] if the list of names cannot be read.
    pub(super) fn begin_file(
        &mut self,
        file: &SequenceFile,
        form: Form,
    ) -> Result<Found, DatasetError> {
        let labels = file.labels();
        self.begin(&file.name, file.folder.as_deref(), labels.as_deref(), form)
    }

    /// Begins a sequence, whose classes are listed; else as [`Found::new`].
    ///
    /// # Errors
    /// [`DatasetError`] if the list of names cannot be read.
    pub(super) fn begin(
        &mut self,
        name: &str,
        folder: Option<&Path>,
        labels: Option<&Path>,
        form: Form,
    ) -> Result<Found, DatasetError> {
        let found = Found::new(name, folder, labels, form)?;
        found.classes.iter().for_each(|name| self.labels.list(name));
        Ok(found)
    }

    /// Calls `row` with every line that is not empty of a file.
    ///
    /// # Errors
    /// [`DatasetError`] if the file cannot be read, or with the line and what `row` returned.
    pub(super) fn rows(
        file: &SequenceFile,
        mut row: impl FnMut(&str) -> Result<(), String>,
    ) -> Result<(), DatasetError> {
        let failed = |e| DatasetError::io(&file.path, "read the file", &e);
        let mut text = BufReader::new(File::open(&file.path).map_err(failed)?);
        let mut line = String::new();
        for number in 1u64.. {
            line.clear();
            if text.read_line(&mut line).map_err(failed)? == 0 {
                break;
            }
            let found = match line.trim() {
                "" => Ok(()),
                line => row(line),
            };
            found.map_err(|problem| {
                DatasetError::new(&file.path, format!("line {number}: {problem}"))
            })?;
        }
        Ok(())
    }

    /// Adds a sequence that is read.
    pub(super) fn add(&mut self, found: Found) {
        if found.size.is_none() && !found.frames.is_empty() {
            self.ignored
                .add("size of the frames is not stated (seqinfo.ini)");
        }
        let stated = found.info.name.clone().filter(|name| !name.is_empty());
        let name = stated.unwrap_or_else(|| found.name.clone());
        // The name of a sequence has no extension: what follows a dot is part of it.
        let name = self.names.of(&format!("{}.txt", below(&name)));
        let name = name.strip_suffix(".txt").unwrap_or(&name).to_owned();
        self.items.extend(found.items(&name));
    }

    /// The data set; what is left out of `path` is added to `warnings`.
    pub(super) fn finish(mut self, path: &Path, warnings: &mut Vec<String>) -> Dataset {
        self.ignored.warn(path, warnings);
        Dataset {
            classes: self.labels.finish(&mut self.items),
            items: self.items,
        }
    }
}

/// Best score first; those without score stay in their order.
fn by_score(a: &Annotation, b: &Annotation) -> std::cmp::Ordering {
    let score = |annotation: &Annotation| annotation.score.unwrap_or(0.0);
    score(b).total_cmp(&score(a))
}
