//! Work on tensors of the same shapes, captured once as a CUDA graph and replayed by one launch.

use super::{Engine, EngineError, graphs::Captures};
use candle_core::Tensor;
use std::fmt;

/// Captured graphs, by the caller's number and the inputs' types and shapes. On the CPU nothing is captured and the work is done.
///
/// Strided operations of the tensor library keep their dimensions in device memory that belongs to the thread that captured:
/// on another thread the work is captured anew.
///
/// A replay writes its results into the captured graph's own memory. So that no caller reads the results of another call,
/// a replay needs the cache for itself (`&mut`), and [`GraphCache::run`] returns copies.
#[derive(Default)]
pub struct GraphCache {
    captures: Captures,
}

impl fmt::Debug for GraphCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GraphCache of {} graphs", self.nodes().len())
    }
}

impl GraphCache {
    /// Runs `work` on `inputs`. The first call for a `number` and the inputs' types and shapes runs it as usual (libraries set up what
    /// they need once) and captures it; later calls replay the graph. `work` must enqueue the same operations each time.
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
        Ok(Captures::copies(engine, shared)?)
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
        self.captures.run(engine, number, inputs, work)
    }

    /// Number of nodes of each graph so far.
    pub fn nodes(&self) -> Vec<usize> {
        self.captures.nodes()
    }
}
