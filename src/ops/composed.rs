//! Every operation written plainly in candle's own, for any device: the reference for the fast code.

use super::{
    Activation, Conv2dOptions, Normalisation, PackedMask, Padding, Result, resize::Coefficients,
};
use candle_core::{D, DType, Device, Tensor};

/// A pointwise function.
///
/// # Errors
/// Candle's.
pub fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    match activation {
        Activation::Identity => Ok(x.clone()),
        Activation::Relu => x.relu(),
        Activation::Gelu => x.gelu_erf(),
        Activation::Silu => x.silu(),
        Activation::Sigmoid => sigmoid(x),
        Activation::Clamp(limit) => x.clamp(-limit, limit),
    }
}

/// 1 / (1 + e^-x).
///
/// # Errors
/// Candle's.
pub fn sigmoid(x: &Tensor) -> Result<Tensor> {
    (x.neg()?.exp()? + 1.0)?.recip()
}

/// See [`super::Conv2d::forward_add`]; `weight` `[out, in/groups, kh, kw]`.
///
/// # Errors
/// If the shapes do not fit.
pub fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    residual: Option<&Tensor>,
    o: &Conv2dOptions,
) -> Result<Tensor> {
    let x = x.permute((0, 3, 1, 2))?;
    let p = o.padding;
    let x = x
        .pad_with_zeros(2, p.top, p.bottom)?
        .pad_with_zeros(3, p.left, p.right)?
        .contiguous()?;
    let y = x
        .conv2d(weight, 0, o.stride, 1, o.groups)?
        .permute((0, 2, 3, 1))?
        .contiguous()?;
    finish(y, bias, residual, o.activation, o.affine)
}

/// See [`super::Linear::forward_add`]; `weight` `[out, in]`.
///
/// # Errors
/// If the shapes do not fit.
pub fn linear(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    residual: Option<&Tensor>,
    activation: Activation,
) -> Result<Tensor> {
    let (out, inner) = weight.dims2()?;
    let mut shape = x.dims().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = out;
    }
    let y = x
        .contiguous()?
        .reshape(((), inner))?
        .matmul(&weight.t()?)?
        .reshape(shape)?;
    finish(y, bias, residual, activation, None)
}

fn finish(
    mut y: Tensor,
    bias: Option<&Tensor>,
    residual: Option<&Tensor>,
    activation: Activation,
    affine: Option<(f32, f32)>,
) -> Result<Tensor> {
    if let Some(bias) = bias {
        y = y.broadcast_add(bias)?;
    }
    if let Some(residual) = residual {
        y = (y + residual)?;
    }
    y = activate(&y, activation)?;
    if let Some((scale, shift)) = affine {
        y = y.affine(f64::from(scale), f64::from(shift))?;
    }
    Ok(y)
}

/// See [`super::LayerNorm::forward`].
///
/// # Errors
/// If the shapes do not fit.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f32) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let var = centred.sqr()?.mean_keepdim(D::Minus1)?;
    centred
        .broadcast_div(&(var + f64::from(eps))?.sqrt()?)?
        .broadcast_mul(weight)?
        .broadcast_add(bias)
}

/// Softmax over the last dimension.
///
/// # Errors
/// Candle's.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    let e = x.broadcast_sub(&x.max_keepdim(D::Minus1)?)?.exp()?;
    e.broadcast_div(&e.sum_keepdim(D::Minus1)?)
}

/// See [`super::max_pool2d`].
///
/// # Errors
/// If the shapes do not fit.
pub fn max_pool2d(x: &Tensor, kernel: usize, stride: usize, p: Padding) -> Result<Tensor> {
    let x = x
        .permute((0, 3, 1, 2))?
        .pad_with_zeros(2, p.top, p.bottom)?
        .pad_with_zeros(3, p.left, p.right)?;
    x.contiguous()?
        .max_pool2d_with_stride(kernel, stride)?
        .permute((0, 2, 3, 1))?
        .contiguous()
}

/// See [`super::upsample_nearest2x`].
///
/// # Errors
/// If x has not four dimensions.
pub fn upsample_nearest2x(x: &Tensor) -> Result<Tensor> {
    let (b, h, w, c) = x.dims4()?;
    x.reshape((b, h, 1, w, 1, c))?
        .broadcast_as((b, h, 2, w, 2, c))?
        .contiguous()?
        .reshape((b, 2 * h, 2 * w, c))
}

/// See [`super::attention`].
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

/// See [`super::WindowAttention`].
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

/// See [`super::deformable_attention`].
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

/// The matrix `[out, in]` of Pillow's integer coefficients. In f64 all sums of products with pixels are exact.
fn antialias_matrix(from: usize, to: usize, device: &Device) -> Result<Tensor> {
    let coefficients = Coefficients::new(from, to);
    let mut matrix = vec![0f64; from * to];
    for (i, row) in matrix.chunks_exact_mut(from).enumerate() {
        let (first, taps) = coefficients.of(i);
        for (to, &tap) in row[first..].iter_mut().zip(taps) {
            *to = f64::from(tap);
        }
    }
    Tensor::from_vec(matrix, (to, from), device)
}

/// Sums of coefficients and pixels rounded to 8 bits.
fn round_to_pixels(sums: &Tensor) -> Result<Tensor> {
    let one = f64::from(1 << Coefficients::BITS);
    sums.affine(1.0 / one, f64::from(Coefficients::HALF) / one)?
        .floor()?
        .clamp(0.0, 255.0)
}

/// See [`super::resize_normalise`].
///
/// # Errors
/// If the shapes do not fit.
pub fn resize_normalise(
    image: &Tensor,
    size: (usize, usize),
    padded: (usize, usize),
    channels: usize,
    normalisation: &Normalisation,
) -> Result<Tensor> {
    let (h, w, c) = image.dims3()?;
    let device = image.device();
    let mut x = image.to_dtype(DType::F64)?;
    if c == 3 && channels == 1 {
        let luma = Tensor::new(&[19595f64, 38470.0, 7471.0], device)?.reshape((3, 1))?;
        x = x
            .reshape((h * w, 3))?
            .matmul(&luma)?
            .affine(1.0 / 65536.0, 0.5)?
            .floor()?
            .reshape((h, w, 1))?;
    }
    let c = x.dim(2)?;
    if size.1 != w {
        // [W, H·C], so that one product does all rows.
        let columns = x.transpose(0, 1)?.contiguous()?.reshape((w, h * c))?;
        let across = round_to_pixels(&antialias_matrix(w, size.1, device)?.matmul(&columns)?)?;
        x = across
            .reshape((size.1, h, c))?
            .transpose(0, 1)?
            .contiguous()?;
    }
    if size.0 != h {
        x = round_to_pixels(
            &antialias_matrix(h, size.0, device)?.matmul(&x.reshape((h, size.1 * c))?)?,
        )?;
    }
    x = x
        .reshape((size.0, size.1, c))?
        .to_dtype(DType::F32)?
        .broadcast_as((size.0, size.1, channels))?;
    let mean = Tensor::new(&normalisation.mean[..channels], device)?;
    let std = Tensor::new(&normalisation.std[..channels], device)?;
    let x = x.broadcast_sub(&mean)?.broadcast_div(&std)?;
    if padded.0 < size.0 || padded.1 < size.1 {
        candle_core::bail!("resize_normalise: {size:?} does not fit into {padded:?}");
    }
    x.pad_with_zeros(0, 0, padded.0 - size.0)?
        .pad_with_zeros(1, 0, padded.1 - size.1)?
        .unsqueeze(0)?
        .contiguous()
}

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

/// See [`super::masks_to_runs`].
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
