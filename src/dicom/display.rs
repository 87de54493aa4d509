//! From stored values to 8 bits for display: modality transform, VOI window or LUT, palette, inversion.
//!
//! The order is the standard's (PS3.4 N.2): stored value, Modality LUT or rescale, VOI LUT or window, then MONOCHROME1
//! is inverted. Which VOI applies:
//! 1. the window the user gave, also to 8-bit grey: LINEAR for whole numbers and a width of at least 1, else LINEAR_EXACT;
//! 2. else the first item of the VOI LUT Sequence;
//! 3. else the first Window Center and Window Width, by VOI LUT Function (LINEAR, LINEAR_EXACT, SIGMOID); LINEAR is
//!    LINEAR_EXACT for floating-point pixels and widths below 1, for which the standard does not define it;
//! 4. else, for integers of up to 8 stored bits, the range of the stored bits: 8-bit unsigned grey is shown as it is;
//! 5. else the range of the values in the file (of all frames, after rescale), so that a value has one grey throughout.
//!
//! LINEAR (PS3.3 C.11.2.1.2.1) is 0 up to c - 0.5 - (w-1)/2, 255 above c - 0.5 + (w-1)/2, and between them
//! ((x - (c - 0.5)) / (w-1) + 0.5) · 255; LINEAR_EXACT (C.11.2.1.3.2) is 0 up to c - w/2, 255 above c + w/2, and between
//! them ((x - c) / w + 0.5) · 255.
//!
//! A window, VOI LUT or rescale of the file that is none is a finding, and the frame is shown as without it. Values that
//! Pixel Padding Value and Pixel Padding Range Limit name do not count for the range.
//!
//! Results are rounded half up to 0..=255. Colour is never windowed; of more than 8 bits it is scaled by its stored bits.

use super::{
    attributes::Attributes,
    error::Result,
    file::DicomFile,
    finding::DicomFinding,
    layout::{Layout, Photometric, SampleKind},
    lut::{Lut, Palette},
    samples::{Samples, StoredFrame},
};
use dicom_core::Tag;
use dicom_dictionary_std::tags;

/// The window the user asks for.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Window {
    /// As the file says (see the module's rules).
    #[default]
    Auto,
    /// A centre and a positive width, in units after rescale: LINEAR for values that are whole numbers and a width of at
    /// least 1, else LINEAR_EXACT (PS3.3 C.11.2.1.2 and C.11.2.1.3).
    Fixed {
        /// Window Center.
        center: f64,
        /// Window Width.
        width: f64,
    },
}

impl std::str::FromStr for Window {
    type Err = String;

    fn from_str(s: &str) -> std::result::Result<Self, String> {
        if s == "auto" {
            return Ok(Self::Auto);
        }
        let wrong = || {
            format!(
                "{s:?} is no window; give auto or CENTER,WIDTH with a width above 0, such as 40,400"
            )
        };
        let (center, width) = s.split_once(',').ok_or_else(wrong)?;
        let (center, width): (f64, f64) = (
            center.trim().parse().map_err(|_| wrong())?,
            width.trim().parse().map_err(|_| wrong())?,
        );
        if center.is_finite() && width.is_finite() && width > 0.0 {
            Ok(Self::Fixed { center, width })
        } else {
            Err(wrong())
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Modality {
    Rescale { slope: f64, intercept: f64 },
    Table(Lut),
}

#[derive(Debug, Clone, PartialEq)]
enum Voi {
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

/// Everything between stored values of one frame and its display.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Display {
    modality: Modality,
    /// None until the range of the file's values is known.
    voi: Option<Voi>,
    palette: Option<Palette>,
    invert: bool,
    /// Lowest and highest stored value that stands for no value.
    padding: Option<(f64, f64)>,
    findings: Vec<DicomFinding>,
}

/// Where a frame's attributes of display are: its functional groups first, then the shared ones, then the data set.
#[derive(Clone, Copy)]
pub(super) struct FrameAttributes<'a> {
    pub(super) per_frame: Option<Attributes<'a>>,
    pub(super) shared: Option<Attributes<'a>>,
    pub(super) data_set: Attributes<'a>,
}

impl DicomFile {
    pub(super) fn frame_attributes(&self, frame: u64) -> FrameAttributes<'_> {
        let data_set = self.attributes();
        let per_frame = usize::try_from(frame).ok().and_then(|n| {
            data_set
                .items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE)
                .nth(n)
        });
        FrameAttributes {
            per_frame,
            shared: data_set.first_item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE),
            data_set,
        }
    }
}

impl<'a> FrameAttributes<'a> {
    /// The first of the places where `macro_sequence` holds `tag`, else the data set.
    pub(super) fn place(&self, macro_sequence: Tag, tag: Tag) -> Attributes<'a> {
        let groups = [self.per_frame, self.shared].into_iter().flatten();
        groups
            .filter_map(|g| g.first_item(macro_sequence))
            .find(|item| item.has(tag))
            .unwrap_or(self.data_set)
    }
}

