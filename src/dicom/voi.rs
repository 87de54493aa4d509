//! VOI transform: from values of the modality to 8 bits (PS3.3 C.11.2).

use super::{
    finding::DicomFinding,
    frame_attributes::FrameAttributes,
    layout::{Layout, SampleKind},
    lut::Lut,
    modality::Modality,
};
use dicom_dictionary_std::tags;

/// Window, VOI LUT or range.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Voi {
    Linear {
        center: f64,
        width: f64,
    },
    LinearExact {
        center: f64,
        width: f64,
    },
    Sigmoid {
        center: f64,
        width: f64,
    },
    Table(Lut),
    /// From the lowest value, black, to the highest, white.
    Range {
        low: f64,
        high: f64,
    },
}

impl Voi {
    /// The VOI LUT Functions of PS3.3 C.11.2.1.2.1 and C.11.2.1.3.
    pub(super) fn apply(&self, x: f64) -> u8 {
        let linear = |center: f64, width: f64| {
            if x <= center - width / 2.0 {
                0
            } else if x > center + width / 2.0 {
                255
            } else {
                to_8_bits((x - center) / width + 0.5)
            }
        };
        match self {
            Self::Linear { center, width } => linear(center - 0.5, width - 1.0),
            Self::LinearExact { center, width } => linear(*center, *width),
            Self::Sigmoid { center, width } => {
                to_8_bits(1.0 / (1.0 + (-4.0 * (x - center) / width).exp()))
            }
            Self::Table(lut) => {
                to_8_bits(f64::from(lut.map(x)) / f64::from((1_u32 << lut.bits) - 1))
            }
            // Halved, the difference of the largest numbers there are is one still.
            Self::Range { low, high } if high > low => {
                to_8_bits((x / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0))
            }
            Self::Range { .. } => 0,
        }
    }
}

/// The window of the user, LINEAR where the standard defines that, else LINEAR_EXACT.
pub(super) fn window_of_user(center: f64, width: f64, layout: &Layout, modality: &Modality) -> Voi {
    match width >= 1.0 && modality.gives_whole_numbers(layout) {
        true => Voi::Linear { center, width },
        false => Voi::LinearExact { center, width },
    }
}

/// The VOI LUT or window of the file; what is broken is passed over and found.
pub(super) fn voi_of_file(
    a: FrameAttributes<'_>,
    layout: &Layout,
    modality: &Modality,
    findings: &mut Vec<DicomFinding>,
) -> Option<Voi> {
    // Values after a modality LUT are unsigned.
    let signed = match modality {
        Modality::Rescale { slope, intercept } => layout.signed || *intercept < 0.0 || *slope < 0.0,
        Modality::Table(_) => false,
    };
    let item = a.data_set.first_item(tags::VOILUT_SEQUENCE);
    if let Some(item) = item.filter(|i| i.has(tags::LUT_DESCRIPTOR) && i.has(tags::LUT_DATA)) {
        match Lut::from_item(item, signed) {
            Ok(table) => return Some(Voi::Table(table)),
            Err(error) => findings.push(DicomFinding::VoiTable {
                problem: error.to_string(),
            }),
        }
    }
    let place = a.place(tags::FRAME_VOILUT_SEQUENCE, tags::WINDOW_CENTER);
    let mut broken = |name, value| {
        findings.push(DicomFinding::Window { name, value });
        None
    };
    let (center, width) = match (
        place.first_number(tags::WINDOW_CENTER),
        place.first_number(tags::WINDOW_WIDTH),
    ) {
        (Err(value), _) => return broken("WindowCenter", value),
        (_, Err(value)) => return broken("WindowWidth", value),
        (Ok(Some(center)), Ok(Some(width))) => (center, width),
        _ => return None,
    };
    if width <= 0.0 {
        return broken("WindowWidth", width.to_string());
    }
    let function = place
        .text(tags::VOILUT_FUNCTION)
        .map_or_else(|| "LINEAR".to_owned(), |f| f.to_ascii_uppercase());
    if !["LINEAR", "LINEAR_EXACT", "SIGMOID"].contains(&function.as_str()) {
        findings.push(DicomFinding::WindowFunction {
            value: function.chars().take(64).collect(),
        });
    }
    Some(match function.as_str() {
        "SIGMOID" => Voi::Sigmoid { center, width },
        "LINEAR_EXACT" => Voi::LinearExact { center, width },
        _ if width >= 1.0 && layout.kind == SampleKind::Integer => Voi::Linear { center, width },
        _ => Voi::LinearExact { center, width },
    })
}

/// The range of the stored bits, for integers of up to 8.
pub(super) fn range_of_bits(layout: &Layout, modality: &Modality) -> Option<Voi> {
    let (Modality::Rescale { slope, intercept }, SampleKind::Integer, ..=8) =
        (modality, layout.kind, layout.bits_stored)
    else {
        return None;
    };
    let span = f64::from(1_u32 << layout.bits_stored);
    let low = if layout.signed { -span / 2.0 } else { 0.0 };
    let ends = [low, low + span - 1.0].map(|v| v * slope + intercept);
    Some(Voi::Range {
        low: ends[0].min(ends[1]),
        high: ends[0].max(ends[1]),
    })
}

/// 0..1 to 0..=255, rounded half up; not-a-number is black.
pub(super) fn to_8_bits(x: f64) -> u8 {
    (x.clamp(0.0, 1.0) * 255.0 + 0.5).floor() as u8
}
