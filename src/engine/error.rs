//! Errors of the engine.

use crate::text::counted;

/// The driver refused device memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the driver refused the memory")]
pub struct MemoryRefused;

/// What can go wrong between the program and its device.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// `--device` was not understood.
    #[error("{0}: not a device; use auto, cpu, cuda or cuda:N")]
    BadSpec(String),
    /// A CUDA device was asked for in a build without CUDA.
    #[error(
        "{0}: this build has no CUDA support; use --device cpu, or build with `cargo build --release --features cuda`"
    )]
    NoCudaBuild(String),
    /// A CUDA device was asked for and could not be opened.
    #[error(
        "{spec}: cannot be opened: {reason}; `ultramotion doctor` shows driver and devices, --device cpu does without"
    )]
    NoDevice {
        /// What the user asked for.
        spec: String,
        /// What the driver said.
        reason: String,
    },
    /// `--dtype` was not understood.
    #[error("{0}: not a type to compute in; use auto, f32, f16 or bf16")]
    BadPrecision(String),
    /// The device does not compute in that type.
    #[error("{dtype}: {device} does not compute in it; use --dtype f32 or a GPU")]
    Unsupported {
        /// The type.
        dtype: String,
        /// The device.
        device: String,
    },
    /// Work that only a GPU does.
    #[error("the CPU: has no graphs and no transfers; use --device cuda, or --mode legacy")]
    NotOnGpu,
    /// The CUDA driver refused something.
    #[error("{what}: {reason}")]
    Driver {
        /// The operation.
        what: &'static str,
        /// The driver's message.
        reason: String,
    },
    /// The device has no memory for something, by the driver's error code.
    #[error("{what}: out of device memory")]
    NoMemory {
        /// The operation.
        what: &'static str,
        /// The driver's code for it.
        source: MemoryRefused,
    },
    /// The number of threads cannot be set.
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
        /// What was being moved or made.
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
