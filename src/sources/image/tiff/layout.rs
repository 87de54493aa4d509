//! What the directory of a page says of its samples.

use super::{Fault, view::Values};
use crate::geometry::Size;
use std::io::{Read, Seek};
use tiff::{
    Directory,
    decoder::{Decoder, ifd::Value},
    tags::Tag,
};

/// Compressions by their number in the file.
pub(super) mod compression {
    pub(in super::super) const NONE: u16 = 1;
    pub(in super::super) const CCITT_RLE: u16 = 2;
    pub(in super::super) const CCITT_G3: u16 = 3;
    pub(in super::super) const CCITT_G4: u16 = 4;
    pub(in super::super) const JPEG: u16 = 7;
    /// Those that the `tiff` crate decompresses: none, LZW, JPEG, deflate by two numbers, PackBits, zstd, WebP.
    pub(super) const READ: [u16; 8] = [NONE, 5, JPEG, 8, 32_946, 32_773, 50_000, 50_001];
}

/// What the samples mean.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Photometric {
    Grey { white_is_zero: bool },
    Rgb,
    Palette(Vec<u16>),
    Cmyk,
    YCbCr(YCbCr),
}

/// How YCbCr is stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct YCbCr {
    /// Luma samples for each chroma sample, across and down.
    pub(super) subsampling: (u32, u32),
    /// Luma coefficients of red, green, blue.
    pub(super) coefficients: [f64; 3],
    /// Black and white of Y, Cb and Cr.
    pub(super) reference: [f64; 6],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Unsigned,
    Signed,
    Float,
}

/// Strips, or tiles of a size.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chunks {
    pub(super) tile: Option<(u32, u32)>,
    pub(super) rows_per_strip: u32,
    pub(super) offsets: Vec<u64>,
    pub(super) counts: Vec<u64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    pub(super) size: Size,
    pub(super) bits: u32,
    pub(super) samples: u32,
    pub(super) planar: bool,
    pub(super) format: Format,
    pub(super) compression: u16,
    pub(super) photometric: Photometric,
    pub(super) predictor: u16,
    /// What the samples beyond those of the colour are: 1 premultiplied alpha, 2 alpha.
    pub(super) extra: Vec<u16>,
    /// Whether the bits of each byte come in reverse order.
    pub(super) reversed: bool,
    pub(super) fax_options: u32,
    pub(super) chunks: Chunks,
    pub(super) jpeg_tables: Option<Vec<u8>>,
    pub(super) orientation: u16,
}

/// The tags of a directory.
struct Tags<'a, R: Read + Seek> {
    decoder: &'a mut Decoder<R>,
    directory: &'a Directory,
}

impl<R: Read + Seek> Tags<'_, R> {
    fn value(&mut self, tag: Tag) -> Result<Option<Value>, Fault> {
        Ok(self
            .decoder
            .read_directory_tags(self.directory)
            .find_tag(tag)?)
    }

    fn all(&mut self, tag: Tag) -> Result<Option<Vec<u64>>, Fault> {
        self.value(tag)?
            .map(|value| value.into_u64_vec().map_err(Fault::from))
            .transpose()
    }

    fn one(&mut self, tag: Tag) -> Result<Option<u64>, Fault> {
        Ok(self.all(tag)?.and_then(|values| values.first().copied()))
    }

    fn number<T: TryFrom<u64>>(&mut self, tag: Tag, default: T) -> Result<T, Fault> {
        match self.one(tag)? {
            None => Ok(default),
            Some(value) => T::try_from(value).map_err(|_| {
                Fault::Damaged(format!("its tag {} has the value {value}", tag.to_u16()))
            }),
        }
    }

    fn shorts(&mut self, tag: Tag) -> Result<Option<Vec<u16>>, Fault> {
        Ok(self.all(tag)?.map(|values| {
            values
                .into_iter()
                .map(|v| u16::try_from(v).unwrap_or(u16::MAX))
                .collect()
        }))
    }

    /// Rational numbers; none where there are not `N` of them.
    fn ratios<const N: usize>(&mut self, tag: u16) -> Result<Option<[f64; N]>, Fault> {
        let number = |value: Value| match value {
            Value::Rational(n, d) if d != 0 => Some(f64::from(n) / f64::from(d)),
            other => other.into_f64().ok(),
        };
        let list = match self.value(Tag::Unknown(tag))? {
            Some(Value::List(list)) => list,
            _ => return Ok(None),
        };
        let numbers: Option<Vec<f64>> = list.into_iter().map(number).collect();
        Ok(numbers.and_then(|numbers| numbers.try_into().ok()))
    }
}

