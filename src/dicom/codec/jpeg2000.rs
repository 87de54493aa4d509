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
    check_size(stream, layout)?;
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
    // OpenJPEG undoes the codestream's own transform (YBR_ICT, YBR_RCT); what is left is what is stated.
    Ok(Decoded { samples, precision: precision as u16, colour: Colour::AsStated })
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

/// Refuses a SIZ marker of another image than the data set states, or of more tiles than the stream can hold, before
/// OpenJPEG allocates from it.
fn check_size(stream: &[u8], layout: &Layout) -> Result<()> {
    /// SOT and SOD markers of an empty tile.
    const SMALLEST_TILE: u64 = 14;
    let u32_at = |at: usize| stream.get(at..at + 4).and_then(|b| b.first_chunk()).map(|&b| u32::from_be_bytes(b));
    // After FF4F FF51 Lsiz Rsiz: Xsiz Ysiz XOsiz YOsiz XTsiz YTsiz XTOsiz YTOsiz Csiz.
    let fields: Option<Vec<u32>> = (0..8).map(|i| u32_at(8 + 4 * i)).collect();
    let components = stream.get(40..42).and_then(|b| b.first_chunk()).map(|&b| u16::from_be_bytes(b));
    let (Some(&[x, y, x0, y0, tile_x, tile_y, tile_x0, tile_y0]), Some(components)) = (fields.as_deref(), components) else {
        return Err(error("the codestream ends inside its SIZ marker"));
    };
    let size = layout.size;
    if x.checked_sub(x0) != Some(size.width) || y.checked_sub(y0) != Some(size.height) || components != layout.samples {
        let (w, h) = (i64::from(x) - i64::from(x0), i64::from(y) - i64::from(y0));
        let problem = format!("the codestream is {w}×{h} with {components} components, the data set says {size} with {}", layout.samples);
        return Err(error(problem));
    }
    let tiles = |end: u32, start: u32, tile: u32| Some(u64::from(end.checked_sub(start)?.checked_add(tile.checked_sub(1)?)? / tile));
    let tiles = tiles(x, tile_x0, tile_x).zip(tiles(y, tile_y0, tile_y)).and_then(|(across, down)| across.checked_mul(down));
    match tiles {
        Some(tiles) if tiles.saturating_mul(SMALLEST_TILE) <= stream.len() as u64 => Ok(()),
        _ => Err(error("more tiles than the codestream can hold")),
    }
}
