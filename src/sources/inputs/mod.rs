//! From what the user gave as inputs to an ordered list of sources.

mod contents;
mod folder;
mod list;
mod names;
mod natural;
mod numbered;
mod pattern;
mod unread;

pub(super) use contents::{Contents, identify};

use super::{SourceError, SourceWarning};
use crate::frame::SourceKind;
use std::{
    collections::HashMap,
    ffi::OsString,
    io::BufRead,
    path::{Path, PathBuf},
};

/// One source to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSpec {
    /// The file, or the folder of a sequence or series.
    pub path: PathBuf,
    /// Kind of source, found by content.
    pub kind: SourceKind,
    /// Files of a sequence or DICOM series in order; for a single file, that file.
    pub files: Vec<PathBuf>,
    /// Name for outputs, unique within the run, as [`crate::frame::SourceInfo::name`] says.
    pub name: String,
}

/// DICOM files that make one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DicomGroup {
    /// The file of a single one, the folder of a series.
    pub path: PathBuf,
    /// Files in the order of the series.
    pub files: Vec<PathBuf>,
}

/// Why a DICOM file belongs to no source.
#[derive(Debug, Clone)]
pub enum DicomRefusal {
    /// It is sound, but no image: a report, presentation state, key object selection or document. An error where the user
    /// named the file; a search passes it over.
    NoImage(SourceError),
    /// It cannot be read.
    Unreadable(SourceError),
}

impl From<SourceError> for DicomRefusal {
    fn from(error: SourceError) -> Self {
        Self::Unreadable(error)
    }
}

impl DicomRefusal {
    /// The error, whatever the reason.
    pub fn into_error(self) -> SourceError {
        let (Self::NoImage(error) | Self::Unreadable(error)) = self;
        error
    }
}

/// Sorts DICOM files into sources. It gets files that belong to one input, in natural order, and gives groups in the
/// order in which the sources shall come, or a refusal for files that belong to none.
pub type DicomGrouping<'a> = &'a dyn Fn(Vec<PathBuf>) -> Vec<Result<DicomGroup, DicomRefusal>>;

/// The grouping in which every file is a source of its own.
pub fn each_file_alone(files: Vec<PathBuf>) -> Vec<Result<DicomGroup, DicomRefusal>> {
    files.into_iter().map(|path| Ok(DicomGroup { files: vec![path.clone()], path })).collect()
}

/// How inputs are expanded.
#[derive(Clone, Copy)]
pub struct ExpandOptions<'a> {
    /// Numbered images of a folder are sources of their own, not a sequence.
    pub as_images: bool,
    /// What sorts DICOM files into series.
    pub group_dicom: DicomGrouping<'a>,
}

impl Default for ExpandOptions<'_> {
    fn default() -> Self {
        Self { as_images: false, group_dicom: &crate::sources::group_dicom }
    }
}

/// What inputs were expanded to.
#[derive(Debug, Default)]
pub struct Inputs {
    /// Sources and errors in order. The order is the same in every run over the same files.
    pub sources: Vec<Result<SourceSpec, SourceError>>,
    /// Files of folders that are neither images, videos nor DICOM by content, nor have the extension of one.
    pub ignored: Vec<PathBuf>,
    /// What was left out on purpose or read otherwise than its author may have meant.
    pub warnings: Vec<SourceWarning>,
}

/// A source that has no name yet.
#[derive(Debug)]
struct Draft {
    path: PathBuf,
    kind: SourceKind,
    files: Vec<PathBuf>,
    /// The folder below which the name is taken; none for the file's own name.
    base: Option<PathBuf>,
    /// What tells a sequence from others of its folder.
    pattern: Option<String>,
}

impl Draft {
    fn file(path: PathBuf, kind: SourceKind, base: Option<&Path>) -> Self {
        Self { files: vec![path.clone()], path, kind, base: base.map(Path::to_owned), pattern: None }
    }
}

/// What an input is made of, in order. DICOM files that were named one by one wait here for all the others of the run.
enum Item {
    Source(Result<Draft, SourceError>),
    NamedDicom { path: PathBuf, base: Option<PathBuf> },
}

struct Expansion<'a> {
    options: ExpandOptions<'a>,
    items: Vec<Item>,
    ignored: Vec<PathBuf>,
    warnings: Vec<SourceWarning>,
}

/// Expands inputs in the order given: files, folders (searched with their subfolders, hidden files left out), patterns
/// (`*`, `?`, `[…]`, `{…}`, `**`; a path that exists is never a pattern), list files (`.txt`, `.lst`, `.list`: one
/// path a line, relative to the list, `#` for comments), and `-` for a list read from `stdin`, relative to the current
/// folder.
///
/// Kinds are decided by content, also those of DICOM files without the standard's preamble; the extension counts only to tell
/// a damaged picture (an error) from a file that was never meant (ignored). Numbered images of one folder with the same
/// name around the number and the same extension are one sequence, in the order of their numbers, gaps or not, unless
/// [`ExpandOptions::as_images`]. Files named one by one, also by a pattern or list, are sources of their own, save that
/// DICOM files among them are grouped into series together.
pub fn expand(inputs: &[OsString], options: ExpandOptions<'_>, stdin: &mut dyn BufRead) -> Inputs {
    let mut expansion = Expansion { options, items: Vec::new(), ignored: Vec::new(), warnings: Vec::new() };
    for input in inputs {
        if input == "-" {
            expansion.add_stdin(stdin);
        } else {
            expansion.add(Path::new(input), None, true);
        }
    }
    expansion.finish()
}

