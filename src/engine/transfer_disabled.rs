//! Stands in for `transfer` in a build without CUDA: there is no device to bring frames to.

use super::{Engine, EngineError, Span};
use candle_core::Tensor;
use std::time::Duration;

/// Cannot be made in this build.
#[derive(Debug)]
pub(crate) enum StagingRing {}

impl StagingRing {
    /// No ring can be made.
    ///
    /// # Errors
    /// [`EngineError::NotOnGpu`].
    pub(crate) fn new(_: &Engine, _: usize) -> Result<Self, EngineError> {
        Err(EngineError::NotOnGpu)
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub(crate) fn upload(
        &mut self,
        _: impl Into<Span>,
        _: &[u8],
        _: &[usize],
    ) -> Result<Tensor, EngineError> {
        match *self {}
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub(crate) fn mark_consumed(&mut self) -> Result<(), EngineError> {
        match *self {}
    }
}

/// Cannot be made in this build.
#[derive(Debug)]
pub(crate) enum Download {}

impl Download {
    /// No buffer can be made.
    ///
    /// # Errors
    /// [`EngineError::NotOnGpu`].
    pub(crate) fn new(_: &Engine) -> Result<Self, EngineError> {
        Err(EngineError::NotOnGpu)
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub(crate) fn mark(&mut self, _: &'static str) -> Result<(), EngineError> {
        match *self {}
    }

    /// Never called.
    pub(crate) fn take_times(&mut self) -> Vec<(&'static str, Duration)> {
        match *self {}
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub(crate) fn start(&mut self, _: impl Into<Span>, _: &Tensor) -> Result<(), EngineError> {
        match *self {}
    }

    /// Never called.
    pub(crate) fn is_ready(&self) -> bool {
        match *self {}
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub(crate) fn wait(&self) -> Result<&[u32], EngineError> {
        match *self {}
    }
}
