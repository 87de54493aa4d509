//! Patterns (globs) that the shell did not expand.

use super::{
    braces, natural,
    search::{FolderId, Halt, Search, folder_id},
};
use crate::sources::{SourceError, SourceWarning};
use globset::{GlobBuilder, GlobMatcher};
use std::{
    collections::{BTreeSet, HashSet},
    ffi::OsStr,
    io,
    path::{MAIN_SEPARATOR, Path, PathBuf},
};

const META: [char; 4] = ['*', '?', '[', '{'];

/// What a pattern matched.
pub(super) struct Matches {
    /// The folder that the pattern names before its first special character.
    pub(super) base: PathBuf,
    /// Paths in natural order; of a matched folder nothing below it is listed again.
    pub(super) paths: Vec<PathBuf>,
    /// What could not be searched.
    pub(super) errors: Vec<SourceError>,
}

pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(META)
}

/// Files and folders that match. `*` and `?` stay within a name, `**` crosses folders; hidden names match only where the
/// pattern has a name that begins with a dot. The search goes as deep as the pattern has names, by `**` to the end. It
/// leaves out what [`Search::passes_over`], and goes through links only where they stay below the folder that the
/// pattern begins with.
///
/// # Errors
/// [`SourceError`] for a pattern that is malformed, matches nothing, or would search the whole file system.
pub(super) fn matches(text: &str, search: &Search<'_>) -> Result<Matches, SourceError> {
    let malformed = |problem: String| {
        SourceError::new(text, format!("no such file, and not a pattern: {problem}"))
    };
    let (mut found, mut errors) = (BTreeSet::new(), Vec::new());
    for pattern in braces::expanded(text).map_err(malformed)? {
        let names = Names::of(&pattern).map_err(malformed)?;
        if names.depth() > 0
            && let Some(error) = search
                .refusal(&names.start)
                .filter(|error| names.searches_whole() || !is_root(&error.path))
        {
            return Err(error.with_path(text));
        }
        let tree = names
            .start
            .canonicalize()
            .unwrap_or_else(|_| names.start.clone());
        let mut finder = Finder {
            search,
            tree,
            found: BTreeSet::new(),
            visited: HashSet::new(),
            errors: Vec::new(),
        };
        if let Err(halt) = finder.below(&names.start, &names.rest) {
            finder.errors.extend(Search::halted(Path::new(text), halt));
        }
        if is_root(&names.start) && names.depth() > 0 {
            refuse_folders(text, &mut finder);
        }
        found.extend(
            finder
                .found
                .into_iter()
                .map(|path| without_dot(&path, &names)),
        );
        errors.extend(finder.errors);
    }
    if found.is_empty() && errors.is_empty() {
        return Err(SourceError::new(
            text,
            "no such file, and as a pattern it matches nothing",
        ));
    }
    let mut paths: Vec<PathBuf> = found.into_iter().collect();
    paths.sort_by(|a, b| natural::compare_paths(a, b));
    Ok(Matches {
        base: base_of(text),
        paths,
        errors,
    })
}

/// Folders that a pattern of the root found would be the search of a system.
fn refuse_folders(text: &str, finder: &mut Finder<'_, '_>) {
    let before = finder.found.len();
    finder.found.retain(|path| !path.is_dir());
    if finder.found.len() < before {
        let error = SourceError::new(
            text,
            "matches folders of the root of the file system, which are not searched for a pattern",
        );
        finder
            .errors
            .push(error.with_remedy("name the folder that holds the inputs"));
    }
}

fn is_root(folder: &Path) -> bool {
    folder
        .canonicalize()
        .is_ok_and(|folder| folder.parent().is_none())
}

/// A path below `.` as the pattern has it, which has no `./`.
fn without_dot(path: &Path, names: &Names) -> PathBuf {
    if names.from_here {
        path.strip_prefix(".").unwrap_or(path).to_owned()
    } else {
        path.to_owned()
    }
}

/// One name of a pattern.
enum Name {
    /// This very name, `..` included.
    Is(String),
    /// Any that matches; hidden ones only where the pattern begins with a dot.
    Matches { matcher: GlobMatcher, hidden: bool },
    /// `**`: any folders, also none.
    AnyFolders,
}

/// A pattern without braces: the folder that it begins with, and its names from the first special one on.
struct Names {
    start: PathBuf,
    /// Whether it begins at the current folder without naming it.
    from_here: bool,
    rest: Vec<Name>,
}

impl Names {
    fn of(pattern: &str) -> Result<Self, String> {
        let mut start = PathBuf::new();
        if pattern.starts_with(std::path::is_separator) {
            start.push(MAIN_SEPARATOR.to_string());
        }
        let mut rest: Vec<Name> = Vec::new();
        for name in pattern
            .split(std::path::is_separator)
            .filter(|name| !name.is_empty())
        {
            match Name::of(name)? {
                Name::Is(name) if rest.is_empty() => start.push(name),
                Name::Is(name) if name == "." => {}
                // Twice the same as once.
                Name::AnyFolders if matches!(rest.last(), Some(Name::AnyFolders)) => {}
                name => rest.push(name),
            }
        }
        let from_here = start.as_os_str().is_empty();
        // At the end it stands for what is in the folder.
        if let Some(last @ Name::AnyFolders) = rest.last_mut() {
            *last = Name::of("*")?;
        }
        Ok(Self {
            start: if from_here { PathBuf::from(".") } else { start },
            from_here,
            rest,
        })
    }