impl Expansion<'_> {
    /// One input or line of a list. `base` is the folder below which names are taken; `lists` says whether a list may stand here.
    fn add(&mut self, path: &Path, base: Option<&Path>, lists: bool) {
        match std::fs::metadata(path) {
            Ok(meta) if meta.is_dir() => self.add_folder(path),
            Ok(meta) if meta.is_file() => self.add_file(path, base, lists),
            Ok(_) => self.fail(SourceError::new(path, "is neither a file nor a folder")),
            // Something stands there that cannot be followed: not a pattern.
            Err(e) if path.symlink_metadata().is_ok() => self.fail(SourceError::new(path, format!("cannot be read: {e}"))),
            Err(e) => match path.to_str().filter(|text| pattern::is_pattern(text)) {
                Some(text) => self.add_pattern(text),
                None if e.kind() == std::io::ErrorKind::NotFound => self.fail(SourceError::new(path, "no such file or folder")),
                None => self.fail(SourceError::new(path, format!("cannot be read: {e}"))),
            },
        }
    }

    fn add_file(&mut self, path: &Path, base: Option<&Path>, lists: bool) {
        let contents = match identify(path) {
            Ok(contents) => contents,
            Err(error) => return self.fail(error),
        };
        match contents {
            Contents::Image(_) => self.push(Draft::file(path.to_owned(), SourceKind::Image, base)),
            Contents::Video => self.push(Draft::file(path.to_owned(), SourceKind::Video, base)),
            Contents::Dicom => self.items.push(Item::NamedDicom { path: path.to_owned(), base: base.map(Path::to_owned) }),
            Contents::Empty | Contents::Other(_) if list::has_list_extension(path) => match lists {
                true => self.add_list(path),
                false => self.fail(SourceError::new(path, "is a list inside a list").with_remedy("give it as an input of its own")),
            },
            contents => self.fail(contents.refusal(path)),
        }
    }

    fn add_list(&mut self, path: &Path) {
        match list::read(path) {
            Ok(paths) if paths.is_empty() => self.fail(SourceError::new(path, "lists no file")),
            Ok(paths) => {
                let folder = path.parent().unwrap_or(Path::new(""));
                for entry in paths {
                    self.add(&folder.join(entry), Some(folder), false);
                }
            }
            Err(error) => self.fail(error),
        }
    }

    fn add_stdin(&mut self, stdin: &mut dyn BufRead) {
        match list::parse(stdin) {
            Ok(paths) if paths.is_empty() => self.fail(SourceError::new("-", "the list on standard input names no file")),
            Ok(paths) => paths.iter().for_each(|path| self.add(path, Some(Path::new("")), false)),
            Err(e) => self.fail(SourceError::new("-", format!("standard input cannot be read: {e}"))),
        }
    }

    fn add_pattern(&mut self, text: &str) {
        match pattern::matches(text) {
            Ok(found) => {
                for path in &found.paths {
                    self.add(path, Some(&found.base), true);
                }
                found.errors.into_iter().for_each(|error| self.fail(error));
            }
            Err(error) => self.fail(error),
        }
    }

    fn add_folder(&mut self, path: &Path) {
        let found = folder::search(path, &self.options);
        self.items.extend(found.sources.into_iter().map(Item::Source));
        self.ignored.extend(found.ignored);
        self.warnings.extend(found.warnings);
    }

    fn push(&mut self, draft: Draft) {
        self.items.push(Item::Source(Ok(draft)));
    }

    fn fail(&mut self, error: SourceError) {
        self.items.push(Item::Source(Err(error)));
    }

    /// Groups the DICOM files that were named one by one, each group at the place of its first file, and names the sources.
    fn finish(self) -> Inputs {
        let mut bases = HashMap::new();
        let mut named = Vec::new();
        for item in &self.items {
            if let Item::NamedDicom { path, base } = item
                && bases.insert(path.clone(), base.clone()).is_none()
            {
                named.push(path.clone());
            }
        }
        let mut groups = place_groups(named, self.options.group_dicom, |path| bases.get(path).cloned().flatten());
        let mut drafts = Vec::with_capacity(self.items.len());
        for item in self.items {
            match item {
                Item::Source(source) => drafts.push(source),
                Item::NamedDicom { path, .. } => {
                    let group = groups.remove(&path).unwrap_or_default();
                    drafts.extend(group.into_iter().map(|draft| draft.map_err(DicomRefusal::into_error)));
                }
            }
        }
        Inputs { sources: names::assign(drafts), ignored: self.ignored, warnings: self.warnings }
    }
}

/// Runs the grouping over `files` and gives its sources by the file at whose place they come.
fn place_groups(
    files: Vec<PathBuf>,
    group: DicomGrouping<'_>,
    base_of: impl Fn(&Path) -> Option<PathBuf>,
) -> HashMap<PathBuf, Vec<Result<Draft, DicomRefusal>>> {
    let mut placed: HashMap<PathBuf, Vec<_>> = HashMap::new();
    let Some(first) = files.first().cloned() else { return placed };
    let order: HashMap<PathBuf, usize> = files.iter().cloned().enumerate().map(|(i, path)| (path, i)).collect();
    for outcome in group(files) {
        let (place, draft) = match outcome {
            Ok(DicomGroup { path, files }) => {
                let place = files.iter().filter(|f| order.contains_key(*f)).min_by_key(|f| order[*f]).cloned();
                let base = base_of(place.as_deref().unwrap_or(&first));
                (place, Ok(Draft { path, kind: SourceKind::Dicom, files, base, pattern: None }))
            }
            Err(refusal) => {
                let (DicomRefusal::NoImage(error) | DicomRefusal::Unreadable(error)) = &refusal;
                (Some(error.path.clone()).filter(|p| order.contains_key(p)), Err(refusal))
            }
        };
        placed.entry(place.unwrap_or_else(|| first.clone())).or_default().push(draft);
    }
    placed
}
