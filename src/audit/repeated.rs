//! Inputs that are read as often as a pass needs frames.

use crate::sources::{SourceError, SourceSpec};

/// Maximum number of sources of one pass, repetitions included.
const MAX_SOURCES: usize = 200_000;

/// `sources` repeated until there are `max`, the number of frames that a pass may read. Repetitions get names of their own;
/// sources that failed are not repeated.
pub(super) fn repeated(
    sources: &[Result<SourceSpec, SourceError>],
    max: u64,
) -> Vec<Result<SourceSpec, SourceError>> {
    let max = usize::try_from(max)
        .unwrap_or(usize::MAX)
        .min(MAX_SOURCES)
        .max(sources.len());
    let rounds = if sources.iter().any(Result::is_ok) {
        max.div_ceil(sources.len().max(1))
    } else {
        1
    };
    let again = |round: usize| {
        sources
            .iter()
            .filter(move |source| round == 0 || source.is_ok())
            .map(move |source| {
                source.clone().map(|spec| match round {
                    0 => spec,
                    _ => SourceSpec {
                        name: format!("{} ({})", spec.name, round + 1),
                        ..spec
                    },
                })
            })
    };
    (0..rounds).flat_map(again).take(max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::SourceKind;

    #[test]
    fn sources_are_repeated_under_names_of_their_own_and_bad_ones_only_once() {
        let spec = SourceSpec {
            path: "a.png".into(),
            kind: SourceKind::Image,
            files: vec!["a.png".into()],
            name: "a".into(),
            folder: None,
        };
        let sources = [Ok(spec), Err(SourceError::new("b.png", "is bad"))];
        let all = repeated(&sources, 5);
        let names: Vec<String> = all
            .iter()
            .map(|s| s.as_ref().map_or("bad".to_owned(), |s| s.name.clone()))
            .collect();
        assert_eq!(names, ["a", "bad", "a (2)", "a (3)"]);
        assert_eq!(repeated(&sources[1..], 5).len(), 1);
        assert!(repeated(&sources, u64::MAX).len() <= MAX_SOURCES);
    }
}
