//! JPEG 2000 and high-throughput JPEG 2000 by OpenJPEG.

use super::decoded::{Colour, Decoded};
use crate::dicom::{
    error::{DicomError, Result},
    layout::Layout,
    samples::Samples,
};
use jpeg2k::ImageComponent;

const NAME: &str = "JPEG 2000";

fn error(problem: impl ToString) -> DicomError {
    DicomError::codec(NAME, problem)
}

pub(super) fn decode(encoded: &[u8], layout: &Layout) -> Result<Decoded> {
    let stream = codestream(encoded)?;
    check_size(stream, layout)?;
    let sampling = sampling(stream, layout)?;
    // The bare codestream, not the JP2 box around it that some writers leave: the data set states colours, not the box.
    let parameters = jpeg2k::DecodeParameters::new().strict(true);
    let image = jpeg2k::Image::from_bytes_with(stream, parameters).map_err(error)?;
    let components = image.components();
    let fits = |c: &ImageComponent, &(dx, dy): &(u32, u32)| {
        (c.width(), c.height())
            == (
                layout.size.width.div_ceil(dx),
                layout.size.height.div_ceil(dy),
            )
    };
    if components.len() != sampling.len()
        || !components.iter().zip(&sampling).all(|(c, s)| fits(c, s))
    {
        return Err(error(
            "components of another size or number than the data set states",
        ));
    }
    let precision = components
        .iter()
        .map(ImageComponent::precision)
        .max()
        .unwrap_or_default();
    if !(1..=32).contains(&precision) {
        return Err(error(format!("samples of {precision} bits")));
    }
    if components.iter().any(|c| c.precision() != precision) {
        return Err(error("components of different precisions"));
    }
    let planes: Vec<Plane<'_>> = components
        .iter()
        .zip(&sampling)
        .map(|(c, &(dx, dy))| Plane::new(c, dx, dy))
        .collect();
    let samples = match precision {
        ..=8 => Samples::U8(gather(&planes, layout, |x| x as u8)),
        9..=16 => Samples::U16(gather(&planes, layout, |x| x as u16)),
        _ => Samples::U32(gather(&planes, layout, |x| x as u32)),
    };
    // OpenJPEG undoes the codestream's own transform, whatever the data set calls it; what else is left is what is stated.
    let colour = if planes.len() == 3 && sampling.iter().any(|s| *s != (1, 1)) {
        Colour::Ybr("its chroma has fewer samples")
    } else if planes.len() == 3 && has_transform(stream) {
        Colour::Rgb("by its colour transform, which is undone")
    } else {
        Colour::AsStated
    };
    Ok(Decoded {
        colour,
        ..Decoded::new(samples, precision as u16)
    })
}

/// One component, of which a sample stands for `dx` by `dy` pixels.
struct Plane<'a> {
    data: &'a [i32],
    width: usize,
    dx: usize,
    dy: usize,
    /// Values that the precision allows; what lies outside in a lossy stream is clamped.
    range: (i64, i64),
}

impl<'a> Plane<'a> {
    fn new(component: &'a ImageComponent, dx: u32, dy: u32) -> Self {
        let range = range(component.precision(), component.is_signed());
        Self {
            data: component.data(),
            width: component.width() as usize,
            dx: dx as usize,
            dy: dy as usize,
            range,
        }
    }

    fn at(&self, x: usize, y: usize) -> i32 {
        let value = self
            .data
            .get(y / self.dy * self.width + x / self.dx)
            .copied()
            .unwrap_or_default();
        i64::from(value).clamp(self.range.0, self.range.1) as i32
    }
}

/// Lowest and highest value of samples of `precision` bits (1 to 32) as OpenJPEG keeps them: in 32 bits with a sign,
/// unsigned ones of 32 bits as their pattern.
fn range(precision: u32, signed: bool) -> (i64, i64) {
    let bits = precision.clamp(1, 32);
    if signed || bits == 32 {
        (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    } else {
        (0, (1 << bits) - 1)
    }
}

/// The samples of all pixels, those of a pixel beside each other, as bit patterns that `to` narrows without loss.
fn gather<T>(planes: &[Plane<'_>], layout: &Layout, to: impl Fn(i32) -> T) -> Vec<T> {
    let (columns, rows) = (layout.size.width as usize, layout.size.height as usize);
    let mut out = Vec::with_capacity(columns.saturating_mul(rows).saturating_mul(planes.len()));
    for (y, x) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x))) {
        out.extend(planes.iter().map(|plane| to(plane.at(x, y))));
    }
    out
}

