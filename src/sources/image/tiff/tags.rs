//! Reads the tags of a directory.

use super::{
    check::check_compression,
    fault::Fault,
    layout::{Chunks, Format, Layout, Photometric, YCbCr, compression},
};
use crate::geometry::Size;
use std::io::{Read, Seek};
use tiff::{
    Directory,
    decoder::{Decoder, ifd::Value},
    tags::Tag,
};

/// The tags of a directory.
pub(super) struct Tags<'a, R: Read + Seek> {
    pub(super) decoder: &'a mut Decoder<R>,
    pub(super) directory: &'a Directory,
}

impl<R: Read + Seek> Tags<'_, R> {
    pub(super) fn value(&mut self, tag: Tag) -> Result<Option<Value>, Fault> {
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

    pub(super) fn number<T: TryFrom<u64>>(&mut self, tag: Tag, default: T) -> Result<T, Fault> {
        match self.one(tag)? {
            None => Ok(default),
            Some(value) => T::try_from(value).map_err(|_| {
                Fault::Damaged(format!("its tag {} has the value {value}", tag.to_u16()))
            }),
        }
    }

    pub(super) fn shorts(&mut self, tag: Tag) -> Result<Option<Vec<u16>>, Fault> {
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
    /// Reads the tags of a page of `directory`.
    ///
    /// # Errors
    /// [`Fault`] for a tag that cannot be read, and for a page that cannot be shown.
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
