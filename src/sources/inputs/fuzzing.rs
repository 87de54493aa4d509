//! What the fuzzer runs of inputs.

use super::list;
use std::{ffi::OsStr, path::Path};

/// A list file. What was read from one, written with a NUL byte after each path, is read as the same paths.
pub(crate) fn list(data: &[u8], _: &Path) {
    if list::check(data).is_err() {
        return;
    }
    let Ok(paths) = list::parse(&mut &*data) else {
        return;
    };
    let bytes = |path: &Path| OsStr::as_encoded_bytes(path.as_os_str()).to_vec();
    let mut again = Vec::new();
    for path in paths.iter().map(|path| bytes(path)) {
        assert!(!path.is_empty() && path.len() <= 4096 && !path.contains(&0));
        again.extend(path);
        again.push(0);
    }
    // A byte order mark would be taken off again.
    if !again.starts_with(b"\xef\xbb\xbf") {
        assert_eq!(list::parse(&mut &*again).ok(), Some(paths));
    }
}
