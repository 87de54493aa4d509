//! Which of several kernels for the same work is fastest (autotuning).

#![allow(unsafe_code)]

use super::launch::{Argument, Kernel};
use crate::{engine, ops::types::result::Result};
use candle_core::{CudaDevice, DType};
use std::{
    collections::HashMap,
    sync::{Mutex, OnceLock, PoisonError},
};

/// What the time of some work depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    pub(super) what: &'static str,
    pub(super) dtype: DType,
    pub(super) sizes: [i32; 10],
}

/// The fastest of `candidates`, found by trying at the first use of a shape; in a capture, where nothing can be timed, the one given.
///
/// # Safety
/// As [`Kernel::launch`] for each of the candidates, which must all write the same result.
pub(super) unsafe fn fastest(
    device: &CudaDevice,
    shape: Shape,
    given: Kernel,
    arguments: &[&dyn Argument],
    candidates: impl FnOnce() -> Result<Vec<Kernel>>,
) -> Result<Kernel> {
    static FASTEST: OnceLock<Mutex<HashMap<Shape, Kernel>>> = OnceLock::new();
    let known = FASTEST.get_or_init(Mutex::default);
    let lock = || known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(kernel) = lock().get(&shape) {
        return Ok(*kernel);
    }
    if engine::is_capturing() {
        return Ok(given);
    }
    let (mut best, mut shortest) = (given, f32::INFINITY);
    for kernel in candidates()? {
        // SAFETY: the caller's.
        let time = unsafe { kernel.time(device, arguments) }?;
        if time < shortest {
            (best, shortest) = (kernel, time);
        }
    }
    lock().insert(shape, best);
    Ok(best)
}
