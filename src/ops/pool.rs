//! Pooling and upsampling of NHWC maps.

use super::{Padding, Result, cpu, cuda};
use candle_core::Tensor;

/// Maximum over `kernel`×`kernel` windows of x `[B, H, W, C]`, outside pixels counting as 0 (inputs are not negative
/// where the models pad).
///
/// # Errors
/// If x is not of four dimensions or smaller than the kernel.
pub fn max_pool2d(x: &Tensor, kernel: usize, stride: usize, padding: Padding) -> Result<Tensor> {
    if cpu::is_cpu(x) {
        cpu::max_pool2d(x, kernel, stride, padding)
    } else {
        cuda::max_pool2d(x, kernel, stride, padding)
    }
}

/// Each pixel of x `[B, H, W, C]` twice in both directions: `[B, 2H, 2W, C]`.
///
/// # Errors
/// If x is not of four dimensions.
pub fn upsample_nearest2x(x: &Tensor) -> Result<Tensor> {
    if cpu::is_cpu(x) {
        cpu::upsample_nearest2x(x)
    } else {
        cuda::upsample_nearest2x(x)
    }
}
