//! DICOMDIR: the files it refers to.

use super::{
    error::{DicomError, Result},
    file::{DicomFile, is_dicom},
};
use dicom_dictionary_std::tags;
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

/// Types of directory records whose files hold images.
const IMAGE_RECORDS: [&str; 2] = ["IMAGE", "RT DOSE"];

impl DicomFile {
    /// Whether this is a DICOMDIR: a data set with directory records instead of pixels.
    pub fn is_directory(&self) -> bool {
        self.attributes().has(tags::DIRECTORY_RECORD_SEQUENCE) && !self.has_pixel_data()
    }
}

/// The image files that a DICOMDIR refers to, in the order of its records, each once, below the folder it lies in.
///
/// Names on media are upper-case and have no extension, but copies often differ: where a file of the exact name is absent,
/// one that differs in case alone is taken, else one with what file systems of discs add (`;1`, a dot), else a DICOM file
/// of the name with an extension. Files that are absent are listed all the same, so that opening them reports them.
///
/// # Errors
/// As [`DicomFile::open`]; [`DicomError::Missing`] if it is no DICOMDIR; [`DicomError::Invalid`] for a file id that
/// leads out of the folder.
pub fn directory_files(path: &Path) -> Result<Vec<PathBuf>> {
    let file = DicomFile::open(path)?;
    let a = file.attributes();
    if !a.has(tags::DIRECTORY_RECORD_SEQUENCE) {
        return Err(DicomError::Missing("DirectoryRecordSequence"));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut out = Vec::new();
    for record in a.items(tags::DIRECTORY_RECORD_SEQUENCE) {
        let wanted = record
            .text(tags::DIRECTORY_RECORD_TYPE)
            .is_some_and(|t| IMAGE_RECORDS.contains(&t.as_str()));
        let in_use = record.int(tags::RECORD_IN_USE_FLAG) != Some(0);
        let Some(id) = record
            .text(tags::REFERENCED_FILE_ID)
            .filter(|_| wanted && in_use)
        else {
            continue;
        };
        let found = resolve(folder, &id)?;
        if !out.contains(&found) {
            out.push(found);
        }
    }
    Ok(out)
}

/// The file of a file id, whose components are joined by `\`.
fn resolve(folder: &Path, id: &str) -> Result<PathBuf> {
    let mut at = folder.to_owned();
    for part in id.split('\\').map(str::trim) {
        if part.is_empty() || part == "." || part == ".." || part.contains(['/', ':', '\0']) {
            return Err(DicomError::invalid(
                "ReferencedFileID",
                id,
                "it leads out of the folder of the DICOMDIR",
            ));
        }
        let exact = at.join(part);
        at = if exact.exists() {
            exact
        } else {
            other_name(&at, part).unwrap_or(exact)
        };
    }
    Ok(at)
}

/// The entry of a folder that a copy has made of `name`, the likeliest first; of several alike the first by name.
fn other_name(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut candidates: Vec<(u8, PathBuf)> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter_map(|path| Some((unlikeness(path.file_name()?, name)?, path)))
        .collect();
    candidates.sort();
    // An extension was chosen by somebody, perhaps for a preview beside the file: the content decides.
    let found = candidates
        .into_iter()
        .find(|(unlikeness, path)| *unlikeness < EXTENSION || path.is_file() && is_dicom(path));
    found.map(|(_, path)| path)
}

const EXTENSION: u8 = 2;

/// How far a file's name is from that of a file id: 0 by case alone, 1 by what discs add, more by an extension, those of
/// DICOM first; none if it is another name.
fn unlikeness(file: &OsStr, name: &str) -> Option<u8> {
    let file = file.to_str()?;
    let (start, rest) = file.split_at_checked(name.len())?;
    if !start.eq_ignore_ascii_case(name) {
        return None;
    }
    match rest.to_ascii_lowercase().as_str() {
        "" => Some(0),
        "." | ";1" | ".;1" => Some(1),
        ".dcm" | ".dicom" | ".ima" => Some(EXTENSION),
        rest if rest.starts_with('.') && !rest.get(1..)?.contains('.') => Some(EXTENSION + 1),
        _ => None,
    }
}
