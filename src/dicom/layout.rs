//! The Image Pixel module: how samples are laid out, checked before anything is allocated from it.

use super::{
    attributes::Attributes,
    error::{DicomError, Result},
};
use crate::geometry::Size;
use dicom_core::Tag;
use dicom_dictionary_std::tags;

/// Largest number of pixels of a frame: 16,384².
const MAX_PIXELS: u64 = 1 << 28;

/// Photometric Interpretation (0028,0004).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Photometric {
    /// Grey, the smallest value white.
    Monochrome1,
    /// Grey, the smallest value black.
    Monochrome2,
    /// Indices into a colour palette.
    Palette,
    /// Red, green, blue.
    Rgb,
    /// Luma and two colour differences, full range.
    YbrFull,
    /// As [`Self::YbrFull`] with the differences at half the width.
    YbrFull422,
    /// The irreversible colour transform of JPEG 2000.
    YbrIct,
    /// The reversible colour transform of JPEG 2000.
    YbrRct,
}

impl Photometric {
    fn of(text: &str) -> Option<Self> {
        use Photometric::{
            Monochrome1, Monochrome2, Palette, Rgb, YbrFull, YbrFull422, YbrIct, YbrRct,
        };
        // Some writers use lower case, which a code string cannot have.
        [
            Monochrome1,
            Monochrome2,
            Palette,
            Rgb,
            YbrFull,
            YbrFull422,
            YbrIct,
            YbrRct,
        ]
        .into_iter()
        .find(|photometric| photometric.keyword().eq_ignore_ascii_case(text))
    }

    /// Its value in a data set.
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::Monochrome1 => "MONOCHROME1",
            Self::Monochrome2 => "MONOCHROME2",
            Self::Palette => "PALETTE COLOR",
            Self::Rgb => "RGB",
            Self::YbrFull => "YBR_FULL",
            Self::YbrFull422 => "YBR_FULL_422",
            Self::YbrIct => "YBR_ICT",
            Self::YbrRct => "YBR_RCT",
        }
    }

    /// 1 for grey and palettes, 3 for colour.
    pub const fn samples(self) -> u16 {
        match self {
            Self::Monochrome1 | Self::Monochrome2 | Self::Palette => 1,
            _ => 3,
        }
    }
}

/// What a stored sample is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SampleKind {
    /// Pixel Data: integers of Bits Stored bits.
    Integer,
    /// Float Pixel Data.
    Float32,
    /// Double Float Pixel Data.
    Float64,
}

/// The Image Pixel module, checked.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Layout {
    /// Columns and rows, neither 0.
    pub size: Size,
    /// 1 or 3.
    pub samples: u16,
    /// Bits a sample takes: 1, 8, 16, 32 (64 for [`SampleKind::Float64`]).
    pub bits_allocated: u16,
    /// Bits a sample uses, 1 to `bits_allocated`.
    pub bits_stored: u16,
    /// Position of the highest bit used.
    pub high_bit: u16,
    /// Whether samples are in two's complement.
    pub signed: bool,
    /// What the samples mean.
    pub photometric: Photometric,
    /// Whether colours lie plane by plane (native and RLE data).
    pub planar: bool,
    /// Number of Frames as stated; the data may hold fewer.
    pub frames: u64,
    /// Integers or floating-point numbers.
    pub kind: SampleKind,
}

fn checked_u16(a: Attributes<'_>, tag: Tag, name: &'static str) -> Result<Option<u16>> {
    let value = a.checked_int(tag, name)?;
    value
        .map(|v| {
            u16::try_from(v).map_err(|_| DicomError::invalid(name, v, "it does not fit 16 bits"))
        })
        .transpose()
}

fn needed_u16(a: Attributes<'_>, tag: Tag, name: &'static str) -> Result<u16> {
    checked_u16(a, tag, name)?.ok_or(DicomError::Missing(name))
}

/// Rows or Columns, at least 1.
fn side(a: Attributes<'_>, tag: Tag, name: &'static str) -> Result<u16> {
    match needed_u16(a, tag, name)? {
        0 => Err(DicomError::invalid(name, 0, "an image has at least one")),
        value => Ok(value),
    }
}

/// Photometric Interpretation and Samples per Pixel.
fn colours(a: Attributes<'_>) -> Result<(Photometric, u16)> {
    let text = a
        .text(tags::PHOTOMETRIC_INTERPRETATION)
        .ok_or(DicomError::Missing("PhotometricInterpretation"))?;
    let photometric = Photometric::of(&text).ok_or_else(|| {
        DicomError::invalid(
            "PhotometricInterpretation",
            &text,
            "only MONOCHROME1/2, PALETTE COLOR, RGB and YBR_FULL(_422), YBR_ICT, YBR_RCT can be shown",
        )
    })?;
    let samples = checked_u16(a, tags::SAMPLES_PER_PIXEL, "SamplesPerPixel")?
        .unwrap_or(photometric.samples());
    if samples != photometric.samples() {
        return Err(DicomError::invalid(
            "SamplesPerPixel",
            samples,
            "it contradicts PhotometricInterpretation",
        ));
    }
    Ok((photometric, samples))
}

