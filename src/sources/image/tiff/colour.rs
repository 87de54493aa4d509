//! From stored samples to a picture of 8 bits, grey or RGB, over black.

use super::{
    Fault,
    layout::{Format, Layout, Photometric, YCbCr},
    raw::Raw,
};
use crate::{
    dicom::Window,
    frame::{Channels, Image},
    sources::image::{Remark, decode, grey},
};
use half::f16;

/// ExtraSamples: alpha by which the colours are not yet multiplied. Over black, premultiplied colours are as they are.
const ALPHA: u16 = 2;

/// Samples, interleaved.
enum Samples {
    /// Whole numbers of up to 8 bits.
    U8(Vec<u8>),
    /// Of 9 to 16 bits.
    U16(Vec<u16>),
    /// Any others.
    Real(Vec<f64>),
}

/// The picture, not turned.
pub(super) fn show(
    layout: &Layout,
    raw: Raw,
    window: Window,
) -> Result<(Image, Option<Remark>), Fault> {
    if let (Photometric::YCbCr(ycbcr), Some(block)) = (&layout.photometric, layout.blocks()) {
        let rgb = ycbcr.to_rgb(&interleaved_blocks(layout, &raw, block));
        return image(layout, Channels::Rgb, rgb, None);
    }
    let colours = layout.colours() as usize;
    let samples = samples(layout, raw)?;
    let alpha = match (&layout.photometric, layout.extra.first()) {
        (_, Some(&ALPHA)) => layout.samples as usize > colours,
        // As every reader takes four samples that nothing is said of.
        (Photometric::Rgb, None) => layout.samples == 4,
        _ => false,
    };
    let (colour, alpha) = samples.split(layout.samples as usize, colours, alpha);
    let (channels, data, remark) = match &layout.photometric {
        Photometric::Grey { white_is_zero } => {
            let (mut data, remark) = grey_values(layout, colour, window)?;
            if *white_is_zero {
                data.iter_mut().for_each(|v| *v = 255 - *v);
            }
            (Channels::Gray, data, remark)
        }
        Photometric::Palette(map) => (Channels::Rgb, looked_up(map, &colour, layout.bits)?, None),
        Photometric::Rgb => match (colour, &alpha) {
            // Rounded once.
            (Samples::U16(colour), Some(Samples::U16(alpha))) if layout.bits == 16 => {
                let with_alpha: Vec<u16> = colour
                    .chunks_exact(3)
                    .zip(alpha)
                    .flat_map(|(c, &a)| c.iter().copied().chain([a]))
                    .collect();
                return image(
                    layout,
                    Channels::Rgb,
                    decode::composite_16_over_black(&with_alpha, 4),
                    None,
                );
            }
            (colour, _) => (Channels::Rgb, eight_bits(layout, colour)?, None),
        },
        Photometric::Cmyk => (Channels::Rgb, cmyk_to_rgb(&colour), None),
        Photometric::YCbCr(ycbcr) => match colour {
            Samples::U8(colour) => (Channels::Rgb, ycbcr.to_rgb(&colour), None),
            _ => {
                return Err(Fault::Unread(
                    "its YCbCr colours have more than 8 bits".to_owned(),
                ));
            }
        },
    };
    let data = match alpha {
        Some(alpha) => over_black(data, &eight_bits(layout, alpha)?, channels.count()),
        None => data,
    };
    image(layout, channels, data, remark)
}

fn image(
    layout: &Layout,
    channels: Channels,
    data: Vec<u8>,
    remark: Option<Remark>,
) -> Result<(Image, Option<Remark>), Fault> {
    let image = Image::new(layout.size, channels, data);
    image
        .map(|image| (image, remark))
        .ok_or_else(|| Fault::Damaged("it has other samples than its size says".to_owned()))
}

fn over_black(mut data: Vec<u8>, alpha: &[u8], channels: usize) -> Vec<u8> {
    for (pixel, &alpha) in data.chunks_exact_mut(channels).zip(alpha) {
        pixel
            .iter_mut()
            .for_each(|v| *v = ((u32::from(*v) * u32::from(alpha) + 127) / 255) as u8);
    }
    data
}

