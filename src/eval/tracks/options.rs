//! How tracks are compared.

use std::{fmt, str::FromStr};

/// How tracks are compared.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TrackOptions {
    /// What the IoU is of; none: of masks where all objects of both files have one, else of boxes.
    pub iou: Option<TrackIou>,
    /// Minimum IoU of matched objects for CLEAR and Identity, above 0 and up to 1. HOTA has all of 0.05 to 0.95.
    pub iou_threshold: f64,
    /// Which objects are judged; none: as the ground truth says (see [`TrackRules`]).
    pub rules: Option<TrackRules>,
    /// Minimum score of a prediction; those without a score are taken.
    pub confidence: Option<f64>,
    /// Compare only sequences, frames and classes that both files have, instead of refusing others.
    pub common_only: bool,
}

impl Default for TrackOptions {
    fn default() -> Self {
        Self {
            iou: None,
            iou_threshold: 0.5,
            rules: None,
            confidence: None,
            common_only: false,
        }
    }
}

/// What the intersection over union is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TrackIou {
    /// Boxes: those that the file states, else those of the masks.
    Boxes,
    /// Masks, which all objects must have.
    Masks,
}

/// Which objects are judged.
///
/// Without a choice MOT text with a list of class names, and everything but MOT text, has [`Classes`](Self::Classes); MOT text
/// whose classes are all -1 has [`Mot15`](Self::Mot15), that of sequences called `MOT20-…` [`Mot20`](Self::Mot20), and all
/// other MOT text [`Mot17`](Self::Mot17).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TrackRules {
    /// Each class by itself. Predictions without a match of which more than half lies in a crowd are not judged.
    Classes,
    /// MOTChallenge 2015: all objects are of one class. Those marked 0 are left out.
    Mot15,
    /// MOTChallenge 2016 and 2017: pedestrians alone. Predictions matched with people on vehicles, static people, distractors or
    /// reflections are left out.
    Mot17,
    /// MOTChallenge 2020: the same, with vehicles that are no MOT vehicles among what is left out.
    Mot20,
}

macro_rules! names {
    ($type:ident, $what:literal, $($variant:ident = $name:literal),+) => {
        impl $type {
            /// All, in the order in which they are named.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let known = Self::ALL.iter().copied().find(|known| known.name() == text);
                known.ok_or_else(|| {
                    let names: Vec<&str> = Self::ALL.iter().map(|known| known.name()).collect();
                    format!("{text}: no such {}; there are {}", $what, names.join(", "))
                })
            }
        }
    };
}

names!(TrackIou, "kind of IoU", Boxes = "boxes", Masks = "masks");
names!(
    TrackRules,
    "set of rules",
    Classes = "classes",
    Mot15 = "mot15",
    Mot17 = "mot17",
    Mot20 = "mot20"
);
