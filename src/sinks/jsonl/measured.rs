//! Sizes of an object in a line of `detections.jsonl`.

use crate::{
    frame::{Object, Physical},
    measure::{measure, rounded},
};
use serde::Serialize;

/// Sizes of an object in millimetres, rounded to six significant digits, or why there are none.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Measured {
    /// At a place with a scale; [`crate::measure::Millimetres`] says what each is.
    Sizes {
        /// Width and height of a pixel.
        spacing_mm: [f64; 2],
        /// Area.
        area_mm2: f64,
        /// Extent along the longer principal axis.
        length_mm: f64,
        /// Extent across it.
        width_mm: f64,
        /// Length of the outline.
        perimeter_mm: f64,
        /// Centroid x, y from the upper left corner of the frame.
        centroid_mm: [f64; 2],
    },
    /// At a place without a scale in a frame with ultrasound regions.
    Nothing {
        /// Why: "across regions", "regions of unequal scale", "outside regions", "region without scale".
        note: String,
    },
}

impl Measured {
    /// Of an object in a frame with these facts; none where they have no scale, or the mask is empty.
    pub(super) fn of(object: &Object, physical: &Physical) -> Option<Self> {
        if object.mask.as_ref().is_some_and(|mask| mask.area() == 0) {
            return None;
        }
        let sizes = measure(object.mask.as_ref(), object.bbox, Some(physical));
        match (sizes.mm, sizes.note) {
            (Some(mm), _) => Some(Self::Sizes {
                spacing_mm: mm.spacing_mm.map(rounded),
                area_mm2: rounded(mm.area_mm2),
                length_mm: rounded(mm.length_mm),
                width_mm: rounded(mm.width_mm),
                perimeter_mm: rounded(mm.perimeter_mm),
                centroid_mm: mm.centroid_mm.map(rounded),
            }),
            (None, Some(note)) => Some(Self::Nothing {
                note: note.to_string(),
            }),
            (None, None) => None,
        }
    }
}
