//! Numbered images of a folder as sequences.

use super::{draft::Draft, natural};
use crate::{frame::SourceKind, run_files::last_number, sources::SourceError};
use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
};

/// An image of a folder, or what ought to be one and why it is none.
pub(super) struct Numbered {
    pub(super) path: PathBuf,
    pub(super) problem: Option<SourceError>,
}

/// What the files of a sequence have in common: folder, name before and after the last number, extension.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Pattern {
    folder: PathBuf,
    before: Vec<u8>,
    after: Vec<u8>,
    extension: Vec<u8>,
}

/// The pattern of a file name and its number as digits; none for a name without a number.
fn pattern_of(path: &Path) -> Option<(Pattern, Vec<u8>)> {
    let stem = path.file_stem()?.as_encoded_bytes();
    let Range { start, end } = last_number(stem)?;
    let pattern = Pattern {
        folder: path.parent()?.to_owned(),
        before: stem[..start].to_vec(),
        after: stem[end..].to_vec(),
        extension: path
            .extension()
            .unwrap_or_default()
            .to_ascii_lowercase()
            .into_encoded_bytes(),
    };
    Some((pattern, stem[start..end].to_vec()))
}

/// Sequences and single images, each with the path that orders it. A damaged file inside a
/// sequence stays in it and gives its error when its turn comes.
pub(super) fn sources(
    images: Vec<Numbered>,
    as_images: bool,
    root: &Path,
) -> Vec<(PathBuf, Result<Draft, SourceError>)> {
    let mut groups: BTreeMap<Pattern, Vec<(Vec<u8>, Numbered)>> = BTreeMap::new();
    let mut single = Vec::new();
    for image in images {
        match pattern_of(&image.path) {
            Some((pattern, number)) if !as_images => {
                groups.entry(pattern).or_default().push((number, image))
            }
            _ => single.push(image),
        }
    }
    let mut placed = Vec::new();
    for (pattern, mut members) in groups {
        if members.len() < 2 || members.iter().all(|(_, image)| image.problem.is_some()) {
            single.extend(members.into_iter().map(|(_, image)| image));
            continue;
        }
        members.sort_by(|(m, a), (n, b)| {
            natural::compare_numbers(m, n).then_with(|| a.path.cmp(&b.path))
        });
        let files: Vec<PathBuf> = members.into_iter().map(|(_, image)| image.path).collect();
        let draft = Draft {
            path: pattern.folder.clone(),
            kind: SourceKind::Sequence,
            base: Some(root.to_owned()),
            pattern: Some(pattern.label()),
            files,
        };
        placed.push((draft.files[0].clone(), Ok(draft)));
    }
    placed.extend(
        single
            .into_iter()
            .map(|Numbered { path, problem }| match problem {
                Some(error) => (path, Err(error)),
                None => (
                    path.clone(),
                    Ok(Draft::file(path, SourceKind::Image, Some(root))),
                ),
            }),
    );
    placed
}

impl Pattern {
    /// A word for the pattern: the name around the number, or `frames` where there is only the number.
    fn label(&self) -> String {
        let part = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            text.trim_matches(|c: char| c.is_ascii_punctuation() || c.is_whitespace())
                .to_owned()
        };
        let parts: Vec<String> = [part(&self.before), part(&self.after)]
            .into_iter()
            .filter(|p| !p.is_empty())
            .collect();
        if parts.is_empty() {
            "frames".to_owned()
        } else {
            parts.join("_")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_of_the_stem_counts() {
        let (pattern, number) = pattern_of(Path::new("d/patient1_frame007_left.PNG")).unwrap();
        assert_eq!(
            (pattern.before.as_slice(), pattern.after.as_slice()),
            (&b"patient1_frame"[..], &b"_left"[..])
        );
        assert_eq!(
            (pattern.extension.as_slice(), number.as_slice()),
            (&b"png"[..], &b"007"[..])
        );
        assert_eq!(pattern.label(), "patient1_frame_left");
        assert_eq!(
            pattern_of(Path::new("0001.png")).unwrap().0.label(),
            "frames"
        );
        assert!(pattern_of(Path::new("portrait.jp2")).is_none());
    }
}
