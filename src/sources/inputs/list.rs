//! Lists of inputs.

use crate::sources::{SourceError, contents::has_extension};
use std::{
    ffi::OsString,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

/// Longest list that is read, in bytes.
const MAX_BYTES: u64 = 128 << 20;
/// Entries of a list, at most.
const MAX_ENTRIES: usize = 1_000_000;
/// Longest path in a list, in bytes.
const MAX_PATH: usize = 4096;
/// Bytes by which a list is known.
const HEAD: usize = 4096;

pub(super) fn has_list_extension(path: &Path) -> bool {
    has_extension(path, &["txt", "lst", "list"])
}

/// The paths of a list file as they stand in it.
pub(super) fn read(path: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let cannot = |e: io::Error| SourceError::new(path, format!("cannot be read as a list: {e}"));
    let mut reader = BufReader::with_capacity(HEAD, File::open(path).map_err(cannot)?);
    check(reader.fill_buf().map_err(cannot)?)
        .map_err(|problem| SourceError::new(path, problem).with_remedy(REMEDY))?;
    parse(&mut reader).map_err(|e| cannot(e).with_remedy(REMEDY))
}

/// What a list is.
pub(super) const REMEDY: &str =
    "a list has one path a line, as UTF-8 text, or paths with a NUL byte after each";

/// Tells by its first bytes that something is no list of paths: control characters are not those of paths.
///
/// # Errors
/// Why not, in words.
pub(super) fn check(head: &[u8]) -> Result<(), &'static str> {
    let head = head.get(..HEAD).unwrap_or(head);
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return Err("is text in UTF-16, not a list of paths in UTF-8");
    }
    if head.len() >= HEAD && !head.iter().any(|b| matches!(b, 0 | b'\n')) {
        return Err("begins with a line that is longer than any path");
    }
    let controls = head
        .iter()
        .any(|b| *b < b' ' && !matches!(b, 0 | b'\t' | b'\n' | b'\r'));
    let empty_entries = head.first() == Some(&0) || head.windows(2).any(|pair| pair == [0, 0]);
    if controls || empty_entries {
        Err("holds bytes that no list of paths has")
    } else {
        Ok(())
    }
}

/// One path a line, or, where the text has NUL bytes (as of `find -print0`), one between two of them. Empty lines and
/// lines that begin with `#` are comments; a byte order mark and a carriage return at the end of a line are dropped.
pub(super) fn parse(reader: &mut dyn BufRead) -> io::Result<Vec<PathBuf>> {
    let mut bytes = Vec::new();
    reader.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    let too_large = |problem: String| io::Error::new(io::ErrorKind::FileTooLarge, problem);
    if bytes.len() as u64 > MAX_BYTES {
        return Err(too_large(format!("longer than {MAX_BYTES} bytes")));
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let nul = text.contains(&0);
    let lines = text.split(|&b| b == if nul { 0 } else { b'\n' });
    let mut paths = Vec::new();
    for (number, line) in lines.enumerate() {
        let line = if nul {
            line
        } else {
            line.strip_suffix(b"\r").unwrap_or(line)
        };
        if line.is_empty() || !nul && line.starts_with(b"#") {
            continue;
        }
        if line.len() > MAX_PATH {
            return Err(too_large(format!(
                "line {} is longer than any path ({} bytes)",
                number + 1,
                line.len()
            )));
        }
        if paths.len() == MAX_ENTRIES {
            return Err(too_large(format!("more than {MAX_ENTRIES} entries")));
        }
        paths.push(PathBuf::from(os_string(line)?));
    }
    Ok(paths)
}

#[cfg(unix)]
fn os_string(bytes: &[u8]) -> io::Result<OsString> {
    use std::os::unix::ffi::OsStringExt;
    Ok(OsString::from_vec(bytes.to_vec()))
}

#[cfg(not(unix))]
fn os_string(bytes: &[u8]) -> io::Result<OsString> {
    let text =
        std::str::from_utf8(bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
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
        assert_eq!(
            paths(b"\xef\xbb\xbfa.png\r\n\n# b\nc d.png\n ./#e"),
            ["a.png", "c d.png", " ./#e"].map(PathBuf::from)
        );
    }

    #[test]
    fn nul_separates_where_there_is_one() {
        assert_eq!(paths(b"a\nb\0#c\0"), ["a\nb", "#c"].map(PathBuf::from));
    }

    #[test]
    fn lists_are_told_from_other_bytes() {
        for list in [
            &b""[..],
            b"a.png\r\n\tb\n",
            b"caf\xe9.png\n",
            b"\xef\xbb\xbfa",
            b"a\nb\0c\0",
        ] {
            assert!(check(list).is_ok(), "{list:?}");
        }
        assert!(check(&[b'a'; HEAD]).is_err() && check(&[b'a'; HEAD - 1]).is_ok());
        for other in [
            &b"\0\0\0\x18ftyp"[..],
            b"\x1f\x8b\x08",
            b"a\0\0b",
            b"\xff\xfea\0b\0",
            b"a\x07b",
            b"\0a",
        ] {
            assert!(check(other).is_err(), "{other:?}");
        }
    }

    #[test]
    fn lists_have_bounds() {
        let long = [b"a\n".to_vec(), vec![b'x'; MAX_PATH + 1]].concat();
        assert!(
            parse(&mut &long[..])
                .unwrap_err()
                .to_string()
                .contains("line 2 is longer")
        );
        let many = b"a\n".repeat(MAX_ENTRIES + 1);
        assert!(
            parse(&mut &many[..])
                .unwrap_err()
                .to_string()
                .contains("more than 1000000 entries")
        );
    }
}
