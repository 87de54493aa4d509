//! From a packed result of one frame to tensors of its objects, on the stream of the device that they are for.

#![allow(unsafe_code)]

use super::launch::{self, Kernel, empty, int, structure};
use crate::ops::types::{
    packed_frame::{ObjectTensors, PackedFrame},
    result::Result,
};
use candle_core::{CudaDevice, DType, Device, Tensor};
use std::ops::Range;

/// Threads of the block that collects.
const THREADS: u32 = 1024;
/// Maximum number of objects, as in `collect.cu`.
const MAX_OBJECTS: usize = 2048;
/// Columns that a block unpacks.
const COLUMNS: usize = 128;

/// `Collect` of `collect.cu`, field by field.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Arguments {
    packed: u64,
    boxes: u64,
    scores: u64,
    mask_scores: u64,
    classes: u64,
    rows: u64,
    count: u64,
    not_finite: u64,
    row: i64,
    max_objects: i32,
    class_count: i32,
    has_masks: i32,
    width: f32,
    height: f32,
}

structure!(Arguments: packed, boxes, scores, mask_scores, classes, rows, count, not_finite);

fn cuda(device: &Device) -> Result<&CudaDevice> {
    match device {
        Device::Cuda(device) => Ok(device),
        other => candle_core::bail!("collect: results for {:?}", other.location()),
    }
}

/// See [`crate::ops::collect_objects`].
pub(crate) fn collect_objects(
    packed: &Tensor,
    frame: &PackedFrame,
    device: &Device,
) -> Result<ObjectTensors> {
    let (device, max) = (cuda(device)?, frame.max_objects);
    if max > MAX_OBJECTS {
        candle_core::bail!("collect_objects: {max} objects, {MAX_OBJECTS} at most");
    }
    let (boxes, boxes_at) = empty(device, (max, 4), DType::F32)?;
    let (scores, scores_at) = empty(device, max, DType::F32)?;
    let (classes, classes_at) = empty(device, max, DType::U32)?;
    let (rows, rows_at) = empty(device, max, DType::U32)?;
    let (count, count_at) = empty(device, 1, DType::U32)?;
    let (not_finite, not_finite_at) = empty(device, 1, DType::U32)?;
    let mask_scores = if frame.has_masks {
        Some(empty(device, max, DType::F32)?)
    } else {
        None
    };
    let arguments = Arguments {
        packed: launch::contiguous(packed, DType::U32, "collect_objects")?,
        boxes: boxes_at,
        scores: scores_at,
        mask_scores: mask_scores.as_ref().map_or(0, |(_, at)| *at),
        classes: classes_at,
        rows: rows_at,
        count: count_at,
        not_finite: not_finite_at,
        row: frame.row_words() as i64,
        max_objects: int(max)?,
        class_count: int(frame.classes.max(1))?,
        has_masks: frame.has_masks.into(),
        width: frame.size.1 as f32,
        height: frame.size.0 as f32,
    };
    let kernel = Kernel {
        file: "collect",
        name: "collect_objects",
        grid: (1, 1, 1),
        block: (THREADS, 1),
        shared: 0,
    };
    // SAFETY: `Arguments` is the kernel's own type; `packed` has the numbers of `frame` (checked by the caller), the results as many
    // rows as are written.
    unsafe { kernel.launch(device, &[&arguments]) }?;
    Ok(ObjectTensors {
        boxes,
        scores,
        classes,
        mask_scores: mask_scores.map(|(tensor, _)| tensor),
        count,
        not_finite,
        rows,
    })
}

/// See [`crate::ops::copy_packed`].
pub(crate) fn copy_packed(packed: &Tensor, frame: &PackedFrame, device: &Device) -> Result<Tensor> {
    let (device, n) = (cuda(device)?, frame.words());
    let from = launch::contiguous(packed, DType::U32, "copy_packed")?;
    let (out, to) = empty(device, n, DType::U32)?;
    let (max, row) = (int(frame.max_objects)?, frame.row_words() as i64);
    // SAFETY: both have the numbers of `frame`.
    unsafe {
        Kernel::over("collect", "copy_packed", n)
            .launch(device, &[&from, &to, &(n as i64), &max, &row])
    }?;
    Ok(out)
}

/// See [`crate::ops::unpack_masks`].
pub(crate) fn unpack_masks(
    packed: &Tensor,
    frame: &PackedFrame,
    (rows, count): (&Tensor, &Tensor),
    objects: Range<usize>,
) -> Result<Tensor> {
    let (device, op) = (launch::device(packed)?, "unpack_masks");
    let (height, width) = frame.size;
    let (out, to) = empty(device, (objects.len(), height, width), DType::U8)?;
    let masks = packed.narrow(0, frame.records(), frame.words() - frame.records())?;
    let (from, rows, count) = (
        launch::contiguous(&masks, DType::U32, op)?,
        launch::contiguous(rows, DType::U32, op)?,
        launch::contiguous(count, DType::U32, op)?,
    );
    let kernel = Kernel {
        file: "collect",
        name: "unpack_masks",
        grid: (width.div_ceil(COLUMNS), height.div_ceil(32), objects.len()),
        block: (COLUMNS as u32, 1),
        shared: 0,
    };
    let (first, row) = (int(objects.start)?, frame.row_words() as i64);
    let (height, width) = (int(height)?, int(width)?);
    // SAFETY: the masks are rows of that length, as many as there may be objects; `objects` lies within these (checked by the caller).
    unsafe {
        kernel.launch(
            device,
            &[&from, &rows, &count, &to, &first, &row, &height, &width],
        )
    }?;
    Ok(out)
}
