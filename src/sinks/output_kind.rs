//! The kinds of outputs, and sets of them.

use std::{collections::BTreeSet, fmt, str::FromStr};

/// One kind of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum OutputKind {
    /// `detections.jsonl`.
    Jsonl,
    /// `coco.json` and `coco_results.json`.
    Coco,
    /// `masks/`.
    Masks,
    /// `overlay/`.
    Overlay,
    /// `labels/`, `classes.txt`, `data.yaml`.
    Yolo,
    /// `frames/`.
    Frames,
}

impl OutputKind {
    /// All kinds, in the order in which they are named.
    pub const ALL: [Self; 6] = [
        Self::Jsonl,
        Self::Coco,
        Self::Masks,
        Self::Overlay,
        Self::Yolo,
        Self::Frames,
    ];

    /// Its name in `--write`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Coco => "coco",
            Self::Masks => "masks",
            Self::Overlay => "overlay",
            Self::Yolo => "yolo",
            Self::Frames => "frames",
        }
    }
}

/// A name that `--write` does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not an output; use any of jsonl, coco, masks, overlay, yolo, frames, separated by commas"
)]
#[non_exhaustive]
pub struct UnknownOutput(pub String);

impl FromStr for OutputKind {
    type Err = UnknownOutput;

    fn from_str(name: &str) -> Result<Self, UnknownOutput> {
        let found = Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name.trim().to_ascii_lowercase());
        found.ok_or_else(|| UnknownOutput(name.trim().to_owned()))
    }
}

impl fmt::Display for OutputKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The outputs of a run, parsed from a list as `jsonl,coco,masks`. JSONL is always among them: it is the run's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputSet(BTreeSet<OutputKind>);

impl OutputSet {
    /// The given kinds, and JSONL.
    pub fn new(kinds: impl IntoIterator<Item = OutputKind>) -> Self {
        Self(kinds.into_iter().chain([OutputKind::Jsonl]).collect())
    }

    /// What is written where the user says nothing: JSONL, COCO, overlays, and masks where a segmenter runs.
    pub fn default_for(segmenter: bool) -> Self {
        let masks = segmenter.then_some(OutputKind::Masks);
        Self::new(
            [OutputKind::Coco, OutputKind::Overlay]
                .into_iter()
                .chain(masks),
        )
    }

    /// Whether `kind` is in the set.
    pub fn contains(&self, kind: OutputKind) -> bool {
        self.0.contains(&kind)
    }

    /// The kinds, in the order of [`OutputKind::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = OutputKind> + '_ {
        self.0.iter().copied()
    }
}

impl FromStr for OutputSet {
    type Err = UnknownOutput;

    fn from_str(list: &str) -> Result<Self, UnknownOutput> {
        Ok(Self::new(
            list.split(',')
                .map(str::parse)
                .collect::<Result<Vec<_>, _>>()?,
        ))
    }
}

impl fmt::Display for OutputSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(OutputKind::name).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_parse_and_the_record_is_always_there() {
        assert_eq!(
            "masks, COCO".parse::<OutputSet>().unwrap().to_string(),
            "jsonl,coco,masks"
        );
        assert_eq!(
            OutputSet::default_for(true).to_string(),
            "jsonl,coco,masks,overlay"
        );
        assert_eq!(
            OutputSet::default_for(false).to_string(),
            "jsonl,coco,overlay"
        );
        assert_eq!(
            "coco,png".parse::<OutputSet>(),
            Err(UnknownOutput("png".into()))
        );
        assert_eq!("".parse::<OutputSet>(), Err(UnknownOutput(String::new())));
    }
}
