//! The files of sequences in a folder, and of which kind they are.

use super::{
    info::FILE,
    row::{MotRow, MotsRow},
    sequence::TRUTH,
};
use crate::datasets::{
    names::{files_below, stem},
    reader::DatasetError,
};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// Names of classes, one a line, the first that of class 1.
pub(crate) const LABELS: &str = "labels.txt";

/// Bytes of a file that tell its kind.
const FIRST: u64 = 1 << 16;

/// Folders above a file of results in which its sequence is looked for.
const MAX_ABOVE: usize = 8;

/// What a file of sequences holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Boxes: MOT.
    Boxes,
    /// Masks: MOTS.
    Masks,
}

/// A file of a sequence.
#[derive(Debug, PartialEq)]
pub(super) struct SequenceFile {
    /// Its name by its place.
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// Whether it is ground truth: `gt/gt.txt`.
    pub(super) truth: bool,
    /// The folder of the sequence, where it is known.
    pub(super) folder: Option<PathBuf>,
}

impl SequenceFile {
    /// The file with the names of the classes: beside it, or beside the ground truth of its sequence.
    pub(super) fn labels(&self) -> Option<PathBuf> {
        let own = self.path.with_file_name(LABELS);
        if own.is_file() {
            return Some(own);
        }
        let folder = self.folder.as_ref()?;
        Some(folder.join("gt").join(LABELS))
    }
}

/// Of which kind the file or folder at `path` is, by its first row or by the first of its files that has one; none for any
/// other. Pictures of MOTS are known by `instances/labels.txt`.
pub fn sniff(path: &Path) -> Option<Form> {
    if !path.is_dir() {
        let text = path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("txt"));
        return text.then(|| form_of(path)).flatten();
    }
    let files = find(path, None).unwrap_or_default();
    let found = files.iter().take(16).find_map(|file| form_of(&file.path));
    let pictures = || path.join("instances").join(LABELS).is_file();
    found.or_else(|| pictures().then_some(Form::Masks))
}

/// The kind of a file by its first line.
fn form_of(path: &Path) -> Option<Form> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(FIRST).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    // Numbers between blanks are in many files, as in YOLO's labels.
    if line.contains(',') && MotRow::parse(line).is_ok() {
        return Some(Form::Boxes);
    }
    // Run lengths may be longer than what was read.
    MotsRow::parse(line).is_ok().then_some(Form::Masks)
}

/// The files of sequences at `path`: itself; of a folder every `gt/gt.txt` below it, or, where there is none, every `.txt` whose
/// first row is of `form` (of either kind without one).
///
/// # Errors
/// [`DatasetError`] if a folder cannot be read.
pub(super) fn find(path: &Path, form: Option<Form>) -> Result<Vec<SequenceFile>, DatasetError> {
    if !path.is_dir() {
        return Ok(vec![of_file(path)]);
    }
    let files = files_below(path, "txt")?;
    let own = || {
        let name = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let name = name
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        name.unwrap_or_else(|| "sequence".to_owned())
    };
    let truth = files.iter().filter_map(|(below, file)| {
        let name = below.strip_suffix("gt/gt.txt")?;
        let name = match name {
            "" => own(),
            _ => name.strip_suffix('/')?.to_owned(),
        };
        Some(SequenceFile {
            name,
            path: file.clone(),
            truth: true,
            folder: above(file, 2),
        })
    });
    let truth: Vec<_> = truth.collect();
    if !truth.is_empty() {
        return Ok(truth);
    }
    let results = files.into_iter().filter(|(_, file)| {
        let found = form_of(file);
        found.is_some() && (form.is_none() || form == found)
    });
    Ok(results
        .map(|(below, file)| SequenceFile {
            name: stem(&below).to_owned(),
            folder: sequence_of(&file),
            path: file,
            truth: false,
        })
        .collect())
}

fn above(path: &Path, folders: usize) -> Option<PathBuf> {
    path.ancestors()
        .nth(folders)
        .map(|folder| match folder.as_os_str().is_empty() {
            true => PathBuf::from("."),
            false => folder.to_path_buf(),
        })
}

fn of_file(path: &Path) -> SequenceFile {
    let truth = path.ends_with("gt/gt.txt");
    let folder = match truth {
        true => above(path, 2),
        false => sequence_of(path),
    };
    let name = match truth {
        true => folder.as_deref().and_then(Path::file_name),
        false => path.file_stem(),
    };
    SequenceFile {
        name: name.map_or_else(
            || "sequence".to_owned(),
            |n| n.to_string_lossy().into_owned(),
        ),
        path: path.to_path_buf(),
        truth,
        folder,
    }
}

/// The folder of the sequence that a file of results is of: `sequences/NAME` beside the folder that holds `NAME.txt`.
fn sequence_of(results: &Path) -> Option<PathBuf> {
    let name = results.with_extension("");
    results
        .ancestors()
        .skip(1)
        .take(MAX_ABOVE)
        .find_map(|folder| {
            let below = name.strip_prefix(folder).ok()?;
            let folder = folder.join("..").join(TRUTH).join(below);
            folder.join(FILE).is_file().then_some(folder)
        })
}
