//! The output folder: created, locked against other runs, and cleared under [`OutputMode::Overwrite`].

use crate::{
    run::{folder_lock::FolderLock, report::RunReport},
    sinks::{Layout, SinkError, SinkErrorKind, TEMPORARY_PREFIX, TEMPORARY_SUFFIX},
};
use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

/// What to do with an output folder that is not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputMode {
    /// Refuse it.
    Fresh,
    /// Go on with the run that it holds; a folder without one starts from nothing.
    Resume,
    /// Remove the outputs of the run that it holds, and nothing else.
    Overwrite,
}

/// An output folder that this run alone writes to, until this is dropped.
///
/// A lock file that the operating system releases when its process ends keeps others out, so that one left by a killed
/// run does not stand in the way.
#[derive(Debug)]
pub struct OutputDir {
    layout: Layout,
    earlier: Option<RunReport>,
    /// Whether there was nothing in it.
    new: bool,
    /// The folders that were made for it, the innermost first.
    made: Vec<PathBuf>,
    lock: Option<FolderLock>,
}

impl OutputDir {
    /// Makes the folder `root` and those above it, locks it, and does as `mode` says with what is there.
    ///
    /// # Errors
    /// [`SinkError`] if the folder cannot be made, written or locked, another run writes to it, it is not empty under
    /// [`OutputMode::Fresh`], or it holds files under the names of outputs but no run of this program.
    pub fn prepare(root: &Path, mode: OutputMode) -> Result<Self, SinkError> {
        Self::prepare_with(root, mode, |layout| FolderLock::take(layout).map(Some))
    }

    /// The same without the lock, for a folder that others are kept out of in another way.
    ///
    /// # Errors
    /// As [`OutputDir::prepare`], but for those of the lock.
    pub(crate) fn prepare_owned(root: &Path, mode: OutputMode) -> Result<Self, SinkError> {
        Self::prepare_with(root, mode, |_| Ok(None))
    }

    fn prepare_with(
        root: &Path,
        mode: OutputMode,
        lock: impl FnOnce(&Layout) -> Result<Option<FolderLock>, SinkError>,
    ) -> Result<Self, SinkError> {
        let made = root
            .ancestors()
            .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
            .map(Path::to_owned)
            .collect();
        fs::create_dir_all(root)
            .map_err(|e| SinkError::io(root, "create the output folder", &e))?;
        let layout = Layout::new(root);
        let lock = lock(&layout)?;
        let new = is_empty(root)?;
        let earlier = if new {
            None
        } else {
            Self::earlier_run(&layout, mode)?
        };
        Ok(Self {
            layout,
            earlier,
            new,
            made,
            lock,
        })
    }

    /// Whether there was nothing in the folder before this run.
    pub fn is_new(&self) -> bool {
        self.new
    }

