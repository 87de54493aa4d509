//! Logits to masks.

use crate::ops::types::{masks::PackedMask, result::Result};
use candle_core::Tensor;

/// Rows of weights `[out, in]` of PyTorch's bilinear interpolation without antialiasing, `align_corners=False`.
fn bilinear_matrix(from: usize, to: usize) -> Vec<f32> {
    let scale = from as f32 / to as f32;
    let mut matrix = vec![0f32; from * to];
    for (i, row) in matrix.chunks_exact_mut(from).enumerate() {
        let at = ((i as f32 + 0.5) * scale - 0.5).max(0.0);
        let first = (at as usize).min(from - 1);
        let second = (first + 1).min(from - 1);
        row[first] += 1.0 - (at - first as f32);
        row[second] += at - first as f32;
    }
    matrix
}

/// `[N, h, w]` brought to (height, width) bilinearly, `align_corners=False`, without antialiasing.
///
/// # Errors
/// If x has not three dimensions or a size is 0.
pub fn resize_bilinear(x: &Tensor, (height, width): (usize, usize)) -> Result<Tensor> {
    let (n, h, w) = x.dims3()?;
    let across = Tensor::from_vec(bilinear_matrix(w, width), (width, w), x.device())?;
    let down = Tensor::from_vec(bilinear_matrix(h, height), (height, h), x.device())?;
    let x = x
        .reshape((n * h, w))?
        .matmul(&across.t()?)?
        .reshape((n, h, width))?;
    down.broadcast_left(n)?.matmul(&x)
}

/// See [`crate::ops::masks_to_runs`].
///
/// # Errors
/// If the shapes do not fit.
pub fn masks_to_runs(
    logits: &Tensor,
    side: usize,
    scaled: (usize, usize),
    frame: (usize, usize),
) -> Result<Vec<PackedMask>> {
    let x = resize_bilinear(logits, (side, side))?
        .narrow(1, 0, scaled.0)?
        .narrow(2, 0, scaled.1)?
        .contiguous()?;
    let x = resize_bilinear(&x, frame)?
        .transpose(1, 2)?
        .contiguous()?
        .gt(0f32)?;
    let masks = x.flatten_from(1)?.to_vec2::<u8>()?;
    Ok(masks.iter().map(|pixels| pack(pixels, frame.0)).collect())
}

fn pack(column_major: &[u8], height: usize) -> PackedMask {
    let (mut counts, mut run, mut inside) = (Vec::new(), 0u32, 0u8);
    for &pixel in column_major {
        if pixel != inside {
            counts.push(run);
            (run, inside) = (0, pixel);
        }
        run += 1;
    }
    counts.push(run);
    let places = (0..column_major.len()).filter(|at| column_major[*at] != 0);
    let bounds = places.clone().fold(None, |bounds, at| {
        let (x, y) = ((at / height) as u32, (at % height) as u32);
        let [x0, y0, x1, y1] = bounds.unwrap_or([x, y, 0, 0]);
        Some([x0.min(x), y0.min(y), x1.max(x + 1), y1.max(y + 1)])
    });
    PackedMask {
        counts,
        area: places.count() as u64,
        bounds,
    }
}