    /// Names that are looked for.
    fn depth(&self) -> usize {
        self.rest.len()
    }

    fn searches_whole(&self) -> bool {
        self.rest
            .iter()
            .any(|name| matches!(name, Name::AnyFolders))
    }
}

impl Name {
    fn of(name: &str) -> Result<Self, String> {
        if name == "**" {
            return Ok(Self::AnyFolders);
        }
        if !name.contains([META[0], META[1], META[2], '\\']) {
            return Ok(Self::Is(name.to_owned()));
        }
        let glob = GlobBuilder::new(name)
            .literal_separator(true)
            .build()
            .map_err(|e| e.kind().to_string())?;
        Ok(Self::Matches {
            matcher: glob.compile_matcher(),
            hidden: name.starts_with('.'),
        })
    }
}

struct Finder<'s, 'a> {
    search: &'s Search<'a>,
    /// The folder that the pattern begins with, which links do not lead out of.
    tree: PathBuf,
    found: BTreeSet<PathBuf>,
    /// Folders that were searched for so many last names of the pattern.
    visited: HashSet<(FolderId, usize)>,
    errors: Vec<SourceError>,
}

impl Finder<'_, '_> {
    /// Finds what `names` match below a folder.
    fn below(&mut self, folder: &Path, names: &[Name]) -> Result<(), Halt> {
        let Some((first, rest)) = names.split_first() else {
            if folder.symlink_metadata().is_ok() {
                self.found.insert(folder.to_owned());
            }
            return Ok(());
        };
        if folder_id(folder).is_some_and(|id| !self.visited.insert((id, names.len()))) {
            return Ok(());
        }
        match first {
            Name::Is(name) => {
                self.search.count()?;
                self.step(folder.join(name), rest)
            }
            Name::Matches { matcher, hidden } => {
                let wanted = |name: &OsStr| {
                    (*hidden || !is_hidden(name)) && matcher.is_match(Path::new(name))
                };
                for path in self.entries(folder, wanted)? {
                    self.step(path, rest)?;
                }
                Ok(())
            }
            Name::AnyFolders => self.in_any_folder(folder, rest),
        }
    }

    /// Goes on from a path that matches.
    fn step(&mut self, path: PathBuf, rest: &[Name]) -> Result<(), Halt> {
        if path.is_dir() {
            if self.may_enter(&path) {
                return self.below(&path, rest);
            }
        } else if rest.is_empty() {
            return self.below(&path, rest);
        }
        Ok(())
    }

    /// Finds what `names` match in a folder and all below it.
    fn in_any_folder(&mut self, folder: &Path, names: &[Name]) -> Result<(), Halt> {
        let mut open = vec![folder.to_owned()];
        while let Some(folder) = open.pop() {
            self.below(&folder, names)?;
            for path in self.entries(&folder, |name| !is_hidden(name))? {
                let is_link = path.is_symlink();
                // What a link below the tree leads to is come by without it.
                if !is_link && path.is_dir() && !self.found.contains(&path) && self.may_enter(&path)
                {
                    open.push(path);
                } else if is_link && path.is_dir() {
                    self.search.follows(&path, &self.tree);
                }
            }
        }
        Ok(())
    }

    fn may_enter(&self, folder: &Path) -> bool {
        (!folder.is_symlink() || self.search.follows(folder, &self.tree))
            && !self.search.passes_over(folder)
    }

    /// The entries of a folder whose names are wanted; folders before links to folders.
    fn entries(
        &mut self,
        folder: &Path,
        wanted: impl Fn(&OsStr) -> bool,
    ) -> Result<Vec<PathBuf>, Halt> {
        let (mut paths, mut links) = (Vec::new(), Vec::new());
        let read = self.search.entries(folder, |entry| {
            if let Ok(entry) = entry
                && wanted(&entry.file_name())
            {
                let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
                if is_link { &mut links } else { &mut paths }.push(entry.path());
            }
        })?;
        match read {
            Err(error)
                if !matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                let problem = format!("cannot be searched, and is left out: {error}");
                self.search.warn(SourceWarning::new(folder, problem));
            }
            _ => {}
        }
        paths.sort_by(|a, b| natural::compare_paths(a, b));
        links.sort_by(|a, b| natural::compare_paths(a, b));
        paths.append(&mut links);
        Ok(paths)
    }
}

/// The folders before the first name with a special character.
fn base_of(text: &str) -> PathBuf {
    let meta = text.find(META).unwrap_or(text.len());
    match text[..meta].rfind(std::path::is_separator) {
        Some(0) => PathBuf::from(MAIN_SEPARATOR.to_string()),
        Some(at) => PathBuf::from(&text[..at]),
        None => PathBuf::new(),
    }
}

pub(super) fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().first() == Some(&b'.')
}