/// All samples of the page, pixel by pixel.
fn samples(layout: &Layout, raw: Raw) -> Result<Samples, Fault> {
    let (width, height) = (layout.size.width as usize, layout.size.height as usize);
    let (row, planes) = if layout.planar {
        (width, layout.samples as usize)
    } else {
        (width * layout.samples as usize, 1)
    };
    let bits = layout.bits;
    let rows = || (0..height).flat_map(|y| (0..planes).map(move |plane| (y, plane)));
    let bytes_of = |(y, plane): (usize, usize)| {
        let at = plane * raw.plane_bytes + y * raw.row_bytes;
        raw.bytes
            .get(at..at + raw.row_bytes)
            .ok_or_else(|| Fault::Damaged("its rows are too short".to_owned()))
    };
    let samples = match (layout.format, bits) {
        (Format::Unsigned, 8) if planes == 1 && raw.row_bytes == row => {
            return Ok(Samples::U8(raw.bytes));
        }
        (Format::Unsigned, 8) => Samples::U8(collect(rows(), |at| Ok(bytes_of(at)?.to_vec()))?),
        (Format::Unsigned, 1..8) => Samples::U8(collect(rows(), |at| {
            Ok(unpacked(bytes_of(at)?, bits, row)
                .map(|v| v as u8)
                .collect())
        })?),
        (Format::Unsigned, 16) => Samples::U16(collect(rows(), |at| {
            Ok(words::<2>(bytes_of(at)?).map(u16::from_ne_bytes).collect())
        })?),
        (Format::Unsigned, 9..16) => Samples::U16(collect(rows(), |at| {
            Ok(unpacked(bytes_of(at)?, bits, row).collect())
        })?),
        (format, _) => Samples::Real(collect(rows(), |at| {
            let bytes = bytes_of(at)?;
            Ok(match (format, bits) {
                (Format::Signed, 8) => bytes.iter().map(|&b| f64::from(b as i8)).collect(),
                (Format::Signed, 16) => words(bytes)
                    .map(|w| f64::from(i16::from_ne_bytes(w)))
                    .collect(),
                (Format::Signed, 32) => words(bytes)
                    .map(|w| f64::from(i32::from_ne_bytes(w)))
                    .collect(),
                (Format::Signed, _) => words(bytes).map(|w| i64::from_ne_bytes(w) as f64).collect(),
                (Format::Unsigned, 32) => words(bytes)
                    .map(|w| f64::from(u32::from_ne_bytes(w)))
                    .collect(),
                (Format::Unsigned, _) => {
                    words(bytes).map(|w| u64::from_ne_bytes(w) as f64).collect()
                }
                (Format::Float, 16) => words(bytes)
                    .map(|w| f64::from(f16::from_ne_bytes(w)))
                    .collect(),
                (Format::Float, 32) => words(bytes)
                    .map(|w| f64::from(f32::from_ne_bytes(w)))
                    .collect(),
                (Format::Float, _) => words(bytes).map(f64::from_ne_bytes).collect(),
            })
        })?),
    };
    Ok(if planes > 1 {
        samples.by_pixel(width, planes)
    } else {
        samples
    })
}

fn collect<T>(
    rows: impl Iterator<Item = (usize, usize)>,
    read: impl Fn((usize, usize)) -> Result<Vec<T>, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut all = Vec::new();
    for at in rows {
        all.extend(read(at)?);
    }
    Ok(all)
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks::<N>().0.iter().copied()
}

/// `count` numbers of so many bits (16 at most) each, the highest bit first.
fn unpacked(bytes: &[u8], bits: u32, count: usize) -> impl Iterator<Item = u16> {
    let (mut held, mut left) = (0u32, 0);
    let mut bytes = bytes.iter();
    (0..count).map(move |_| {
        while left < bits {
            held = held << 8 | u32::from(bytes.next().copied().unwrap_or(0));
            left += 8;
        }
        left -= bits;
        ((held >> left) & ((1 << bits) - 1)) as u16
    })
}

