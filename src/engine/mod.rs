//! The device: opening it, every transfer between host and device, and the log of those transfers.
//!
//! Nothing else in the crate transfers data between host and device.

mod bf16;
mod callers;
#[cfg(feature = "cuda")]
mod capture;
#[cfg(feature = "cuda")]
mod captured_kernels;
#[cfg(feature = "cuda")]
mod cuda;
mod device;
mod error;
#[cfg(feature = "cuda")]
mod gate;
#[cfg(feature = "cuda")]
mod graph_arena;
mod graph_cache;
#[cfg(feature = "cuda")]
mod graph_contents;
#[cfg(feature = "cuda")]
mod graph_nodes;
#[cfg(any(feature = "cuda", test))]
#[cfg_attr(not(feature = "cuda"), allow(dead_code))]
mod graph_plan;
#[cfg_attr(not(feature = "cuda"), path = "graphs_disabled.rs")]
mod graphs;
mod memory;
mod moves;
mod params;
#[cfg_attr(not(feature = "cuda"), path = "side_stream_disabled.rs")]
mod side_stream;
mod span;
mod spec;
#[cfg_attr(not(feature = "cuda"), path = "surface_disabled.rs")]
mod surface;
mod surface_memory;
#[cfg_attr(not(feature = "cuda"), path = "transfer_disabled.rs")]
mod transfer;
mod transfer_log;
mod yuv;

pub use bf16::multiplies_bf16;
pub(crate) use callers::{device_name, note_read, note_written};
#[cfg(feature = "cuda")]
pub(crate) use capture::capture;
#[cfg(feature = "cuda")]
pub(crate) use captured_kernels::{ArgumentForm, KernelForm, is_capturing, note_kernel};
pub use device::Engine;
pub use error::{EngineError, MemoryRefused};
pub use graph_cache::GraphCache;
pub use graphs::CapturedGraph;
pub use memory::OutOfMemory;
#[cfg_attr(not(feature = "cuda"), allow(unused_imports))]
pub(crate) use memory::note_refused;
pub use moves::constant;
pub use params::{Params, ParamsError, not_finite};
pub use side_stream::SideStream;
pub(crate) use side_stream::{DeviceBytes, StreamEvent};
pub use span::Span;
pub use spec::{DeviceSpec, Precision};
pub use surface::Surface;
pub(crate) use surface_memory::SurfaceMemory;
pub(crate) use transfer::{Download, StagingRing};
pub use transfer_log::{Direction, GraphContents, Move, TransferLog, Watcher, Work};
pub use yuv::{Chroma, Colour, Orientation, Yuv, YuvFormat, YuvMatrix, YuvPlanes};
