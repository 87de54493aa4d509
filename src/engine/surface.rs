//! Images in device memory that belong to somebody else, and when they may be read and handed back.

#![allow(unsafe_code)]

use super::{
    Colour, DeviceBytes, Direction, Engine, EngineError, Orientation, SideStream, Span,
    StreamEvent, SurfaceMemory, Yuv, YuvPlanes,
    cuda::{driver, inner},
};
use candle_core::CudaDevice;
use std::{
    fmt, mem,
    panic::Location,
    sync::{Mutex, PoisonError},
};

const UPLOAD: &str = "upload of an image";

/// A YCbCr image in device memory, as a video decoder leaves it. Dropped, it hands its memory back to the owner together with the events
/// behind the last kernels that read it; nothing blocks the host.
pub struct Surface {
    stream: SideStream,
    memory: Option<Box<dyn SurfaceMemory>>,
    planes: YuvPlanes,
    /// Width and height, upright.
    size: (u32, u32),
    colour: Colour,
    orientation: Orientation,
    /// Behind the work that writes the image.
    ready: StreamEvent,
    /// Behind the last kernel that reads it, for each stream by its handle.
    read: Mutex<Vec<(usize, StreamEvent)>>,
}

impl Surface {
    /// A surface over `memory`, which the work that `stream` has so far fills.
    ///
    /// # Errors
    /// [`EngineError::Driver`] if a side is longer than 32 bits count, or the device failed.
    ///
    /// # Safety
    /// `planes` describes memory of the stream's device that is written before the stream's work so far has ended, and that neither changes
    /// nor is freed before `memory` is taken back.
    pub(crate) unsafe fn new(
        stream: &SideStream,
        memory: Box<dyn SurfaceMemory>,
        planes: YuvPlanes,
        colour: Colour,
        orientation: Orientation,
    ) -> Result<Self, EngineError> {
        let side = |pixels: usize| {
            u32::try_from(pixels).map_err(|_| EngineError::Driver {
                what: "an image on the device",
                reason: format!("{}×{} is too large", planes.width, planes.height),
            })
        };
        let size = orientation.size((side(planes.width)?, side(planes.height)?));
        Ok(Self {
            ready: stream.record()?,
            stream: stream.clone(),
            memory: Some(memory),
            planes,
            size,
            colour,
            orientation,
            read: Mutex::default(),
        })
    }

    /// Copies an image of the host to the device, in one announced transfer that is waited for.
    ///
    /// # Errors
    /// [`EngineError::Driver`] if the lengths of the planes do not fit the size or the device failed, [`EngineError::NoMemory`] if memory
    /// ran out.
    #[track_caller]
    pub fn upload(
        stream: &SideStream,
        span: impl Into<Span>,
        image: &Yuv<&[u8]>,
    ) -> Result<Self, EngineError> {
        let (luma, chroma, size) = (image.luma, image.chroma, (image.width, image.height));
        let lengths = image.format.plane_bytes(size);
        if lengths != Some((luma.len(), chroma.len())) || luma.is_empty() {
            return Err(EngineError::Driver {
                what: UPLOAD,
                reason: format!(
                    "{} and {} bytes for {}×{} of {:?}",
                    luma.len(),
                    chroma.len(),
                    size.0,
                    size.1,
                    image.format
                ),
            });
        }
        stream.bind()?;
        let (planes, mut memory) = stream.allocate_planes(size, image.format)?;
        let ((columns, rows), sample) = (image.format.pairs(size), image.format.sample_bytes());
        let above = planes.luma_pitch * size.1;
        let mut padded = vec![0u8; above + planes.chroma_pitch * rows];
        let (above, below) = padded.split_at_mut(above);
        let lines = above
            .chunks_exact_mut(planes.luma_pitch)
            .zip(luma.chunks_exact(size.0 * sample));
        let pair_lines = below
            .chunks_exact_mut(planes.chroma_pitch)
            .zip(chroma.chunks_exact(2 * columns * sample));
        for (to, from) in lines.chain(pair_lines) {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        }
        let announced = (span.into(), Direction::HostToDevice, padded.len() as u64);
        let copy = || {
            stream
                .stream()
                .memcpy_htod(&padded, &mut memory.bytes)
                .and_then(|()| stream.stream().synchronize())
        };
        stream
            .engine()
            .transfer_log()
            .moving(true, announced, Location::caller(), copy)
            .map_err(driver(UPLOAD))?;
        // SAFETY: the planes lie in `memory`, which is written and stays as it is.
        unsafe {
            Self::new(
                stream,
                Box::new(memory),
                planes,
                image.colour,
                image.orientation,
            )
        }
    }

    /// Where it lies.
    pub fn planes(&self) -> &YuvPlanes {
        &self.planes
    }

    /// Its colour encoding.
    pub fn colour(&self) -> Colour {
        self.colour
    }

    /// The transform that makes it upright.
    pub fn orientation(&self) -> Orientation {
        self.orientation
    }

    /// Width and height in pixels of the upright image.
    pub fn size(&self) -> (u32, u32) {
        self.size
    }

    /// The engine in whose memory it lies.
    pub fn engine(&self) -> &Engine {
        self.stream.engine()
    }

    /// Whether it lies in the memory of the device of `engine`.
    pub fn is_in(&self, engine: &Engine) -> bool {
        inner(engine.device()).is_some_and(|device| self.stream.is_of(device))
    }

    /// Makes the stream of `device` wait, on the device, until the image is written; the host does not wait. [`Surface::end_read`] must
    /// follow the work that reads the image.
    ///
    /// # Errors
    /// [`EngineError::Driver`] if `device` is another device than the image's.
    pub(crate) fn begin_read(&self, device: &CudaDevice) -> Result<(), EngineError> {
        if !self.stream.is_of(device) {
            return Err(EngineError::Driver {
                what: "an image on the device",
                reason: "it is in the memory of another device".to_owned(),
            });
        }
        let stream = device.cuda_stream();
        stream
            .context()
            .bind_to_thread()
            .map_err(driver("use of the device"))?;
        self.ready.delay(&stream)
    }

    /// Records that all work which reads the image has been enqueued on the stream of `device`.
    ///
    /// # Errors
    /// [`EngineError::Driver`] if the device failed.
    pub(crate) fn end_read(&self, device: &CudaDevice) -> Result<(), EngineError> {
        let stream = device.cuda_stream();
        let event = StreamEvent::record(&stream)?;
        let key = stream.cu_stream() as usize;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.retain(|(other, _)| *other != key);
        read.push((key, event));
        Ok(())
    }
}

impl SurfaceMemory for DeviceBytes {
    fn take_back(self: Box<Self>, uses: Vec<StreamEvent>) {
        for event in &uses {
            // A device that failed does not read the memory any more.
            let _ = self.stream.wait(event);
        }
    }
}

impl Drop for Surface {
    fn drop(&mut self) {
        let read = self.read.get_mut().unwrap_or_else(PoisonError::into_inner);
        let uses = mem::take(read).into_iter().map(|(_, event)| event);
        if let Some(memory) = self.memory.take() {
            memory.take_back(uses.collect());
        }
    }
}

impl fmt::Debug for Surface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Surface({}×{}, {:?}, {:?}, {:?})",
            self.planes.width,
            self.planes.height,
            self.planes.format,
            self.colour,
            self.orientation
        )
    }
}