impl Display {
    pub(super) fn read(a: FrameAttributes<'_>, layout: &Layout, window: Window) -> Result<Self> {
        let signed = layout.signed;
        let mut findings = Vec::new();
        let mut palette = None;
        if layout.photometric == Photometric::Palette {
            let (read, finding) = Palette::read(a.data_set, signed)?;
            palette = Some(read);
            findings.extend(finding);
        }
        let grey = matches!(
            layout.photometric,
            Photometric::Monochrome1 | Photometric::Monochrome2
        );
        let (modality, broken) = modality(a, signed)?;
        let mut shown_by = None;
        if grey {
            shown_by = match window {
                Window::Fixed { center, width } => {
                    Some(window_of_user(center, width, layout, &modality))
                }
                Window::Auto if broken.is_some() => None,
                Window::Auto => voi_of_file(a, layout, &modality, &mut findings),
            };
            shown_by = shown_by.or_else(|| range_of_bits(layout, &modality));
            findings.extend(broken);
            findings.extend(inversion(a.data_set, layout));
        }
        let padding = padding(a.data_set, layout);
        Ok(Self {
            modality,
            voi: shown_by,
            palette,
            invert: layout.photometric == Photometric::Monochrome1,
            padding,
            findings,
        })
    }

    /// What was found on reading.
    pub(super) fn take_findings(&mut self) -> Vec<DicomFinding> {
        std::mem::take(&mut self.findings)
    }

    /// Whether [`Self::set_range`] must be called with the range of the file's values before a frame is shown.
    pub(super) fn needs_range(&self, layout: &Layout) -> bool {
        self.voi.is_none() && layout.samples == 1 && self.palette.is_none()
    }

    pub(super) fn set_range(&mut self, low: f64, high: f64) {
        self.voi = Some(Voi::Range { low, high });
    }

    /// The lowest and highest value of a frame after the modality transform; padding and not-a-number are passed over.
    pub(super) fn range(&self, frame: &StoredFrame) -> Option<(f64, f64)> {
        let mut range: Option<(f64, f64)> = None;
        for_each_value(frame, |v| {
            let padding = self
                .padding
                .is_some_and(|(low, high)| (low..=high).contains(&v));
            let v = self.modality.apply(v);
            if v.is_finite() && !padding {
                range = Some(range.map_or((v, v), |(low, high)| (low.min(v), high.max(v))));
            }
        });
        range
    }

    /// The frame in 8 bits: one byte a pixel for grey, three for colour.
    pub(super) fn show(&self, frame: &StoredFrame) -> Vec<u8> {
        match &self.palette {
            Some(palette) => {
                let mut out = Vec::with_capacity(frame.samples.len().saturating_mul(3));
                for_each_value(frame, |v| out.extend(palette.map(v)));
                out
            }
            None if frame.samples_per_pixel == 3 => scale_colour(frame),
            None => self.show_grey(frame),
        }
    }

    fn show_grey(&self, frame: &StoredFrame) -> Vec<u8> {
        let grey = |v: f64| {
            let shown = self
                .voi
                .as_ref()
                .map_or(0, |voi| voi.apply(self.modality.apply(v)));
            if self.invert { 255 - shown } else { shown }
        };
        // Up to 16 bits every value there can be is shown once, then looked up.
        match (&frame.samples, frame.signed) {
            (Samples::U8(v), signed) => {
                let table: Vec<u8> = (0..=u8::MAX)
                    .map(|x| {
                        grey(if signed {
                            f64::from(x as i8)
                        } else {
                            f64::from(x)
                        })
                    })
                    .collect();
                v.iter()
                    .map(|&x| table.get(usize::from(x)).copied().unwrap_or_default())
                    .collect()
            }
            (Samples::U16(v), signed) if v.len() > 1 << 14 => {
                let table: Vec<u8> = (0..=u16::MAX)
                    .map(|x| {
                        grey(if signed {
                            f64::from(x as i16)
                        } else {
                            f64::from(x)
                        })
                    })
                    .collect();
                v.iter()
                    .map(|&x| table.get(usize::from(x)).copied().unwrap_or_default())
                    .collect()
            }
            _ => {
                let mut out = Vec::with_capacity(frame.samples.len());
                for_each_value(frame, |v| out.push(grey(v)));
                out
            }
        }
    }
}

