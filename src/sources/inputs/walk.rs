//! The files of a folder and its subfolders.

use super::{
    natural,
    pattern::is_hidden,
    search::{FolderId, Halt, Search, folder_id},
};
use crate::sources::SourceError;
use rayon::prelude::*;
use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
};

/// What is below a folder.
#[derive(Default)]
pub(super) struct Files {
    /// All files, in natural order.
    pub(super) files: Vec<PathBuf>,
    /// What could not be read.
    pub(super) errors: Vec<SourceError>,
}

/// Finds the files below `root`. Hidden names are left out, and so are folders that [`Search::passes_over`]. Links to
/// files are read wherever they lead; links to folders only where these lie below `root` too and were not reached by a
/// path of their own. No folder is read twice.
pub(super) fn files_below(root: &Path, search: &Search<'_>) -> Files {
    let mut walk = Walk {
        search,
        found: Files::default(),
        visited: HashSet::new(),
        open: vec![root.to_owned()],
        links: Vec::new(),
    };
    walk.visited.extend(folder_id(root));
    if let Err(halt) = walk.all(root) {
        walk.found.errors.extend(Search::halted(root, halt));
    }
    walk.found
        .files
        .par_sort_by(|a, b| natural::compare_paths(a, b));
    walk.found
}

struct Walk<'s, 'a> {
    search: &'s Search<'a>,
    found: Files,
    visited: HashSet<FolderId>,
    /// Folders to be read.
    open: Vec<PathBuf>,
    /// Links to folders, which wait until all folders were read by paths of their own.
    links: Vec<PathBuf>,
}

impl Walk<'_, '_> {
    fn all(&mut self, root: &Path) -> Result<(), Halt> {
        let tree = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        loop {
            while let Some(folder) = self.open.pop() {
                self.folder(&folder)?;
            }
            self.links.sort_by(|a, b| natural::compare_paths(b, a));
            let Some(link) = self.links.pop() else {
                return Ok(());
            };
            if self.search.follows(&link, &tree) {
                self.enter(link);
            }
        }
    }

    fn folder(&mut self, folder: &Path) -> Result<(), Halt> {
        let search = self.search;
        let read = search.entries(folder, |entry| match entry {
            Ok(entry) if is_hidden(&entry.file_name()) => {}
            Ok(entry) => self.entry(entry.path(), entry.file_type()),
            Err(error) => self.fail(folder.to_owned(), &error),
        })?;
        if let Err(error) = read {
            self.fail(folder.to_owned(), &error);
        }
        Ok(())
    }

    fn entry(&mut self, path: PathBuf, kind: io::Result<std::fs::FileType>) {
        match kind {
            Ok(kind) if kind.is_file() => self.found.files.push(path),
            Ok(kind) if kind.is_dir() => self.enter(path),
            Ok(kind) if kind.is_symlink() => match path.metadata() {
                Ok(target) if target.is_file() => self.found.files.push(path),
                Ok(target) if target.is_dir() => self.links.push(path),
                Ok(_) => {}
                Err(error) => self.fail(path, &error),
            },
            Ok(_) => {}
            Err(error) => self.fail(path, &error),
        }
    }

    fn enter(&mut self, folder: PathBuf) {
        let is_new = folder_id(&folder).is_none_or(|id| self.visited.insert(id));
        if is_new && !self.search.passes_over(&folder) {
            self.open.push(folder);
        }
    }

    fn fail(&mut self, path: PathBuf, error: &io::Error) {
        self.found.errors.push(SourceError::unreadable(path, error));
    }
}
