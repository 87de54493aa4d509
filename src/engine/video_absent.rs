//! Stands in for `video` in a build without CUDA: no device decodes, and no surface exists.

use super::{Colour, Engine, EngineError, Planes, Span, Turn};
use std::convert::Infallible;
use video_rs::ffmpeg::{codec, frame};

/// A device that decodes video: none in this build.
#[derive(Debug, Clone)]
pub struct VideoDevice(Infallible);

/// What ties a decoder to a device: none in this build.
#[derive(Debug)]
pub struct Attachment(Infallible);

/// A decoded picture in device memory: none in this build.
#[derive(Debug)]
pub struct Surface(Infallible);

impl VideoDevice {
    /// Says that there is none.
    ///
    /// # Errors
    /// Always [`EngineError::NoCudaBuild`].
    pub fn open(_: &Engine, _: impl Into<Span>) -> Result<Self, EngineError> {
        Err(EngineError::NoCudaBuild("decoding on the GPU".to_owned()))
    }

    /// Not reached.
    ///
    /// # Errors
    /// None.
    pub fn attach(&self, _: &mut codec::Context) -> Result<Attachment, EngineError> {
        match self.0 {}
    }

    /// Not reached.
    pub fn work<T>(&self, _: impl FnOnce() -> T) -> T {
        match self.0 {}
    }

    /// Not reached.
    ///
    /// # Errors
    /// None.
    pub fn surface(
        &self,
        _: &Attachment,
        _: frame::Video,
        _: Colour,
        _: Turn,
    ) -> Result<Surface, EngineError> {
        match self.0 {}
    }

    /// Not reached.
    ///
    /// # Errors
    /// None.
    pub fn upload(
        &self,
        _: impl Into<Span>,
        _: &[u8],
        _: &[u8],
        _: (usize, usize),
        _: Colour,
        _: Turn,
    ) -> Result<Surface, EngineError> {
        match self.0 {}
    }
}

impl Attachment {
    /// Not reached.
    pub fn refusal(&self) -> Option<String> {
        match self.0 {}
    }

    /// Not reached.
    pub fn is_on_device(&self, _: &frame::Video) -> bool {
        match self.0 {}
    }
}

impl Surface {
    /// Not reached.
    pub fn planes(&self) -> &Planes {
        match self.0 {}
    }

    /// Not reached.
    pub fn colour(&self) -> Colour {
        match self.0 {}
    }

    /// Not reached.
    pub fn turn(&self) -> Turn {
        match self.0 {}
    }

    /// Not reached.
    pub fn engine(&self) -> &Engine {
        match self.0 {}
    }

    /// Not reached.
    pub fn is_in(&self, _: &Engine) -> bool {
        match self.0 {}
    }

    /// Not reached.
    pub fn size(&self) -> (usize, usize) {
        match self.0 {}
    }
}
