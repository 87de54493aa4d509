//! Tensors in evenly spaced rows: what kernels take instead of contiguous ones.

use super::Result;
use candle_core::Tensor;

/// The tensor itself where its last dimension is contiguous and its other dimensions are evenly spaced rows, else a contiguous copy.
pub(super) fn even(x: &Tensor) -> Result<Tensor> {
    if row_stride(x).is_some() { Ok(x.clone()) } else { x.contiguous() }
}

/// Numbers from one row to the next, a row being the last dimension; none where rows are not evenly spaced.
pub(super) fn row_stride(x: &Tensor) -> Option<usize> {
    let (dims, strides) = (x.dims(), x.stride());
    let (&last, outer) = dims.split_last()?;
    if last != 1 && strides[outer.len()] != 1 {
        return None;
    }
    let (mut stride, mut rows) = (None, 1);
    for (&dim, &step) in outer.iter().zip(strides).rev() {
        if dim == 1 {
            continue;
        }
        let first = *stride.get_or_insert(step);
        if step != first * rows {
            return None;
        }
        rows *= dim;
    }
    Some(stride.unwrap_or(last))
}
