//! What comes on standard input: a list of paths, or one image, video or DICOM file.

use super::{list, search::Search};
use crate::sources::{
    IssueKind, SourceError,
    contents::{Contents, identify},
};
use std::{
    fs::File,
    io::{self, BufRead, Read, Write},
    path::{Path, PathBuf},
};
use tempfile::{NamedTempFile, TempPath};

/// Bytes by which media are known; they suffice for [`identify`].
const HEAD: u64 = 4096 + 65_536;
/// Longest medium that is taken from a pipe, in bytes.
const MAX_BYTES: u64 = 64 << 30;
/// Bytes copied at once.
const CHUNK: usize = 1 << 20;

/// The name of what comes on standard input.
pub(super) const NAME: &str = "stdin";

/// What standard input holds.
pub(super) enum Given {
    List(Vec<PathBuf>),
    Media(Contents, Spooled),
    /// The search was stopped.
    Stopped,
}

/// A file of the bytes that came on standard input, there as long as this value: videos and DICOM are read from several
/// places, which a pipe cannot do. Where the system allows it the file has no name, so that nothing is left behind.
#[derive(Debug)]
pub struct Spooled {
    path: PathBuf,
    _file: Option<File>,
    _named: Option<TempPath>,
}

impl Spooled {
    /// Where the bytes can be read.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn new(file: NamedTempFile) -> io::Result<Self> {
        let (file, named) = file.into_parts();
        if let Some(path) = path_of_open(&file) {
            named.close()?;
            return Ok(Self {
                path,
                _file: Some(file),
                _named: None,
            });
        }
        Ok(Self {
            path: named.to_path_buf(),
            _file: None,
            _named: Some(named),
        })
    }
}

/// A path that opens `file` anew from its start whether or not it has a name.
#[cfg(target_os = "linux")]
fn path_of_open(file: &File) -> Option<PathBuf> {
    use std::os::fd::AsRawFd;
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    path.is_file().then_some(path)
}

#[cfg(not(target_os = "linux"))]
fn path_of_open(_: &File) -> Option<PathBuf> {
    None
}

fn unreadable(error: io::Error) -> SourceError {
    SourceError::new("-", format!("standard input cannot be read: {error}"))
        .with_kind(IssueKind::Io(error.kind()))
}

/// The bytes of standard input cannot be written to the temporary file.
fn not_kept(error: io::Error) -> SourceError {
    let folder = std::env::temp_dir();
    let problem = format!(
        "standard input cannot be kept in {}: {error}",
        folder.display()
    );
    SourceError::new(NAME, problem)
        .with_kind(IssueKind::Io(error.kind()))
        .with_remedy("set TMPDIR to a folder with room, or save it to a file and give that")
}

/// Reads a list, or copies a medium into a temporary file.
///
/// # Errors
/// [`SourceError`] if standard input cannot be read or kept, is longer than [`MAX_BYTES`], or is neither a list nor, by
/// its first bytes, a medium.
pub(super) fn read(stdin: &mut dyn BufRead, search: &Search<'_>) -> Result<Given, SourceError> {
    let mut head = Vec::new();
    stdin
        .take(HEAD)
        .read_to_end(&mut head)
        .map_err(unreadable)?;
    let Err(problem) = list::check(&head) else {
        let paths = list::parse(&mut (&head[..]).chain(stdin))
            .map_err(|e| unreadable(e).with_remedy(list::REMEDY))?;
        return Ok(Given::List(paths));
    };
    let mut file = NamedTempFile::new().map_err(not_kept)?;
    file.write_all(&head).map_err(not_kept)?;
    let contents = match identify(file.path())? {
        contents @ (Contents::Image(_) | Contents::Video | Contents::Dicom) => contents,
        unread @ (Contents::Unread(_) | Contents::Unasked(_)) => {
            return Err(unread.refusal(Path::new(NAME)));
        }
        other => {
            let what = match other {
                Contents::Other(Some(name)) => format!("standard input is {name}"),
                _ => format!("standard input {problem}, and is no image, video or DICOM"),
            };
            return Err(SourceError::new("-", what).with_remedy(
                "give a list of paths, or the bytes of one image, video or DICOM file",
            ));
        }
    };
    if !copy(stdin, &mut file, head.len() as u64, search)? {
        return Ok(Given::Stopped);
    }
    let spooled = Spooled::new(file).map_err(not_kept)?;
    Ok(Given::Media(contents, spooled))
}

/// Copies the rest of standard input, of which `length` bytes are in `file` already: false where the search was stopped.
fn copy(
    stdin: &mut dyn BufRead,
    file: &mut NamedTempFile,
    mut length: u64,
    search: &Search<'_>,
) -> Result<bool, SourceError> {
    let mut buffer = vec![0; CHUNK];
    loop {
        if search.is_stopped() {
            return Ok(false);
        }
        let count = match stdin.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(error)),
        };
        length += count as u64;
        if length > MAX_BYTES {
            let problem = format!("standard input is longer than the limit of {MAX_BYTES} bytes");
            return Err(
                SourceError::new(NAME, problem).with_remedy("save it to a file and give that")
            );
        }
        file.write_all(buffer.get(..count).unwrap_or_default())
            .map_err(not_kept)?;
    }
    file.flush().map_err(not_kept)?;
    Ok(true)
}
