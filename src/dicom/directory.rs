//! DICOMDIR: the files it refers to.

use super::{
    error::{DicomError, Result},
    file::DicomFile,
};
use dicom_dictionary_std::tags;
use std::path::{Path, PathBuf};

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
/// Names on media are upper-case, but copies often are not: where a file of the exact name is absent, one that differs
/// in case alone is taken. Files that are absent are listed all the same, so that opening them reports them.
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
        let wanted = record.text(tags::DIRECTORY_RECORD_TYPE).is_some_and(|t| IMAGE_RECORDS.contains(&t.as_str()));
        let in_use = record.int(tags::RECORD_IN_USE_FLAG) != Some(0);
        let Some(id) = record.text(tags::REFERENCED_FILE_ID).filter(|_| wanted && in_use) else { continue };
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
            return Err(DicomError::invalid("ReferencedFileID", id, "it leads out of the folder of the DICOMDIR"));
        }
        let exact = at.join(part);
        at = if exact.exists() { exact } else { other_case(&at, part).unwrap_or(exact) };
    }
    Ok(at)
}

fn other_case(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut matching: Vec<_> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().eq_ignore_ascii_case(name)))
        .collect();
    matching.sort();
    matching.into_iter().next()
}