impl Layout {
    /// Reads the tags of a page and says what cannot be read in words.
    pub(super) fn read<R: Read + Seek>(
        decoder: &mut Decoder<R>,
        directory: &Directory,
    ) -> Result<Self, Fault> {
        let tags = &mut Tags { decoder, directory };
        let size = Size::new(
            tags.number(Tag::ImageWidth, 0)?,
            tags.number(Tag::ImageLength, 0)?,
        );
        if size.pixels() == 0 {
            return Err(Fault::Damaged(format!("its page is {size} pixels")));
        }
        let samples: u32 = u32::from(tags.number::<u16>(Tag::SamplesPerPixel, 1)?);
        let compression = tags.number(Tag::Compression, compression::NONE)?;
        check_compression(compression)?;
        let layout = Self {
            size,
            bits: bits(tags, samples)?,
            samples,
            planar: samples > 1 && tags.number::<u16>(Tag::PlanarConfiguration, 1)? == 2,
            format: format(tags)?,
            compression,
            photometric: photometric(tags)?,
            predictor: tags.number(Tag::Predictor, 1)?,
            extra: tags.shorts(Tag::ExtraSamples)?.unwrap_or_default(),
            reversed: tags.number::<u16>(Tag::FillOrder, 1)? == 2,
            fax_options: tags.number(Tag::Unknown(292), 0)?,
            chunks: chunks(tags, size)?,
            jpeg_tables: tags
                .value(Tag::JPEGTables)?
                .map(Value::into_u8_vec)
                .transpose()?,
            orientation: tags.number(Tag::Orientation, 1)?,
        };
        layout.check()?;
        Ok(layout)
    }

    /// Samples of a pixel that belong to the colour.
    pub(super) fn colours(&self) -> u32 {
        match self.photometric {
            Photometric::Grey { .. } | Photometric::Palette(_) => 1,
            Photometric::Rgb | Photometric::YCbCr(_) => 3,
            Photometric::Cmyk => 4,
        }
    }

    /// Whether chroma has fewer samples than luma, in blocks.
    pub(super) fn blocks(&self) -> Option<(u32, u32)> {
        match &self.photometric {
            Photometric::YCbCr(YCbCr { subsampling, .. })
                if self.compression != compression::JPEG && *subsampling != (1, 1) =>
            {
                Some(*subsampling)
            }
            _ => None,
        }
    }

    /// Samples of a pixel in one chunk.
    pub(super) fn chunk_samples(&self) -> u32 {
        if self.planar { 1 } else { self.samples }
    }

    fn check(&self) -> Result<(), Fault> {
        let unread = |what: String| Err(Fault::Unread(what));
        if self.samples < self.colours() {
            return Err(Fault::Damaged(format!(
                "it has {} samples a pixel where its colours need {}",
                self.samples,
                self.colours()
            )));
        }
        match (self.format, self.bits) {
            (Format::Unsigned, 1..=16 | 32 | 64)
            | (Format::Signed, 8 | 16 | 32 | 64)
            | (Format::Float, 16 | 32 | 64) => {}
            (Format::Unsigned, n) => return unread(format!("it has {n} bits a sample")),
            (Format::Signed, n) => return unread(format!("it has signed samples of {n} bits")),
            (Format::Float, n) => {
                return unread(format!("it has floating-point samples of {n} bits"));
            }
        }
        if !matches!(self.bits, 8 | 16 | 32 | 64) && self.predictor != 1 {
            return unread(format!(
                "it has a predictor over samples of {} bits",
                self.bits
            ));
        }
        let whole_numbers = self.format == Format::Unsigned;
        match &self.photometric {
            Photometric::Palette(map)
                if !whole_numbers || self.bits > 16 || map.len() < 3 << self.bits =>
            {
                return Err(Fault::Damaged(format!(
                    "its palette has {} values, too few for {} bits a pixel",
                    map.len(),
                    self.bits
                )));
            }
            Photometric::YCbCr(_) if self.bits != 8 || !whole_numbers => {
                return unread(format!(
                    "its YCbCr colours have {} bits a sample",
                    self.bits
                ));
            }
            Photometric::YCbCr(_)
                if self.blocks().is_some()
                    && (self.planar || self.samples != 3 || self.predictor != 1) =>
            {
                return unread("its subsampled YCbCr colours are stored by planes, with alpha or with a predictor".to_owned());
            }
            Photometric::Cmyk if !matches!(self.bits, 8 | 16) || !whole_numbers => {
                return unread(format!("its CMYK colours have {} bits a sample", self.bits));
            }
            _ => {}
        }
        if self.reversed && !matches!(self.compression, compression::NONE..=compression::CCITT_G4) {
            return unread(
                "its compressed data have their bits in reverse order (FillOrder 2)".to_owned(),
            );
        }
        if matches!(
            self.compression,
            compression::CCITT_RLE..=compression::CCITT_G4
        ) && (self.bits, self.samples) != (1, 1)
        {
            return Err(Fault::Damaged(
                "it is compressed as fax, yet has more than one bit a pixel".to_owned(),
            ));
        }
        Ok(())
    }
}

