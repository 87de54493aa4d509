//! Modality transform: from stored values to values of the modality (PS3.3 C.11.1).

use super::{
    error::Result,
    finding::DicomFinding,
    frame_attributes::FrameAttributes,
    layout::{Layout, SampleKind},
    lut::Lut,
};
use dicom_dictionary_std::tags;

/// Modality LUT or rescale.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Modality {
    Rescale { slope: f64, intercept: f64 },
    Table(Lut),
}

impl Modality {
    /// The value of the modality of a stored value.
    pub(super) fn apply(&self, v: f64) -> f64 {
        match self {
            Self::Rescale { slope, intercept } => v * slope + intercept,
            Self::Table(lut) => f64::from(lut.map(v)),
        }
    }

    /// Whether values after the transform are whole numbers, for which LINEAR windows are defined.
    pub(super) fn gives_whole_numbers(&self, layout: &Layout) -> bool {
        layout.kind == SampleKind::Integer
            && match self {
                Self::Rescale { slope, intercept } => {
                    slope.fract() == 0.0 && intercept.fract() == 0.0
                }
                Self::Table(_) => true,
            }
    }
}

/// The modality transform; where the file's rescale is none, the identity and what was found.
pub(super) fn modality(
    a: FrameAttributes<'_>,
    signed: bool,
) -> Result<(Modality, Option<DicomFinding>)> {
    if let Some(item) = a.data_set.first_item(tags::MODALITY_LUT_SEQUENCE) {
        return Ok((Modality::Table(Lut::from_item(item, signed)?), None));
    }
    let place = a.place(
        tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
        tags::RESCALE_SLOPE,
    );
    let identity = Modality::Rescale {
        slope: 1.0,
        intercept: 0.0,
    };
    let broken = |name, value| {
        let finding = DicomFinding::Rescale { name, value };
        (identity.clone(), Some(finding))
    };
    Ok(
        match (
            place.first_number(tags::RESCALE_SLOPE),
            place.first_number(tags::RESCALE_INTERCEPT),
        ) {
            (Err(value), _) => broken("RescaleSlope", value),
            (_, Err(value)) => broken("RescaleIntercept", value),
            (Ok(Some(0.0)), Ok(Some(_))) => broken("RescaleSlope", "0".to_owned()),
            (Ok(Some(slope)), Ok(Some(intercept))) => {
                (Modality::Rescale { slope, intercept }, None)
            }
            _ => (identity, None),
        },
    )
}
