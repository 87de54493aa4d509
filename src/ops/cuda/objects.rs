//! From a detector's outputs to objects, without leaving the device.

#![allow(unsafe_code)]

use super::launch::{self, Kernel, int, structure};
use crate::ops::types::{
    objects::{HEAD, ObjectChoice, PromptSlots, RECORD},
    result::Result,
};
use candle_core::{DType, Tensor};

const THREADS: u32 = 1024;
/// Most objects, as many as `objects.cu` keeps beside each other.
const MAX_OBJECTS: usize = 2048;

/// `Choice` of `objects.cu`, field by field.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Arguments {
    logits: u64,
    boxes: u64,
    classes_allowed: u64,
    records: u64,
    prompts: u64,
    shared: u64,
    queries: i32,
    classes: i32,
    max_objects: i32,
    slots: i32,
    frame: i32,
    is_last: i32,
    min_logit: f32,
    width: f32,
    height: f32,
    across: f32,
    down: f32,
}

structure!(Arguments: logits, boxes, classes_allowed, records, prompts, shared);

/// See [`crate::ops::choose_objects`].
pub(crate) fn choose_objects(
    logits: &Tensor,
    boxes: &Tensor,
    choice: &ObjectChoice<'_>,
    records: &Tensor,
    slots: Option<&PromptSlots<'_>>,
) -> Result<()> {
    let op = "choose_objects";
    let (queries, classes) = logits.dims2()?;
    let prompts = slots.map(|slots| slots.prompts);
    let shared = slots.and_then(|slots| slots.shared.as_ref());
    let slots = prompts.map_or(Ok(0), |p| p.dims2().map(|(n, _)| n))?;
    let fits = boxes.dims() == [queries, 4]
        && records.dims() == [HEAD + RECORD * choice.max_objects]
        && (1..=MAX_OBJECTS).contains(&choice.max_objects)
        && choice.classes.is_none_or(|c| c.dims() == [classes])
        && prompts.is_none_or(|p| p.dims() == [slots, 4])
        && shared.is_none_or(|s| s.owners.dims() == [1 + slots]);
    if !fits {
        candle_core::bail!(
            "{op}: {:?} and {:?}, {} objects to {:?}",
            logits.shape(),
            boxes.shape(),
            choice.max_objects,
            records.shape()
        );
    }
    let (width, height) = (choice.frame.1 as f32, choice.frame.0 as f32);
    let arguments = Arguments {
        logits: launch::contiguous(logits, DType::F32, op)?,
        boxes: launch::contiguous(boxes, DType::F32, op)?,
        classes_allowed: launch::optional(choice.classes, DType::U32, op)?,
        records: launch::contiguous(records, DType::U32, op)?,
        prompts: launch::optional(prompts, DType::F32, op)?,
        shared: launch::optional(shared.map(|s| s.owners), DType::U32, op)?,
        queries: int(queries)?,
        classes: int(classes)?,
        max_objects: int(choice.max_objects)?,
        slots: int(slots)?,
        frame: int(shared.map_or(0, |s| s.frame))?,
        is_last: shared.is_none_or(|s| s.is_last).into(),
        min_logit: choice.min_logit,
        width,
        height,
        across: choice.scaled.1 as f32 / width,
        down: choice.scaled.0 as f32 / height,
    };
    int(queries * classes)?;
    let kernel = Kernel {
        file: "objects",
        name: "choose_objects",
        grid: (1, 1, 1),
        block: (THREADS, 1),
        shared: 0,
    };
    // SAFETY: `Arguments` is the kernel's own type; addresses and sizes are those of the tensors, checked above.
    unsafe { kernel.launch(launch::device(records)?, &[&arguments]) }
}

/// See [`crate::ops::floats_of_bytes`].
pub(crate) fn floats_of_bytes(bytes: &Tensor, out: &Tensor) -> Result<()> {
    let n = out.elem_count();
    if bytes.elem_count() != 4 * n {
        candle_core::bail!(
            "floats_of_bytes: {} bytes for {n} numbers",
            bytes.elem_count()
        );
    }
    let (from, to) = (
        launch::contiguous(bytes, DType::U8, "floats_of_bytes")?,
        launch::contiguous(out, DType::F32, "floats_of_bytes")?,
    );
    // SAFETY: four bytes a number, checked above.
    unsafe {
        Kernel::over("objects", "floats_of_bytes", n)
            .launch(launch::device(bytes)?, &[&from, &to, &int(n)?])
    }
}
