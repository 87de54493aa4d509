//! Rules of every search of folders: limits, folders that are left out, cancellation.

use super::options::ExpandOptions;
use crate::{
    run_files::is_run_folder,
    sources::{IssueKind, SourceError, SourceWarning},
};
use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    fs::{self, DirEntry},
    io,
    path::{Path, PathBuf},
};

/// Limit on the files and folders that the searches of a run visit.
const MAX_ENTRIES: u64 = 5_000_000;
/// Trees that the system makes up as they are read: they hold no inputs, and have no end.
const SYSTEM: [&str; 2] = ["/proc", "/sys"];

/// The searches of one expansion of inputs.
pub(super) struct Search<'a> {
    stop: &'a dyn Fn() -> bool,
    /// The output folder, where there is one already.
    output: Option<PathBuf>,
    /// Devices of the trees that the system makes up.
    system: Vec<u64>,
    left: Cell<u64>,
    warnings: RefCell<Vec<SourceWarning>>,
    warned: RefCell<HashSet<PathBuf>>,
}

/// Reason why a search ended early.
pub(super) enum Halt {
    /// It was stopped.
    Stopped,
    /// It reached the limit of entries.
    TooMany,
}

/// Identity of a folder, independent of its path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum FolderId {
    #[cfg(unix)]
    Inode(u64, u64),
    #[cfg(not(unix))]
    Path(PathBuf),
}

impl<'a> Search<'a> {
    pub(super) fn new(options: &ExpandOptions<'a>) -> Self {
        Self {
            stop: options.stop,
            output: options.output.and_then(|output| output.canonicalize().ok()),
            system: SYSTEM
                .iter()
                .filter_map(|root| device(&fs::metadata(root).ok()?))
                .collect(),
            left: Cell::new(MAX_ENTRIES),
            warnings: RefCell::default(),
            warned: RefCell::default(),
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        (self.stop)()
    }

    /// The warnings so far.
    pub(super) fn take_warnings(&self) -> Vec<SourceWarning> {
        self.warnings.take()
    }

    /// One warning about a folder.
    pub(super) fn warn(&self, warning: SourceWarning) {
        if self.warned.borrow_mut().insert(warning.path.clone()) {
            self.warnings.borrow_mut().push(warning);
        }
    }

    /// Calls `each` for the entries of a folder; each counts towards the limit.
    pub(super) fn entries(
        &self,
        folder: &Path,
        mut each: impl FnMut(io::Result<DirEntry>),
    ) -> Result<io::Result<()>, Halt> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return Ok(Err(error)),
        };
        for entry in entries {
            self.count()?;
            each(entry);
        }
        Ok(Ok(()))
    }

    /// Counts a file or folder that is visited.
    pub(super) fn count(&self) -> Result<(), Halt> {
        let left = self.left.get();
        if left == 0 {
            return Err(Halt::TooMany);
        }
        self.left.set(left - 1);
        // A check for each entry would cost more than visiting it.
        if left.is_multiple_of(64) && self.is_stopped() {
            Err(Halt::Stopped)
        } else {
            Ok(())
        }
    }

    /// The error for a search below `root` that went no further; none where it was stopped.
    pub(super) fn halted(root: &Path, halt: Halt) -> Option<SourceError> {
        match halt {
            Halt::Stopped => None,
            Halt::TooMany => {
                let problem = format!("the search was ended after {MAX_ENTRIES} files and folders");
                Some(
                    SourceError::new(root, problem)
                        .with_remedy("name a folder that holds fewer, or a list of the files"),
                )
            }
        }
    }

    /// The error for a folder that is not searched although the user named it.
    pub(super) fn refusal(&self, folder: &Path) -> Option<SourceError> {
        let real = folder.canonicalize().ok()?;
        if real.parent().is_none() {
            let error = SourceError::new(
                folder,
                "is the root of the file system, which is not searched",
            );
            return Some(error.with_remedy("name the folder that holds the inputs"));
        }
        if SYSTEM.iter().any(|root| real.starts_with(root)) || self.is_made_up(folder) {
            return Some(SourceError::new(
                folder,
                "is a folder of the system's own, which holds no images, videos or DICOM files",
            ));
        }
        None
    }

    /// The error for an input that lies where this run writes.
    pub(super) fn is_output(&self, path: &Path) -> Option<SourceError> {
        let (output, real) = (self.output.as_ref()?, path.canonicalize().ok()?);
        real.starts_with(output).then(|| {
            let problem = "lies in the output folder of this run, which never takes its own outputs as inputs";
            SourceError::new(path, problem)
                .with_kind(IssueKind::OutputFolder)
                .with_remedy("choose another output folder")
        })
    }

    /// Whether a search leaves out a folder that it reached. Adds a warning about folders with results.
    pub(super) fn passes_over(&self, folder: &Path) -> bool {
        if self.is_made_up(folder) {
            return true;
        }
        let is_output = self
            .output
            .as_ref()
            .is_some_and(|output| folder.canonicalize().is_ok_and(|real| real == *output));
        if is_output || is_run_folder(folder) {
            let whose = if is_output {
                "is the output folder of this run"
            } else {
                "holds the results of a run"
            };
            let warning =
                SourceWarning::new(folder, format!("{whose}, and is left out of the search"));
            self.warn(if is_output {
                warning
            } else {
                warning.with_remedy("name it as an input of its own to search it")
            });
            return true;
        }
        false
    }

    /// Whether a search may go through a link to a folder: only to where it is anyway, below `tree`.
    pub(super) fn follows(&self, link: &Path, tree: &Path) -> bool {
        let inside = link
            .canonicalize()
            .is_ok_and(|target| target.starts_with(tree));
        if !inside {
            let problem =
                "is a link to a folder outside of the one that is searched, and is left out";
            self.warn(
                SourceWarning::new(link, problem)
                    .with_remedy("name it as an input of its own to search it"),
            );
        }
        inside
    }

    fn is_made_up(&self, folder: &Path) -> bool {
        fs::metadata(folder)
            .ok()
            .and_then(|meta| device(&meta))
            .is_some_and(|device| self.system.contains(&device))
    }
}

#[cfg(unix)]
fn device(meta: &fs::Metadata) -> Option<u64> {
    Some(std::os::unix::fs::MetadataExt::dev(meta))
}

#[cfg(not(unix))]
fn device(_: &fs::Metadata) -> Option<u64> {
    None
}

/// The identity of a folder; none if it cannot be read.
#[cfg(unix)]
pub(super) fn folder_id(folder: &Path) -> Option<FolderId> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(folder)
        .ok()
        .map(|meta| FolderId::Inode(meta.dev(), meta.ino()))
}

/// The identity of a folder; none if it cannot be read.
#[cfg(not(unix))]
pub(super) fn folder_id(folder: &Path) -> Option<FolderId> {
    folder.canonicalize().ok().map(FolderId::Path)
}