impl Samples {
    /// From rows of one sample each, which alternate, to pixels.
    fn by_pixel(self, width: usize, planes: usize) -> Self {
        fn turned<T: Copy>(rows: &[T], width: usize, planes: usize) -> Vec<T> {
            let of_row = |row: usize| {
                (0..width).flat_map(move |x| {
                    (0..planes).map(move |plane| (row * planes + plane) * width + x)
                })
            };
            (0..rows.len() / (width * planes))
                .flat_map(of_row)
                .filter_map(|at| rows.get(at).copied())
                .collect()
        }
        match self {
            Self::U8(rows) => Self::U8(turned(&rows, width, planes)),
            Self::U16(rows) => Self::U16(turned(&rows, width, planes)),
            Self::Real(rows) => Self::Real(turned(&rows, width, planes)),
        }
    }

    /// The first `colours` of each `samples`, and the one after where it is asked for.
    fn split(self, samples: usize, colours: usize, alpha: bool) -> (Self, Option<Self>) {
        fn parts<T: Copy>(
            all: Vec<T>,
            samples: usize,
            colours: usize,
            alpha: bool,
        ) -> (Vec<T>, Option<Vec<T>>) {
            if samples == colours {
                return (all, None);
            }
            let colour = all
                .chunks_exact(samples)
                .flat_map(|pixel| pixel.iter().take(colours).copied())
                .collect();
            let alpha = alpha.then(|| {
                all.chunks_exact(samples)
                    .filter_map(|pixel| pixel.get(colours).copied())
                    .collect()
            });
            (colour, alpha)
        }
        match self {
            Self::U8(all) => {
                let (colour, alpha) = parts(all, samples, colours, alpha);
                (Self::U8(colour), alpha.map(Self::U8))
            }
            Self::U16(all) => {
                let (colour, alpha) = parts(all, samples, colours, alpha);
                (Self::U16(colour), alpha.map(Self::U16))
            }
            Self::Real(all) => {
                let (colour, alpha) = parts(all, samples, colours, alpha);
                (Self::Real(colour), alpha.map(Self::Real))
            }
        }
    }
}

/// The range that the type of the samples can hold.
fn range(layout: &Layout) -> Option<(f64, f64)> {
    let span = 2f64.powi(layout.bits as i32);
    match layout.format {
        Format::Unsigned => Some((0.0, span - 1.0)),
        Format::Signed => Some((-span / 2.0, span / 2.0 - 1.0)),
        Format::Float => None,
    }
}

fn grey_values(
    layout: &Layout,
    samples: Samples,
    window: Window,
) -> Result<(Vec<u8>, Option<Remark>), Fault> {
    match samples {
        Samples::U16(samples) => Ok(grey::grey_16(
            &samples,
            ((1u32 << layout.bits) - 1) as u16,
            window,
        )),
        Samples::Real(samples) => {
            grey::grey_real(&samples, range(layout), window).ok_or(Fault::NoRange)
        }
        samples => Ok((eight_bits(layout, samples)?, None)),
    }
}

/// Scaled to 8 bits by the range of their type.
fn eight_bits(layout: &Layout, samples: Samples) -> Result<Vec<u8>, Fault> {
    let max = |bits: u32| (1u32 << bits) - 1;
    Ok(match samples {
        Samples::U8(samples) if layout.bits == 8 => samples,
        Samples::U8(samples) => {
            let max = max(layout.bits);
            samples
                .into_iter()
                .map(|v| ((u32::from(v) * 255 + max / 2) / max) as u8)
                .collect()
        }
        Samples::U16(samples) if layout.bits == 16 => grey::narrow(&samples),
        Samples::U16(samples) => {
            let max = max(layout.bits);
            samples
                .into_iter()
                .map(|v| ((u32::from(v) * 255 + max / 2) / max) as u8)
                .collect()
        }
        Samples::Real(samples) => {
            let (low, high) = range(layout).ok_or(Fault::NoRange)?;
            samples
                .into_iter()
                .map(|v| grey::ramp(v, low, high))
                .collect()
        }
    })
}

