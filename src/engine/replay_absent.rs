//! Stands in for `replay` in a build without CUDA: work is simply done.

use super::{Engine, EngineError};
use candle_core::Tensor;

/// Captured work: none in this build.
#[derive(Debug, Default)]
pub struct Replays {
    _nothing: (),
}

impl Replays {
    /// Does `work` on `inputs`.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn run<E: From<EngineError>>(
        &self,
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
pub enum Recording {}

impl Recording {
    /// No graph can be captured.
    ///
    /// # Errors
    /// [`EngineError::NotOnGpu`].
    pub fn new<E: From<EngineError>>(_: &Engine, _: Vec<Tensor>, _: impl Fn(&[Tensor]) -> Result<Vec<Tensor>, E>) -> Result<Self, E> {
        Err(EngineError::NotOnGpu.into())
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn launch(&self) -> Result<(), EngineError> {
        match *self {}
    }

    /// Never called.
    pub fn inputs(&self) -> &[Tensor] {
        match *self {}
    }

    /// Never called.
    pub fn outputs(&self) -> &[Tensor] {
        match *self {}
    }

    /// Never called.
    pub fn nodes(&self) -> usize {
        match *self {}
    }
}
