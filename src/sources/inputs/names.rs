//! Names of sources for outputs.

use super::draft::Draft;
use crate::{
    frame::SourceKind,
    sources::{SourceError, SourceSpec, contents::has_extension},
};
use std::{
    collections::{HashMap, HashSet},
    path::{Component, Path},
};

/// How much of the path a name contains. Names that clash go one step further, together.
const STEPS: usize = 4;

/// Gives every source its name. Names differ in more than case, and none is a folder of another's outputs: no name of a
/// source of several frames is another name up to a slash.
pub(super) fn assign(
    drafts: Vec<Result<Draft, SourceError>>,
) -> Vec<Result<SourceSpec, SourceError>> {
    let shared = folders_with_several(&drafts);
    let good: Vec<&Draft> = drafts.iter().filter_map(|d| d.as_ref().ok()).collect();
    let name_at =
        |draft: &Draft, step: usize| name(draft, step, shared.contains(draft.path.as_path()));
    let mut steps = vec![0; good.len()];
    let mut names: Vec<String> = good.iter().map(|draft| name_at(draft, 0)).collect();
    for _ in 0..good.len().max(STEPS) {
        let clashing = clashes(&good, &names);
        let mut moved = false;
        for i in clashing
            .into_iter()
            .filter(|&i| steps[i] + 1 < STEPS)
            .collect::<Vec<_>>()
        {
            steps[i] += 1;
            names[i] = name_at(good[i], steps[i]);
            moved = true;
        }
        if !moved {
            break;
        }
    }
    number_the_rest(&good, &mut names);
    let folders = shared_folders(
        &good,
        &names,
        |draft, step| {
            draft.pattern.is_some() && (shared.contains(draft.path.as_path()) || step % 2 == 1)
        },
        &steps,
    );
    let mut named = names.into_iter().zip(folders);
    drafts
        .into_iter()
        .map(|draft| {
            let mut named = || named.next().unwrap_or_default();
            draft.map(|d| {
                let (name, folder) = named();
                SourceSpec {
                    path: d.path,
                    kind: d.kind,
                    files: d.files,
                    name,
                    folder,
                }
            })
        })
        .collect()
}

/// For each source the folder that it shares with others, if it is a sequence whose name `has_pattern` at its end, and no file of
/// its has the name of another source's output.
fn shared_folders(
    good: &[&Draft],
    names: &[String],
    has_pattern: impl Fn(&Draft, usize) -> bool,
    steps: &[usize],
) -> Vec<Option<String>> {
    let folders: Vec<Option<String>> = good
        .iter()
        .zip(names)
        .zip(steps)
        .map(|((draft, name), step)| {
            let above = || name.rsplit_once('/').map_or("", |(above, _)| above);
            has_pattern(draft, *step).then(|| above().to_owned())
        })
        .collect();
    let outputs = |at: usize| -> Vec<String> {
        match &folders[at] {
            None => vec![key(&names[at])],
            Some(folder) => good[at]
                .files
                .iter()
                .map(|file| {
                    key(&below(
                        folder,
                        &file.file_stem().unwrap_or_default().to_string_lossy(),
                    ))
                })
                .collect(),
        }
    };
    let mut taken: HashMap<String, usize> = HashMap::new();
    for at in 0..good.len() {
        for output in outputs(at) {
            *taken.entry(output).or_default() += 1;
        }
    }
    let alone = |at: usize| {
        outputs(at)
            .iter()
            .all(|output| taken.get(output) == Some(&1))
    };
    (0..good.len())
        .map(|at| folders[at].clone().filter(|_| alone(at)))
        .collect()
}

