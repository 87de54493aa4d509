//! The walk over the inputs that the user gave.

use super::{
    draft::{Draft, place_groups},
    folder, key, list, names,
    options::ExpandOptions,
    pattern,
    refusals::{absent, address, is_address, not_a_file},
    search::Search,
    stdin::{self, Spooled},
};
use crate::{
    frame::SourceKind,
    sources::{
        DicomRefusal, SourceError, SourceSpec, SourceWarning,
        contents::{Contents, identify},
    },
};
use std::{
    collections::HashMap,
    ffi::OsString,
    io::BufRead,
    path::{Path, PathBuf},
};

/// Result of expanding inputs.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Inputs {
    /// Sources and errors in order. The order is the same in every run over the same files.
    pub sources: Vec<Result<SourceSpec, SourceError>>,
    /// What each of `sources` is dealt out by where several runs share them: the first eight bytes, high byte first, of the SHA-256 of
    /// its path relative to the input that it was found in.
    pub keys: Vec<u64>,
    /// Files of folders that are neither images, videos nor DICOM by content, nor have the extension of one.
    pub ignored: Vec<PathBuf>,
    /// What was left out on purpose or read otherwise than its author may have meant.
    pub warnings: Vec<SourceWarning>,
    /// Files of what came on standard input; they are there until this is dropped.
    pub spooled: Vec<Spooled>,
    /// Whether the search was stopped, so that sources are missing.
    pub stopped: bool,
}

/// Part of an input, in order. DICOM files named one by one are grouped after all inputs were expanded.
enum Item {
    Source(Result<Draft, SourceError>),
    NamedDicom {
        path: PathBuf,
        base: Option<PathBuf>,
    },
}

struct Expansion<'a> {
    options: ExpandOptions<'a>,
    search: Search<'a>,
    items: Vec<Item>,
    ignored: Vec<PathBuf>,
    spooled: Vec<Spooled>,
}

/// Context of an input.
#[derive(Clone, Copy)]
struct Place<'p> {
    /// The folder below which names are taken.
    base: Option<&'p Path>,
    /// Whether a list may stand here.
    lists: bool,
    /// The folder that entries of a list are relative to.
    list_in: Option<&'p Path>,
}

/// Expands inputs in the order given: files, folders (searched with their subfolders, hidden files left out), patterns
/// (`*`, `?`, `[…]`, `{…}`, `**`; a path that exists is never a pattern), list files (`.txt`, `.lst`, `.list`: one
/// path a line, relative to the list, `#` for comments), and `-` for what comes on `stdin`: a list relative to the current
/// folder, or the bytes of one image, video or DICOM file, which are kept in a temporary file.
///
/// Kinds are decided by content, also those of DICOM files without the standard's preamble; the extension only
/// distinguishes a damaged picture (an error) from a file that was never meant as one (ignored). Numbered images of one folder with the same
/// name around the number and the same extension are one sequence, in the order of their numbers, gaps or not, unless
/// [`ExpandOptions::as_images`]. Files named one by one, also by a pattern or list, are sources of their own, save that
/// DICOM files among them are grouped into series together.
///
/// Searches of folders and patterns stay below the folder that they begin at: links to files are read, links to folders only
/// where these lie below it too; no folder is read twice, and five million files and folders are looked at, at most. The
/// root of the file system, `/proc` and `/sys` are not searched. Folders with the results of a run, and the output folder of
/// this one, are passed over with a warning, unless the input names them.
pub fn expand(inputs: &[OsString], options: ExpandOptions<'_>, stdin: &mut dyn BufRead) -> Inputs {
    let search = Search::new(&options);
    let mut expansion = Expansion {
        options,
        search,
        items: Vec::new(),
        ignored: Vec::new(),
        spooled: Vec::new(),
    };
    for input in inputs {
        if input == "-" {
            expansion.add_stdin(stdin);
        } else {
            expansion.add(
                Path::new(input),
                Place {
                    base: None,
                    lists: true,
                    list_in: None,
                },
            );
        }
    }
    expansion.finish()
}

