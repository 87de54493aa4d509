//! Frames through the models without leaving the device, as captured graphs.

mod captured;
mod executor;
mod graphs;
mod inputs;
pub(crate) mod layout;
pub(crate) mod masks;
pub(crate) mod on_device;
mod room;

pub(crate) use executor::GpuExecutor;
