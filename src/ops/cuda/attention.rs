//! Attention among tokens, and within windows of a map.

#![allow(unsafe_code)]

use super::{
    launch::{self, Kernel, ROWS_A_BLOCK, THREADS, empty, int, named, structure},
    layout::{contiguous, even},
    tiles::multiprocessors,
    typed::Typed,
};
use crate::ops::{
    reference,
    types::{position_bias::PositionBias, result::Result, strides::row_stride},
};
use candle_core::{CudaDevice, DType, Tensor};

/// `Attention` of `attention.cuh`, field by field.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Arguments {
    q: u64,
    k: u64,
    v: u64,
    padding: u64,
    bias: u64,
    out: u64,
    q_token: i64,
    k_token: i64,
    v_token: i64,
    q_batch: i64,
    k_batch: i64,
    v_batch: i64,
    batch: i32,
    queries: i32,
    keys: i32,
    heads: i32,
    scale: f32,
    height: i32,
    width: i32,
    window: i32,
    window_rows: i32,
    window_columns: i32,
}

structure!(Arguments: q, k, v, padding, bias, out);

/// From this many keys on, a block works on one query.
const LONG: usize = 1024;

/// Up to this many keys, and from so many queries of all heads on, a thread works on one query.
const FEW: usize = 48;
const MANY: usize = 16 << 10;

/// The kernel for few keys, heads of `d` channels and `items` queries of all heads, where there is one.
fn few(d: usize, dtype: DType, items: usize, keys: usize) -> Result<Option<Kernel>> {
    let name = match d {
        16 if keys <= FEW && items >= MANY => named!("attend_few_16", dtype)?,
        32 if keys <= FEW && items >= MANY => named!("attend_few_32", dtype)?,
        _ => return Ok(None),
    };
    Ok(Some(Kernel::over("attention", name, items)))
}

/// Queries and keys from which on the tensor cores pay.
const TILED_QUERIES: usize = 16;
const TILED_KEYS: usize = 32;
/// As `MOST_KEYS` and `QUERIES` in `attention_tokens.cu`.
const KEYS_A_PASS: usize = 512;
const QUERIES_A_BLOCK: usize = 32;

/// Queries up to which the keys are dealt out to warps where they are many, keys and numbers a query of such a part, and warps of a block:
/// as in `attention_parts.cu`.
const MAX_PART_QUERIES: usize = 16;
const PART_KEYS: usize = 64;
const PART_ROW: usize = 18;
const PART_WARPS: usize = 4;

/// The tensor cores' kernel for (batch, heads, queries, keys) without a bias, where there is one.
fn tiles(
    d: usize,
    dtype: DType,
    (batch, heads, queries, keys): (usize, usize, usize, usize),
) -> Result<Option<Kernel>> {
    if dtype == DType::F32 || queries < TILED_QUERIES || keys < TILED_KEYS {
        return Ok(None);
    }
    let name = match d {
        16 => named!("attend_tiles_16", dtype)?,
        32 => named!("attend_tiles_32", dtype)?,
        _ => return Ok(None),
    };
    // Keys and values in rows of eight numbers more than they have; at the end what each of the eight warps has of its 16 queries.
    let shared = keys.min(KEYS_A_PASS).next_multiple_of(16) * 2 * (d + 8) * 2;
    let together = 8 * 16 * (d + 2) * 4;
    let grid = (queries.div_ceil(QUERIES_A_BLOCK), heads, batch);
    Ok(Some(Kernel {
        file: "attention_tokens",
        name,
        grid,
        block: (THREADS, 1),
        shared: shared.max(together),
    }))
}

/// The kernel for heads of `d` channels, and whether a block does one query.
fn kernel(d: usize, dtype: DType, items: usize, long: bool) -> Result<Option<Kernel>> {
    let name = match (d, long) {
        (16, false) => named!("attend_16", dtype)?,
        (16, true) => named!("attend_long_16", dtype)?,
        (32, false) => named!("attend_32", dtype)?,
        (32, true) => named!("attend_long_32", dtype)?,
        (48, false) => named!("attend_48", dtype)?,
        (48, true) => named!("attend_long_48", dtype)?,
        (64, false) => named!("attend_64", dtype)?,
        (64, true) => named!("attend_long_64", dtype)?,
        _ => return Ok(None),
    };
    let blocks = if long {
        items
    } else {
        items.div_ceil(ROWS_A_BLOCK)
    };
    Ok(Some(Kernel {
        file: "attention",
        name,
        grid: (blocks, 1, 1),
        block: (THREADS, 1),
        shared: 0,
    }))
}

/// Whether all rows start at places divisible by eight numbers.
fn by_eights(x: &Tensor, address: u64) -> bool {
    row_stride(x).is_some_and(|s| s.is_multiple_of(8))
        && address.is_multiple_of(8 * x.dtype().size_in_bytes() as u64)
}

