//! Residuals as kernels take them.

use super::{
    gemm::Addend,
    memory::{Input, even},
};
use crate::ops::types::result::Result;
use candle_core::Tensor;

/// A residual of the output's shape, in even rows.
pub(super) fn residual(r: &Tensor, shape: &[usize]) -> Result<Tensor> {
    if r.dims() != shape {
        candle_core::bail!(
            "a residual of shape {:?} for an output of shape {shape:?}",
            r.shape()
        );
    }
    even(r)
}

/// The same as products take it.
pub(super) fn addend(input: &Input<'_>, last: bool) -> Addend {
    Addend {
        start: input.ptr(),
        stride: input.stride,
        last,
        doubled: None,
    }
}
