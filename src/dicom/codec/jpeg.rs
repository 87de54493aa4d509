//! JPEG: baseline, extended (8 and 12 bits), progressive, lossless.

use super::{
    decoded::{Colour, Decoded},
    header::FrameHeader,
};
use crate::dicom::{
    error::{DicomError, Result},
    finding::DicomFinding,
    layout::{Layout, Photometric},
    samples::Samples,
};
use libjpeg_turbo_rs::precision;
use zune_core::{bytestream::ZCursor, options::DecoderOptions};

const NAME: &str = "JPEG";

pub(super) fn decode(encoded: &[u8], layout: &Layout) -> Result<Decoded> {
    let mut bare = Vec::new();
    let header = FrameHeader::read_copying(NAME, encoded, Some(&mut bare))?;
    header.check(NAME, layout)?;
    let colour = match (colour(&header), layout.photometric) {
        (Colour::AsStated, Photometric::YbrIct | Photometric::YbrRct)
            if header.is_transformed() =>
        {
            Colour::Ybr("a JPEG stream has no transform of JPEG 2000")
        }
        (colour, _) => colour,
    };
    match (header.process, header.precision) {
        (0xC0..=0xC2, 8) => Ok(Decoded {
            colour,
            ..Decoded::new(Samples::U8(decode_8(&bare)?), 8)
        }),
        (0xC1, 12) => decode_12(encoded, &header, layout, colour),
        (0xC3, 2..=16) => decode_lossless(encoded, &header, colour),
        (process, bits) => Err(DicomError::codec(
            NAME,
            format!("process FF{process:02X} with {bits} bits is not supported"),
        )),
    }
}

/// Colour model of three components: RGB by their ids or the Adobe marker; JFIF and chroma of fewer samples than luma
/// mean YCbCr; else as stated.
pub(super) fn colour(header: &FrameHeader) -> Colour {
    match (header.component_ids.as_slice(), header.adobe) {
        (b"RGB" | b"rgb", _) => Colour::Rgb("its components are named R, G and B"),
        (_, Some(0)) => Colour::Rgb("by its Adobe marker"),
        (_, Some(_)) => Colour::Ybr("by its Adobe marker"),
        _ if header.is_subsampled() => Colour::Ybr("its chroma has fewer samples"),
        _ if header.jfif => Colour::Ybr("by its JFIF marker"),
        _ => Colour::AsStated,
    }
}

/// Components as they are stored, chroma at full width; the colour conversion is ours. `encoded` is free of application
/// segments, which would make the library guess at colours and reject some Adobe markers.
fn decode_8(encoded: &[u8]) -> Result<Vec<u8>> {
    let fail = |e: zune_jpeg::errors::DecodeErrors| DicomError::codec(NAME, e);
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(1 << 16)
        .set_max_height(1 << 16);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(encoded), options);
    decoder.decode_headers().map_err(fail)?;
    let stored = decoder
        .input_colorspace()
        .ok_or_else(|| DicomError::codec(NAME, "no colour space"))?;
    decoder.set_options(options.jpeg_set_out_colorspace(stored));
    decoder.decode().map_err(fail)
}

fn decode_12(
    encoded: &[u8],
    header: &FrameHeader,
    layout: &Layout,
    colour: Colour,
) -> Result<Decoded> {
    if usize::from(header.scan_components) != header.component_ids.len() {
        return Err(DicomError::codec(
            NAME,
            "12-bit colour in a scan for each component is not supported",
        ));
    }
    if header.spectral != (0, 63) {
        return Err(DicomError::codec(
            NAME,
            "a sequential scan of fewer than all 64 coefficients",
        ));
    }
    let image = precision::decompress_12bit(encoded).map_err(|e| DicomError::codec(NAME, e))?;
    let samples = Samples::U16(
        image
            .data
            .into_iter()
            .map(|x| x.clamp(0, 4095) as u16)
            .collect(),
    );
    // The library has converted to RGB what it takes for YCbCr, by the same rules but for the attribute, which it does not see.
    let mut decoded = Decoded::new(samples, 12);
    if header.component_ids.len() == 3 {
        let stated = layout.photometric;
        match colour {
            Colour::AsStated if stated == Photometric::Rgb => {
                return Err(DicomError::codec(
                    NAME,
                    "12-bit RGB without a marker that says so is not supported",
                ));
            }
            Colour::Ybr(proof) if stated == Photometric::Rgb => {
                decoded.findings.push(DicomFinding::StreamColour {
                    stated: stated.keyword(),
                    found: "YCbCr",
                    proof,
                });
            }
            _ => {}
        }
        decoded.colour = Colour::Converted;
    }
    Ok(decoded)
}

fn decode_lossless(encoded: &[u8], header: &FrameHeader, colour: Colour) -> Result<Decoded> {
    let image = precision::decompress_lossless_arbitrary(encoded)
        .map_err(|e| DicomError::codec(NAME, e))?;
    let samples = at_precision(image.data, header.precision);
    Ok(Decoded {
        colour,
        ..Decoded::new(samples, header.precision)
    })
}

/// Samples clamped to `precision` bits (1 to 16), which a broken stream may exceed.
fn at_precision(mut data: Vec<u16>, precision: u16) -> Samples {
    let max = u16::MAX >> (16 - precision.clamp(1, 16));
    data.iter_mut().for_each(|x| *x = (*x).min(max));
    if precision > 8 {
        return Samples::U16(data);
    }
    let narrow = |x| u8::try_from(x).unwrap_or(u8::MAX);
    Samples::U8(data.into_iter().map(narrow).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_beyond_the_precision_are_clamped_to_it() {
        let data = vec![0, 127, 128, 255, 256, 4095, 4096, u16::MAX];
        assert_eq!(
            at_precision(data.clone(), 7),
            Samples::U8(vec![0, 127, 127, 127, 127, 127, 127, 127])
        );
        assert_eq!(
            at_precision(data.clone(), 8),
            Samples::U8(vec![0, 127, 128, 255, 255, 255, 255, 255])
        );
        assert_eq!(
            at_precision(data.clone(), 12),
            Samples::U16(vec![0, 127, 128, 255, 256, 4095, 4095, 4095])
        );
        assert_eq!(at_precision(data.clone(), 16), Samples::U16(data));
    }
}
