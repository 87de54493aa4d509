//! Positions of a record's sources among all that the inputs stand for.

use std::sync::Arc;

/// Rising positions of sources.
#[derive(Debug, Clone, Default)]
pub(crate) enum Ordinals {
    /// 0, 1, 2 and so on: all sources.
    #[default]
    All,
    /// These.
    Listed(Arc<[usize]>),
}

impl Ordinals {
    /// The position of the source at `place`; no position where there is no such source.
    pub(crate) fn at(&self, place: usize) -> usize {
        match self {
            Self::All => place,
            Self::Listed(listed) => listed.get(place).copied().unwrap_or(usize::MAX),
        }
    }

    /// The items of `all` at these positions.
    pub(crate) fn pick<T: Clone>(&self, all: &[T]) -> Vec<T> {
        match self {
            Self::All => all.to_vec(),
            Self::Listed(listed) => listed
                .iter()
                .filter_map(|&at| all.get(at).cloned())
                .collect(),
        }
    }
}