/// `name` in `folder`, which may be empty.
fn below(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

/// Folders of sequences in or below which there is another source.
fn folders_with_several(drafts: &[Result<Draft, SourceError>]) -> HashSet<std::path::PathBuf> {
    let mut sources_below: HashMap<&Path, usize> = HashMap::new();
    for draft in drafts.iter().flatten() {
        let folder = if draft.kind == SourceKind::Sequence {
            Some(draft.path.as_path())
        } else {
            draft.path.parent()
        };
        for ancestor in folder.into_iter().flat_map(Path::ancestors) {
            *sources_below.entry(ancestor).or_default() += 1;
        }
    }
    sources_below
        .into_iter()
        .filter(|(_, n)| *n > 1)
        .map(|(folder, _)| folder.to_owned())
        .collect()
}

/// Step 0: the path below the input without extension; 1: with it; 2: from the input's own folder on, without; 3: with.
fn name(draft: &Draft, step: usize, shares_folder: bool) -> String {
    let base = draft.base.as_deref();
    let below = base
        .and_then(|base| draft.path.strip_prefix(base).ok())
        .filter(|below| is_plain(below));
    let mut parts = match below {
        Some(below) => parts_of(below),
        None => draft
            .path
            .file_name()
            .map(|n| vec![n.to_string_lossy().into_owned()])
            .unwrap_or_default(),
    };
    if step >= 2 || parts.is_empty() {
        let folder = if below.is_some() {
            base
        } else {
            draft.path.parent()
        };
        parts.splice(0..0, folder.and_then(own_name));
    }
    match &draft.pattern {
        Some(pattern) if shares_folder || step % 2 == 1 => parts.push(pattern.clone()),
        Some(_) => {}
        None if step.is_multiple_of(2) && is_file(draft) => {
            if let Some(last) = parts.last_mut() {
                last.truncate(stem_length(last));
            }
        }
        None => {}
    }
    if parts.is_empty() {
        "frames".to_owned()
    } else {
        parts.join("/")
    }
}

/// Whether a draft is a file: a series may be a folder. The file system is read for these alone.
fn is_file(draft: &Draft) -> bool {
    matches!(draft.kind, SourceKind::Image | SourceKind::Video) || draft.path.is_file()
}

/// A path whose components are all names or `.`.
fn is_plain(path: &Path) -> bool {
    path.components()
        .all(|c| matches!(c, Component::Normal(_) | Component::CurDir))
}

fn parts_of(path: &Path) -> Vec<String> {
    path.components()
        .filter_map(|c| match c {
            Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            _ => None,
        })
        .collect()
}

/// The name of a folder, also of `.` and `..`.
fn own_name(folder: &Path) -> Option<String> {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let name = match folder.components().next_back() {
        Some(Component::Normal(name)) => Some(name.to_owned()),
        _ => folder
            .canonicalize()
            .ok()
            .and_then(|f| f.file_name().map(ToOwned::to_owned)),
    };
    name.map(|name| name.to_string_lossy().into_owned())
}

/// Length of a file name without its extension. What follows the last dot of a UID is no extension.
fn stem_length(name: &str) -> usize {
    match name.rfind('.') {
        Some(dot) if dot > 0 && name[dot..].contains(|c: char| c.is_ascii_alphabetic()) => dot,
        _ => name.len(),
    }
}

fn key(name: &str) -> String {
    name.to_lowercase()
}

fn may_have_several_frames(draft: &Draft) -> bool {
    draft.kind != SourceKind::Image || !has_extension(&draft.path, &["png", "jpg", "jpeg", "bmp"])
}

/// Sources whose names are not theirs alone.
fn clashes(good: &[&Draft], names: &[String]) -> HashSet<usize> {
    let mut by_key: HashMap<String, Vec<usize>> = HashMap::new();
    for (i, name) in names.iter().enumerate() {
        by_key.entry(key(name)).or_default().push(i);
    }
    let mut clashing: HashSet<usize> = by_key
        .values()
        .filter(|v| v.len() > 1)
        .flatten()
        .copied()
        .collect();
    for (i, name) in names.iter().enumerate() {
        let name = key(name);
        for (slash, _) in name.match_indices('/') {
            let above = by_key.get(&name[..slash]).into_iter().flatten();
            for &folder in above.filter(|&&f| may_have_several_frames(good[f])) {
                clashing.extend([i, folder]);
            }
        }
    }
    clashing
}

/// What still clashes gets `~2`, `~3` and so on in the order of the inputs.
fn number_the_rest(good: &[&Draft], names: &mut [String]) {
    let mut taken: HashSet<String> = names.iter().map(|n| key(n)).collect();
    let mut rest: Vec<usize> = clashes(good, names).into_iter().collect();
    rest.sort_unstable();
    let mut seen = HashSet::new();
    for i in rest {
        let is_first = seen.insert(key(&names[i]));
        let below = format!("{}/", key(&names[i]));
        let has_others_below =
            may_have_several_frames(good[i]) && names.iter().any(|n| key(n).starts_with(&below));
        if is_first && !has_others_below {
            continue;
        }
        let numbered = (2u64..)
            .map(|n| format!("{}~{n}", names[i]))
            .find(|n| !taken.contains(&key(n)));
        if let Some(name) = numbered {
            taken.insert(key(&name));
            names[i] = name;
        }
    }
}
