//! `--rename-sources`: sources under neutral names, and the key that says which is which.

use crate::{
    common_args::{InputArgs, OutputArgs},
    inputs::usage,
};
use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};
use ultramotion::sources::{Alias, Aliases, Inputs, SourceSpec};

const OPTION: &str = "--rename-sources";
const HEADER: [&str; 2] = ["alias", "path"];
/// Longest key that is read.
const MAX_KEY: u64 = 1 << 28;
/// Extensions that say what a file is; any other may be part of a name.
const EXTENSIONS: [&str; 22] = [
    "png", "jpg", "jpeg", "tif", "tiff", "bmp", "webp", "gif", "heic", "avif", "mp4", "m4v", "mov",
    "mkv", "avi", "webm", "mpg", "mpeg", "ts", "wmv", "dcm", "dicom",
];

/// The key file, locked against other runs while it is open.
pub(crate) struct Key {
    path: PathBuf,
    file: File,
    /// Aliases of a path in the order of the file.
    known: HashMap<PathBuf, Vec<String>>,
    /// Rows that the file does not have yet.
    new: Vec<(String, PathBuf)>,
    /// Sources that this run has used.
    used: HashSet<u64>,
    next_source: u64,
    next_input: u64,
    /// The number of the next file of a source.
    next_file: HashMap<u64, u64>,
}

impl Key {
    /// Opens the key at `path`, which must lie outside of the folder `output`; makes it where it is not there.
    pub(crate) fn open(path: &Path, output: &Path) -> anyhow::Result<Self> {
        let place = resolved(path);
        if place.starts_with(resolved(output)) {
            let problem = format!(
                "{}: lies in the output folder {}; give a path outside of it",
                path.display(),
                output.display()
            );
            return Err(usage(OPTION, problem));
        }
        let failed =
            |e: std::io::Error| usage(OPTION, format!("{}: cannot be opened: {e}", path.display()));
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(failed)?;
        file.lock().map_err(failed)?;
        let mut key = Self {
            path: path.to_owned(),
            file,
            known: HashMap::new(),
            new: Vec::new(),
            used: HashSet::new(),
            next_source: 1,
            next_input: 1,
            next_file: HashMap::new(),
        };
        key.read()?;
        Ok(key)
    }

    fn read(&mut self) -> anyhow::Result<()> {
        let broken = |problem: String| {
            usage(
                OPTION,
                format!(
                    "{}: {problem}; give a file that this option wrote",
                    self.path.display()
                ),
            )
        };
        let mut bytes = Vec::new();
        (&self.file)
            .take(MAX_KEY + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| broken(format!("cannot be read: {e}")))?;
        if bytes.len() as u64 > MAX_KEY {
            return Err(broken(format!("is longer than {MAX_KEY} bytes")));
        }
        match bytes.last() {
            None => return Ok(()),
            Some(b'\n') => {}
            Some(_) => return Err(broken("ends in the middle of a line".to_owned())),
        }
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(&bytes[..]);
        let mut rows = Vec::new();
        for row in reader.byte_records() {
            let row = row.map_err(|e| broken(format!("is not a key of sources: {e}")))?;
            match (row.get(0), row.get(1)) {
                (Some(alias), Some(path)) => {
                    rows.push((String::from_utf8_lossy(alias).into_owned(), path_of(path)))
                }
                _ => {
                    return Err(broken(
                        "is not a key of sources: a line has one field".to_owned(),
                    ));
                }
            }
        }
        let mut rows = rows.into_iter();
        if rows
            .next()
            .is_none_or(|(alias, path)| alias != HEADER[0] || path != Path::new(HEADER[1]))
        {
            return Err(broken(format!(
                "is not a key of sources: its first line is not {}",
                HEADER.join(",")
            )));
        }
        rows.for_each(|(alias, path)| self.note(alias, path));
        Ok(())
    }

    /// Keeps a row in mind.
    fn note(&mut self, alias: String, path: PathBuf) {
        if let Some(source) = number(&alias, "source-") {
            self.next_source = self.next_source.max(source + 1);
            if let Some(file) = alias.split_once('/').and_then(|(_, file)| number(file, "")) {
                let next = self.next_file.entry(source).or_default();
                *next = (*next).max(file + 1);
            }
        }
        if let Some(input) = number(&alias, "input-") {
            self.next_input = self.next_input.max(input + 1);
        }
        self.known.entry(path).or_default().push(alias);
    }

