//! Lists of inputs.

use super::contents::has_extension;
use crate::sources::SourceError;
use std::{
    ffi::OsString,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

/// Largest list that is read, in bytes: some million paths.
const MAX_BYTES: u64 = 256 << 20;

pub(super) fn has_list_extension(path: &Path) -> bool {
    has_extension(path, &["txt", "lst", "list"])
}

/// The paths of a list file as they stand in it.
pub(super) fn read(path: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let cannot = |e: io::Error| SourceError::new(path, format!("cannot be read as a list: {e}"));
    parse(&mut BufReader::new(File::open(path).map_err(cannot)?)).map_err(cannot)
}

/// One path a line, or, where the text has NUL bytes (as of `find -print0`), one between two of them. Empty lines and
/// lines that begin with `#` are comments; a byte order mark and a carriage return at the end of a line are dropped.
pub(super) fn parse(reader: &mut dyn BufRead) -> io::Result<Vec<PathBuf>> {
    let mut bytes = Vec::new();
    reader.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("longer than {MAX_BYTES} bytes")));
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let nul = text.contains(&0);
    let lines = text.split(|&b| b == if nul { 0 } else { b'\n' });
    lines
        .map(|line| if nul { line } else { line.strip_suffix(b"\r").unwrap_or(line) })
        .filter(|line| !line.is_empty() && (nul || !line.starts_with(b"#")))
        .map(|line| os_string(line).map(PathBuf::from))
        .collect()
}

#[cfg(unix)]
fn os_string(bytes: &[u8]) -> io::Result<OsString> {
    use std::os::unix::ffi::OsStringExt;
    Ok(OsString::from_vec(bytes.to_vec()))
}

#[cfg(not(unix))]
fn os_string(bytes: &[u8]) -> io::Result<OsString> {
    let text = std::str::from_utf8(bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    Ok(OsString::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(mut text: &[u8]) -> Vec<PathBuf> {
        parse(&mut text).unwrap()
    }

    #[test]
    fn comments_blank_lines_and_line_ends_are_dropped() {
        assert_eq!(paths(b"\xef\xbb\xbfa.png\r\n\n# b\nc d.png\n ./#e"), ["a.png", "c d.png", " ./#e"].map(PathBuf::from));
    }

    #[test]
    fn nul_separates_where_there_is_one() {
        assert_eq!(paths(b"a\nb\0#c\0"), ["a\nb", "#c"].map(PathBuf::from));
    }
}
