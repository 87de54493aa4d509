//! Every operation on the CPU, in f32: vectors of whatever width the processor has, on the threads of the current pool.

#![allow(unsafe_code)]

mod attention;
mod conv2d;
mod depthwise;
mod gemm;
mod linear;
mod math;
mod memory;
mod packed;
mod simd;
mod softmax;
mod tile;

pub(super) use attention::{attention, window_attention};
pub(super) use conv2d::Conv2d;
pub(super) use linear::Linear;
pub(super) use memory::is_cpu;

use super::Result;
use candle_core::Tensor;

/// A residual as kernels take it: contiguous, of the output's shape.
fn residual(r: &Tensor, shape: &[usize]) -> Result<Tensor> {
    if r.dims() != shape {
        candle_core::bail!("a residual of shape {:?} for an output of shape {shape:?}", r.shape());
    }
    r.contiguous()
}

#[cfg(test)]
mod tests;

/// The vector instructions in use.
pub(crate) fn instruction_set() -> &'static str {
    simd::Isa::best().name()
}
