//! Decoded pictures in device memory, and when they may be read and given back.

use super::{Memory, Returned, Shared, VideoDevice, driver, follow, lock, refused};
use crate::engine::{Colour, Engine, EngineError, Planes, Turn, cuda};
use candle_core::{CudaDevice, cuda_backend::cudarc::driver::CudaEvent};
use std::{
    fmt, mem,
    sync::{Arc, Mutex},
};

/// A decoded picture in device memory. Dropped, it goes back to the decoder, which fills it again only after the device has done what was
/// asked of it.
pub struct Surface {
    device: VideoDevice,
    memory: Option<Memory>,
    planes: Planes,
    colour: Colour,
    turn: Turn,
    /// After which the picture is there.
    ready: Arc<CudaEvent>,
    /// Behind the last kernel that reads it, for each stream.
    read: Mutex<Vec<(usize, CudaEvent)>>,
}

impl Surface {
    pub(super) fn new(
        device: &VideoDevice,
        memory: Memory,
        planes: Planes,
        (colour, turn): (Colour, Turn),
        ready: CudaEvent,
    ) -> Self {
        let (device, ready) = (device.clone(), Arc::new(ready));
        Self {
            device,
            memory: Some(memory),
            planes,
            colour,
            turn,
            ready,
            read: Mutex::default(),
        }
    }

    /// Where it lies.
    pub fn planes(&self) -> &Planes {
        &self.planes
    }

    /// What its numbers stand for.
    pub fn colour(&self) -> Colour {
        self.colour
    }

    /// What makes it upright.
    pub fn turn(&self) -> Turn {
        self.turn
    }

    /// Width and height of the upright picture.
    pub fn size(&self) -> (usize, usize) {
        self.turn.size((self.planes.width, self.planes.height))
    }

    /// The engine that it was decoded for.
    pub fn engine(&self) -> &Engine {
        &self.device.engine
    }

    /// Whether it lies in the memory of an engine's device.
    pub fn is_in(&self, engine: &Engine) -> bool {
        cuda::inner(engine.device()).is_some_and(|device| self.is_of(device))
    }

    fn is_of(&self, device: &CudaDevice) -> bool {
        device.cuda_stream().context().cu_ctx() == self.shared().context.cu_ctx()
    }

    fn shared(&self) -> &Shared {
        &self.device.shared
    }

    /// Asks a device's stream to wait until the picture is there; the host does not wait. [`Surface::end_read`] must follow what
    /// reads it.
    ///
    /// # Errors
    /// [`EngineError::Driver`] if the stream is that of another device.
    pub(crate) fn begin_read(&self, device: &CudaDevice) -> Result<(), EngineError> {
        if !self.is_of(device) {
            return Err(refused("a picture in the memory of another device"));
        }
        let stream = device.cuda_stream();
        stream.context().bind_to_thread().map_err(driver)?;
        follow(&stream, &self.ready)
    }

    /// Notes that all reading that was asked for so far is on the device's stream.
    ///
    /// # Errors
    /// [`EngineError::Driver`] if the device failed.
    pub(crate) fn end_read(&self, device: &CudaDevice) -> Result<(), EngineError> {
        let stream = device.cuda_stream();
        let event = stream.record_event(None).map_err(driver)?;
        let (key, mut read) = (stream.cu_stream() as usize, lock(&self.read));
        read.retain(|(other, _)| *other != key);
        read.push((key, event));
        Ok(())
    }
}

impl Drop for Surface {
    fn drop(&mut self) {
        let Some(memory) = self.memory.take() else {
            return;
        };
        let mut last: Vec<CudaEvent> = mem::take(&mut *lock(&self.read))
            .into_iter()
            .map(|(_, event)| event)
            .collect();
        if last.is_empty() || !memory.is_ordered() {
            // Read by nobody, or the last that keeps its decoder: what the decoder's stream does and waits for comes first. Without an
            // event the device has failed.
            last.extend(self.shared().stream.record_event(None).ok());
        }
        lock(&self.shared().returned).push(Returned { memory, last });
    }
}

impl fmt::Debug for Surface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Surface({}×{}, {:?}, {:?})",
            self.planes.width, self.planes.height, self.colour, self.turn
        )
    }
}
