//! YBR to RGB (PS3.3 C.7.6.3.1.2, ISO/IEC 10918-5 section 7) and 4:2:2 to full width.

use super::{
    codec::{Colour, Decoded},
    finding::DicomFinding,
    layout::{Layout, Photometric},
    samples::Samples,
};

/// Fractional bits of the fixed-point factors: enough that rounding differs from exact arithmetic only within 1e-5 of a tie.
const FRACTION: u32 = 24;

const fn fixed(x: f64) -> i64 {
    (x * (1_i64 << FRACTION) as f64 + 0.5) as i64
}

const CR_TO_R: i64 = fixed(1.402);
const CB_TO_G: i64 = fixed(0.114 * 1.772 / 0.587);
const CR_TO_G: i64 = fixed(0.299 * 1.402 / 0.587);
const CB_TO_B: i64 = fixed(1.772);

/// Luma and two colour differences of `bits` bits to red, green, blue, rounded to nearest and clamped.
fn rgb(y: i64, cb: i64, cr: i64, bits: u16) -> [i64; 3] {
    let (half, max) = (1_i64 << (bits - 1), (1_i64 << bits) - 1);
    let (cb, cr) = (cb - half, cr - half);
    let at = |difference: i64| {
        (((y << FRACTION) + difference + (1 << (FRACTION - 1))) >> FRACTION).clamp(0, max)
    };
    [
        at(cr * CR_TO_R),
        at(-cb * CB_TO_G - cr * CR_TO_G),
        at(cb * CB_TO_B),
    ]
}

/// Converts interleaved YBR samples to RGB in place; samples of more than 16 bits are left alone.
fn ybr_to_rgb(samples: &mut Samples, bits: u16) {
    match samples {
        Samples::U8(v) => {
            for pixel in v.as_chunks_mut::<3>().0 {
                *pixel = rgb(
                    pixel[0].into(),
                    pixel[1].into(),
                    pixel[2].into(),
                    bits.min(8),
                )
                .map(|x| x as u8);
            }
        }
        Samples::U16(v) => {
            for pixel in v.as_chunks_mut::<3>().0 {
                *pixel = rgb(
                    pixel[0].into(),
                    pixel[1].into(),
                    pixel[2].into(),
                    bits.min(16),
                )
                .map(|x| x as u16);
            }
        }
        Samples::U32(_) | Samples::F32(_) | Samples::F64(_) => {}
    }
}

/// Native 4:2:2: Y1 Y2 Cb Cr of two neighbouring pixels to two full pixels. Where a row has `columns`, an odd number, the
/// second pixel of its last pair is padding; none where pairs run on from row to row.
pub(super) fn widen_422(samples: Samples, columns: Option<usize>) -> Samples {
    fn widen<T: Copy>(v: &[T]) -> Vec<T> {
        v.as_chunks::<4>()
            .0
            .iter()
            .flat_map(|&[y1, y2, cb, cr]| [y1, cb, cr, y2, cb, cr])
            .collect()
    }
    fn each<T: Copy>(v: &[T], columns: Option<usize>) -> Vec<T> {
        match columns.filter(|c| c % 2 == 1) {
            Some(columns) => v
                .chunks_exact(2 * (columns + 1))
                .flat_map(|row| widen(row).into_iter().take(3 * columns))
                .collect(),
            None => widen(v),
        }
    }
    match samples {
        Samples::U8(v) => Samples::U8(each(&v, columns)),
        Samples::U16(v) => Samples::U16(each(&v, columns)),
        Samples::U32(v) => Samples::U32(each(&v, columns)),
        other => other,
    }
}

/// Makes colour RGB; gives what the samples mean then, and whether the stream contradicted what is stated.
pub(super) fn to_rgb(
    decoded: &mut Decoded,
    layout: &Layout,
    jpeg_2000: bool,
) -> (Photometric, Option<DicomFinding>) {
    use Photometric::{Rgb, YbrFull, YbrFull422, YbrIct, YbrRct};
    let stated = layout.photometric;
    if layout.samples != 3 {
        return (stated, None);
    }
    let as_stated = matches!(stated, YbrFull | YbrFull422);
    let transformed = matches!(stated, YbrIct | YbrRct);
    let (ybr, finding) = match decoded.colour {
        Colour::Converted => (false, None),
        Colour::Rgb(proof) => {
            let wrong = as_stated || transformed && !jpeg_2000;
            (
                false,
                wrong.then_some(DicomFinding::StreamColour {
                    stated: stated.keyword(),
                    found: "RGB",
                    proof,
                }),
            )
        }
        Colour::Ybr(proof) => (
            true,
            (!as_stated).then_some(DicomFinding::StreamColour {
                stated: stated.keyword(),
                found: "YCbCr",
                proof,
            }),
        ),
        Colour::AsStated => (
            as_stated,
            transformed.then_some(DicomFinding::NoTransform {
                stated: stated.keyword(),
            }),
        ),
    };
    if ybr {
        ybr_to_rgb(&mut decoded.samples, decoded.precision);
    }
    (Rgb, finding)
}
