//! Lookup tables: modality and VOI LUT items, colour palettes plain and segmented.

use super::{
    attributes::Attributes,
    error::{DicomError, Result},
    finding::DicomFinding,
};
use dicom_core::Tag;
use dicom_dictionary_std::tags;

/// A table from an input value to an entry; inputs outside it take its first or last entry.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lut {
    first: i64,
    entries: Vec<u16>,
    /// Bits of an entry.
    pub(super) bits: u16,
}

/// A LUT Descriptor: number of entries, first value mapped, bits an entry.
struct Descriptor {
    entries: usize,
    first: i64,
    bits: u16,
}

fn descriptor(a: Attributes<'_>, tag: Tag, name: &'static str, signed: bool) -> Result<Descriptor> {
    let words = words(a, tag, name)?;
    let &[entries, first, bits, ..] = words.as_slice() else {
        return Err(DicomError::invalid(
            name,
            format!("{words:?}"),
            "it has three values",
        ));
    };
    if !(1..=16).contains(&bits) {
        return Err(DicomError::invalid(
            name,
            format!("{words:?}"),
            "entries have 1 to 16 bits",
        ));
    }
    // 0 stands for 2^16, which does not fit; the first value has the sign of the pixels.
    let entries = if entries == 0 {
        1 << 16
    } else {
        usize::from(entries)
    };
    Ok(Descriptor {
        entries,
        first: if signed {
            i64::from(first as i16)
        } else {
            i64::from(first)
        },
        bits,
    })
}

/// 16-bit values that must be there.
fn words(a: Attributes<'_>, tag: Tag, name: &'static str) -> Result<Vec<u16>> {
    match a.words(tag) {
        Some(words) => Ok(words),
        None if a.text(tag).is_some() => {
            let text: String = a.text(tag).unwrap_or_default().chars().take(64).collect();
            Err(DicomError::invalid(
                name,
                text,
                "its values do not fit 16 bits",
            ))
        }
        None => Err(DicomError::Missing(name)),
    }
}

/// Entries out of 16-bit words: one a word or, for up to 8 bits, also two a word, the first in the low byte.
fn entries(words: Vec<u16>, d: &Descriptor, name: &'static str) -> Result<Vec<u16>> {
    let mut out = if d.bits <= 8 && words.len() == d.entries.div_ceil(2) && d.entries > 1 {
        words
            .iter()
            .flat_map(|w| w.to_le_bytes().map(u16::from))
            .collect()
    } else {
        words
    };
    if out.len() < d.entries {
        return Err(DicomError::invalid(
            name,
            format!("of {} entries", out.len()),
            "its descriptor states more",
        ));
    }
    out.truncate(d.entries);
    Ok(out)
}

impl Lut {
    /// An item of a Modality or VOI LUT Sequence.
    pub(super) fn from_item(item: Attributes<'_>, signed: bool) -> Result<Self> {
        let d = descriptor(item, tags::LUT_DESCRIPTOR, "LUTDescriptor", signed)?;
        let entries = entries(words(item, tags::LUT_DATA, "LUTData")?, &d, "LUTData")?;
        // Some descriptors state fewer bits than their entries have.
        let fits = entries.iter().all(|&entry| u32::from(entry) < 1 << d.bits);
        Ok(Self {
            first: d.first,
            entries,
            bits: if fits { d.bits } else { 16 },
        })
    }

    /// The entry for a value; fractions are cut off.
    pub(super) fn map(&self, value: f64) -> u16 {
        let index = (value - self.first as f64).clamp(0.0, (self.entries.len().max(1) - 1) as f64);
        self.entries
            .get(index as usize)
            .copied()
            .unwrap_or_default()
    }
}

/// A colour palette: red, green, blue tables.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Palette([Lut; 3]);

/// Descriptor, data and segmented data of a colour, with the keywords used in errors.
const COLOURS: [(Tag, Tag, Tag, &str, &str); 3] = [
    (
        tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
        tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        tags::SEGMENTED_RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        "RedPaletteColorLookupTableDescriptor",
        "RedPaletteColorLookupTableData",
    ),
    (
        tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
        tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        tags::SEGMENTED_GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        "GreenPaletteColorLookupTableDescriptor",
        "GreenPaletteColorLookupTableData",
    ),
    (
        tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
        tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        tags::SEGMENTED_BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        "BluePaletteColorLookupTableDescriptor",
        "BluePaletteColorLookupTableData",
    ),
];