/// Pixels a sample of each component stands for, across and down (XRsiz, YRsiz).
fn sampling(stream: &[u8], layout: &Layout) -> Result<Vec<(u32, u32)>> {
    let of = |i: usize| {
        stream
            .get(42 + 3 * i..)
            .and_then(|b| b.first_chunk())
            .map(|&[_, x, y]| (u32::from(x), u32::from(y)))
    };
    let found: Option<Vec<_>> = (0..usize::from(layout.samples)).map(of).collect();
    let found = found.ok_or_else(|| error("the codestream ends inside its SIZ marker"))?;
    let subsampled = found.iter().any(|s| *s != (1, 1));
    let at_origin = stream.get(16..24) == Some(&[0; 8]);
    let luma_is_whole = found.first() == Some(&(1, 1));
    if subsampled
        && !(at_origin
            && luma_is_whole
            && found
                .iter()
                .all(|&(x, y)| (1..=4).contains(&x) && (1..=4).contains(&y)))
    {
        return Err(error(
            "components of fewer samples than the image has pixels, in a way that is not supported",
        ));
    }
    Ok(found)
}

/// Whether a multiple component transform was applied, by the main header's COD marker.
fn has_transform(stream: &[u8]) -> bool {
    const COD: u8 = 0x52;
    let mut rest = stream.get(2..).unwrap_or_default();
    while let Some((&[0xFF, code, high, low], _)) = rest.split_first_chunk::<4>() {
        let len = usize::from(u16::from_be_bytes([high, low]));
        match code {
            // After the length: Scod, progression order, layers of two bytes, transform.
            COD => return rest.get(8).is_some_and(|transform| *transform != 0),
            // The first tile-part ends the main header.
            0x90 | 0x93 | 0xD9 => return false,
            _ => rest = rest.get(2 + len.max(2)..).unwrap_or_default(),
        }
    }
    false
}

/// The codestream, out of the JP2 boxes if there are any.
fn codestream(encoded: &[u8]) -> Result<&[u8]> {
    const START: [u8; 4] = [0xFF, 0x4F, 0xFF, 0x51];
    if encoded.starts_with(&START) {
        return Ok(encoded);
    }
    let at = encoded
        .windows(4)
        .position(|w| w == START)
        .ok_or_else(|| error("no codestream in the frame"))?;
    encoded
        .get(at..)
        .ok_or_else(|| error("no codestream in the frame"))
}

/// Refuses a SIZ marker of another image than the data set states, or of more tiles than the stream can hold, before
/// OpenJPEG allocates from it.
fn check_size(stream: &[u8], layout: &Layout) -> Result<()> {
    /// SOT and SOD markers of an empty tile.
    const SMALLEST_TILE: u64 = 14;
    let u32_at = |at: usize| {
        stream
            .get(at..at + 4)
            .and_then(|b| b.first_chunk())
            .map(|&b| u32::from_be_bytes(b))
    };
    // After FF4F FF51 Lsiz Rsiz: Xsiz Ysiz XOsiz YOsiz XTsiz YTsiz XTOsiz YTOsiz Csiz.
    let fields: Option<Vec<u32>> = (0..8).map(|i| u32_at(8 + 4 * i)).collect();
    let components = stream
        .get(40..42)
        .and_then(|b| b.first_chunk())
        .map(|&b| u16::from_be_bytes(b));
    let (Some(&[x, y, x0, y0, tile_x, tile_y, tile_x0, tile_y0]), Some(components)) =
        (fields.as_deref(), components)
    else {
        return Err(error("the codestream ends inside its SIZ marker"));
    };
    let size = layout.size;
    if x.checked_sub(x0) != Some(size.width)
        || y.checked_sub(y0) != Some(size.height)
        || components != layout.samples
    {
        let (w, h) = (i64::from(x) - i64::from(x0), i64::from(y) - i64::from(y0));
        let problem = format!(
            "the codestream is {w}×{h} with {components} components, the data set says {size} with {}",
            layout.samples
        );
        return Err(error(problem));
    }
    let tiles = |end: u32, start: u32, tile: u32| {
        Some(u64::from(
            end.checked_sub(start)?.checked_add(tile.checked_sub(1)?)? / tile,
        ))
    };
    let tiles = tiles(x, tile_x0, tile_x)
        .zip(tiles(y, tile_y0, tile_y))
        .and_then(|(across, down)| across.checked_mul(down));
    match tiles {
        Some(tiles) if tiles.saturating_mul(SMALLEST_TILE) <= stream.len() as u64 => Ok(()),
        _ => Err(error("more tiles than the codestream can hold")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(precision: u32, signed: bool, data: &[i32]) -> Vec<i32> {
        let plane = Plane {
            data,
            width: data.len(),
            dx: 1,
            dy: 1,
            range: range(precision, signed),
        };
        (0..data.len()).map(|x| plane.at(x, 0)).collect()
    }

    #[test]
    fn samples_beyond_the_precision_are_clamped_to_it() {
        let data = [i32::MIN, -2049, -1, 0, 255, 256, 4096, i32::MAX];
        assert_eq!(shown(8, false, &data), [0, 0, 0, 0, 255, 255, 255, 255]);
        assert_eq!(shown(12, false, &data), [0, 0, 0, 0, 255, 256, 4095, 4095]);
        assert_eq!(
            shown(12, true, &data),
            [-2048, -2048, -1, 0, 255, 256, 2047, 2047]
        );
        assert_eq!(shown(32, false, &data), data);
        assert_eq!(shown(32, true, &data), data);
    }
}