    fn add(&mut self, alias: String, path: PathBuf) -> PathBuf {
        self.new.push((alias.clone(), path.clone()));
        self.note(alias.clone(), path);
        alias.into()
    }

    /// The number of the source whose first file is `first`, and whether it is new.
    fn source(&mut self, first: &Path, several: bool) -> (u64, bool) {
        let aliases = self
            .known
            .get(first)
            .into_iter()
            .flatten()
            .filter(|alias| alias.contains('/') == several);
        let known = aliases
            .filter_map(|alias| number(alias, "source-"))
            .find(|source| !self.used.contains(source));
        let source = known.unwrap_or(self.next_source);
        self.used.insert(source);
        self.next_source = self.next_source.max(source + 1);
        (source, known.is_none())
    }

    /// Gives a source its neutral name; its alias has the paths.
    fn rename(&mut self, spec: &mut SourceSpec) -> Alias {
        let own = spec.path.clone();
        let several = spec.files.len() != 1 || spec.files.first() != Some(&own);
        let files: Vec<PathBuf> = spec.files.iter().map(|file| resolved(file)).collect();
        let (source, is_new) = self.source(files.first().unwrap_or(&own), several);
        let name = format!("source-{source:06}");
        spec.name.clone_from(&name);
        if !several {
            let alias = format!("{name}{}", extension(&own));
            let path = if is_new {
                self.add(alias, resolved(&own))
            } else {
                alias.into()
            };
            return Alias {
                files: vec![path.clone()],
                path,
            };
        }
        if is_new {
            self.add(name.clone(), resolved(&own));
        }
        let prefix = format!("{name}/");
        let alias = |file: PathBuf| {
            let known = self
                .known
                .get(&file)
                .into_iter()
                .flatten()
                .find(|alias| alias.starts_with(&prefix));
            if let Some(known) = known {
                return known.into();
            }
            let number = self.next_file.get(&source).copied().unwrap_or(0);
            let alias = format!("{prefix}{number:06}{}", extension(&file));
            self.add(alias, file)
        };
        Alias {
            path: name.into(),
            files: files.into_iter().map(alias).collect(),
        }
    }

    /// What stands for a path that is no source.
    fn other(&mut self, path: &Path) -> PathBuf {
        let path = resolved(path);
        if let Some(known) = self.known.get(&path).and_then(|aliases| aliases.first()) {
            return known.into();
        }
        let alias = format!("input-{:06}", self.next_input);
        self.add(alias, path)
    }

    /// Appends the new rows to the file.
    fn write(&mut self) -> anyhow::Result<()> {
        let failed = |problem: String| {
            anyhow::anyhow!(
                "{}: cannot be written: {problem}; choose another file with {OPTION}",
                self.path.display()
            )
        };
        let is_new = self
            .file
            .seek(SeekFrom::End(0))
            .map_err(|e| failed(e.to_string()))?
            == 0;
        let mut writer = csv::Writer::from_writer(Vec::new());
        if is_new {
            writer
                .write_record(HEADER)
                .map_err(|e| failed(e.to_string()))?;
        }
        for (alias, path) in &self.new {
            writer
                .write_record([alias.as_bytes(), path.as_os_str().as_encoded_bytes()])
                .map_err(|e| failed(e.to_string()))?;
        }
        let bytes = writer.into_inner().map_err(|e| failed(e.to_string()))?;
        self.file
            .write_all(&bytes)
            .and_then(|()| self.file.sync_all())
            .map_err(|e| failed(e.to_string()))
    }
}

