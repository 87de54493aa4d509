//! JPEG 2000 and high-throughput JPEG 2000 by OpenJPEG.

use super::{Colour, Decoded};
use crate::dicom::{
    error::{DicomError, Result},
    layout::Layout,
    samples::Samples,
};

const NAME: &str = "JPEG 2000";

fn error(problem: impl ToString) -> DicomError {
    DicomError::codec(NAME, problem)
}

pub(super) fn decode(encoded: &[u8], layout: &Layout) -> Result<Decoded> {
    let stream = codestream(encoded)?;
    let transform = check_size(stream, layout)?;
    // The bare codestream, not the JP2 box around it that some writers leave: the data set states colours, not the box.
    let parameters = jpeg2k::DecodeParameters::new().strict(true);
    let image = jpeg2k::Image::from_bytes_with(stream, parameters).map_err(error)?;
    let components = image.components();
    let precision = components.iter().map(|c| c.precision()).max().unwrap_or_default();
    let pixels = layout.size.pixels();
    if components.len() != usize::from(layout.samples) || components.iter().any(|c| u64::from(c.width()) * u64::from(c.height()) != pixels)
    {
        return Err(error("components of another size or number than the data set states"));
    }
    if !(1..=32).contains(&precision) {
        return Err(error(format!("samples of {precision} bits")));
    }
    let planes: Vec<&[i32]> = components.iter().map(|c| c.data()).collect();
    fn gather<T>(planes: &[&[i32]], pixels: usize, to: impl Fn(i32) -> T) -> Vec<T> {
        let values = (0..pixels).flat_map(|i| planes.iter().filter_map(move |p| p.get(i).copied()));
        values.map(to).collect()
    }
    let pixels = usize::try_from(pixels).map_err(error)?;
    let samples = match precision {
        ..=8 => Samples::U8(gather(&planes, pixels, |x| x as u8)),
        9..=16 => Samples::U16(gather(&planes, pixels, |x| x as u16)),
        _ => Samples::U32(gather(&planes, pixels, |x| x as u32)),
    };
    // OpenJPEG undoes the codestream's own transform; without one the components are what is stated.
    let colour = if transform && layout.samples == 3 { Colour::Rgb } else { Colour::AsStated };
    Ok(Decoded { samples, precision: precision as u16, colour })
}

/// The codestream, out of the JP2 boxes if there are any.
fn codestream(encoded: &[u8]) -> Result<&[u8]> {
    const START: [u8; 4] = [0xFF, 0x4F, 0xFF, 0x51];
    if encoded.starts_with(&START) {
        return Ok(encoded);
    }
    let at = encoded.windows(4).position(|w| w == START).ok_or_else(|| error("no codestream in the frame"))?;
    encoded.get(at..).ok_or_else(|| error("no codestream in the frame"))
}

/// Refuses a SIZ marker of another image than the data set states, before OpenJPEG allocates from it. Tells whether the
/// codestream has a multiple component transform.
fn check_size(stream: &[u8], layout: &Layout) -> Result<bool> {
    let u32_at = |at: usize| stream.get(at..at + 4).and_then(|b| b.first_chunk()).map(|&b| u32::from_be_bytes(b));
    let cut = || error("the codestream ends inside its SIZ marker");
    // After FF4F FF51 Lsiz Rsiz: Xsiz Ysiz XOsiz YOsiz XTsiz YTsiz XTOsiz YTOsiz Csiz.
    let [x, y, x0, y0] = [8, 12, 16, 20].map(u32_at);
    let (x, y, x0, y0) = (x.ok_or_else(cut)?, y.ok_or_else(cut)?, x0.ok_or_else(cut)?, y0.ok_or_else(cut)?);
    let components = stream.get(40..42).and_then(|b| b.first_chunk()).map(|&b| u16::from_be_bytes(b)).ok_or_else(cut)?;
    let size = layout.size;
    if x.checked_sub(x0) != Some(size.width) || y.checked_sub(y0) != Some(size.height) || components != layout.samples {
        let (w, h) = (i64::from(x) - i64::from(x0), i64::from(y) - i64::from(y0));
        let problem = format!("the codestream is {w}×{h} with {components} components, the data set says {size} with {}", layout.samples);
        return Err(error(problem));
    }
    // Tiles much larger than the image would be allocated in full.
    let tiles = [24, 28].map(u32_at);
    if tiles.iter().any(|t| t.is_none_or(|t| t == 0)) {
        return Err(error("tiles without extent"));
    }
    Ok(has_component_transform(stream))
}

/// The multiple component transform flag of the main header's COD marker.
fn has_component_transform(stream: &[u8]) -> bool {
    let mut rest = stream.get(2..).unwrap_or_default();
    while let Some((&[0xFF, code, l1, l0], _)) = rest.split_first_chunk::<4>() {
        match code {
            // COD: Lcod, Scod, progression, layers (2), transform.
            0x52 => return rest.get(8) == Some(&1),
            0x90 | 0x93 => return false,
            _ => rest = rest.get(2 + usize::from(u16::from_be_bytes([l1, l0]))..).unwrap_or_default(),
        }
    }
    false
}