/// Bits Allocated, Bits Stored and High Bit.
fn bits(a: Attributes<'_>, kind: SampleKind, photometric: Photometric) -> Result<(u16, u16, u16)> {
    let allocated = needed_u16(a, tags::BITS_ALLOCATED, "BitsAllocated")?;
    let invalid = |problem| Err(DicomError::invalid("BitsAllocated", allocated, problem));
    let allowed: &[u16] = match kind {
        SampleKind::Integer => &[1, 8, 16, 32],
        SampleKind::Float32 => &[32],
        SampleKind::Float64 => &[64],
    };
    if !allowed.contains(&allocated) {
        return invalid("only 1, 8, 16 and 32 (64 for double floats) can be read");
    }
    let ybr = matches!(photometric, Photometric::YbrFull | Photometric::YbrFull422);
    if ybr && ![8, 16].contains(&allocated) {
        return invalid("YBR colour can be read of 8 and 16 bits");
    }
    let stored = match kind {
        SampleKind::Integer => {
            checked_u16(a, tags::BITS_STORED, "BitsStored")?.unwrap_or(allocated)
        }
        _ => allocated,
    };
    if stored == 0 || stored > allocated {
        return Err(DicomError::invalid(
            "BitsStored",
            stored,
            "it must lie between 1 and BitsAllocated",
        ));
    }
    let high = checked_u16(a, tags::HIGH_BIT, "HighBit")?
        .filter(|h| (stored - 1..allocated).contains(h))
        .unwrap_or(stored - 1);
    Ok((allocated, stored, high))
}

/// Pixel Representation: unsigned where it is absent.
fn is_signed(a: Attributes<'_>) -> Result<bool> {
    match checked_u16(a, tags::PIXEL_REPRESENTATION, "PixelRepresentation")? {
        Some(0) | None => Ok(false),
        Some(1) => Ok(true),
        Some(v) => Err(DicomError::invalid(
            "PixelRepresentation",
            v,
            "it is 0 or 1",
        )),
    }
}

impl Layout {
    /// Reads and checks the module.
    ///
    /// # Errors
    /// [`DicomError::Missing`] and [`DicomError::Invalid`] with the attribute's keyword; [`DicomError::TooLarge`].
    pub fn read(a: Attributes<'_>, kind: SampleKind) -> Result<Self> {
        let (rows, columns) = (
            side(a, tags::ROWS, "Rows")?,
            side(a, tags::COLUMNS, "Columns")?,
        );
        let (photometric, samples) = colours(a)?;
        let (bits_allocated, bits_stored, high_bit) = bits(a, kind, photometric)?;
        let size = Size::new(u32::from(columns), u32::from(rows));
        if size.pixels() > MAX_PIXELS {
            let problem = "it has more than 268,435,456 pixels";
            return Err(DicomError::TooLarge {
                columns: size.width,
                rows: size.height,
                samples,
                problem,
            });
        }
        let frames = match a.checked_int(tags::NUMBER_OF_FRAMES, "NumberOfFrames")? {
            None | Some(0) => 1,
            Some(n) => u64::try_from(n)
                .map_err(|_| DicomError::invalid("NumberOfFrames", n, "it cannot be negative"))?,
        };
        let signed = is_signed(a)?;
        Ok(Self {
            size,
            samples,
            bits_allocated,
            bits_stored,
            high_bit,
            signed: signed && samples == 1,
            photometric,
            planar: a.int(tags::PLANAR_CONFIGURATION) == Some(1) && samples > 1,
            frames,
            kind,
        })
    }

    /// Samples of a frame once chroma has its full width.
    pub fn samples_per_frame(&self) -> u64 {
        self.size.pixels() * u64::from(self.samples)
    }

    /// Refuses a frame that `encoded` bytes can hardly stand for: a hostile header, not an image.
    pub(super) fn check_expansion(&self, encoded: u64) -> Result<()> {
        const ALWAYS: u64 = 64 << 20;
        const RATIO: u64 = 1024;
        let decoded = self.samples_per_frame() * u64::from(self.bits_allocated.div_ceil(8));
        if decoded > ALWAYS.max(encoded.saturating_mul(RATIO)) {
            let problem = "its encoded bytes are too few for it by a factor of more than 1,024";
            return Err(DicomError::TooLarge {
                columns: self.size.width,
                rows: self.size.height,
                samples: self.samples,
                problem,
            });
        }
        Ok(())
    }
}