/// Gives all sources neutral names, takes the names out of what is to be said about inputs, and writes the key.
pub(crate) fn rename(mut key: Key, inputs: &mut Inputs) -> anyhow::Result<Aliases> {
    let mut aliases = Vec::new();
    for source in &mut inputs.sources {
        match source {
            Ok(spec) => {
                let alias = key.rename(spec);
                aliases.push((spec.name.clone(), alias));
            }
            Err(error) => {
                let alias = key.other(&error.path);
                error.rename(&alias);
            }
        }
    }
    for warning in &mut inputs.warnings {
        let alias = key.other(&warning.path);
        warning.rename(&alias);
    }
    key.write()?;
    Ok(Aliases::new(aliases))
}

/// Takes the paths of inputs, of the folder of outputs and of files beside them out of the command line that `run.json` keeps.
pub(crate) fn without_names(
    arguments: Vec<String>,
    input: &InputArgs,
    output: &OutputArgs,
    boxes: Option<&Path>,
) -> Vec<String> {
    let inputs = input
        .source
        .inputs()
        .into_iter()
        .enumerate()
        .map(|(at, path)| (path, format!("(input {})", at + 1)));
    let files = [
        (Some(&*output.output), "(output)"),
        (output.kpi.as_deref(), "(kpi)"),
        (boxes, "(boxes)"),
        (input.rename_sources.as_deref(), "(key)"),
    ];
    let files = files
        .into_iter()
        .filter_map(|(path, alias)| Some((path?.as_os_str().to_owned(), alias.to_owned())));
    let paths: Vec<(String, String)> = inputs
        .chain(files)
        .map(|(path, alias)| (path.to_string_lossy().into_owned(), alias))
        .collect();
    neutral_arguments(arguments, &paths)
}

/// A command line without the paths in it: `paths` and what stands for each.
fn neutral_arguments(arguments: Vec<String>, paths: &[(String, String)]) -> Vec<String> {
    let neutral = |argument: String| {
        let of = |(path, alias): &(String, String)| {
            let before = argument.strip_suffix(path.as_str())?;
            // `PATH`, `--option=PATH`, `-oPATH`.
            let is_short =
                before.len() == 2 && before.starts_with('-') && !before.starts_with("--");
            (before.is_empty() || is_short || (before.starts_with('-') && before.ends_with('=')))
                .then(|| format!("{before}{alias}"))
        };
        paths.iter().find_map(of).unwrap_or(argument)
    };
    arguments.into_iter().map(neutral).collect()
}

/// The number after `prefix`.
fn number(alias: &str, prefix: &str) -> Option<u64> {
    let digits: String = alias
        .strip_prefix(prefix)?
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().ok()
}

fn extension(path: &Path) -> String {
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    extension
        .filter(|extension| EXTENSIONS.contains(&extension.as_str()))
        .map(|extension| format!(".{extension}"))
        .unwrap_or_default()
}

/// A path from the root without links, as far as it is there.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut missing: Vec<OsString> = Vec::new();
    for folder in absolute.ancestors() {
        if let Ok(there) = fs::canonicalize(folder) {
            return missing
                .iter()
                .rev()
                .fold(there, |path, part| path.join(part));
        }
        missing.extend(folder.file_name().map(ToOwned::to_owned));
    }
    absolute
}

#[cfg(unix)]
fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    OsString::from_vec(bytes.to_vec()).into()
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> PathBuf {
    String::from_utf8_lossy(bytes).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_leave_a_command_line_whatever_their_form() {
        let paths = [
            ("Meier/a.png".to_owned(), "(input 1)".to_owned()),
            ("out".to_owned(), "(output)".to_owned()),
        ];
        let typed = [
            "detect",
            "Meier/a.png",
            "-iMeier/a.png",
            "--input=Meier/a.png",
            "--output",
            "out",
            "--write",
            "layout",
        ];
        let found = neutral_arguments(typed.map(str::to_owned).to_vec(), &paths);
        assert_eq!(
            found,
            [
                "detect",
                "(input 1)",
                "-i(input 1)",
                "--input=(input 1)",
                "--output",
                "(output)",
                "--write",
                "layout"
            ]
        );
    }

    #[test]
    fn extensions_that_may_be_names_are_dropped() {
        assert_eq!(
            [
                extension(Path::new("a/Scan.JPG")),
                extension(Path::new("a/Scan.Hans")),
                extension(Path::new("a/IM1"))
            ],
            [".jpg", "", ""]
        );
    }
}
