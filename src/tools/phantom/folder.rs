//! The output folder of phantom sequences: made, locked, and cleared of earlier sequences where the user asks for it.

use crate::{
    datasets::mot::LABELS,
    phantom::Motion,
    run::{FolderLock, clear_folder, is_empty, remove},
    sinks::{AtomicFile, Layout, SinkError, SinkErrorKind},
    tools::phantom::{paths::SequencePaths, plan::PhantomPlan},
};
use serde_json::json;
use std::{
    ffi::OsStr,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// An output folder that this run alone writes to, until this is dropped.
pub(crate) struct PhantomFolder {
    _lock: FolderLock,
}

impl PhantomFolder {
    /// Makes the plan's folder, locks it, clears it where asked for, and puts `phantom.json` into it.
    pub(crate) fn prepare(plan: &PhantomPlan) -> Result<Self, SinkError> {
        let root = plan.output.as_path();
        fs::create_dir_all(root)
            .map_err(|e| SinkError::io(root, "create the output folder", &e))?;
        let lock = FolderLock::take(&Layout::new(root))?;
        if !is_empty(root)? {
            if !plan.overwrite {
                let remedy = "overwrite the phantom sequences in it, or choose another folder";
                return Err(SinkError::new(root, "the output folder is not empty")
                    .with_kind(SinkErrorKind::NotEmpty { resumable: false })
                    .with_remedy(remedy));
            }
            let marked = marker(root)
                .try_exists()
                .map_err(|e| SinkError::io(root, "list the folder", &e))?;
            if !marked {
                let problem = "the folder is not empty, and holds no phantom.json of this program";
                return Err(SinkError::new(root, problem).with_remedy("choose another folder"));
            }
            clear(root)?;
        }
        let text = format!("{:#}\n", describe(plan));
        let mut file = AtomicFile::create(&marker(root))?;
        file.write_all(text.as_bytes())
            .map_err(|e| file.error(&e))?;
        file.commit()?;
        Ok(Self { _lock: lock })
    }
}

fn marker(root: &Path) -> PathBuf {
    root.join("phantom.json")
}

/// What was asked for.
fn describe(plan: &PhantomPlan) -> serde_json::Value {
    let (options, files) = (&plan.options, plan.files);
    let kinds = [
        (files.png, "png"),
        (files.mp4, "mp4"),
        (files.dicom, "dicom"),
        (files.mot, "mot"),
        (files.mots, "mots"),
    ];
    let mut described = json!({
        "description": "Synthetic ultrasound sequences by ultramotion phantom",
        "version": env!("CARGO_PKG_VERSION"),
        "seed": options.seed,
        "sequences": plan.sequences,
        "frames": options.frames,
        "width": options.size.width,
        "height": options.size.height,
        "frame_rate": options.frame_rate,
        "targets": options.targets.classes().map(|class| class.name()).collect::<Vec<_>>(),
        "write": kinds.iter().filter(|(asked, _)| *asked).map(|(_, name)| *name).collect::<Vec<_>>(),
    });
    // Calm is what a folder that states no motion has.
    if options.motion != Motion::Calm {
        described["motion"] = options.motion.name().into();
    }
    described
}

/// Removes the sequences in `root`; `phantom.json` last, so that a clearing that was interrupted can be repeated.
fn clear(root: &Path) -> Result<(), SinkError> {
    clear_sequence(root)?;
    for entry in fs::read_dir(root).map_err(list_error(root))? {
        let entry = entry.map_err(list_error(root))?;
        // A link to a folder elsewhere is not followed: what is there may belong to others.
        if is_sequence_name(&entry.file_name())
            && entry.file_type().map_err(list_error(root))?.is_dir()
        {
            clear_sequence(&entry.path())?;
            // Not empty: something in it is not this program's.
            let _ = fs::remove_dir(entry.path());
        }
    }
    remove(&marker(root))
}

fn clear_sequence(folder: &Path) -> Result<(), SinkError> {
    let paths = SequencePaths(folder);
    for path in [
        paths.truth(),
        paths.mp4(),
        paths.dicom(),
        paths.sequence_info(),
        paths.mot(),
        paths.mots(),
        paths.mot().with_file_name(LABELS),
        paths.mots().with_file_name(LABELS),
    ] {
        remove(&path)?;
        remove(&Layout::temporary(&path))?;
    }
    for name in ["gt", "mots"] {
        // Not empty: something in it is not this program's.
        let _ = fs::remove_dir(folder.join(name));
    }
    for name in ["frames", "labels"] {
        let below = folder.join(name);
        if fs::symlink_metadata(&below).is_ok_and(|m| m.is_dir()) {
            clear_folder(&below, &["png"])?;
        }
    }
    Ok(())
}

/// Whether a folder is named as that of a sequence.
fn is_sequence_name(name: &OsStr) -> bool {
    let digits = name.to_str().and_then(|n| n.strip_prefix("seed-"));
    digits.is_some_and(|d| d.len() >= 6 && d.bytes().all(|b| b.is_ascii_digit()))
}

fn list_error(path: &Path) -> impl Fn(io::Error) -> SinkError + '_ {
    move |e| SinkError::io(path, "list the folder", &e)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::phantom::paths::folder_name;

    #[test]
    fn folders_of_sequences_are_known_by_name() {
        for seed in [0, 7, 999_999, 1_000_000, u64::MAX] {
            assert!(is_sequence_name(OsStr::new(&folder_name(seed))), "{seed}");
        }
        for name in ["seed-", "seed-12", "seed-00001a", "000001", "seeds-000001"] {
            assert!(!is_sequence_name(OsStr::new(name)), "{name}");
        }
    }
}
