//! What a path holds.

pub(in crate::eval::tracks) use super::kept::Side;
use super::{coco, kept::checked, other, record, text};
use crate::{
    datasets::mot::LABELS,
    eval::{error::EvalError, tracks::set::TrackSet},
};
use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Reads the tracks of a file or folder.
pub(in crate::eval::tracks) fn read(path: &Path, side: Side) -> Result<TrackSet, EvalError> {
    let unreadable =
        |path: &Path, e: &io::Error| EvalError::new(path, format!("cannot be read: {e}"));
    let about = fs::metadata(path).map_err(|e| unreadable(path, &e))?;
    let found = if about.is_dir() {
        let (lines, list) = (path.join("detections.jsonl"), path.join("coco.json"));
        if lines.is_file() {
            record::read(&lines, side)?
        } else if list.is_file() {
            coco::read(&list, side)?
        } else {
            let (root, files) = texts(path, side).map_err(|e| unreadable(path, &e))?;
            if files.is_empty() {
                return Err(EvalError::new(path, "is a folder without tracks").with_remedy(
                    "give one with detections.jsonl, coco.json, SEQUENCE.txt or SEQUENCE/gt/gt.txt",
                ));
            }
            text::read(&root, &files, side)?
        }
    } else {
        match kind(path).map_err(|e| unreadable(path, &e))? {
            Kind::Record => record::read(path, side)?,
            Kind::Coco => coco::read(path, side)?,
            Kind::Text => text::read(path, &[path.to_path_buf()], side)?,
            Kind::Other => other::read(path, side)?,
        }
    };
    checked(found)
}

enum Kind {
    Record,
    Coco,
    Text,
    Other,
}

/// The kind of a file, by its name's ending, else by its first character.
fn kind(path: &Path) -> io::Result<Kind> {
    let ending = path.extension().and_then(|e| e.to_str());
    Ok(match ending.map(str::to_ascii_lowercase).as_deref() {
        Some("jsonl") => Kind::Record,
        Some("json") => Kind::Coco,
        Some("txt" | "csv") => Kind::Text,
        Some("xml" | "yaml" | "yml") => Kind::Other,
        _ => {
            let mut start = Vec::new();
            File::open(path)?.take(256).read_to_end(&mut start)?;
            let first = start.iter().find(|byte| !byte.is_ascii_whitespace());
            match first {
                Some(b'{' | 0xef) => Kind::Coco,
                _ => Kind::Text,
            }
        }
    })
}

/// Folders below a folder in which sequences are looked for.
const MAX_DEPTH: usize = 6;

/// The files of MOT or MOTS text of a folder, in the order of their names: `gt/gt.txt` of it or of folders below, else the `*.txt` in
/// it and below. A folder with `sequences/` beside `data/` is a data set with both ground truth and results.
fn texts(folder: &Path, side: Side) -> io::Result<(PathBuf, Vec<PathBuf>)> {
    let [sequences, data] = ["sequences", "data"].map(|name| folder.join(name));
    let folder = match side {
        _ if !sequences.is_dir() => folder.to_path_buf(),
        Side::Predictions if data.is_dir() => data,
        _ => sequences,
    };
    let mut found = Vec::new();
    collect(&folder, MAX_DEPTH, true, &mut found)?;
    if found.is_empty() {
        collect(&folder, MAX_DEPTH, false, &mut found)?;
    }
    Ok((folder, found))
}

fn collect(
    folder: &Path,
    depth: usize,
    of_sequences: bool,
    found: &mut Vec<PathBuf>,
) -> io::Result<()> {
    let own = folder.join("gt").join("gt.txt");
    if of_sequences && own.is_file() {
        found.push(own);
        return Ok(());
    }
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    entries.sort();
    for entry in entries {
        let named = entry.file_name().is_some_and(|name| name != LABELS);
        if entry.is_dir() {
            if depth > 0 {
                collect(&entry, depth - 1, of_sequences, found)?;
            }
        } else if !of_sequences && named && entry.extension().is_some_and(|e| e == "txt") {
            found.push(entry);
        }
    }
    Ok(())
}