/// See [`crate::ops::attention`].
pub(crate) fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    heads: usize,
    scale: f32,
    bias: Option<&Tensor>,
) -> Result<Tensor> {
    let ((bq, nq, c), (bk, nk, ck), (bv, nv, cv)) = (q.dims3()?, k.dims3()?, v.dims3()?);
    let batch = bq.max(bk);
    let fits = bv == bk
        && nv == nk
        && ck == c
        && heads > 0
        && c.is_multiple_of(heads)
        && cv.is_multiple_of(heads)
        && nk > 0;
    let fits = fits
        && [bq, bk].iter().all(|&b| b == batch || b == 1)
        && k.dtype() == q.dtype()
        && v.dtype() == q.dtype();
    if !fits || bias.is_some_and(|bias| bias.dims() != [heads, nq, nk]) {
        let bias = bias.map(Tensor::shape);
        candle_core::bail!(
            "attention: q {:?}, k {:?}, v {:?} and bias {bias:?} for {heads} heads",
            q.shape(),
            k.shape(),
            v.shape()
        );
    }
    let (device, dtype) = (launch::device(q)?, q.dtype());
    let (q, k, v) = (even(q)?, even(k)?, even(v)?);
    let tokens = [&q, &k, &v].map(|t| row_stride(t).unwrap_or(0));
    let [qa, ka, va] = [
        launch::address(&q)?,
        launch::address(&k)?,
        launch::address(&v)?,
    ];
    let aligned = by_eights(&q, qa) && by_eights(&k, ka) && by_eights(&v, va) && c == cv;
    let items = batch * heads * nq;
    let few = few(c / heads, dtype, items, nk)?;
    let plain = kernel(c / heads, dtype, items, nk >= LONG)?;
    let tiles = if bias.is_none() {
        tiles(c / heads, dtype, (batch, heads, nq, nk))?
    } else {
        None
    };
    let Some(kernel) = few.or(tiles).or(plain).filter(|_| aligned) else {
        let whole = |t: &Tensor| contiguous(&t.broadcast_as((batch, t.dim(1)?, t.dim(2)?))?);
        return reference::attention(&whole(&q)?, &whole(&k)?, &whole(&v)?, heads, scale, bias);
    };
    let bias = bias
        .map(|b| contiguous(&b.to_dtype(DType::F32)?))
        .transpose()?;
    let (y, out) = empty(device, (batch, nq, cv), dtype)?;
    let from_image =
        |b: usize, tokens: usize, stride: usize| if b == 1 { 0 } else { (tokens * stride) as i64 };
    let arguments = Arguments {
        q: qa,
        k: ka,
        v: va,
        bias: launch::optional(bias.as_ref(), DType::F32, "attention")?,
        out,
        q_token: tokens[0] as i64,
        k_token: tokens[1] as i64,
        v_token: tokens[2] as i64,
        q_batch: from_image(bq, nq, tokens[0]),
        k_batch: from_image(bk, nk, tokens[1]),
        v_batch: from_image(bk, nk, tokens[2]),
        batch: int(batch)?,
        queries: int(nq)?,
        keys: int(nk)?,
        heads: int(heads)?,
        scale,
        ..Arguments::default()
    };
    if aligned
        && bias.is_none()
        && c / heads == 16
        && dtype != DType::F32
        && nq <= MAX_PART_QUERIES
        && nk >= LONG
    {
        let all = nk.div_ceil(PART_KEYS);
        let (_parts, at) = empty(device, (batch, heads, all, nq, PART_ROW), DType::F32)?;
        let grid = (all.div_ceil(PART_WARPS), heads, batch);
        let name = named!("attend_parts_16", dtype)?;
        let first = Kernel {
            file: "attention_parts",
            name,
            grid,
            block: (PART_WARPS as u32 * 32, 1),
            shared: 0,
        };
        let second = Kernel::rows("attention_parts", named!("attend_join_16", dtype)?, items);
        // SAFETY: as below; the parts have room for all rows of each part.
        unsafe {
            first.launch(device, &[&arguments, &at])?;
            second.launch(device, &[&arguments, &at])?;
        }
        return Ok(y);
    }
    // SAFETY: `Arguments` is the kernel's own type; addresses and sizes are those of the tensors above.
    unsafe { kernel.launch(device, &[&arguments]) }?;
    Ok(y)
}

/// What attention within windows needs beside its input, see [`crate::ops::WindowAttention`].
#[derive(Debug)]
pub(crate) struct WindowAttention {
    padding: Typed,
    /// `[heads, window², window²]` f32.
    bias: Option<Tensor>,
    /// The bias as the tensor cores' kernels take it, where there is one for the window.
    tiled: Option<Typed>,
    window: usize,
    heads: usize,
    scale: f32,
}

