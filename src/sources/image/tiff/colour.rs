//! From stored samples to a picture of 8 bits, grey or RGB, over black.

use super::{
    fault::Fault,
    layout::{Format, Layout, Photometric},
    raw::Raw,
    samples::{Samples, samples},
    ycbcr::interleaved_blocks,
};
use crate::{
    dicom::Window,
    frame::{Channels, Image},
    sources::image::{grey, picture::Remark, pixels::composite_16_over_black},
};

/// ExtraSamples: alpha by which the colours are not yet multiplied. Over black, premultiplied colours are as they are.
const ALPHA: u16 = 2;

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
                    composite_16_over_black(&with_alpha, 4),
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
