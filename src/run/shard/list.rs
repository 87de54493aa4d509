//! The list of the sources: whether two runs have the same, and in which order.

use super::publish::token;
use crate::{
    sinks::SinkError,
    sources::{SourceError, SourceSpec},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{BufRead, BufReader, BufWriter, Write},
    path::Path,
};

type Sources = [Result<SourceSpec, SourceError>];

/// What identifies a list of sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ListDigest {
    /// Sources that can be read.
    pub(crate) sources: u64,
    /// Inputs that cannot.
    pub(crate) unreadable: u64,
    /// The same for the same sources in any order.
    pub(crate) set: String,
    /// The same for the same sources in the same order.
    pub(crate) order: String,
}

impl ListDigest {
    pub(crate) fn of(sources: &Sources) -> Self {
        let mut order = Sha256::new();
        // Sums of 64 bits each: they do not depend on the order, and each source counts as often as it is there.
        let mut set = [0u64; 4];
        for source in sources {
            let digest = digest(source);
            order.update(digest);
            for (sum, part) in set.iter_mut().zip(digest.chunks_exact(8)) {
                let part = part.iter().fold(0u64, |n, &b| n << 8 | u64::from(b));
                *sum = sum.wrapping_add(part);
            }
        }
        let good = sources.iter().filter(|source| source.is_ok()).count();
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        Self {
            sources: good as u64,
            unreadable: (sources.len() - good) as u64,
            set: set.iter().map(|sum| format!("{sum:016x}")).collect(),
            order: hex(&order.finalize()),
        }
    }
}

fn digest(source: &Result<SourceSpec, SourceError>) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    match source {
        Ok(spec) => {
            add(b"source");
            add(spec.name.as_bytes());
            add(spec.path.as_os_str().as_encoded_bytes());
            add(format!("{:?} {}", spec.kind, spec.files.len()).as_bytes());
        }
        Err(error) => {
            add(b"unreadable");
            add(error.path.as_os_str().as_encoded_bytes());
        }
    }
    hash.finalize().into()
}

/// Writes the names of the sources, a JSON string a line.
///
/// # Errors
/// [`SinkError`] if the file cannot be written.
pub(super) fn write(path: &Path, sources: &Sources) -> Result<(), SinkError> {
    let failed = |e: std::io::Error| SinkError::io(path, "write the list of sources", &e);
    // Two may write it at once: each a file of its own, then the name.
    let own = path.with_file_name(format!(".ultramotion-{}.tmp", token()));
    let mut file = BufWriter::new(File::create(&own).map_err(failed)?);
    for spec in sources.iter().flatten() {
        let name =
            serde_json::to_string(&spec.name).map_err(|e| SinkError::new(path, e.to_string()))?;
        writeln!(file, "{name}").map_err(failed)?;
    }
    file.flush().map_err(failed)?;
    std::fs::rename(&own, path).map_err(failed)
}

/// The names that [`write`] wrote, one by one.
fn names(path: &Path) -> Result<impl Iterator<Item = Result<String, SinkError>>, SinkError> {
    let failed = |e: std::io::Error| SinkError::io(path, "read the list of sources", &e);
    let lines = BufReader::new(File::open(path).map_err(failed)?).lines();
    let path = path.to_owned();
    Ok(lines.map(move |line| {
        let line = line.map_err(|e| SinkError::io(&path, "read the list of sources", &e))?;
        serde_json::from_str(&line).map_err(|e| SinkError::new(&path, e.to_string()))
    }))
}

/// Where in `sources` those of the list at `path` are, in its order; those that cannot be read come last, as they stand.
///
/// # Errors
/// [`SinkError`] if the list cannot be read or has other sources.
pub(super) fn order(path: &Path, sources: &Sources) -> Result<Vec<usize>, SinkError> {
    let named = |(at, source): (usize, &Result<SourceSpec, SourceError>)| {
        Some((source.as_ref().ok()?.name.as_str().to_owned(), at))
    };
    let mut places: HashMap<String, usize> = sources.iter().enumerate().filter_map(named).collect();
    let mut order = Vec::with_capacity(sources.len());
    for name in names(path)? {
        let name = name?;
        let at = places.remove(&name);
        order.push(at.ok_or_else(|| SinkError::new(path, format!("has a source {name}")))?);
    }
    order.extend((0..sources.len()).filter(|&at| sources[at].is_err()));
    Ok(order)
}

/// In words, a source that only one of the lists has: that at `path`, and `sources`. None where they have the same names, or there is no
/// list.
pub(super) fn difference(path: &Path, sources: &Sources) -> Option<String> {
    let mut ours: HashSet<&str> = (sources.iter().flatten())
        .map(|spec| spec.name.as_str())
        .collect();
    for name in names(path).ok()? {
        let name = name.ok()?;
        if !ours.remove(name.as_str()) {
            return Some(format!("{name} was among them and is not any more"));
        }
    }
    let new = ours.into_iter().min()?;
    Some(format!("{new} was not among them"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::SourceKind;

    fn sources(names: &[&str]) -> Vec<Result<SourceSpec, SourceError>> {
        let one = |name: &&str| match name.strip_prefix('!') {
            Some(path) => Err(SourceError::new(path, "is broken")),
            None => Ok(SourceSpec {
                path: format!("in/{name}.png").into(),
                kind: SourceKind::Image,
                files: vec![format!("in/{name}.png").into()],
                name: (*name).to_owned(),
                folder: None,
            }),
        };
        names.iter().map(one).collect()
    }

    #[test]
    fn digests_tell_other_sources_from_another_order() {
        let first = sources(&["a", "b", "!c", "d"]);
        let (digest, other) = (
            ListDigest::of(&first),
            ListDigest::of(&sources(&["d", "a", "!c", "b"])),
        );
        assert_eq!((digest.sources, digest.unreadable), (3, 1));
        assert_eq!(digest.set, other.set);
        assert_ne!(digest.order, other.order);
        for names in [
            &["a", "b", "!c"][..],
            &["a", "b", "!c", "d", "d"],
            &["a", "b", "c", "d"],
        ] {
            assert_ne!(ListDigest::of(&sources(names)).set, digest.set, "{names:?}");
        }
    }

    #[test]
    fn a_list_in_another_order_is_put_in_that_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sources.jsonl");
        write(&path, &sources(&["a", "x\n\"y", "!c", "d"])).unwrap();
        let shuffled = sources(&["!c", "d", "x\n\"y", "a"]);
        assert_eq!(order(&path, &shuffled).unwrap(), [3, 2, 1, 0]);
        assert_eq!(difference(&path, &shuffled), None);
        let (less, more) = (sources(&["a", "d"]), sources(&["a", "x\n\"y", "d", "e"]));
        assert!(order(&path, &less).is_err());
        assert!(
            difference(&path, &less)
                .unwrap()
                .ends_with("is not any more")
        );
        assert_eq!(difference(&path, &more).unwrap(), "e was not among them");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
