//! Names of repositories, revisions and files on the hub.

use serde::Serialize;
use std::fmt;

/// A model repository at a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HubRepo {
    id: String,
    revision: String,
}

impl HubRepo {
    /// The repository `id` (`org/name`) at `revision`: a branch, a tag or a commit hash of 40 digits. None where one is
    /// not of the form that the hub allows.
    pub fn new(id: &str, revision: &str) -> Option<Self> {
        let (org, name) = id.split_once('/')?;
        let part = |s: &str| {
            let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            (1..=96).contains(&s.len())
                && s.chars().all(inner)
                && !s.starts_with(['.', '-'])
                && !s.ends_with(['.', '-'])
        };
        let odd = |s: &str| s.contains("..") || s.contains("--");
        let revision_ok = (1..=128).contains(&revision.len()) && is_safe_path(revision);
        (part(org) && part(name) && !odd(id) && revision_ok).then(|| Self {
            id: id.to_owned(),
            revision: revision.to_owned(),
        })
    }

    /// `org/name`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Branch, tag or commit hash.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The same repository at another revision, if that is well formed.
    pub fn at(&self, revision: &str) -> Option<Self> {
        Self::new(&self.id, revision)
    }

    /// Whether the revision is a commit hash, which never comes to mean something else.
    pub fn is_pinned(&self) -> bool {
        is_hex(&self.revision, 40)
    }

    /// Address of a file of the repository.
    pub fn url(&self, endpoint: &str, file: &str) -> String {
        format!(
            "{endpoint}/{}/resolve/{}/{file}",
            self.id,
            self.revision.replace('/', "%2F")
        )
    }
}

impl fmt::Display for HubRepo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.id, self.revision)
    }
}

pub(super) fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether `path` is a relative path of plain names, safe below a folder and in an address.
pub(super) fn is_safe_path(path: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '=');
    path.split('/').all(|part| {
        !part.is_empty() && part.chars().all(plain) && !part.starts_with("..") && part != "."
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_names_pass() {
        let sha = "066438d3d8f0da137a37b38fdf3368fd4afceced";
        assert!(HubRepo::new("lmz/candle-sam", sha).unwrap().is_pinned());
        let branch = HubRepo::new("a_b/c.d-1", "refs/pr/3").unwrap();
        assert!(!branch.is_pinned());
        assert_eq!(
            branch.url("http://h", "x.json"),
            "http://h/a_b/c.d-1/resolve/refs%2Fpr%2F3/x.json"
        );
        for (id, revision) in [
            ("a", "main"),
            ("a/b/c", "main"),
            ("a/..", "main"),
            ("a/b c", "main"),
            ("-a/b", "main"),
            ("a/b", "../x"),
            ("a/b", ""),
            ("a/b", "x\n"),
        ] {
            assert!(HubRepo::new(id, revision).is_none(), "{id} {revision}");
        }
    }
}
