//! Decoding of video on a CUDA device: FFmpeg's decoders in the engine's own context, and the surfaces that they leave in its memory.
//!
//! The decoder has a stream of its own, since that of the models may be under capture on another thread. The stream that reads a surface
//! waits, on the device, for the event behind the decoder's work. A surface goes back to the decoder once it is dropped, after the
//! decoder's stream has been made to wait, on the device again, for the last kernels that read it: FFmpeg lets the decoder fill a
//! surface on that stream. The host waits for none of this.
//!
//! A build without CUDA compiles these files too; [`VideoDevice::open`] is an error there.

mod context;
mod device;
mod error;
mod planes;
mod surfaces;

pub(in crate::sources) use context::HwDecoderContext;
pub(in crate::sources) use device::VideoDevice;
