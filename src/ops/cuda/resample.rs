//! What kernels that bring a picture to a model's input share (`resample.cuh`).

#![allow(unsafe_code)]

use super::launch::{self, Kernel, int, structure};
use crate::ops::types::{resampling::Normalisation, result::Result};
use candle_core::Tensor;

/// Pixels of the output that a block makes, and its threads.
const COLUMNS: usize = 32;
const HEIGHT: usize = 16;
const THREADS: u32 = 256;
/// Rows of the picture that a block brings to shared memory at a time, where that allows; fewer than the second are not worth it.
const AT_A_TIME: usize = 48;
const MIN_AT_A_TIME: usize = 8;
/// Shared memory that a block may have beside what the kernel declares, in bytes: several blocks run at a time, and where they cannot,
/// one of them on any GPU.
const SHARED: usize = 28 << 10;
const MAX_SHARED: usize = 56 << 10;

/// `Axis` of `resize.cuh`, field by field.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Axis {
    scale: f64,
    support: f64,
    inverse: f64,
    from: i32,
    to: i32,
    pub(super) max_taps: i32,
}

impl Axis {
    pub(super) fn new(from: usize, to: usize) -> Result<Self> {
        let scale = from as f64 / to as f64;
        let support = scale.max(1.0);
        Ok(Self {
            scale,
            support,
            inverse: 1.0 / support,
            from: int(from)?,
            to: int(to)?,
            max_taps: int(support.ceil() as usize * 2 + 1)?,
        })
    }
}

/// `Resample` of `resample.cuh`, field by field.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Resample {
    out: u64,
    across: Axis,
    down: Axis,
    channels: i32,
    padded_height: i32,
    padded_width: i32,
    columns: i32,
    rows: i32,
    all_rows: i32,
    scratch: i32,
    mean: [f32; 3],
    std: [f32; 3],
}

structure!(Resample: out);

/// How a kernel reads a picture, as its type in the kernel states.
pub(super) struct Reading {
    /// Columns and rows that it begins at are multiples of these.
    pub(super) steps: (usize, usize),
    /// Bytes of shared memory that it needs to bring so many rows and columns there.
    pub(super) scratch: fn(usize, usize) -> usize,
}

impl Resample {
    /// What is left of a launch: the arguments and the kernel `name` of `file`. A picture of `from` (height, width) is brought to `size` in
    /// `y` `[1, height, width, channels]`. None if it is brought to so few pixels that a block would need too much memory.
    pub(super) fn new(
        (file, name): (&'static str, &'static str),
        from: (usize, usize),
        reading: &Reading,
        size: (usize, usize),
        normalisation: &Normalisation,
        y: &Tensor,
    ) -> Result<Option<(Self, Kernel)>> {
        let ((_, height, width, channels), dtype) = (y.dims4()?, y.dtype());
        let (across, down) = (Axis::new(from.1, size.1)?, Axis::new(from.0, size.0)?);
        let Some(share) = Share::new(&across, &down, from, reading) else {
            return Ok(None);
        };
        let arguments = Self {
            out: launch::contiguous(y, dtype, "resize_normalise")?,
            across,
            down,
            channels: int(channels)?,
            padded_height: int(height)?,
            padded_width: int(width)?,
            columns: int(share.columns)?,
            rows: int(share.at_a_time)?,
            all_rows: int(share.rows)?,
            scratch: int((reading.scratch)(share.at_a_time, share.columns))?,
            mean: normalisation.mean,
            std: normalisation.std,
        };
        let kernel = Kernel {
            file,
            name,
            grid: (width.div_ceil(COLUMNS), height.div_ceil(HEIGHT), 1),
            block: (THREADS, 1),
            shared: share.shared,
        };
        Ok(Some((arguments, kernel)))
    }
}

/// What a block needs: columns and rows of the picture, at most, how many rows it brings to shared memory at a time, and the memory in bytes.
struct Share {
    columns: usize,
    rows: usize,
    at_a_time: usize,
    shared: usize,
}

impl Share {
    fn new(
        across: &Axis,
        down: &Axis,
        (height, width): (usize, usize),
        reading: &Reading,
    ) -> Option<Self> {
        let needed = |axis: &Axis, pixels: usize, most: usize, step: usize| {
            ((pixels as f64 * axis.scale + 2.0 * axis.support).ceil() as usize + 1 + step)
                .min(most + 1)
                .next_multiple_of(step)
        };
        let columns = needed(across, COLUMNS, width, reading.steps.0);
        let rows = needed(down, HEIGHT, height, reading.steps.1);
        let taps = COLUMNS * across.max_taps as usize + HEIGHT * down.max_taps as usize;
        let bytes = |at_a_time: usize| {
            4 * (taps + rows * COLUMNS + at_a_time * columns)
                + (reading.scratch)(at_a_time, columns)
        };
        let fits = |limit: usize| {
            let mut tried = (MIN_AT_A_TIME..=AT_A_TIME).rev().step_by(8);
            tried.find(|&at_a_time| bytes(at_a_time) <= limit)
        };
        let at_a_time = fits(SHARED).or_else(|| fits(MAX_SHARED))?;
        Some(Self {
            columns,
            rows,
            at_a_time,
            shared: bytes(at_a_time),
        })
    }
}