fn check_compression(number: u16) -> Result<(), Fault> {
    let name = match number {
        compression::CCITT_RLE..=compression::CCITT_G4 => return Ok(()),
        n if compression::READ.contains(&n) => return Ok(()),
        6 => "the old-style JPEG of TIFF 6.0",
        9 | 10 => "JBIG",
        34_661 => "JBIG",
        32_766 => "NeXT's run lengths",
        32_809 => "ThunderScan",
        32_908 => "PixarFilm",
        32_909 => "PixarLog",
        33_003 | 33_005 | 34_712 => "JPEG 2000",
        34_676 | 34_677 => "SGI's LogLuv",
        34_887 => "LERC",
        34_925 => "LZMA",
        50_002 | 52_546 => "JPEG XL",
        n => {
            return Err(Fault::Unread(format!(
                "it is compressed by a method with the number {n}"
            )));
        }
    };
    Err(Fault::Unread(format!("it is compressed as {name}")))
}

fn bits<R: Read + Seek>(tags: &mut Tags<'_, R>, samples: u32) -> Result<u32, Fault> {
    let all = tags.shorts(Tag::BitsPerSample)?.unwrap_or_else(|| vec![1]);
    let (Some(&first), true) = (all.first(), samples > 0) else {
        return Err(Fault::Damaged("it has no sample a pixel".to_owned()));
    };
    if all.iter().any(|&bits| bits != first) {
        return Err(Fault::Unread(
            "its samples have different numbers of bits".to_owned(),
        ));
    }
    Ok(u32::from(first))
}

fn format<R: Read + Seek>(tags: &mut Tags<'_, R>) -> Result<Format, Fault> {
    let all = tags.shorts(Tag::SampleFormat)?.unwrap_or_else(|| vec![1]);
    let first = all.first().copied().unwrap_or(1);
    if all.iter().any(|&format| format != first) {
        return Err(Fault::Unread(
            "some of its samples are whole numbers, some are not, or some have a sign".to_owned(),
        ));
    }
    match first {
        // 4 is "undefined", which writers use for plain numbers.
        1 | 4 => Ok(Format::Unsigned),
        2 => Ok(Format::Signed),
        3 => Ok(Format::Float),
        5 | 6 => Err(Fault::Unread("its samples are complex numbers".to_owned())),
        n => Err(Fault::Damaged(format!(
            "its samples have a format with the number {n}"
        ))),
    }
}

fn photometric<R: Read + Seek>(tags: &mut Tags<'_, R>) -> Result<Photometric, Fault> {
    let name = match tags.number::<u16>(Tag::PhotometricInterpretation, 1)? {
        0 => {
            return Ok(Photometric::Grey {
                white_is_zero: true,
            });
        }
        1 => {
            return Ok(Photometric::Grey {
                white_is_zero: false,
            });
        }
        2 => return Ok(Photometric::Rgb),
        3 => {
            let map = tags.shorts(Tag::ColorMap)?;
            return map
                .map(Photometric::Palette)
                .ok_or_else(|| Fault::Damaged("its palette is missing".to_owned()));
        }
        4 => "a transparency mask",
        5 => return Ok(Photometric::Cmyk),
        6 => return ycbcr(tags).map(Photometric::YCbCr),
        8..=10 => "L*a*b*",
        32_803 => "the raw mosaic of a camera's sensor",
        32_844 | 32_845 => "SGI's LogLuv",
        34_892 => "raw data of a camera",
        n => {
            return Err(Fault::Unread(format!(
                "its colours are of a kind with the number {n}"
            )));
        }
    };
    Err(Fault::Unread(format!("its colours are {name}")))
}

