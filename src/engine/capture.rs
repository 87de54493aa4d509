//! Capturing of work as a graph, and launching of graphs.

#![allow(unsafe_code)]

use super::{
    EngineError, GraphContents,
    captured_kernels::{self, KernelForms},
    cuda::driver,
    gate,
    graph_arena::Arena,
    graph_contents, graph_nodes,
};
use candle_core::{
    CudaDevice,
    cuda_backend::cudarc::driver::{CudaStream, DriverError, result, sys},
};
use std::{sync::Arc, thread, time::Duration};

const CAPTURE: &str = "capture of a graph";
/// What the driver returns for a capture that another thread disturbed.
const DISTURBED: [sys::CUresult; 2] = [
    sys::CUresult::CUDA_ERROR_STREAM_CAPTURE_INVALIDATED,
    sys::CUresult::CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
];
const CAPTURE_ATTEMPTS: u32 = 20;
/// Before the second attempt; the pause grows by as much with each.
const CAPTURE_PAUSE: Duration = Duration::from_millis(5);

/// Work that the driver repeats by one launch.
pub(super) struct Graph {
    executable: Executable,
    // Freed after the graph that uses it.
    _memory: Option<Arc<Arena>>,
}

// SAFETY: a graph is no thread's own; launches and drops are serialised by the lock that its owner keeps it under, and each
// binds the device's context to its thread.
unsafe impl Send for Graph {}

impl Graph {
    /// Captures the work that `work` enqueues, which must free all that it allocates. `results` are addresses of memory that it fills with
    /// its results by copies at its end and does nothing else with; they may be filled earlier instead.
    pub(super) fn capture<E: From<EngineError>>(
        device: &CudaDevice,
        results: &[u64],
        work: impl FnMut() -> Result<(), E>,
    ) -> Result<Self, E> {
        let refused = |error| driver(CAPTURE)(error).into();
        let (captured, ()) = capture(&device.cuda_stream(), refused, work)?;
        let captured = captured.ok_or_else(|| EngineError::Driver {
            what: CAPTURE,
            reason: "it is empty".to_owned(),
        })?;
        Ok(Self::with_planned_memory(captured, results).map_err(driver(CAPTURE))?)
    }

    /// The graph with all its allocations in one piece of memory that graphs of its stream share; as it was captured where that can't be
    /// planned, as with kernels that are not this crate's own.
    fn with_planned_memory(captured: CapturedWork, results: &[u64]) -> Result<Self, DriverError> {
        let CapturedWork {
            graph,
            kernels,
            stream,
        } = captured;
        let as_captured = |graph| {
            Ok(Self {
                executable: Executable::new(graph, &stream)?,
                _memory: None,
            })
        };
        let Some((nodes, plan)) = graph_nodes::plan(graph.0, &kernels, results)? else {
            return as_captured(graph);
        };
        let memory = match plan.bytes {
            0 => None,
            bytes => match Arena::of(&stream, bytes) {
                Ok(arena) => Some(arena),
                // Some virtual machines' GPUs map no memory.
                Err(error) if error.0 == sys::CUresult::CUDA_ERROR_NOT_SUPPORTED => {
                    return as_captured(graph);
                }
                Err(error) => return Err(error),
            },
        };
        let start = memory.as_ref().map_or(0, |memory| memory.start());
        let planned = RawGraph(graph_nodes::rebuild(
            &nodes,
            &plan,
            start,
            stream.context(),
        )?);
        Ok(Self {
            executable: Executable::new(planned, &stream)?,
            _memory: memory,
        })
    }

    /// Asks the device to do it once more.
    pub(super) fn launch(&self) -> Result<(), EngineError> {
        self.executable
            .launch()
            .map_err(driver("launch of a graph"))
    }

    /// What its nodes do.
    pub(super) fn contents(&self) -> GraphContents {
        graph_contents::contents(self.executable.graph.0)
    }

    /// Number of kernels, copies and other nodes.
    pub(super) fn nodes(&self) -> usize {
        graph_contents::handles(self.executable.graph.0).map_or(0, |nodes| nodes.len())
    }
}

/// A graph of the driver's, destroyed with the value.
struct RawGraph(sys::CUgraph);

impl Drop for RawGraph {
    fn drop(&mut self) {
        // SAFETY: the value owns it.
        let _ = unsafe { result::graph::destroy(self.0) };
    }
}

