//! Residuals as kernels take them.

use crate::ops::types::result::Result;
use candle_core::Tensor;

/// A residual as kernels take it: contiguous, of the output's shape.
pub(super) fn residual(r: &Tensor, shape: &[usize]) -> Result<Tensor> {
    if r.dims() != shape {
        candle_core::bail!(
            "a residual of shape {:?} for an output of shape {shape:?}",
            r.shape()
        );
    }
    r.contiguous()
}
