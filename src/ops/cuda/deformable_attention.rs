//! Multi-scale deformable attention.

#![allow(unsafe_code)]

use super::{
    launch::{self, Kernel, empty, int, named, structure},
    layout::{contiguous, even},
};
use crate::ops::types::{result::Result, strides::row_stride};
use candle_core::{DType, Tensor};

const MAX_LEVELS: usize = 4;
/// Heads times points whose pixels fit into shared memory.
const MAX_POINTS: usize = 1536;

/// `Deformable` of `deformable_attention.cu`, field by field.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Arguments {
    value: u64,
    locations: u64,
    weights: u64,
    boxes: u64,
    out: u64,
    token: i64,
    image: i64,
    location_row: i32,
    weight_row: i32,
    queries: i32,
    heads: i32,
    head: i32,
    points: i32,
    levels: i32,
    heights: [i32; MAX_LEVELS],
    widths: [i32; MAX_LEVELS],
    starts: [i32; MAX_LEVELS],
    level_points: [i32; MAX_LEVELS],
}

structure!(Arguments: value, locations, weights, boxes, out);

/// See [`crate::ops::deformable_attention`].
pub(crate) fn deformable_attention(
    value: &Tensor,
    levels: &[(usize, usize)],
    points: &[usize],
    locations: &Tensor,
    weights: &Tensor,
) -> Result<Tensor> {
    let (b, q, heads, p, _) = locations.dims5()?;
    let (locations, weights) = (contiguous(locations)?, contiguous(weights)?);
    if weights.dims() != [b, q, heads, p] {
        candle_core::bail!(
            "deformable_attention: {:?} and weights {:?}",
            locations.shape(),
            weights.shape()
        );
    }
    let places = Places {
        locations: launch::contiguous(&locations, DType::F32, "deformable_attention")?,
        weights: launch::contiguous(&weights, DType::F32, "deformable_attention")?,
        boxes: 0,
        rows: (2 * heads * p, heads * p),
    };
    run(value, levels, points, (b, q, heads), &places)
}

/// See [`crate::ops::deformable_attention_around`].
pub(crate) fn deformable_attention_around(
    value: &Tensor,
    levels: &[(usize, usize)],
    points: &[usize],
    heads: usize,
    boxes: &Tensor,
    sampled: &Tensor,
) -> Result<Tensor> {
    let (b, q, row) = sampled.dims3()?;
    let all = heads * points.iter().sum::<usize>();
    let (boxes, sampled) = (contiguous(boxes)?, contiguous(sampled)?);
    if row != 3 * all || boxes.dims() != [b, q, 4] {
        candle_core::bail!(
            "deformable_attention_around: {:?} and boxes {:?} for {all} points",
            sampled.shape(),
            boxes.shape()
        );
    }
    let start = launch::contiguous(&sampled, DType::F32, "deformable_attention_around")?;
    let places = Places {
        locations: start,
        weights: start + 8 * all as u64,
        boxes: launch::contiguous(&boxes, DType::F32, "deformable_attention_around")?,
        rows: (row, row),
    };
    run(value, levels, points, (b, q, heads), &places)
}

/// Where sampling points and their weights lie, and the numbers from one query's to the next's.
struct Places {
    locations: u64,
    weights: u64,
    boxes: u64,
    rows: (usize, usize),
}

fn run(
    value: &Tensor,
    levels: &[(usize, usize)],
    points: &[usize],
    (b, q, heads): (usize, usize, usize),
    places: &Places,
) -> Result<Tensor> {
    let (vb, tokens, c) = value.dims3()?;
    let total: usize = points.iter().sum();
    let fits = levels.len() == points.len()
        && (1..=MAX_LEVELS).contains(&levels.len())
        && levels.iter().map(|(h, w)| h * w).sum::<usize>() == tokens
        && vb == b
        && heads > 0
        && c.is_multiple_of(2 * heads)
        && heads * total <= MAX_POINTS;
    if !fits {
        candle_core::bail!(
            "deformable_attention: {:?} for levels {levels:?} with {points:?} points of {heads} heads",
            value.shape()
        );
    }
    let (device, dtype, value) = (launch::device(value)?, value.dtype(), even(value)?);
    let stride = row_stride(&value).unwrap_or(c);
    if !stride.is_multiple_of(2) {
        candle_core::bail!("deformable_attention: tokens {stride} numbers apart");
    }
    let (y, out) = empty(device, (b, q, c), dtype)?;
    let mut arguments = Arguments {
        value: launch::address(&value)?,
        locations: places.locations,
        weights: places.weights,
        boxes: places.boxes,
        out,
        token: stride as i64,
        image: (tokens * stride) as i64,
        location_row: int(places.rows.0)?,
        weight_row: int(places.rows.1)?,
        queries: int(q)?,
        heads: int(heads)?,
        head: int(c / heads)?,
        points: int(total)?,
        levels: int(levels.len())?,
        ..Arguments::default()
    };
    let mut start = 0;
    for (level, (&(h, w), &n)) in levels.iter().zip(points).enumerate() {
        (arguments.heights[level], arguments.widths[level]) = (int(h)?, int(w)?);
        (arguments.starts[level], arguments.level_points[level]) = (int(start)?, int(n)?);
        start += h * w;
    }
    let threads = (c / 2).next_multiple_of(32).clamp(32, 256) as u32;
    let kernel = Kernel {
        file: "deformable_attention",
        name: named!("deformable", dtype)?,
        grid: (b * q, 1, 1),
        block: (threads, 1),
        shared: heads * total * 32,
    };
    // SAFETY: `Arguments` is the kernel's own type; addresses and sizes are those of the tensors above.
    unsafe { kernel.launch(device, &[&arguments]) }?;
    Ok(y)
}