impl WindowAttention {
    pub(crate) fn new(
        padding: &Tensor,
        window: usize,
        heads: usize,
        scale: f32,
        bias: Option<&PositionBias>,
    ) -> Result<Self> {
        let padding = contiguous(&padding.to_dtype(DType::F32)?)?;
        let tiled = bias
            .and_then(PositionBias::rows)
            .map(|rows| contiguous(rows).map(Typed::new))
            .transpose()?;
        let bias = bias.map(|bias| contiguous(bias.pairs())).transpose()?;
        Ok(Self {
            padding: Typed::new(padding),
            bias,
            tiled,
            window,
            heads,
            scale,
        })
    }

    /// See [`crate::ops::WindowAttention::forward`].
    pub(crate) fn forward(&self, qkv: &Tensor) -> Result<Tensor> {
        let (b, h, w, c3) = qkv.dims4()?;
        let (heads, window) = (self.heads, self.window);
        if heads == 0 || window == 0 || !c3.is_multiple_of(3 * heads) {
            candle_core::bail!("window_attention: qkv {:?} for {heads} heads", qkv.shape());
        }
        let (device, dtype, qkv) = (launch::device(qkv)?, qkv.dtype(), contiguous(qkv)?);
        let (c, d, keys) = (c3 / 3, c3 / 3 / heads, window * window);
        let padding = self.padding.get(dtype)?;
        let (rows, columns) = (h.div_ceil(window), w.div_ceil(window));
        let sets = b * rows * columns;
        let start = launch::contiguous(&qkv, dtype, "window_attention")?;
        let size = dtype.size_in_bytes() as u64;
        let mut arguments = Arguments {
            q: start,
            k: start + c as u64 * size,
            v: start + 2 * c as u64 * size,
            padding: launch::contiguous(padding, dtype, "window_attention")?,
            q_token: c3 as i64,
            k_token: c3 as i64,
            v_token: c3 as i64,
            batch: int(b)?,
            queries: int(keys)?,
            keys: int(keys)?,
            heads: int(heads)?,
            scale: self.scale,
            height: int(h)?,
            width: int(w)?,
            window: int(window)?,
            window_rows: int(rows)?,
            window_columns: int(columns)?,
            ..Arguments::default()
        };
        let aligned = by_eights(&qkv, start);
        let tiled = self
            .tiled
            .as_ref()
            .filter(|_| d == 32 && dtype != DType::F32 && aligned);
        let plain = kernel(d, dtype, sets * heads * keys, false)?.filter(|_| aligned);
        let kernel = match (tiled, plain) {
            (Some(tiled), _) => {
                arguments.bias = launch::contiguous(tiled.get(dtype)?, dtype, "window_attention")?;
                window_kernel(device, dtype, window, (rows * columns, heads, b))?
            }
            (None, Some(kernel)) => {
                arguments.bias =
                    launch::optional(self.bias.as_ref(), DType::F32, "window_attention")?;
                kernel
            }
            (None, None) => {
                let bias = self.bias.as_ref().map(|b| b.to_dtype(dtype)).transpose()?;
                return reference::window_attention(
                    &qkv,
                    padding,
                    window,
                    heads,
                    self.scale,
                    bias.as_ref(),
                );
            }
        };
        let (y, out) = empty(device, (b, h, w, c), dtype)?;
        arguments.out = out;
        // SAFETY: `Arguments` is the kernel's own type; addresses and sizes are those of the tensors above.
        unsafe { kernel.launch(device, &[&arguments]) }?;
        Ok(y)
    }
}

/// As in `attention_tiles.cu`, of windows of 14: rows of a window, tokens of a row with those that fill it up.
const ROWS: usize = 14;
const ROW_TOKENS: usize = 16;

/// The tensor cores' kernel for windows of 7 or 14, of which there are (windows of an image, heads, images).
fn window_kernel(
    device: &CudaDevice,
    dtype: DType,
    window: usize,
    (windows, heads, images): (usize, usize, usize),
) -> Result<Kernel> {
    let file = "attention_tiles";
    if window == 7 {
        return Ok(Kernel {
            file,
            name: named!("window_7", dtype)?,
            grid: (windows, heads.div_ceil(2), images),
            block: (64, 1),
            shared: 0,
        });
    }
    // A multiprocessor has one block; it works on several images in turn where that makes no more turns.
    let multiprocessors = multiprocessors(device)?;
    let turns = |side_by_side: usize| {
        (windows * heads * side_by_side).div_ceil(multiprocessors) * images.div_ceil(side_by_side)
    };
    let side_by_side = (1..=images).min_by_key(|&n| turns(n)).unwrap_or(1);
    let bias = (2 * ROWS - 1) * 32 * 8 * 2;
    let tokens = 3 * ROWS * ROW_TOKENS * 32 * 2;
    // The next image's tokens come while one is worked on.
    let buffers = if images > side_by_side { 2 } else { 1 };
    Ok(Kernel {
        file,
        name: named!("window_14", dtype)?,
        grid: (windows, heads, side_by_side),
        block: (ROWS as u32 * 32, 1),
        shared: bias + buffers * tokens,
    })
}