fn for_each_value(frame: &StoredFrame, mut f: impl FnMut(f64)) {
    match (&frame.samples, frame.signed) {
        (Samples::U8(v), false) => v.iter().for_each(|&x| f(f64::from(x))),
        (Samples::U8(v), true) => v.iter().for_each(|&x| f(f64::from(x as i8))),
        (Samples::U16(v), false) => v.iter().for_each(|&x| f(f64::from(x))),
        (Samples::U16(v), true) => v.iter().for_each(|&x| f(f64::from(x as i16))),
        (Samples::U32(v), false) => v.iter().for_each(|&x| f(f64::from(x))),
        (Samples::U32(v), true) => v.iter().for_each(|&x| f(f64::from(x as i32))),
        (Samples::F32(v), _) => v.iter().for_each(|&x| f(f64::from(x))),
        (Samples::F64(v), _) => v.iter().for_each(|&x| f(x)),
    }
}

/// Colour of `bits` bits scaled to 8.
fn scale_colour(frame: &StoredFrame) -> Vec<u8> {
    let max = f64::from(u32::MAX >> (32 - u32::from(frame.bits.clamp(1, 32))));
    match &frame.samples {
        Samples::U8(v) if frame.bits >= 8 => v.clone(),
        _ => {
            let mut out = Vec::with_capacity(frame.samples.len());
            for_each_value(frame, |v| out.push(to_8_bits(v / max)));
            out
        }
    }
}

/// 0..1 to 0..=255, rounded half up; not-a-number is black.
fn to_8_bits(x: f64) -> u8 {
    (x.clamp(0.0, 1.0) * 255.0 + 0.5).floor() as u8
}

impl Modality {
    fn apply(&self, v: f64) -> f64 {
        match self {
            Self::Rescale { slope, intercept } => v * slope + intercept,
            Self::Table(lut) => f64::from(lut.map(v)),
        }
    }
}

impl Voi {
    /// The VOI LUT Functions of PS3.3 C.11.2.1.2.1 and C.11.2.1.3.
    fn apply(&self, x: f64) -> u8 {
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

/// The modality transform; where the file's rescale is none, the identity and what was found.
fn modality(a: FrameAttributes<'_>, signed: bool) -> Result<(Modality, Option<DicomFinding>)> {
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
        (
            identity.clone(),
            Some(DicomFinding::Rescale { name, value }),
        )
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

/// Whether values after the modality transform are whole numbers, for which LINEAR windows are made.
fn are_whole(layout: &Layout, modality: &Modality) -> bool {
    layout.kind == SampleKind::Integer
        && match modality {
            Modality::Rescale { slope, intercept } => {
                slope.fract() == 0.0 && intercept.fract() == 0.0
            }
            Modality::Table(_) => true,
        }
}

fn window_of_user(center: f64, width: f64, layout: &Layout, modality: &Modality) -> Voi {
    match width >= 1.0 && are_whole(layout, modality) {
        true => Voi::Linear { center, width },
        false => Voi::LinearExact { center, width },
    }
}

/// The VOI LUT or window of the file; what is broken is passed over and found.
fn voi_of_file(
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
fn range_of_bits(layout: &Layout, modality: &Modality) -> Option<Voi> {
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

/// Photometric Interpretation decides over inversion; a Presentation LUT Shape that disagrees is found.
fn inversion(a: Attributes<'_>, layout: &Layout) -> Option<DicomFinding> {
    let shape = match (
        a.text(tags::PRESENTATION_LUT_SHAPE)?.as_str(),
        layout.photometric,
    ) {
        ("INVERSE", Photometric::Monochrome2) => "INVERSE",
        ("IDENTITY", Photometric::Monochrome1) => "IDENTITY",
        _ => return None,
    };
    Some(DicomFinding::Inversion {
        shape,
        photometric: layout.photometric.keyword(),
    })
}

/// The stored values that Pixel Padding Value, and Pixel Padding Range Limit where it is there, say are none.
fn padding(a: Attributes<'_>, layout: &Layout) -> Option<(f64, f64)> {
    let (value, limit) = match layout.kind {
        SampleKind::Integer => (tags::PIXEL_PADDING_VALUE, tags::PIXEL_PADDING_RANGE_LIMIT),
        SampleKind::Float32 => (
            tags::FLOAT_PIXEL_PADDING_VALUE,
            tags::FLOAT_PIXEL_PADDING_RANGE_LIMIT,
        ),
        SampleKind::Float64 => (
            tags::DOUBLE_FLOAT_PIXEL_PADDING_VALUE,
            tags::DOUBLE_FLOAT_PIXEL_PADDING_RANGE_LIMIT,
        ),
    };
    let of = |tag| match layout.kind {
        // As a pattern of the stored bits, since writers choose US and SS as they like.
        SampleKind::Integer => a.int(tag).map(|v| {
            let unused = 64 - u32::from(layout.bits_stored);
            (if layout.signed {
                v << unused >> unused
            } else {
                ((v as u64) << unused >> unused) as i64
            }) as f64
        }),
        _ => a.float(tag),
    };
    let value = of(value)?;
    let limit = of(limit).unwrap_or(value);
    Some((value.min(limit), value.max(limit)))
}
