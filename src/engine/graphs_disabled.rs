//! Stands in for `graphs` in a build without CUDA: work is done as it is.

use super::{Engine, EngineError};
use candle_core::Tensor;

/// No graphs: work is done as it is.
#[derive(Debug, Default)]
pub(super) struct Captures {
    _nothing: (),
}

impl Captures {
    /// Implements [`super::GraphCache::run_shared`].
    pub(super) fn run<E: From<EngineError>>(
        &mut self,
        _: &Engine,
        _: u64,
        inputs: &[&Tensor],
        work: impl Fn(&[Tensor]) -> Result<Vec<Tensor>, E>,
    ) -> Result<Vec<Tensor>, E> {
        work(&inputs.iter().map(|&t| t.clone()).collect::<Vec<_>>())
    }

    /// The results, which are no memory of a graph.
    pub(super) fn copies(_: &Engine, results: Vec<Tensor>) -> Result<Vec<Tensor>, EngineError> {
        Ok(results)
    }

    /// Number of nodes of each graph: there is none.
    pub(super) fn nodes(&self) -> Vec<usize> {
        Vec::new()
    }
}

/// Cannot be made in this build.
#[derive(Debug)]
pub enum CapturedGraph {}

impl CapturedGraph {
    /// No graph can be captured.
    ///
    /// # Errors
    /// [`EngineError::NotOnGpu`].
    pub fn new<E: From<EngineError>>(
        _: &Engine,
        _: Vec<Tensor>,
        _: impl Fn(&[Tensor]) -> Result<Vec<Tensor>, E>,
    ) -> Result<Self, E> {
        Err(EngineError::NotOnGpu.into())
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn launch(&mut self) -> Result<(), EngineError> {
        match *self {}
    }

    /// Never called.
    pub(crate) fn inputs(&self) -> &[Tensor] {
        match *self {}
    }

    /// Never called.
    pub(crate) fn outputs(&self) -> &[Tensor] {
        match *self {}
    }

    /// Never called.
    pub fn nodes(&self) -> usize {
        match *self {}
    }
}
