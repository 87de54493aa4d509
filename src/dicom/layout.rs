//! The Image Pixel module: how samples are laid out, checked before anything is allocated from it.

use super::{
    attributes::Attributes,
    error::{DicomError, Result},
};
use crate::geometry::Size;
use dicom_core::Tag;
use dicom_dictionary_std::tags;

/// Most pixels a frame may have: 16,384².
const MAX_PIXELS: u64 = 1 << 28;

/// Photometric Interpretation (0028,0004).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

impl Layout {
    /// Reads and checks the module.
    ///
    /// # Errors
    /// [`DicomError::Missing`] and [`DicomError::Invalid`] with the attribute's keyword; [`DicomError::TooLarge`].
    pub fn read(a: Attributes<'_>, kind: SampleKind) -> Result<Self> {
        let u16_of = |tag, name| checked_u16(a, tag, name);
        let needed = |tag, name| u16_of(tag, name)?.ok_or(DicomError::Missing(name));
        let rows = needed(tags::ROWS, "Rows")?;
        let columns = needed(tags::COLUMNS, "Columns")?;
        for (value, name) in [(rows, "Rows"), (columns, "Columns")] {
            if value == 0 {
                return Err(DicomError::invalid(name, 0, "an image has at least one"));
            }
        }
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
        let samples =
            u16_of(tags::SAMPLES_PER_PIXEL, "SamplesPerPixel")?.unwrap_or(photometric.samples());
        if samples != photometric.samples() {
            return Err(DicomError::invalid(
                "SamplesPerPixel",
                samples,
                "it contradicts PhotometricInterpretation",
            ));
        }
        let bits_allocated = needed(tags::BITS_ALLOCATED, "BitsAllocated")?;
        let allowed: &[u16] = match kind {
            SampleKind::Integer => &[1, 8, 16, 32],
            SampleKind::Float32 => &[32],
            SampleKind::Float64 => &[64],
        };
        if !allowed.contains(&bits_allocated) {
            return Err(DicomError::invalid(
                "BitsAllocated",
                bits_allocated,
                "only 1, 8, 16 and 32 (64 for double floats) can be read",
            ));
        }
        let ybr = matches!(photometric, Photometric::YbrFull | Photometric::YbrFull422);
        if ybr && ![8, 16].contains(&bits_allocated) {
            return Err(DicomError::invalid(
                "BitsAllocated",
                bits_allocated,
                "YBR colour can be read of 8 and 16 bits",
            ));
        }
        let bits_stored = match kind {
            SampleKind::Integer => {
                u16_of(tags::BITS_STORED, "BitsStored")?.unwrap_or(bits_allocated)
            }
            _ => bits_allocated,
        };
        if bits_stored == 0 || bits_stored > bits_allocated {
            return Err(DicomError::invalid(
                "BitsStored",
                bits_stored,
                "it must lie between 1 and BitsAllocated",
            ));
        }
        let high_bit = u16_of(tags::HIGH_BIT, "HighBit")?
            .filter(|h| (bits_stored - 1..bits_allocated).contains(h))
            .unwrap_or(bits_stored - 1);
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
        let signed = match u16_of(tags::PIXEL_REPRESENTATION, "PixelRepresentation")? {
            Some(0) | None => false,
            Some(1) => true,
            Some(v) => {
                return Err(DicomError::invalid(
                    "PixelRepresentation",
                    v,
                    "it is 0 or 1",
                ));
            }
        };
        let planar = a.int(tags::PLANAR_CONFIGURATION) == Some(1) && samples > 1;
        let signed = signed && samples == 1;
        Ok(Self {
            size,
            samples,
            bits_allocated,
            bits_stored,
            high_bit,
            signed,
            photometric,
            planar,
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
