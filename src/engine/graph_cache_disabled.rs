//! Stands in for `replay` in a build without CUDA: work is simply done.

use super::{Engine, EngineError};
use candle_core::Tensor;

/// Captured work: none in this build.
#[derive(Debug, Default)]
pub struct GraphCache {
    _nothing: (),
}

impl GraphCache {
    /// Does `work` on `inputs`.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn run<E: From<EngineError>>(
        &mut self,
        engine: &Engine,
        number: u64,
        inputs: &[&Tensor],
        work: impl Fn(&[Tensor]) -> Result<Vec<Tensor>, E>,
    ) -> Result<Vec<Tensor>, E> {
        self.run_shared(engine, number, inputs, work)
    }

    /// Does `work` on `inputs`, for timing.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn replay<E: From<EngineError>>(
        &mut self,
        engine: &Engine,
        number: u64,
        inputs: &[&Tensor],
        work: impl Fn(&[Tensor]) -> Result<Vec<Tensor>, E>,
    ) -> Result<(), E> {
        self.run_shared(engine, number, inputs, work).map(drop)
    }

    /// Does `work` on `inputs`.
    ///
    /// # Errors
    /// Those of `work`.
    pub(crate) fn run_shared<E: From<EngineError>>(
        &mut self,
        _: &Engine,
        _: u64,
        inputs: &[&Tensor],
        work: impl Fn(&[Tensor]) -> Result<Vec<Tensor>, E>,
    ) -> Result<Vec<Tensor>, E> {
        work(&inputs.iter().map(|&t| t.clone()).collect::<Vec<_>>())
    }

    /// Nodes of each graph so far: none.
    pub fn nodes(&self) -> Vec<usize> {
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
