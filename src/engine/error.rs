//! Errors of the engine.

use crate::text::counted;

/// The driver refused device memory, by its error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the driver refused the memory")]
pub struct MemoryRefused;

/// Errors of opening and using a device.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A text that names no device.
    #[error("{0}: not a device; use auto, cpu, cuda or cuda:N")]
    BadSpec(String),
    /// A CUDA device was requested in a build without CUDA.
    #[error("{0}: this build has no CUDA support; use the CPU, or build with the feature `cuda`")]
    NoCudaBuild(String),
    /// A CUDA device was requested and cannot be opened.
    #[error("{spec}: cannot be opened: {reason}; check driver and devices, or use the CPU")]
    NoDevice {
        /// The device as the caller named it.
        spec: String,
        /// The driver's message.
        reason: String,
    },
    /// A text that names no type of numbers.
    #[error("{0}: not a type to compute in; use auto, f32, f16 or bf16")]
    BadPrecision(String),
    /// The device does not compute in that type.
    #[error("{dtype}: {device} does not compute in it; use f32, or a GPU")]
    Unsupported {
        /// The type.
        dtype: String,
        /// The device.
        device: String,
    },
    /// bf16 on a processor that does not multiply in it.
    #[error(
        "bf16: this processor has no instructions to multiply in it (AVX512-BF16, as AMD since Zen 4 and Intel's Cooper Lake and \
         Sapphire Rapids); use f32, or a GPU"
    )]
    NoBf16,
    /// Graphs and staged transfers, requested of the CPU.
    #[error("the CPU: has no graphs and no transfers; use a GPU, or the staged mode")]
    NotOnGpu,
    /// The CUDA driver refused an operation.
    #[error("{what}: {reason}")]
    Driver {
        /// The operation.
        what: &'static str,
        /// The driver's message.
        reason: String,
    },
    /// The device has no memory for an operation, by the driver's error code.
    #[error("{what}: out of device memory")]
    NoMemory {
        /// The operation.
        what: &'static str,
        /// The driver's code for it.
        source: MemoryRefused,
    },
    /// The number of threads cannot be set: it was set or used before.
    #[error("{}: cannot be set: {reason}", counted(*threads, "thread"))]
    Threads {
        /// How many.
        threads: usize,
        /// Why.
        reason: String,
    },
    /// Candle refused an operation.
    #[error("{what}: {source}")]
    Tensor {
        /// The transfer or the allocation.
        what: &'static str,
        /// Candle's own error.
        source: Box<candle_core::Error>,
    },
}

impl EngineError {
    /// Turns Candle's refusal of `what` into an error.
    pub(super) fn tensor(what: &'static str) -> impl FnOnce(candle_core::Error) -> Self {
        move |source| Self::Tensor {
            what,
            source: Box::new(source),
        }
    }
}
