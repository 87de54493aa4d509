//! What sources are dealt out by.

use super::draft::Draft;
use sha2::{Digest, Sha256};
use std::path::{Component, Path};

/// The first eight bytes, high byte first, of the SHA-256 of a source's path relative to the input that it was found in: the file's
/// own name where it was named itself, the path below the folder of a search, pattern or list otherwise. Parts are joined by `/`; a
/// sequence has the name of its pattern as a further part, since a folder may hold several.
///
/// It does not depend on other sources, on their order, or on where the input lies.
pub(super) fn of_draft(draft: &Draft) -> u64 {
    let below = draft
        .base
        .as_deref()
        .and_then(|base| draft.path.strip_prefix(base).ok());
    let own = || Path::new(draft.path.file_name().unwrap_or_default());
    let path = below.unwrap_or_else(own);
    digest(path, draft.pattern.as_deref())
}

/// The same of an input that could not be read, by its path as it was given.
pub(super) fn of_path(path: &Path) -> u64 {
    digest(path, None)
}

fn digest(path: &Path, pattern: Option<&str>) -> u64 {
    let names = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.as_encoded_bytes()),
        Component::ParentDir => Some(&b".."[..]),
        _ => None,
    });
    let mut hash = Sha256::new();
    for (at, part) in names.chain(pattern.map(str::as_bytes)).enumerate() {
        if at > 0 {
            hash.update(b"/");
        }
        hash.update(part);
    }
    let digest = hash.finalize();
    digest
        .iter()
        .take(8)
        .fold(0, |key, &byte| key << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::SourceKind;

    #[test]
    fn keys_are_those_of_the_documentation_and_of_the_path_below_the_input() {
        let of = |path: &str, base: Option<&str>| {
            of_draft(&Draft::file(
                path.into(),
                SourceKind::Image,
                base.map(Path::new),
            ))
        };
        // printf a/b.png | sha256sum
        let expected = 0x88f7_ec79_82e1_b5db;
        assert_eq!(of("/data/in/a/b.png", Some("/data/in")), expected);
        assert_eq!(of("in/./a//b.png", Some("in")), expected);
        assert_eq!(of("a/b.png", Some("")), expected);
        assert_eq!(of("elsewhere/b.png", None), of("b.png", Some("")));
        let sequence = Draft {
            path: "in/a".into(),
            pattern: Some("b.png".to_owned()),
            ..Draft::file("in/a".into(), SourceKind::Sequence, Some(Path::new("in")))
        };
        assert_eq!(of_draft(&sequence), expected);
    }
}
