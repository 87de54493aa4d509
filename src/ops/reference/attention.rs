//! Attention, of windows, and deformable.

use super::softmax;
use crate::ops::types::result::Result;
use candle_core::{DType, Tensor};

/// See [`crate::ops::attention`].
///
/// # Errors
/// If the shapes do not fit.
pub fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    heads: usize,
    scale: f32,
    bias: Option<&Tensor>,
) -> Result<Tensor> {
    let (b, nq, _) = q.dims3()?;
    let split = |t: &Tensor| {
        let (b, n, c) = t.dims3()?;
        t.reshape((b, n, heads, c / heads))?
            .transpose(1, 2)?
            .contiguous()
    };
    let mut scores = (split(q)?.matmul(&split(k)?.t()?)? * f64::from(scale))?;
    if let Some(bias) = bias {
        scores = scores.broadcast_add(&bias.unsqueeze(0)?)?;
    }
    softmax(&scores)?
        .matmul(&split(v)?)?
        .transpose(1, 2)?
        .contiguous()?
        .reshape((b, nq, ()))
}

/// See [`crate::ops::WindowAttention`].
///
/// # Errors
/// If the shapes do not fit.
pub fn window_attention(
    qkv: &Tensor,
    padding: &Tensor,
    window: usize,
    heads: usize,
    scale: f32,
    bias: Option<&Tensor>,
) -> Result<Tensor> {
    let (b, h, w, c3) = qkv.dims4()?;
    let c = c3 / 3;
    let (rows, columns) = (h.div_ceil(window), w.div_ceil(window));
    let (ph, pw) = (rows * window, columns * window);
    let fill = |h: usize, w: usize| {
        padding
            .reshape((1, 1, 1, c3))?
            .broadcast_as((b, h, w, c3))?
            .contiguous()
    };
    let mut x = qkv.contiguous()?;
    if pw > w {
        x = Tensor::cat(&[&x, &fill(h, pw - w)?], 2)?;
    }
    if ph > h {
        x = Tensor::cat(&[&x, &fill(ph - h, pw)?], 1)?;
    }
    let x = x
        .reshape((b, rows, window, columns, window * c3))?
        .transpose(2, 3)?
        .contiguous()?;
    let x = x.reshape((b * rows * columns, window * window, c3))?;
    let part = |i: usize| x.narrow(2, i * c, c)?.contiguous();
    let y = attention(&part(0)?, &part(1)?, &part(2)?, heads, scale, bias)?;
    let y = y
        .reshape((b, rows, columns, window, window * c))?
        .transpose(2, 3)?
        .contiguous()?
        .reshape((b, ph, pw, c))?;
    y.narrow(1, 0, h)?.narrow(2, 0, w)?.contiguous()
}

/// See [`crate::ops::deformable_attention`].
///
/// # Errors
/// If the shapes do not fit.
pub fn deformable_attention(
    value: &Tensor,
    levels: &[(usize, usize)],
    points: &[usize],
    locations: &Tensor,
    weights: &Tensor,
) -> Result<Tensor> {
    let (b, q, heads, _, _) = locations.dims5()?;
    let d = value.dim(2)? / heads;
    let (mut token, mut point, mut sum) = (0, 0, None::<Tensor>);
    for (&(h, w), &n) in levels.iter().zip(points) {
        // [B·heads, H·W, d]
        let map = value
            .narrow(1, token, h * w)?
            .reshape((b, h * w, heads, d))?
            .transpose(1, 2)?
            .contiguous()?;
        let map = map.reshape((b * heads, h * w, d))?;
        let at = locations
            .narrow(3, point, n)?
            .transpose(1, 2)?
            .contiguous()?
            .reshape((b * heads, q * n, 2))?;
        let by = weights
            .narrow(3, point, n)?
            .transpose(1, 2)?
            .contiguous()?
            .reshape((b * heads, q * n, 1))?;
        let level = grid_sample(&map, (h, w), &at)?
            .broadcast_mul(&by)?
            .reshape((b * heads, q, n, d))?
            .sum(2)?;
        sum = Some(match sum {
            Some(sum) => (sum + level)?,
            None => level,
        });
        token += h * w;
        point += n;
    }
    let Some(sum) = sum else {
        candle_core::bail!("deformable_attention: no levels")
    };
    sum.reshape((b, heads, q, d))?
        .transpose(1, 2)?
        .contiguous()?
        .reshape((b, q, heads * d))
}

/// Bilinear samples `[B, N, d]` of maps `[B, H·W, d]` at `at` `[B, N, 2]` (x, y in 0..1), zeros outside.
fn grid_sample(map: &Tensor, (h, w): (usize, usize), at: &Tensor) -> Result<Tensor> {
    let (b, n, _) = at.dims3()?;
    let d = map.dim(2)?;
    let coordinate = |i: usize, size: usize| at.narrow(2, i, 1)?.affine(size as f64, -0.5);
    let (x, y) = (coordinate(0, w)?, coordinate(1, h)?);
    let (x0, y0) = (x.floor()?, y.floor()?);
    let (fx, fy) = ((&x - &x0)?, (&y - &y0)?);
    let mut sum = Tensor::zeros((b, n, d), map.dtype(), map.device())?;
    for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        let (cx, cy) = ((&x0 + f64::from(dx))?, (&y0 + f64::from(dy))?);
        let weight_of = |f: &Tensor, far: i32| {
            if far == 1 {
                Ok(f.clone())
            } else {
                f.affine(-1.0, 1.0)
            }
        };
        let inside = ((cx.ge(0.0)? * cx.lt(w as f64)?)? * (cy.ge(0.0)? * cy.lt(h as f64)?)?)?
            .to_dtype(map.dtype())?;
        let weight = ((weight_of(&fx, dx)? * weight_of(&fy, dy)?)? * inside)?;
        let index =
            (cy.clamp(0.0, (h - 1) as f64)? * w as f64)?.add(&cx.clamp(0.0, (w - 1) as f64)?)?;
        let index = index
            .to_dtype(DType::U32)?
            .broadcast_as((b, n, d))?
            .contiguous()?;
        sum = (sum + map.gather(&index, 1)?.broadcast_mul(&weight)?)?;
    }
    Ok(sum)
}
