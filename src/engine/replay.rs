//! Work on tensors of the same shapes, captured once as a CUDA graph and replayed by one launch.

use super::{
    Engine, EngineError,
    cuda::{self, Graph},
};
use candle_core::{DType, Tensor};
use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
};

/// What tells captured work apart: the caller's number, and types and shapes of the inputs.
type Key = (u64, Vec<(DType, Vec<usize>)>);

/// Captured work, by the caller's number and the inputs' types and shapes. On the CPU work is simply done.
///
/// Strided operations of the tensor library keep their dimensions in device memory that belongs to the thread that captured:
/// one thread does all work with a `Replays`.
#[derive(Default)]
pub struct Replays {
    captured: Mutex<HashMap<Key, Captured>>,
}

struct Captured {
    graph: Graph,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
}

impl fmt::Debug for Replays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Replays ({})", self.captured.lock().unwrap_or_else(PoisonError::into_inner).len())
    }
}

impl Replays {
    /// Does `work` on `inputs`: the first time for a `number` and the inputs' types and shapes as usual, to prepare what is made
    /// once, and captures it; from then on by a replay. `work` must ask the same of the device each time.
    ///
    /// The results are the captured work's own memory: the next call with the same number and shapes overwrites them.
    ///
    /// # Errors
    /// Those of `work`, and [`EngineError`] if the device failed.
    pub fn run<E: From<EngineError>>(
        &self,
        engine: &Engine,
        number: u64,
        inputs: &[&Tensor],
        work: impl Fn(&[Tensor]) -> Result<Vec<Tensor>, E>,
    ) -> Result<Vec<Tensor>, E> {
        let Some(device) = cuda::inner(engine.device()) else {
            return work(&inputs.iter().map(|&t| t.clone()).collect::<Vec<_>>());
        };
        let key = (number, inputs.iter().map(|t| cuda::form(t)).collect());
        let mut all = self.captured.lock().unwrap_or_else(PoisonError::into_inner);
        let captured = match all.get(&key) {
            Some(captured) => {
                for (own, given) in captured.inputs.iter().zip(inputs) {
                    let given = given.contiguous().map_err(|e| EngineError::Tensor { what: "an input", source: Box::new(e) })?;
                    cuda::copy(device, own, &given)?;
                }
                captured
            }
            None => {
                let captured = Captured::new(device, inputs, work)?;
                engine.ledger().captured(|| captured.graph.contents());
                all.entry(key).or_insert(captured)
            }
        };
        captured.graph.launch()?;
        Ok(captured.outputs.clone())
    }

    /// Nodes of each graph so far.
    pub fn nodes(&self) -> Vec<usize> {
        self.captured.lock().unwrap_or_else(PoisonError::into_inner).values().map(|c| c.graph.nodes()).collect()
    }
}

/// Work on tensors of its own, captured once and replayed by one launch: nothing is copied in or out.
pub struct Recording {
    // Results are freed before the graph that made them.
    outputs: Vec<Tensor>,
    inputs: Vec<Tensor>,
    graph: Graph,
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recording of {} nodes", self.graph.nodes())
    }
}

impl Recording {
    /// Does `work` on `inputs` once, to prepare what is made once, captures it, and launches it. Each launch reads what the inputs then
    /// hold. `work` must ask the same of the device each time; work on a sibling's stream must be joined in it
    /// ([`Engine::follow`]).
    ///
    /// # Errors
    /// Those of `work`, [`EngineError::NotOnGpu`] on the CPU, and [`EngineError::Driver`] if the device failed.
    pub fn new<E: From<EngineError>>(
        engine: &Engine,
        inputs: Vec<Tensor>,
        work: impl Fn(&[Tensor]) -> Result<Vec<Tensor>, E>,
    ) -> Result<Self, E> {
        let device = cuda::inner(engine.device()).ok_or(EngineError::NotOnGpu)?;
        let _guard = device.enable_cuda_graph_htod_cache();
        drop(work(&inputs)?);
        cuda::trim(device)?;
        let mut outputs = Vec::new();
        let graph = Graph::capture(device, || {
            outputs = work(&inputs)?;
            Ok::<_, E>(())
        })?;
        engine.ledger().captured(|| graph.contents());
        graph.launch()?;
        Ok(Self { outputs, inputs, graph })
    }

    /// Asks the device to do it once more.
    ///
    /// # Errors
    /// [`EngineError::Driver`] if the device failed.
    pub fn launch(&self) -> Result<(), EngineError> {
        self.graph.launch()
    }

    /// What it reads, to be written to.
    pub fn inputs(&self) -> &[Tensor] {
        &self.inputs
    }

    /// What it makes: each launch overwrites it.
    pub fn outputs(&self) -> &[Tensor] {
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
        let inputs = inputs.iter().map(|t| cuda::duplicate(t)).collect::<Result<Vec<_>, _>>()?;
        // Keeps the dimensions that strided operations upload, so that a replay finds them.
        let _guard = device.enable_cuda_graph_htod_cache();
        drop(work(&inputs)?);
        let own = |t: &Tensor| cuda::duplicate(t);
        let outputs = work(&inputs)?.iter().map(own).collect::<Result<Vec<_>, _>>()?;
        cuda::trim(device)?;
        let graph = Graph::capture(device, || {
            let results = work(&inputs)?;
            for (to, from) in outputs.iter().zip(&results) {
                cuda::copy(device, to, from)?;
            }
            Ok::<_, E>(())
        })?;
        Ok(Self { graph, inputs, outputs })
    }
}