impl Expansion<'_> {
    /// One input, path that a pattern matched, or entry of a list.
    fn add(&mut self, path: &Path, place: Place<'_>) {
        if self.search.is_stopped() {
            return;
        }
        if let Some(error) = self.search.is_output(path) {
            return self.fail(error);
        }
        match std::fs::metadata(path) {
            Ok(meta) if meta.is_dir() => self.add_folder(path),
            Ok(meta) if meta.is_file() => self.add_file(path, place),
            Ok(_) => self.fail(not_a_file(path)),
            // Something stands there that cannot be followed: not a pattern.
            Err(e) if path.symlink_metadata().is_ok() => {
                self.fail(SourceError::unreadable(path, &e))
            }
            Err(e) => match path.to_str().filter(|text| pattern::is_pattern(text)) {
                _ if is_address(path) => self.fail(address(path)),
                Some(text) => self.add_pattern(text, place),
                None if e.kind() == std::io::ErrorKind::NotFound => {
                    self.fail(absent(path, place.list_in))
                }
                None => self.fail(SourceError::unreadable(path, &e)),
            },
        }
    }

    fn add_file(&mut self, path: &Path, place: Place<'_>) {
        let base = place.base;
        let contents = match identify(path) {
            Ok(contents) => contents,
            Err(error) => return self.fail(error),
        };
        match contents {
            Contents::Image(_) => self.push(Draft::file(path.to_owned(), SourceKind::Image, base)),
            Contents::Video => self.push(Draft::file(path.to_owned(), SourceKind::Video, base)),
            Contents::Dicom => self.items.push(Item::NamedDicom {
                path: path.to_owned(),
                base: base.map(Path::to_owned),
            }),
            Contents::Empty | Contents::Other(_) | Contents::Unasked(_)
                if list::has_list_extension(path) =>
            {
                match place.lists {
                    true => self.add_list(path),
                    false => self.fail(
                        SourceError::new(path, "is a list inside a list")
                            .with_remedy("give it as an input of its own"),
                    ),
                }
            }
            contents => self.fail(contents.refusal(path)),
        }
    }

    fn add_list(&mut self, path: &Path) {
        match list::read(path) {
            Ok(paths) if paths.is_empty() => self.fail(SourceError::new(path, "lists no file")),
            Ok(paths) => {
                let folder = path.parent().unwrap_or(Path::new(""));
                let place = Place {
                    base: Some(folder),
                    lists: false,
                    list_in: Some(folder),
                };
                paths
                    .into_iter()
                    .for_each(|entry| self.add(&folder.join(entry), place));
            }
            Err(error) => self.fail(error),
        }
    }

    fn add_stdin(&mut self, stdin: &mut dyn BufRead) {
        let here = Some(Path::new(""));
        match stdin::read(stdin, &self.search) {
            Ok(stdin::Given::List(paths)) if paths.is_empty() => {
                let error = SourceError::new("-", "standard input is empty");
                self.fail(error.with_remedy(
                    "give a list of paths, or the bytes of one image, video or DICOM file",
                ));
            }
            Ok(stdin::Given::List(paths)) => {
                let place = Place {
                    base: here,
                    lists: false,
                    list_in: here,
                };
                paths.iter().for_each(|path| self.add(path, place));
            }
            Ok(stdin::Given::Media(contents, spooled)) => {
                let kind = match contents {
                    Contents::Video => SourceKind::Video,
                    Contents::Dicom => SourceKind::Dicom,
                    _ => SourceKind::Image,
                };
                let files = vec![spooled.path().to_owned()];
                self.push(Draft {
                    path: stdin::NAME.into(),
                    kind,
                    files,
                    base: None,
                    pattern: None,
                });
                self.spooled.push(spooled);
            }
            Ok(stdin::Given::Stopped) => {}
            Err(error) => self.fail(error),
        }
    }

    fn add_pattern(&mut self, text: &str, place: Place<'_>) {
        match pattern::matches(text, &self.search) {
            Ok(_) if self.search.is_stopped() => {}
            Ok(found) => {
                for path in &found.paths {
                    self.add(
                        path,
                        Place {
                            base: Some(&found.base),
                            ..place
                        },
                    );
                }
                found.errors.into_iter().for_each(|error| self.fail(error));
            }
            Err(error) => self.fail(error),
        }
    }

    fn add_folder(&mut self, path: &Path) {
        if let Some(error) = self.search.refusal(path) {
            return self.fail(error);
        }
        let found = folder::search(path, &self.options, &self.search);
        self.items
            .extend(found.sources.into_iter().map(Item::Source));
        self.ignored.extend(found.ignored);
        found
            .warnings
            .into_iter()
            .for_each(|warning| self.search.warn(warning));
    }

    fn push(&mut self, draft: Draft) {
        self.items.push(Item::Source(Ok(draft)));
    }

    fn fail(&mut self, error: SourceError) {
        self.items.push(Item::Source(Err(error)));
    }

    /// Groups the DICOM files that were named one by one, each group at the place of its first file, and names the sources.
    fn finish(self) -> Inputs {
        let mut bases = HashMap::new();
        let mut named = Vec::new();
        for item in &self.items {
            if let Item::NamedDicom { path, base } = item
                && bases.insert(path.clone(), base.clone()).is_none()
            {
                named.push(path.clone());
            }
        }
        let stopped = self.search.is_stopped();
        if stopped {
            named.clear();
        }
        let mut groups = place_groups(named, self.options.group_dicom, |path| {
            bases.get(path).cloned().flatten()
        });
        let mut drafts = Vec::with_capacity(self.items.len());
        for item in self.items {
            match item {
                Item::Source(source) => drafts.push(source),
                Item::NamedDicom { path, .. } => {
                    let group = groups.remove(&path).unwrap_or_default();
                    drafts.extend(
                        group
                            .into_iter()
                            .map(|draft| draft.map_err(DicomRefusal::into_error)),
                    );
                }
            }
        }
        let (warnings, stopped) = (
            self.search.take_warnings(),
            stopped || self.search.is_stopped(),
        );
        if stopped {
            drafts.clear();
        }
        let key_of = |draft: &Result<Draft, SourceError>| match draft {
            Ok(draft) => key::of_draft(draft),
            Err(error) => key::of_path(&error.path),
        };
        let keys = drafts.iter().map(key_of).collect();
        Inputs {
            sources: names::assign(drafts),
            keys,
            ignored: self.ignored,
            warnings,
            spooled: self.spooled,
            stopped,
        }
    }
}