/// The colours of a palette: of 16 bits, of which the upper 8 count; of 8 where none is greater, as some writers have it.
fn looked_up(map: &[u16], indices: &Samples, bits: u32) -> Result<Vec<u8>, Fault> {
    let entries = 1usize << bits;
    let (of_8_bits, short) = (map.iter().all(|&v| v < 256), || {
        Fault::Damaged("its palette is too short".to_owned())
    });
    let colour = |index: usize| -> Option<[u8; 3]> {
        let level = |v: u16| if of_8_bits { v as u8 } else { (v >> 8) as u8 };
        Some([
            level(*map.get(index)?),
            level(*map.get(entries + index)?),
            level(*map.get(2 * entries + index)?),
        ])
    };
    let table: Vec<[u8; 3]> = (0..entries)
        .map(colour)
        .collect::<Option<_>>()
        .ok_or_else(short)?;
    let at = |index: usize| table.get(index).copied().ok_or_else(short);
    let pixels: Vec<[u8; 3]> = match indices {
        Samples::U8(indices) => indices
            .iter()
            .map(|&i| at(usize::from(i)))
            .collect::<Result<_, _>>()?,
        Samples::U16(indices) => indices
            .iter()
            .map(|&i| at(usize::from(i)))
            .collect::<Result<_, _>>()?,
        Samples::Real(_) => {
            return Err(Fault::Unread(
                "its palette has indices that are no whole numbers".to_owned(),
            ));
        }
    };
    Ok(pixels.into_flattened())
}

/// As the `image` crate converts, without a profile.
fn cmyk_to_rgb(samples: &Samples) -> Vec<u8> {
    let convert = |cmyk: [f32; 4], unit: f32| -> [f32; 3] {
        let [c, m, y, k] = cmyk;
        [c, m, y].map(|ink| (unit - ink) * (1.0 - k / unit))
    };
    match samples {
        Samples::U8(samples) => {
            let (pixels, _) = samples.as_chunks::<4>();
            pixels
                .iter()
                .flat_map(|p| convert(p.map(f32::from), 255.0).map(|v| v as u8))
                .collect()
        }
        Samples::U16(samples) => {
            let (pixels, _) = samples.as_chunks::<4>();
            let rgb: Vec<u16> = pixels
                .iter()
                .flat_map(|p| convert(p.map(f32::from), 65_535.0).map(|v| v as u16))
                .collect();
            grey::narrow(&rgb)
        }
        Samples::Real(_) => Vec::new(),
    }
}

/// Blocks of `across` × `down` luma samples, then one Cb and one Cr, to pixels of three samples: each pixel has the
/// chroma of its block.
fn interleaved_blocks(layout: &Layout, raw: &Raw, (across, down): (u32, u32)) -> Vec<u8> {
    let (width, height) = (layout.size.width as usize, layout.size.height as usize);
    let (across, down) = (across as usize, down as usize);
    let block = across * down + 2;
    let mut pixels = vec![0; width * height * 3];
    for (y, row) in pixels.chunks_exact_mut(width * 3).enumerate() {
        let blocks = raw
            .bytes
            .get(y / down * raw.row_bytes..)
            .unwrap_or_default();
        for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
            let at = x / across * block;
            let sample = |n: usize| blocks.get(at + n).copied().unwrap_or_default();
            pixel.copy_from_slice(&[
                sample(y % down * across + x % across),
                sample(block - 2),
                sample(block - 1),
            ]);
        }
    }
    pixels
}

impl YCbCr {
    fn to_rgb(&self, samples: &[u8]) -> Vec<u8> {
        let [kr, kg, kb] = self.coefficients;
        let [y0, y1, cb0, cb1, cr0, cr1] = self.reference;
        let (pixels, _) = samples.as_chunks::<3>();
        let level = |v: f64| (v + 0.5).clamp(0.0, 255.0) as u8;
        let convert = |&[y, cb, cr]: &[u8; 3]| {
            let y = (f64::from(y) - y0) * 255.0 / (y1 - y0);
            let cb = (f64::from(cb) - cb0) * 127.0 / (cb1 - cb0);
            let cr = (f64::from(cr) - cr0) * 127.0 / (cr1 - cr0);
            let (r, b) = (y + cr * (2.0 - 2.0 * kr), y + cb * (2.0 - 2.0 * kb));
            [level(r), level((y - kb * b - kr * r) / kg), level(b)]
        };
        pixels.iter().flat_map(convert).collect()
    }
}
