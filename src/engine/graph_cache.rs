//! Work on tensors of the same shapes, captured once as a CUDA graph and replayed by one launch.

use super::{
    Direction, Engine, EngineError,
    cuda::{self, Graph},
};
use candle_core::{DType, Tensor};
use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    thread::{self, ThreadId},
};

/// What identifies captured work: the caller's number, and types and shapes of the inputs.
type Key = (u64, Vec<(DType, Vec<usize>)>);

/// Captured work, by the caller's number and the inputs' types and shapes. On the CPU work is simply done.
///
/// Strided operations of the tensor library keep their dimensions in device memory that belongs to the thread that captured:
/// on another thread the work is captured anew.
///
/// A replay writes its results into the captured graph's own memory. So that no caller reads the results of another call,
/// a replay needs the cache for itself (`&mut`), and [`GraphCache::run`] returns copies.
#[derive(Default)]
pub struct GraphCache {
    captured: HashMap<Key, Captured>,
}

struct Captured {
    thread: ThreadId,
    graph: Graph,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
}

impl fmt::Debug for GraphCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GraphCache of {} graphs", self.captured.len())
    }
}

impl GraphCache {
    /// Does `work` on `inputs`: the first time for a `number` and the inputs' types and shapes as usual, to prepare what is made
    /// once, and captures it; from then on by a replay. `work` must enqueue the same operations each time.
    ///
    /// The results are tensors of their own, on the device of `engine`.
    ///
    /// # Errors
    /// Those of `work`, and [`EngineError`] if the device failed or has no memory for the copies.
    pub fn run<E: From<EngineError>>(
        &mut self,
        engine: &Engine,
        number: u64,
        inputs: &[&Tensor],
        work: impl Fn(&[Tensor]) -> Result<Vec<Tensor>, E>,
    ) -> Result<Vec<Tensor>, E> {
        let shared = self.run_shared(engine, number, inputs, work)?;
        if engine.is_cpu() {
            return Ok(shared);
        }
        Ok(shared
            .iter()
            .map(cuda::duplicate)
            .collect::<Result<_, _>>()?)
    }

    /// As [`GraphCache::run`] without the results, for timing.
    ///
    /// # Errors
    /// As [`GraphCache::run`].
    pub fn replay<E: From<EngineError>>(
        &mut self,
        engine: &Engine,
        number: u64,
        inputs: &[&Tensor],
        work: impl Fn(&[Tensor]) -> Result<Vec<Tensor>, E>,
    ) -> Result<(), E> {
        self.run_shared(engine, number, inputs, work).map(drop)
    }

    /// As [`GraphCache::run`], but the results are the captured graph's own memory: the next replay of the same work
    /// overwrites them. The caller must have read them, or enqueued what reads them on the same stream, before that.
    ///
    /// # Errors
    /// As [`GraphCache::run`].
    pub(crate) fn run_shared<E: From<EngineError>>(
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

    /// Number of nodes of each graph so far.
    pub fn nodes(&self) -> Vec<usize> {
        self.captured.values().map(|c| c.graph.nodes()).collect()
    }
}

/// Work on tensors of its own, captured once and replayed by one launch: nothing is copied in or out.
pub struct CapturedGraph {
    // Results are freed before the graph that made them.
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
    /// Does `work` on `inputs` once, to prepare what is made once, captures it, and launches it. Each launch reads what the inputs then
    /// hold. `work` must enqueue the same operations each time; work on the stream of another engine must be joined in it
    /// ([`Engine::wait_for`]).
    ///
    /// # Errors
    /// Those of `work`, [`EngineError::NotOnGpu`] on the CPU, and [`EngineError::Driver`] if the device failed or `work` copies from the host.
    pub fn new<E: From<EngineError>>(
        engine: &Engine,
        inputs: Vec<Tensor>,
        work: impl Fn(&[Tensor]) -> Result<Vec<Tensor>, E>,
    ) -> Result<Self, E> {
        let device = cuda::inner(engine.device()).ok_or(EngineError::NotOnGpu)?;
        drop(work(&inputs)?);
        cuda::trim(device)?;
        let mut outputs = Vec::new();
        let graph = Graph::capture(device, || {
            outputs = work(&inputs)?;
            Ok::<_, E>(())
        })?;
        let contents = graph.contents();
        if contents
            .copies
            .iter()
            .any(|(direction, _)| *direction == Some(Direction::HostToDevice))
        {
            // Its source would be gone at the next launch.
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

    /// What it reads, to be written to before a launch, on the same stream.
    pub(crate) fn inputs(&self) -> &[Tensor] {
        &self.inputs
    }

    /// What it makes: each launch overwrites it. What reads it must be enqueued on the same stream before that.
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
        // Keeps the dimensions that strided operations upload, so that a replay finds them.
        let _guard = device.enable_cuda_graph_htod_cache();
        drop(work(&inputs)?);
        let own = |t: &Tensor| cuda::duplicate(t);
        let outputs = work(&inputs)?
            .iter()
            .map(own)
            .collect::<Result<Vec<_>, _>>()?;
        cuda::trim(device)?;
        let graph = Graph::capture(device, || {
            let results = work(&inputs)?;
            for (to, from) in outputs.iter().zip(&results) {
                cuda::copy(device, to, from)?;
            }
            Ok::<_, E>(())
        })?;
        Ok(Self {
            thread: thread::current().id(),
            graph,
            inputs,
            outputs,
        })
    }
}
