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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        frame::{Mask, UltrasoundRegion},
        geometry::{BoxXyxy, Size},
    };
    use serde_json::json;
    use std::sync::Arc;

    fn object(mask: Option<Mask>) -> Object {
        Object {
            bbox: BoxXyxy::new(1.0, 1.0, 4.0, 3.0),
            score: 0.5,
            class: 0,
            label: Arc::from("cyst"),
            mask,
            mask_score: None,
            track: None,
        }
    }

    #[test]
    fn sizes_or_why_there_are_none() {
        let spaced = Physical {
            pixel_spacing_mm: Some([0.5, 0.1 + 0.2]),
            ..Physical::default()
        };
        let sizes = Measured::of(&object(None), &spaced);
        assert_eq!(
            serde_json::to_value(sizes).unwrap(),
            json!({
                "spacing_mm": [0.3, 0.5], "area_mm2": 0.9, "length_mm": 1.0, "width_mm": 0.9, "perimeter_mm": 3.8,
                "centroid_mm": [0.75, 1.0],
            })
        );
        let region = UltrasoundRegion {
            bounds: BoxXyxy::new(0.0, 0.0, 2.5, 3.0),
            spatial_format: 1,
            data_type: 1,
            physical_delta: Some([0.1; 2]),
            physical_units: Some([3; 2]),
        };
        let regions = Physical {
            ultrasound_regions: vec![region],
            ..spaced
        };
        let nothing = Measured::of(&object(None), &regions);
        assert_eq!(
            serde_json::to_value(nothing).unwrap(),
            json!({ "note": "across regions" })
        );
        let empty = Mask::from_counts(Size::new(2, 2), vec![4]).unwrap();
        assert_eq!(Measured::of(&object(Some(empty)), &regions), None);
        let aspect = Physical {
            pixel_aspect: Some([4, 3]),
            ..Physical::default()
        };
        assert_eq!(Measured::of(&object(None), &aspect), None);
    }
}