/// Work as it was captured, which can't be launched yet.
pub(crate) struct CapturedWork {
    graph: RawGraph,
    kernels: KernelForms,
    stream: Arc<CudaStream>,
}

impl CapturedWork {
    /// Makes it ready to be launched on the stream that it was captured on, its allocations as nodes.
    pub(crate) fn executable(self) -> Result<Executable, DriverError> {
        Executable::new(self.graph, &self.stream)
    }
}

/// A graph that can be launched.
pub(crate) struct Executable {
    graph: RawGraph,
    executable: sys::CUgraphExec,
    stream: Arc<CudaStream>,
}

impl Executable {
    fn new(graph: RawGraph, stream: &Arc<CudaStream>) -> Result<Self, DriverError> {
        stream.context().bind_to_thread()?;
        // What is allocated as a node and not freed in the graph is freed by the next launch.
        let flags = sys::CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
        // SAFETY: the graph is alive.
        let executable = unsafe { result::graph::instantiate(graph.0, flags) }?;
        Ok(Self {
            graph,
            executable,
            stream: stream.clone(),
        })
    }

    /// Enqueues the work once more.
    pub(crate) fn launch(&self) -> Result<(), DriverError> {
        self.stream.context().bind_to_thread()?;
        // SAFETY: the graph was instantiated, and its memory is kept by its owner.
        unsafe { result::graph::launch(self.executable, self.stream.cu_stream()) }
    }
}

impl Drop for Executable {
    fn drop(&mut self) {
        let context = self.stream.context();
        if context.bind_to_thread().is_ok() {
            // SAFETY: the value owns it. A launch that still runs is finished by the driver.
            context.record_err(unsafe { result::graph::exec_destroy(self.executable) });
        }
    }
}

/// Captures the work that `work` enqueues on `stream` (`None` if nothing was enqueued), and what it returned, which may be memory of the
/// graph.
///
/// Another thread of the process may invalidate a capture, whatever the capture's mode: by waiting for the whole context, as opening a
/// device does. Such a capture is repeated, up to [`CAPTURE_ATTEMPTS`] times; `work` must not depend on how often it runs.
pub(crate) fn capture<T, E>(
    stream: &Arc<CudaStream>,
    refused: impl Fn(DriverError) -> E,
    mut work: impl FnMut() -> Result<T, E>,
) -> Result<(Option<CapturedWork>, T), E> {
    let mut disturbed = false;
    let mut attempt = 1;
    loop {
        let ((done, graph), kernels) =
            captured_kernels::noting(|| gate::capturing(|| once(stream, &mut work)));
        disturbed |= matches!(&graph, Err(error) if DISTURBED.contains(&error.0));
        let failed = match (done, graph) {
            (Some(Ok(results)), Ok(graph)) => {
                let captured = graph.map(|graph| CapturedWork {
                    graph,
                    kernels,
                    stream: stream.clone(),
                });
                return Ok((captured, results));
            }
            (Some(Err(error)), _) => error,
            (_, Err(error)) => refused(error),
            (None, Ok(_)) => refused(DriverError(DISTURBED[0])),
        };
        // The memory of an invalidated graph, which was just dropped, cannot be freed; the context keeps that refusal for its
        // next call.
        let _ = stream.context().check_err();
        if !disturbed || attempt == CAPTURE_ATTEMPTS {
            return Err(failed);
        }
        thread::sleep(CAPTURE_PAUSE * attempt);
        attempt += 1;
    }
}

/// What `work` returned, `None` if it did not run, and the graph that it enqueued.
#[allow(clippy::type_complexity)]
fn once<T, E>(
    stream: &Arc<CudaStream>,
    work: &mut impl FnMut() -> Result<T, E>,
) -> (Option<Result<T, E>>, Result<Option<RawGraph>, DriverError>) {
    let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
    if let Err(error) = stream
        .synchronize()
        .and_then(|()| stream.begin_capture(mode))
    {
        return (None, Err(error));
    }
    let done = work();
    let ended = stream
        .context()
        .bind_to_thread()
        // SAFETY: the stream is being captured, by this thread.
        .and_then(|()| unsafe { result::stream::end_capture(stream.cu_stream()) });
    let graph = ended.map(|graph| (!graph.is_null()).then_some(RawGraph(graph)));
    (Some(done), graph)
}
