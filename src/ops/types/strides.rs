//! How tensors lie in memory.

use candle_core::Tensor;

/// Numbers from one row to the next, a row being the last dimension; none where rows are not evenly spaced.
pub(in crate::ops) fn row_stride(x: &Tensor) -> Option<usize> {
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

/// Dimensions and strides as few as possible, for the same numbers in the same order: what lies without gaps, or is repeated together,
/// is one dimension.
#[cfg_attr(not(feature = "cuda"), allow(dead_code))]
pub(in crate::ops) fn merged(dims: &[usize], strides: &[usize]) -> Vec<(usize, usize)> {
    let mut all: Vec<(usize, usize)> = Vec::with_capacity(dims.len());
    for (&dim, &stride) in dims.iter().zip(strides).filter(|&(&dim, _)| dim != 1) {
        match all.last_mut() {
            Some(outer) if outer.1 == dim * stride => *outer = (outer.0 * dim, stride),
            _ => all.push((dim, stride)),
        }
    }
    all
}
