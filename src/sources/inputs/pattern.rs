//! Patterns (globs) that the shell did not expand.

use super::natural;
use crate::sources::SourceError;
use globset::{GlobBuilder, GlobMatcher};
use std::path::{MAIN_SEPARATOR, Path, PathBuf};
use walkdir::WalkDir;

const META: [char; 4] = ['*', '?', '[', '{'];

/// What a pattern matched.
pub(super) struct Matches {
    /// The folder that the pattern names before its first special character.
    pub(super) base: PathBuf,
    /// Paths in natural order; of a matched folder nothing below it is listed again.
    pub(super) paths: Vec<PathBuf>,
    /// Folders that could not be searched.
    pub(super) errors: Vec<SourceError>,
}

pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(META)
}

/// Files and folders that match. `*` and `?` stay within a name, `**` crosses folders; hidden names match only where the
/// pattern has a name that begins with a dot.
///
/// # Errors
/// [`SourceError`] for a pattern that is malformed or matches nothing.
pub(super) fn matches(text: &str) -> Result<Matches, SourceError> {
    let matcher = compile(text)?;
    let (base, rest) = split_base(text);
    let depth = if rest.contains("**") || rest.contains('{') { usize::MAX } else { rest.split(std::path::is_separator).count() };
    let hidden = rest.split(std::path::is_separator).any(|name| name.starts_with('.') && name != "." && name != "..");
    // The walk starts at `.` where the pattern has no folder before it; its paths then carry a `./` the pattern lacks.
    let start = if base.as_os_str().is_empty() { Path::new(".") } else { &base };
    let mut found = Matches { base: base.clone(), paths: Vec::new(), errors: Vec::new() };
    let mut walk = WalkDir::new(start).follow_links(true).min_depth(1).max_depth(depth).into_iter();
    while let Some(entry) = walk.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let path = error.path().unwrap_or(start).to_owned();
                if error.loop_ancestor().is_none() && (path == start || matcher.is_match(&path)) {
                    found.errors.push(SourceError::new(path, format!("cannot be searched: {}", io_text(&error))));
                }
                continue;
            }
        };
        let is_folder = entry.file_type().is_dir();
        if !hidden && is_hidden(entry.file_name()) {
            if is_folder {
                walk.skip_current_dir();
            }
            continue;
        }
        let path = if base.as_os_str().is_empty() { entry.path().strip_prefix(".").unwrap_or(entry.path()) } else { entry.path() };
        if matcher.is_match(path) {
            found.paths.push(path.to_owned());
            if is_folder {
                walk.skip_current_dir();
            }
        }
    }
    if found.paths.is_empty() && found.errors.is_empty() {
        return Err(SourceError::new(text, "no such file, and as a pattern it matches nothing"));
    }
    found.paths.sort_by(|a, b| natural::compare_paths(a, b));
    Ok(found)
}

fn compile(text: &str) -> Result<GlobMatcher, SourceError> {
    GlobBuilder::new(text)
        .literal_separator(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|e| SourceError::new(text, format!("no such file, and not a pattern: {}", e.kind())))
}

/// The folders before the first name with a special character, and what follows.
fn split_base(text: &str) -> (PathBuf, &str) {
    let meta = text.find(META).unwrap_or(text.len());
    match text[..meta].rfind(std::path::is_separator) {
        Some(0) => (PathBuf::from(MAIN_SEPARATOR.to_string()), &text[1..]),
        Some(at) => (PathBuf::from(&text[..at]), &text[at + 1..]),
        None => (PathBuf::new(), text),
    }
}

pub(super) fn is_hidden(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().first() == Some(&b'.')
}

/// The operating system's words, without the path that walkdir puts before them.
pub(super) fn io_text(error: &walkdir::Error) -> String {
    error.io_error().map_or_else(|| error.to_string(), ToString::to_string)
}