    /// Removes what the run wrote, and the folders that were made for it, as far as nothing else is in them.
    ///
    /// # Errors
    /// [`SinkError`] if an output cannot be removed.
    pub fn discard(self) -> Result<(), SinkError> {
        clear(&self.layout)?;
        drop(self.lock);
        for folder in &self.made {
            // Not empty: something in it is not this program's.
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// The run to resume in a folder that is not empty, after clearing it where it is to be overwritten.
    fn earlier_run(layout: &Layout, mode: OutputMode) -> Result<Option<RunReport>, SinkError> {
        let root = layout.root();
        if mode == OutputMode::Fresh {
            let remedy = "resume the run in it, overwrite that run, or choose another folder";
            return Err(SinkError::new(root, "the output folder is not empty")
                .with_kind(SinkErrorKind::NotEmpty { resumable: true })
                .with_remedy(remedy));
        }
        let earlier = RunReport::read(layout)?;
        if earlier.is_none() && has_outputs(root)? {
            let problem = "the folder holds files under the names of outputs, but no run.json of this program";
            return Err(SinkError::new(root, problem).with_remedy("choose another folder"));
        }
        if mode == OutputMode::Overwrite && earlier.is_some() {
            clear(layout)?;
        }
        Ok(earlier.filter(|_| mode == OutputMode::Resume))
    }

    /// The paths in the folder.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The report of the run to resume; none where there is nothing to resume.
    pub fn earlier(&self) -> Option<&RunReport> {
        self.earlier.as_ref()
    }
}

/// Folders of outputs and the extensions of the files in them.
const FOLDERS: [(&str, &[&str]); 15] = [
    ("masks", &["png", "json"]),
    ("instances", &["png"]),
    ("annotations", &["json"]),
    ("nnunet", &["png", "json"]),
    ("cvat", &["xml"]),
    ("labelme", &["json", "txt"]),
    ("voc", &["xml", "txt"]),
    ("mot", &["txt", "ini"]),
    ("mots", &["txt", "ini", "png"]),
    ("seg", &["dcm"]),
    ("nrrd", &["nrrd"]),
    (
        "images",
        &[
            "png", "jpg", "jpeg", "bmp", "webp", "tif", "tiff", "gif", "jp2", "dcm",
        ],
    ),
    ("overlay", &["png", "mp4"]),
    ("labels", &["txt"]),
    ("frames", &["png"]),
];

/// Single files of outputs.
fn files(layout: &Layout) -> [std::path::PathBuf; 18] {
    let of_part = |part: &str| layout.root().join(format!("coco_{part}.json"));
    let list = |part: &str| layout.root().join(format!("{part}.txt"));
    [
        of_part("train"),
        of_part("val"),
        of_part("test"),
        list("train"),
        list("val"),
        list("test"),
        layout.root().join("objects.csv"),
        layout.root().join("events.csv"),
        layout.root().join("report.html"),
        layout.root().join("labelstudio.json"),
        layout.root().join("labelstudio.xml"),
        layout.record(),
        layout.state(),
        layout.coco(),
        layout.coco_results(),
        layout.yolo_classes(),
        layout.yolo_data(),
        layout.run_report(),
    ]
}

fn is_temporary(name: &OsStr) -> bool {
    name.to_str()
        .is_some_and(|n| n.starts_with(TEMPORARY_PREFIX) && n.ends_with(TEMPORARY_SUFFIX))
}

fn read_error(path: &Path) -> impl Fn(io::Error) -> SinkError + '_ {
    move |e| SinkError::io(path, "list the folder", &e)
}

/// Whether the folder holds nothing but the lock and what a run that was killed at its start left.
pub(crate) fn is_empty(root: &Path) -> Result<bool, SinkError> {
    let lock = Layout::new(root).lock();
    for entry in fs::read_dir(root).map_err(read_error(root))? {
        let entry = entry.map_err(read_error(root))?;
        if entry.path() != lock && !is_temporary(&entry.file_name()) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn has_outputs(root: &Path) -> Result<bool, SinkError> {
    let exists = |path: &Path| path.try_exists().map_err(read_error(path));
    for path in files(&Layout::new(root))
        .iter()
        .chain(&FOLDERS.map(|(name, _)| root.join(name)))
    {
        if exists(path)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes the outputs of a run; `run.json` last, so that a clearing that was interrupted can be repeated.
fn clear(layout: &Layout) -> Result<(), SinkError> {
    for (name, extensions) in FOLDERS {
        let folder = layout.root().join(name);
        // A link to a folder elsewhere is not followed: what is there may belong to others.
        if fs::symlink_metadata(&folder).is_ok_and(|m| m.is_dir()) {
            clear_folder(&folder, extensions)?;
        }
    }
    for entry in fs::read_dir(layout.root()).map_err(read_error(layout.root()))? {
        let entry = entry.map_err(read_error(layout.root()))?;
        if is_temporary(&entry.file_name()) {
            remove(&entry.path())?;
        }
    }
    files(layout).iter().try_for_each(|path| remove(path))
}

/// Removes all outputs, as [`OutputMode::Overwrite`] does, from the folder `root`.
pub(crate) fn clear_outputs(root: &Path) -> Result<(), SinkError> {
    clear(&Layout::new(root))
}

/// Removes files with one of `extensions` and temporary files in `folder` and below, then folders that are empty.
pub(crate) fn clear_folder(folder: &Path, extensions: &[&str]) -> Result<(), SinkError> {
    for entry in fs::read_dir(folder).map_err(read_error(folder))? {
        let entry = entry.map_err(read_error(folder))?;
        let path = entry.path();
        if entry.file_type().map_err(read_error(folder))?.is_dir() {
            clear_folder(&path, extensions)?;
        } else if is_temporary(&entry.file_name())
            || path
                .extension()
                .and_then(OsStr::to_str)
                .is_some_and(|e| extensions.contains(&e))
        {
            remove(&path)?;
        }
    }
    // Not empty: something in it is not this program's.
    let _ = fs::remove_dir(folder);
    Ok(())
}

/// Removes an output, where it is there.
pub(crate) fn remove(path: &Path) -> Result<(), SinkError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(SinkError::io(path, "remove the earlier output", &error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with_run(root: &Path) {
        let layout = Layout::new(root);
        fs::create_dir_all(root.join("masks/a")).unwrap();
        fs::create_dir_all(root.join("overlay")).unwrap();
        for file in [
            "detections.jsonl",
            "masks/a/000000.png",
            "masks/a/notes.md",
            "overlay/a.mp4",
            "keep.csv",
        ] {
            fs::write(root.join(file), "x").unwrap();
        }
        fs::write(root.join("overlay/.ultramotion-0123456789abcdef.tmp"), "x").unwrap();
        RunReport::start(vec![], Default::default(), vec![], "cpu".into())
            .write(&layout)
            .unwrap();
    }

    #[test]
    fn a_folder_that_is_not_empty_is_refused_unless_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("a/b");
        drop(OutputDir::prepare(&root, OutputMode::Fresh).unwrap());
        assert_eq!(fs::read_dir(&root).unwrap().count(), 0, "the lock is gone");
        folder_with_run(&root);
        let error = OutputDir::prepare(&root, OutputMode::Fresh)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("not empty") && error.contains("resume the run"),
            "{error}"
        );
        let resumed = OutputDir::prepare(&root, OutputMode::Resume).unwrap();
        assert!(resumed.earlier().is_some());
        assert!(root.join("masks/a/000000.png").exists());
    }

    #[test]
    fn overwriting_removes_outputs_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        folder_with_run(dir.path());
        let out = OutputDir::prepare(dir.path(), OutputMode::Overwrite).unwrap();
        assert!(out.earlier().is_none());
        assert!(
            dir.path().join("keep.csv").exists() && dir.path().join("masks/a/notes.md").exists()
        );
        assert!(!dir.path().join("overlay").exists() && !out.layout().run_report().exists());
        assert!(!dir.path().join("masks/a/000000.png").exists());
    }

    #[test]
    fn a_run_in_vain_leaves_what_was_there_before() {
        let dir = tempfile::tempdir().unwrap();
        let run = |root: &Path| {
            let out = OutputDir::prepare(root, OutputMode::Fresh).unwrap();
            assert!(out.is_new());
            folder_with_run(root);
            fs::remove_file(root.join("keep.csv")).unwrap();
            fs::remove_file(root.join("masks/a/notes.md")).unwrap();
            out
        };
        run(&dir.path().join("a/b")).discard().unwrap();
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            0,
            "folders above it were made too"
        );
        fs::create_dir(dir.path().join("there")).unwrap();
        run(&dir.path().join("there")).discard().unwrap();
        assert_eq!(
            fs::read_dir(dir.path().join("there")).unwrap().count(),
            0,
            "it was there, and empty"
        );
        let out = run(&dir.path().join("c/d"));
        fs::write(dir.path().join("c/d/mine.txt"), "x").unwrap();
        out.discard().unwrap();
        assert!(
            dir.path().join("c/d/mine.txt").exists() && !dir.path().join("c/d/run.json").exists()
        );
    }

    #[test]
    fn files_of_others_are_never_removed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("frames")).unwrap();
        fs::write(dir.path().join("frames/holiday.png"), "x").unwrap();
        for mode in [OutputMode::Overwrite, OutputMode::Resume] {
            assert!(
                OutputDir::prepare(dir.path(), mode)
                    .unwrap_err()
                    .to_string()
                    .contains("no run.json")
            );
        }
        assert!(dir.path().join("frames/holiday.png").exists());
    }

    #[test]
    fn one_run_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = OutputDir::prepare(dir.path(), OutputMode::Fresh).unwrap();
        let error = OutputDir::prepare(dir.path(), OutputMode::Fresh)
            .unwrap_err()
            .to_string();
        assert!(error.contains("another run"), "{error}");
        drop(first);
        // A lock file without an owner, as a killed run leaves it.
        fs::write(Layout::new(dir.path()).lock(), "").unwrap();
        OutputDir::prepare(dir.path(), OutputMode::Fresh).unwrap();
    }

    #[test]
    fn an_unwritable_place_is_named() {
        let error = OutputDir::prepare(Path::new("/proc/no/such"), OutputMode::Fresh).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("/proc/no/such: cannot create"),
            "{error}"
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(OutputDir::prepare(file.path(), OutputMode::Fresh).is_err());
    }
}