fn ycbcr<R: Read + Seek>(tags: &mut Tags<'_, R>) -> Result<YCbCr, Fault> {
    let subsampling = match tags.shorts(Tag::ChromaSubsampling)?.as_deref() {
        None => (2, 2),
        Some(&[across @ (1 | 2 | 4), down @ (1 | 2 | 4)]) => (u32::from(across), u32::from(down)),
        Some(other) => {
            return Err(Fault::Damaged(format!(
                "its chroma is subsampled by {other:?}"
            )));
        }
    };
    let coefficients = tags
        .ratios(529)?
        .filter(|c| c.iter().all(|v| *v > 0.0))
        .unwrap_or([0.299, 0.587, 0.114]);
    let reference = tags
        .ratios(532)?
        .filter(|r: &[f64; 6]| r[0] < r[1] && r[2] < r[3] && r[4] < r[5]);
    Ok(YCbCr {
        subsampling,
        coefficients,
        reference: reference.unwrap_or([0.0, 255.0, 128.0, 255.0, 128.0, 255.0]),
    })
}

fn chunks<R: Read + Seek>(tags: &mut Tags<'_, R>, size: Size) -> Result<Chunks, Fault> {
    let missing = || Fault::Damaged("it does not say where its pixels are".to_owned());
    if let Some(offsets) = tags.all(Tag::TileOffsets)? {
        let counts = tags.all(Tag::TileByteCounts)?.ok_or_else(missing)?;
        let tile = (
            tags.number(Tag::TileWidth, 0)?,
            tags.number(Tag::TileLength, 0)?,
        );
        if tile.0 == 0 || tile.1 == 0 {
            return Err(missing());
        }
        return Ok(Chunks {
            tile: Some(tile),
            rows_per_strip: 0,
            offsets,
            counts,
        });
    }
    let offsets = tags.all(Tag::StripOffsets)?.ok_or_else(missing)?;
    let counts = tags.all(Tag::StripByteCounts)?.ok_or_else(missing)?;
    let rows_per_strip = tags
        .number::<u64>(Tag::RowsPerStrip, u64::from(size.height))?
        .clamp(1, u64::from(size.height)) as u32;
    Ok(Chunks {
        tile: None,
        rows_per_strip,
        offsets,
        counts,
    })
}

/// The tags of a page of plain samples: `bits` each, `samples` a pixel, rows and chunks of the given measures.
pub(super) struct Plain {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) bits: u32,
    pub(super) samples: u32,
    pub(super) tile: Option<(u32, u32)>,
    pub(super) rows_per_strip: u32,
}

impl Plain {
    /// The directory that shows `layout` so.
    pub(super) fn entries(&self, layout: &Layout) -> Vec<(u16, Values)> {
        let short = |v: u32| Values::Shorts(vec![u16::try_from(v).unwrap_or(u16::MAX)]);
        let long = |v: u32| Values::Longs(vec![u64::from(v)]);
        let format = match layout.format {
            Format::Float => 3,
            Format::Signed | Format::Unsigned => 1,
        };
        let (offsets, counts) = (
            Values::Longs(layout.chunks.offsets.clone()),
            Values::Longs(layout.chunks.counts.clone()),
        );
        let mut entries = vec![
            (256, long(self.width)),
            (257, long(self.height)),
            (258, short(self.bits)),
            (259, short(u32::from(layout.compression))),
            (262, short(1)),
            (277, short(self.samples)),
            (284, short(if layout.planar { 2 } else { 1 })),
            (317, short(u32::from(layout.predictor))),
            (339, short(format)),
        ];
        match self.tile {
            None => entries.extend([
                (273, offsets),
                (278, long(self.rows_per_strip)),
                (279, counts),
            ]),
            Some((width, height)) => entries.extend([
                (322, long(width)),
                (323, long(height)),
                (324, offsets),
                (325, counts),
            ]),
        }
        entries.extend(
            layout
                .jpeg_tables
                .clone()
                .map(|tables| (347, Values::Bytes(tables))),
        );
        entries.sort_by_key(|entry| entry.0);
        entries
    }
}
