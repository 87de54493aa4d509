//! Stands in for `side_stream` in a build without CUDA: no such stream can be made.

use super::{Engine, EngineError, Span, YuvPlanes};
use std::{convert::Infallible, ffi::c_void};

/// Cannot be made in this build.
#[derive(Debug, Clone)]
pub struct SideStream(pub(super) Infallible);

/// Cannot be made in this build.
#[derive(Debug)]
pub(crate) struct StreamEvent(Infallible);

/// Cannot be made in this build.
#[derive(Debug)]
pub(crate) struct DeviceBytes(pub(super) Infallible);

impl StreamEvent {
    /// Never called.
    pub(crate) fn is_complete(&self) -> bool {
        match self.0 {}
    }

    /// Never called.
    pub(crate) fn synchronise(&self) -> Result<(), EngineError> {
        match self.0 {}
    }
}

impl SideStream {
    /// No stream can be made.
    ///
    /// # Errors
    /// Always [`EngineError::NoCudaBuild`].
    pub fn new(engine: &Engine) -> Result<Self, EngineError> {
        Err(EngineError::NoCudaBuild(engine.name()))
    }

    /// Never called.
    pub(crate) fn context_pointer(&self) -> *mut c_void {
        match self.0 {}
    }

    /// Never called.
    pub(crate) fn stream_pointer(&self) -> *mut c_void {
        match self.0 {}
    }

    /// Never called.
    pub(crate) fn decoding<T>(&self, _: Span, _: impl FnOnce() -> T) -> T {
        match self.0 {}
    }

    /// Never called.
    pub(crate) fn bind(&self) -> Result<(), EngineError> {
        match self.0 {}
    }

    /// Never called.
    pub(crate) fn record(&self) -> Result<StreamEvent, EngineError> {
        match self.0 {}
    }

    /// Never called.
    pub(crate) fn wait(&self, _: &StreamEvent) -> Result<(), EngineError> {
        match self.0 {}
    }

    /// Never called.
    ///
    /// # Safety
    /// None is needed.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn duplicate_planes(
        &self,
        _: &YuvPlanes,
    ) -> Result<(YuvPlanes, DeviceBytes), EngineError> {
        match self.0 {}
    }
}
