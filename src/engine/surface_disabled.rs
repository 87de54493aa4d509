//! Stands in for `surface` in a build without CUDA: no image lies in device memory.

use super::{
    Colour, DeviceBytes, Engine, EngineError, Orientation, SideStream, Span, StreamEvent,
    SurfaceMemory, Yuv, YuvPlanes,
};
use std::convert::Infallible;

/// Cannot be made in this build.
#[derive(Debug)]
pub struct Surface(Infallible);

impl SurfaceMemory for DeviceBytes {
    fn take_back(self: Box<Self>, _: Vec<StreamEvent>) {
        match self.0 {}
    }
}

impl Surface {
    /// Never called.
    ///
    /// # Safety
    /// None is needed.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn new(
        stream: &SideStream,
        _: Box<dyn SurfaceMemory>,
        _: YuvPlanes,
        _: Colour,
        _: Orientation,
    ) -> Result<Self, EngineError> {
        match stream.0 {}
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn upload(
        stream: &SideStream,
        _: impl Into<Span>,
        _: &Yuv<&[u8]>,
    ) -> Result<Self, EngineError> {
        match stream.0 {}
    }

    /// Never called.
    pub fn planes(&self) -> &YuvPlanes {
        match self.0 {}
    }

    /// Never called.
    pub fn colour(&self) -> Colour {
        match self.0 {}
    }

    /// Never called.
    pub fn orientation(&self) -> Orientation {
        match self.0 {}
    }

    /// Never called.
    pub fn size(&self) -> (u32, u32) {
        match self.0 {}
    }

    /// Never called.
    pub fn engine(&self) -> &Engine {
        match self.0 {}
    }

    /// Never called.
    pub fn is_in(&self, _: &Engine) -> bool {
        match self.0 {}
    }
}
