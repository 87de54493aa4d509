//! CUDA graphs: work on tensors of fixed shapes, captured once and replayed by one launch.

use super::{Direction, Engine, EngineError, capture::Graph, cuda};
use candle_core::{DType, Tensor};
use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    thread::{self, ThreadId},
};

/// Identifies captured work: the caller's number, then type and shape of each input.
type Key = (u64, Vec<(DType, Vec<usize>)>);

/// The graphs of a [`super::GraphCache`], by number, types and shapes of the inputs.
#[derive(Default)]
pub(super) struct Captures {
    captured: HashMap<Key, Captured>,
}

struct Captured {
    thread: ThreadId,
    graph: Graph,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
}

impl Captures {
    /// Implements [`super::GraphCache::run_shared`].
    pub(super) fn run<E: From<EngineError>>(
        &mut self,
        engine: &Engine,
        number: u64,
        inputs: &[&Tensor],
        work: impl Fn(&[Tensor]) -> Result<Vec<Tensor>, E>,
    ) -> Result<Vec<Tensor>, E> {
        let Some(device) = cuda::inner(engine.device()) else {
            return work(&inputs.iter().map(|&t| t.clone()).collect::<Vec<_>>());
        };
        let key = (number, inputs.iter().map(|t| cuda::form(t)).collect());
        let this_thread = thread::current().id();
        if self
            .captured
            .get(&key)
            .is_some_and(|captured| captured.thread != this_thread)
        {
            self.captured.remove(&key);
        }
        let captured = match self.captured.entry(key) {
            Entry::Occupied(known) => {
                let captured = known.into_mut();
                for (own, given) in captured.inputs.iter().zip(inputs) {
                    let given = given.contiguous().map_err(|e| EngineError::Tensor {
                        what: "an input",
                        source: Box::new(e),
                    })?;
                    cuda::copy(device, own, &given)?;
                }
                captured
            }
            Entry::Vacant(place) => {
                let captured = Captured::new(device, inputs, work)?;
                engine.transfer_log().captured(|| captured.graph.contents());
                place.insert(captured)
            }
        };
        captured.graph.launch()?;
        Ok(captured.outputs.clone())
    }

    /// Copies of `results`, which may be memory of a graph.
    pub(super) fn copies(
        engine: &Engine,
        results: Vec<Tensor>,
    ) -> Result<Vec<Tensor>, EngineError> {
        if engine.is_cpu() {
            return Ok(results);
        }
        results.iter().map(cuda::duplicate).collect()
    }

    /// Number of nodes of each graph.
    pub(super) fn nodes(&self) -> Vec<usize> {
        self.captured.values().map(|c| c.graph.nodes()).collect()
    }
}

/// Work on input tensors of its own, captured once as a CUDA graph and replayed by one launch. Nothing is copied in or out.
pub struct CapturedGraph {
    outputs: Vec<Tensor>,
    inputs: Vec<Tensor>,
    graph: Graph,
}

impl fmt::Debug for CapturedGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CapturedGraph of {} nodes", self.graph.nodes())
    }
}

impl CapturedGraph {
    /// Runs `work` on `inputs` once as usual (libraries set up what they need once), captures it, and launches the graph. Each launch
    /// reads what the inputs then hold. `work` must enqueue the same operations each time; work on the stream of another engine must
    /// be joined within it ([`Engine::wait_for`]).
    ///
    /// # Errors
    /// Those of `work`, [`EngineError::NotOnGpu`] on the CPU, and [`EngineError::Driver`] if the device failed or `work` copies from
    /// host memory.
    pub fn new<E: From<EngineError>>(
        engine: &Engine,
        inputs: Vec<Tensor>,
        work: impl Fn(&[Tensor]) -> Result<Vec<Tensor>, E>,
    ) -> Result<Self, E> {
        let device = cuda::inner(engine.device()).ok_or(EngineError::NotOnGpu)?;
        let (graph, outputs) = record(device, &inputs, work)?;
        let contents = graph.contents();
        if contents
            .copies
            .iter()
            .any(|(direction, _)| *direction == Some(Direction::HostToDevice))
        {
            // The host memory would be freed by the next launch.
            let reason = "it copies from host memory; only operations that read device memory can be captured".to_owned();
            return Err(EngineError::Driver {
                what: "capture of a graph",
                reason,
            }
            .into());
        }
        engine.transfer_log().captured(|| contents);
        graph.launch()?;
        Ok(Self {
            outputs,
            inputs,
            graph,
        })
    }

    /// Enqueues a replay.
    ///
    /// # Errors
    /// [`EngineError::Driver`] if the device failed.
    pub fn launch(&mut self) -> Result<(), EngineError> {
        self.graph.launch()
    }

    /// The tensors that it reads. Write to them on the same stream before a launch.
    pub(crate) fn inputs(&self) -> &[Tensor] {
        &self.inputs
    }

    /// The tensors that it writes. Each launch overwrites them: whatever reads them must be enqueued on the same stream before.
    pub(crate) fn outputs(&self) -> &[Tensor] {
        &self.outputs
    }

    /// Number of kernels, copies and other nodes of a launch.
    pub fn nodes(&self) -> usize {
        self.graph.nodes()
    }
}

impl Captured {
    fn new<E: From<EngineError>>(
        device: &candle_core::CudaDevice,
        inputs: &[&Tensor],
        work: impl Fn(&[Tensor]) -> Result<Vec<Tensor>, E>,
    ) -> Result<Self, E> {
        let inputs = inputs
            .iter()
            .map(|t| cuda::duplicate(t))
            .collect::<Result<Vec<_>, _>>()?;
        // Keeps the dimensions that strided operations upload alive, since a replay reads them.
        let _guard = device.enable_cuda_graph_htod_cache();
        let (graph, outputs) = record(device, &inputs, work)?;
        Ok(Self {
            thread: thread::current().id(),
            graph,
            inputs,
            outputs,
        })
    }
}

/// Runs `work` on `inputs` once as usual, then captures it: the graph, and the tensors that it writes its results to.
fn record<E: From<EngineError>>(
    device: &candle_core::CudaDevice,
    inputs: &[Tensor],
    work: impl Fn(&[Tensor]) -> Result<Vec<Tensor>, E>,
) -> Result<(Graph, Vec<Tensor>), E> {
    let results = work(inputs)?;
    let outputs = results.iter().map(cuda::duplicate);
    let outputs = outputs.collect::<Result<Vec<_>, _>>()?;
    drop(results);
    let places = outputs.iter().map(|output| Ok(cuda::place(output)?.0));
    let places = places.collect::<Result<Vec<u64>, EngineError>>()?;
    cuda::trim(device)?;
    let graph = Graph::capture(device, &places, || {
        let results = work(inputs)?;
        for (to, from) in outputs.iter().zip(&results) {
            let from = from.contiguous().map_err(|e| EngineError::Tensor {
                what: "a result of a graph",
                source: Box::new(e),
            })?;
            cuda::copy(device, to, &from)?;
        }
        // Results of another stream are freed on it: after the copies, and before the capture ends.
        let others: Vec<_> = results
            .iter()
            .map(|result| result.device().clone())
            .collect();
        let others = || others.iter().filter_map(cuda::inner);
        others().try_for_each(|other| cuda::wait_for(other, device))?;
        drop(results);
        others().try_for_each(|other| cuda::wait_for(device, other))?;
        Ok::<_, E>(())
    })?;
    Ok((graph, outputs))
}
