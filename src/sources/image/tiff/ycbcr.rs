//! YCbCr colours.

use super::{
    layout::{Layout, YCbCr},
    raw::Raw,
};

/// Blocks of `across` × `down` luma samples, then one Cb and one Cr, to pixels of three samples: each pixel has the
/// chroma of its block.
pub(super) fn interleaved_blocks(
    layout: &Layout,
    raw: &Raw,
    (across, down): (u32, u32),
) -> Vec<u8> {
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
    pub(super) fn to_rgb(&self, samples: &[u8]) -> Vec<u8> {
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
