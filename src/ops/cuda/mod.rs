//! Kernels of our own for CUDA devices.
//!
//! To add one: put `extern "C" __global__ void name(...)` into a `.cu` file of this folder (headers shared by several are
//! `.cuh`); `build.rs` compiles every `.cu` there is. Launch it from a module here that asks [`kernels::function`] for it.

#[allow(dead_code)] // until the first kernel
mod kernels;
