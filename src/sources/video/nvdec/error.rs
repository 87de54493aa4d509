//! Errors of decoding on a CUDA device.

use crate::{av, engine::EngineError};

/// Why a video, or a frame of it, cannot be decoded on the device.
#[derive(Debug, thiserror::Error)]
pub(in crate::sources) enum NvdecError {
    /// The device failed, has no memory left, or is none.
    #[error("decoding on the GPU: {0}")]
    Engine(#[from] EngineError),
    /// FFmpeg was built without it.
    #[error("decoding on the GPU: this FFmpeg was built without CUDA")]
    NoCudaInFfmpeg,
    /// FFmpeg refused the device.
    #[error("decoding on the GPU: FFmpeg cannot use the device: {0}")]
    Device(av::Error),
    /// FFmpeg has no host memory left.
    #[error("decoding on the GPU: out of memory")]
    OutOfMemory,
    /// A frame that is not one of 8 bits in 4:2:0 in device memory.
    #[error("decoding on the GPU: the decoder returned a picture of another format than NV12")]
    Format,
    /// A frame without samples.
    #[error("decoding on the GPU: the decoder returned a picture without pixels")]
    Empty,
}
