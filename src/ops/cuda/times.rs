//! How long each kernel takes, in the conditions of a graph.

use crate::{
    engine,
    ops::types::result::{KernelTime, Result},
};
use candle_core::cuda_backend::{
    WrapErr,
    cudarc::driver::{CudaStream, DriverError, sys},
};
use std::{cell::RefCell, sync::Arc};

/// Launches a kernel is timed over: enough for the time between two nodes of a graph to be part of it.
const LAUNCHES: usize = 20;

thread_local! {
    static TIMES: RefCell<Option<Vec<KernelTime>>> = const { RefCell::new(None) };
}

/// See [`crate::ops::kernel_times`].
pub(crate) fn kernel_times<E>(
    work: impl FnOnce() -> std::result::Result<(), E>,
) -> std::result::Result<Vec<KernelTime>, E> {
    TIMES.with(|times| times.replace(Some(Vec::new())));
    let done = work();
    let times = TIMES.with(RefCell::take).unwrap_or_default();
    done.map(|()| times)
}

/// Where times are wanted: notes that of one launch.
pub(super) fn measure(
    stream: &Arc<CudaStream>,
    kernel: &'static str,
    grid: (usize, usize, usize),
    launch: impl FnMut() -> std::result::Result<(), DriverError>,
) -> Result<()> {
    if TIMES.with(|times| times.borrow().is_none()) {
        return Ok(());
    }
    let noted = KernelTime {
        kernel,
        grid,
        microseconds: time(stream, launch)?,
    };
    TIMES.with(|times| times.borrow_mut().as_mut().map(|times| times.push(noted)));
    Ok(())
}

/// Microseconds of a launch: some are captured as a graph, of which one run is timed after one that is not.
pub(super) fn time(
    stream: &Arc<CudaStream>,
    mut launch: impl FnMut() -> std::result::Result<(), DriverError>,
) -> Result<f32> {
    let mut time = || -> std::result::Result<f32, DriverError> {
        let launches = || (0..LAUNCHES).try_for_each(|_| launch());
        let (Some(graph), ()) = engine::capture(stream, |error| error, launches)? else {
            return Ok(f32::NAN);
        };
        let graph = graph.executable()?;
        graph.launch()?;
        let start = stream.record_event(Some(sys::CUevent_flags::CU_EVENT_DEFAULT))?;
        graph.launch()?;
        let end = stream.record_event(Some(sys::CUevent_flags::CU_EVENT_DEFAULT))?;
        start.elapsed_ms(&end)
    };
    Ok(time().w()? * 1e3 / LAUNCHES as f32)
}