impl Palette {
    /// The palette of a PALETTE COLOR image. Its entries have 8 or 16 bits, by what they are where the descriptor states
    /// the other, which is a finding.
    pub(super) fn read(a: Attributes<'_>, signed: bool) -> Result<(Self, Option<DicomFinding>)> {
        let colour = |(d, data, segmented, d_name, name): (
            Tag,
            Tag,
            Tag,
            &'static str,
            &'static str,
        )|
         -> Result<Lut> {
            let d = descriptor(a, d, d_name, signed)?;
            let found = match (a.words(data), a.words(segmented)) {
                (Some(words), _) => entries(words, &d, name)?,
                (None, Some(words)) => expand(&words, &d).ok_or(DicomError::invalid(
                    name,
                    "segmented",
                    "its segments are broken",
                ))?,
                (None, None) => return Err(DicomError::Missing(name)),
            };
            Ok(Lut {
                first: d.first,
                entries: found,
                bits: if d.bits > 8 { 16 } else { 8 },
            })
        };
        let [r, g, b] = COLOURS;
        let mut tables = [colour(r)?, colour(g)?, colour(b)?];
        let stated = tables.iter().map(|t| t.bits).max().unwrap_or_default();
        let highest = tables
            .iter()
            .flat_map(|t| &t.entries)
            .copied()
            .max()
            .unwrap_or_default();
        let found = match highest {
            0 => stated,
            1..=255 => 8,
            256.. => 16,
        };
        tables.iter_mut().for_each(|table| table.bits = found);
        Ok((
            Self(tables),
            (found != stated).then_some(DicomFinding::PaletteBits { stated, found }),
        ))
    }

    /// Red, green, blue of 8 bits for an index; 16-bit entries give their high byte.
    pub(super) fn map(&self, index: f64) -> [u8; 3] {
        let [r, g, b] = &self.0;
        [r, g, b].map(|lut| (lut.map(index) >> (lut.bits - 8)) as u8)
    }
}

/// Expands segmented palette data (PS3.3 C.7.9.2): discrete, linear and indirect segments.
fn expand(words: &[u16], d: &Descriptor) -> Option<Vec<u16>> {
    let units: Vec<u16> = match d.bits {
        ..=8 => words
            .iter()
            .flat_map(|w| w.to_le_bytes().map(u16::from))
            .collect(),
        _ => words.to_vec(),
    };
    let mut out = Vec::with_capacity(d.entries);
    let mut at = 0;
    while out.len() < d.entries {
        at = segment(&units, at, d, &mut out, true)?;
    }
    out.truncate(d.entries);
    Some(out)
}

/// Expands the segment at `at`; gives the place of the next. Indirect segments may not refer to indirect ones.
fn segment(
    units: &[u16],
    at: usize,
    d: &Descriptor,
    out: &mut Vec<u16>,
    may_refer: bool,
) -> Option<usize> {
    let (&code, &len) = (units.get(at)?, units.get(at + 1)?);
    let (body, len) = (at + 2, usize::from(len));
    match code {
        0 => {
            out.extend_from_slice(units.get(body..body + len)?);
            Some(body + len)
        }
        1 => {
            let (from, to) = (f64::from(*out.last()?), f64::from(*units.get(body)?));
            let step = (to - from) / len as f64;
            // Ties go to the even neighbour, as the reference readers do.
            out.extend((1..=len).map(|i| (from + step * i as f64).round_ties_even() as u16));
            Some(body + 1)
        }
        2 if may_refer => {
            let parts = if d.bits <= 8 { 4 } else { 2 };
            let offset = units
                .get(body..body + parts)?
                .iter()
                .rev()
                .fold(0_usize, |acc, &u| {
                    acc << if parts == 4 { 8 } else { 16 } | usize::from(u)
                });
            // The offset counts bytes from the start of the data.
            let mut target = if d.bits <= 8 { offset } else { offset / 2 };
            for _ in 0..len {
                if out.len() >= d.entries {
                    break;
                }
                target = segment(units, target, d, out, false)?;
            }
            Some(body + parts)
        }
        _ => None,
    }
}
