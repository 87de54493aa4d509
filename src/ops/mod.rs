//! The operations models are written in, one function or layer each.
//!
//! Activations are `[batch, height, width, channels]` ("NHWC") or `[batch, tokens, channels]`, contiguous, f32 on the
//! CPU. Layers fold and lay out their weights once, when they are built. Every operation runs on the device of its
//! inputs and moves nothing between host and device. [`composed`] has each operation written plainly in candle's own
//! ones, for any device: the reference that the fast code is tested against.
//!
//! On the CPU they run code of their own (`cpu`); on other devices, as yet, the composed ones.
//!
//! Errors are candle's: a shape or type that the operation does not take, or memory that ran out.

mod activation;
mod attention;
pub mod composed;
mod conv2d;
mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
mod deformable_attention;
mod linear;
mod masks;
mod norm;
mod pool;
mod resize;

pub use crate::engine::{Params, ParamsError};
pub use activation::{Activation, activate, add, concat_channels, softmax};
pub use attention::{attention, window_attention};
pub use conv2d::{Conv2d, Conv2dOptions, Padding, inverted_residual};
pub use cpu::RecyclingAllocator;
pub use deformable_attention::deformable_attention;
pub use linear::Linear;
pub use masks::{PackedMask, masks_to_runs};
pub use norm::LayerNorm;
pub use pool::{max_pool2d, upsample_nearest2x};
pub use resize::{Normalisation, resize_normalise};

/// Result of an operation.
pub type Result<T> = candle_core::Result<T>;

/// The vector instructions that operations on the CPU use on this machine.
pub fn instruction_set() -> &'static str {
    cpu::instruction_set()
}
