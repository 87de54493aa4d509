//! What a path holds.

pub(in crate::eval::tracks) use super::kept::Side;
use super::{coco, kept::checked, other, record, text};
use crate::eval::{error::EvalError, tracks::set::TrackSet};
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
            let files = texts(path).map_err(|e| unreadable(path, &e))?;
            if files.is_empty() {
                return Err(EvalError::new(path, "is a folder without tracks").with_remedy(
                    "give one with detections.jsonl, coco.json, SEQUENCE.txt or SEQUENCE/gt/gt.txt",
                ));
            }
            text::read(path, &files, side)?
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

/// The files of MOT or MOTS text of a folder, in the order of their names: `gt/gt.txt` if the folder is that of a sequence, else
/// `*/gt/gt.txt`, else `*.txt`.
fn texts(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let own = folder.join("gt").join("gt.txt");
    if own.is_file() {
        return Ok(vec![own]);
    }
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    entries.sort();
    let below: Vec<PathBuf> = entries
        .iter()
        .map(|entry| entry.join("gt").join("gt.txt"))
        .filter(|file| file.is_file())
        .collect();
    if !below.is_empty() {
        return Ok(below);
    }
    let is_text = |path: &PathBuf| {
        let named = path.file_name().is_some_and(|name| name != text::LABELS);
        named && path.extension().is_some_and(|e| e == "txt") && path.is_file()
    };
    Ok(entries.into_iter().filter(is_text).collect())
}
