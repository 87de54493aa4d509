//! What comes on standard input: a list of paths, or one image, video or DICOM file.

use super::{list, search::Search};
use crate::sources::{
    SourceError,
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

/// Reads a list, or keeps a medium in a temporary file. Anything else is refused by its first bytes.
pub(super) fn read(stdin: &mut dyn BufRead, search: &Search<'_>) -> Result<Given, SourceError> {
    let cannot =
        |e: io::Error| SourceError::new("-", format!("standard input cannot be read: {e}"));
    let mut head = Vec::new();
    stdin.take(HEAD).read_to_end(&mut head).map_err(cannot)?;
    let Err(problem) = list::check(&head) else {
        let paths = list::parse(&mut (&head[..]).chain(stdin))
            .map_err(|e| cannot(e).with_remedy(list::REMEDY))?;
        return Ok(Given::List(paths));
    };
    let unkept = |e: io::Error| {
        let folder = std::env::temp_dir();
        let error = SourceError::new(
            NAME,
            format!("standard input cannot be kept in {}: {e}", folder.display()),
        );
        error.with_remedy("set TMPDIR to a folder with room, or save it to a file and give that")
    };
    let mut file = NamedTempFile::new().map_err(unkept)?;
    file.write_all(&head).map_err(unkept)?;
    let contents = match identify(file.path())? {
        contents @ (Contents::Image(_) | Contents::Video | Contents::Dicom) => contents,
        unread @ Contents::Unread(_) => return Err(unread.refusal(Path::new(NAME))),
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
    let mut buffer = vec![0; CHUNK];
    let mut length = head.len() as u64;
    loop {
        if search.is_stopped() {
            return Ok(Given::Stopped);
        }
        let count = match stdin.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(cannot(error)),
        };
        length += count as u64;
        if length > MAX_BYTES {
            let error = SourceError::new(
                NAME,
                format!(
                    "standard input is longer than {MAX_BYTES} bytes, which is the most that is kept"
                ),
            );
            return Err(error.with_remedy("save it to a file and give that"));
        }
        file.write_all(buffer.get(..count).unwrap_or_default())
            .map_err(unkept)?;
    }
    file.flush().map_err(unkept)?;
    Ok(Given::Media(contents, Spooled::new(file).map_err(unkept)?))
}
