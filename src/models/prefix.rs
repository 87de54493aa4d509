//! What training wrappers (Lightning, data parallel, compiled) put before every name of a model: `model.`, `net.`, `module.`, `_orig_mod.`
//! and stacks of them.

use std::collections::{BTreeMap, BTreeSet};

/// Names that are those of a model below a prefix, but not all of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// Tensors without the prefix that the model's tensors have.
    #[error(
        "{origin}: the model's tensors have the prefix {prefix}, as training wrappers write them, and {} without it: {}; save the wrapped \
         model's own state_dict, or remove the other tensors",
        others(names.len()), shorten(names)
    )]
    Others {
        /// The checkpoint.
        origin: String,
        /// What the model's names begin with.
        prefix: String,
        /// Names that do not begin so.
        names: Vec<String>,
    },
    /// More than one model.
    #[error(
        "{origin}: has several models, with the prefixes {}; save one of them alone",
        list(prefixes)
    )]
    Several {
        /// The checkpoint.
        origin: String,
        /// What the models' names begin with.
        prefixes: Vec<String>,
    },
}

fn others(count: usize) -> String {
    if count == 1 {
        "1 tensor is there".to_owned()
    } else {
        format!("{count} tensors are there")
    }
}

fn shorten(names: &[String]) -> String {
    let shown = names.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 8 {
        format!("{shown}, … ({} more)", names.len() - 8)
    } else {
        shown
    }
}

fn list(prefixes: &[String]) -> String {
    let one = |prefix: &String| {
        if prefix.is_empty() {
            "(none)".to_owned()
        } else {
            prefix.clone()
        }
    };
    prefixes.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Which of `marks` (beginnings of names that a model has for certain) there is among `names`, and the prefix it stands behind. None if
/// there is none.
///
/// # Errors
/// [`PrefixError`] if not all names have that prefix, or there are several.
pub(super) fn find<'a, T: Copy + Ord>(
    origin: &str,
    names: impl Iterator<Item = &'a str> + Clone,
    marks: &[(T, &str)],
) -> Result<Option<(T, String)>, PrefixError> {
    let mut found: BTreeMap<&str, BTreeSet<T>> = BTreeMap::new();
    for name in names.clone() {
        for (kind, mark) in marks {
            let place = name.match_indices(mark).find(|(at, _)| {
                name.get(..*at)
                    .is_some_and(|before| before.is_empty() || before.ends_with('.'))
            });
            if let Some(prefix) = place.and_then(|(at, _)| name.get(..at)) {
                found.entry(prefix).or_default().insert(*kind);
            }
        }
    }
    let mut found = found.into_iter();
    let Some((prefix, kinds)) = found.next() else {
        return Ok(None);
    };
    let further: Vec<&str> = found.map(|(prefix, _)| prefix).collect();
    if !further.is_empty() {
        let prefixes = std::iter::once(prefix)
            .chain(further)
            .map(str::to_owned)
            .collect();
        return Err(PrefixError::Several {
            origin: origin.to_owned(),
            prefixes,
        });
    }
    let others: Vec<String> = names
        .filter(|name| !name.starts_with(prefix))
        .map(str::to_owned)
        .collect();
    if !others.is_empty() {
        return Err(PrefixError::Others {
            origin: origin.to_owned(),
            prefix: prefix.to_owned(),
            names: others,
        });
    }
    Ok(kinds.first().map(|kind| (*kind, prefix.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKS: [(u8, &str); 2] = [(1, "model.backbone.model."), (2, "backbone.stem.")];

    fn of(names: &[&str]) -> Result<Option<(u8, String)>, PrefixError> {
        find("x.ckpt", names.iter().copied(), &MARKS)
    }

    #[test]
    fn prefixes_are_found_by_what_stands_behind_them() {
        assert_eq!(
            of(&["backbone.stem.a", "decoder.b"]),
            Ok(Some((2, String::new())))
        );
        assert_eq!(
            of(&["model.backbone.stem.a", "model.decoder.b"]),
            Ok(Some((2, "model.".to_owned())))
        );
        assert_eq!(
            of(&["net.module._orig_mod.backbone.stem.a"]),
            Ok(Some((2, "net.module._orig_mod.".to_owned())))
        );
        assert_eq!(
            of(&["model.backbone.model.a", "class_embed.b"]),
            Ok(Some((1, String::new())))
        );
        assert_eq!(
            of(&["model.model.backbone.model.a", "model.class_embed.b"]),
            Ok(Some((1, "model.".to_owned())))
        );
        assert_eq!(of(&["mybackbone.stem.a"]), Ok(None));
        assert_eq!(of(&[]), Ok(None));
    }

    #[test]
    fn what_is_beside_the_model_is_named() {
        let error = |names: &[&str]| of(names).unwrap_err().to_string();
        assert_eq!(
            error(&["model.backbone.stem.a", "criterion.weight"]),
            "x.ckpt: the model's tensors have the prefix model., as training wrappers write them, and 1 tensor is there without it: \
             criterion.weight; save the wrapped model's own state_dict, or remove the other tensors"
        );
        assert!(
            error(&["backbone.stem.a", "ema.backbone.stem.a"])
                .contains("several models, with the prefixes (none), ema.;")
        );
        assert!(
            error(&["student.backbone.stem.a", "teacher.backbone.stem.a"])
                .contains("student., teacher.")
        );
    }
}
