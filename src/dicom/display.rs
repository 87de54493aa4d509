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
    finding::DicomFinding,
    frame_attributes::FrameAttributes,
    layout::{Layout, Photometric, SampleKind},
    lut::Palette,
    modality::{Modality, modality},
    samples::{Samples, StoredFrame},
    voi::{Voi, range_of_bits, to_8_bits, voi_of_file, window_of_user},
    window::Window,
};
use dicom_dictionary_std::tags;

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

    /// Removes and returns what was found on reading.
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
        // Up to 16 bits every possible value is converted once, then looked up.
        match (&frame.samples, frame.signed) {
            (Samples::U8(v), false) => looked_up(v, (0..=u8::MAX).map(|x| grey(f64::from(x)))),
            (Samples::U8(v), true) => {
                looked_up(v, (0..=u8::MAX).map(|x| grey(f64::from(x.cast_signed()))))
            }
            (Samples::U16(v), false) if v.len() > 1 << 14 => {
                looked_up(v, (0..=u16::MAX).map(|x| grey(f64::from(x))))
            }
            (Samples::U16(v), true) if v.len() > 1 << 14 => {
                looked_up(v, (0..=u16::MAX).map(|x| grey(f64::from(x.cast_signed()))))
            }
            _ => {
                let mut out = Vec::with_capacity(frame.samples.len());
                for_each_value(frame, |v| out.push(grey(v)));
                out
            }
        }
    }
}

/// What stands in `table`, which has an entry for every possible value, for each of `values`.
fn looked_up<T: Copy + Into<usize>>(values: &[T], table: impl Iterator<Item = u8>) -> Vec<u8> {
    let table: Vec<u8> = table.collect();
    let at = |&value: &T| table.get(value.into()).copied().unwrap_or_default();
    values.iter().map(at).collect()
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

/// Range of stored values that stand for no value: Pixel Padding Value to Pixel Padding Range Limit, if present.
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
