//! The device that decodes.

#![allow(unsafe_code)]

use super::{
    context::HwDecoderContext,
    error::NvdecError,
    planes::planes_of,
    surfaces::{DeviceState, Memory, Returnable},
};
use crate::{
    av::{codec, frame},
    engine::{Colour, Engine, Orientation, SideStream, Span, Surface, YuvPlanes},
};
use std::sync::{Arc, atomic::Ordering};

/// A CUDA device that decodes video into its own memory. Clones are the same device.
#[derive(Debug, Clone)]
pub(in crate::sources) struct VideoDevice {
    span: Span,
    /// Decoders that share the surfaces that readers may hold.
    decoders: usize,
    state: Arc<DeviceState>,
}

impl VideoDevice {
    /// The device of `engine`, for so many decoders at once; their work there is logged under `span`.
    ///
    /// # Errors
    /// [`NvdecError`] if the engine is the CPU, or FFmpeg cannot use the device.
    pub(in crate::sources) fn open(
        engine: &Engine,
        span: Span,
        decoders: usize,
    ) -> Result<Self, NvdecError> {
        let state = DeviceState::new(SideStream::new(engine)?)?;
        Ok(Self {
            span,
            decoders,
            state: Arc::new(state),
        })
    }

    /// Runs `work`, which uses a decoder of this device, on this thread while no graph is captured. Every use of such a decoder must be in
    /// it, its end included.
    pub(in crate::sources) fn work<T>(&self, work: impl FnOnce() -> T) -> T {
        self.state.stream.decoding(self.span, work)
    }

    /// Lets a decoder that is not open yet decode on the device the streams that the device can decode.
    ///
    /// # Errors
    /// [`NvdecError::OutOfMemory`] if FFmpeg has no host memory left.
    pub(in crate::sources) fn attach(
        &self,
        context: &mut codec::Context,
    ) -> Result<HwDecoderContext, NvdecError> {
        HwDecoderContext::new(&self.state, self.decoders, context)
    }

    /// The surface of a frame that a decoder of `decoder` returned in device memory. If as many surfaces as may be outstanding are, the image
    /// is copied, on the device, to memory of its own.
    ///
    /// # Errors
    /// [`NvdecError`] if the frame is not in device memory, or the device failed.
    pub(in crate::sources) fn surface(
        &self,
        decoder: &HwDecoderContext,
        frame: frame::Video,
        colour: Colour,
        orientation: Orientation,
    ) -> Result<Surface, NvdecError> {
        let planes = planes_of(&frame)?;
        let outstanding = decoder.outstanding();
        let memory = Memory::of_decoder(frame, outstanding);
        let state = &self.state;
        state.stream.bind()?;
        state.release()?;
        let too_many = outstanding.count.load(Ordering::Acquire) > decoder.limit();
        let (planes, memory) = if too_many {
            self.copy(planes, memory)?
        } else {
            (planes, memory)
        };
        let returnable = Returnable {
            memory,
            device: state.clone(),
        };
        // SAFETY: the planes are those of the frame or of the copy that `memory` holds; the decoder's stream writes them, and refills or frees
        // them only after they were taken back.
        let surface = unsafe {
            Surface::new(
                &state.stream,
                Box::new(returnable),
                planes,
                colour,
                orientation,
            )
        };
        Ok(surface?)
    }

    /// The same image in memory of its own; the old memory goes back.
    fn copy(&self, from: YuvPlanes, old: Memory) -> Result<(YuvPlanes, Memory), NvdecError> {
        // SAFETY: the old memory is queued behind the copy.
        let (to, bytes) = unsafe { self.state.stream.duplicate_planes(&from) }?;
        let done = self.state.stream.record()?;
        self.state.queue(old, vec![done]);
        self.state.release()?;
        Ok((to, Memory::Own { _bytes: bytes }))
    }
}
