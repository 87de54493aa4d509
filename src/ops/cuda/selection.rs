//! Choosing among many tokens.

#![allow(unsafe_code)]

use super::{
    launch::{self, Kernel, empty, int, named},
    layout::contiguous,
};
use crate::ops::types::result::Result;
use candle_core::{DType, Tensor};

/// Most that [`top_k`] chooses, as in `selection.cu`.
const MAX_TOP: usize = 2048;
/// Threads of [`top_k`]'s block.
const TOP_THREADS: usize = 1024;

/// See [`crate::ops::top_k`].
pub(crate) fn top_k(x: &Tensor, k: usize) -> Result<Tensor> {
    let mut shape = x.dims().to_vec();
    let n = shape.pop().unwrap_or(0);
    if k == 0 || k > n || k > MAX_TOP {
        candle_core::bail!("top-k: {k} of {n} numbers; at most {MAX_TOP} can be chosen on a GPU");
    }
    let (device, x) = (launch::device(x)?, contiguous(x)?);
    let rows = shape.iter().product::<usize>();
    shape.push(k);
    let (index, out) = empty(device, shape, DType::U32)?;
    let from = launch::contiguous(&x, DType::F32, "top-k")?;
    let name = match n.div_ceil(TOP_THREADS) {
        0..=2 => "top_k_2",
        3..=9 => "top_k_9",
        10..=20 => "top_k_20",
        _ => "top_k_0",
    };
    let kernel = Kernel {
        file: "selection",
        name,
        grid: (rows, 1, 1),
        block: (TOP_THREADS as u32, 1),
        shared: 0,
    };
    // SAFETY: x has `rows` rows of `n` numbers, the index `rows` rows of `k`.
    unsafe { kernel.launch(device, &[&from, &out, &int(n)?, &int(k)?]) }?;
    Ok(index)
}

/// See [`crate::ops::best_scores`].
pub(crate) fn best_scores(x: &Tensor, valid: &Tensor, blank: &Tensor) -> Result<Tensor> {
    let (b, n, classes) = x.dims3()?;
    if valid.elem_count() != n || blank.elem_count() != 1 || classes == 0 {
        candle_core::bail!(
            "best_scores: {:?} with valid {:?} and blank {:?}",
            x.shape(),
            valid.shape(),
            blank.shape()
        );
    }
    let (device, x) = (launch::device(x)?, contiguous(x)?);
    let (y, out) = empty(device, (b, n), DType::F32)?;
    let from = launch::address(&x)?;
    let (valid, blank) = (contiguous(valid)?, contiguous(blank)?);
    let (at_valid, at_blank) = (
        launch::contiguous(&valid, DType::F32, "best_scores")?,
        launch::contiguous(&blank, DType::F32, "best_scores")?,
    );
    let kernel = Kernel::rows("selection", named!("row_max", x.dtype())?, b * n);
    // SAFETY: x has b·n rows of `classes` numbers, valid n numbers, blank one.
    unsafe {
        kernel.launch(
            device,
            &[
                &from,
                &at_valid,
                &at_blank,
                &out,
                &int(b * n)?,
                &int(classes)?,
                &int(n)?,
            ],
        )
    }?;
    Ok(y)
}

/// See [`crate::ops::gather_queries`].
pub(crate) fn gather_queries(
    x: &Tensor,
    index: &Tensor,
    valid: &Tensor,
    blank: &Tensor,
    anchors: &Tensor,
) -> Result<(Tensor, Tensor)> {
    let ((b, n, c), (ib, k)) = (x.dims3()?, index.dims2()?);
    if ib != b
        || valid.elem_count() != n
        || blank.elem_count() != c
        || anchors.elem_count() != 4 * n
    {
        let shapes = (
            x.shape(),
            index.shape(),
            valid.shape(),
            blank.shape(),
            anchors.shape(),
        );
        candle_core::bail!("gather_queries: {shapes:?}");
    }
    let (device, dtype, x) = (launch::device(x)?, x.dtype(), contiguous(x)?);
    let (content, to) = empty(device, (b, k, c), dtype)?;
    let (places, to_places) = empty(device, (b, k, 4), DType::F32)?;
    let blank = contiguous(blank)?;
    let op = "gather_queries";
    let from = launch::address(&x)?;
    let index = launch::contiguous(index, DType::U32, op)?;
    let (valid, anchors) = (
        launch::contiguous(valid, DType::F32, op)?,
        launch::contiguous(anchors, DType::F32, op)?,
    );
    let blank_at = launch::contiguous(&blank, DType::F32, op)?;
    let kernel = Kernel {
        file: "selection",
        name: named!("gather_queries", dtype)?,
        grid: (b * k, 1, 1),
        block: (256, 1),
        shared: 0,
    };
    // SAFETY: the index holds positions below n (top_k made it); all else has the sizes checked above.
    unsafe {
        kernel.launch(
            device,
            &[
                &from,
                &index,
                &valid,
                &blank_at,
                &anchors,
                &to,
                &to_places,
                &int(n)?,
                &int(k)?,
                &int(c)?,
            ],
        )
    }?;
    Ok((content, places))
}
