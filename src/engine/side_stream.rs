//! A stream beside those of the models, for a library that enqueues work of its own.

#![allow(unsafe_code)]

use super::{
    Engine, EngineError, Span, YuvFormat, YuvPlanes,
    cuda::{driver, inner},
    gate,
};
use candle_core::{
    CudaDevice,
    cuda_backend::cudarc::driver::{
        CudaContext, CudaEvent, CudaSlice, CudaStream, DevicePtr, DriverError, result, sys,
    },
};
use std::{ffi::c_void, fmt, ptr, sync::Arc};

const STREAM: &str = "a stream beside the models'";
const MEMORY: &str = "memory of an image on the device";

/// A stream of the engine's device with the greatest priority, for a library (a video decoder) that enqueues its own work. Clones are the
/// same stream.
#[derive(Clone)]
pub struct SideStream {
    engine: Engine,
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
}

/// A point in the work of a stream: it completes when all work enqueued before it has.
#[derive(Debug)]
pub(crate) struct StreamEvent(CudaEvent);

impl StreamEvent {
    /// Records the work enqueued so far on a stream.
    pub(super) fn record(stream: &CudaStream) -> Result<Self, EngineError> {
        stream.record_event(None).map(Self).map_err(driver(STREAM))
    }

    /// Makes `stream`, any one of the same device, wait for the event on the device.
    pub(super) fn delay(&self, stream: &CudaStream) -> Result<(), EngineError> {
        // SAFETY: both are alive. (The safe call wants the same handle of the context, which streams of other handles do not have.)
        unsafe {
            result::stream::wait_event(
                stream.cu_stream(),
                self.0.cu_event(),
                sys::CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT,
            )
        }
        .map_err(driver(STREAM))
    }

    /// Whether the device has passed it. A device that failed does no more work: its events are complete.
    pub(crate) fn is_complete(&self) -> bool {
        self.0.try_is_complete().unwrap_or(true)
    }

    /// Blocks the host until the device has passed it.
    ///
    /// # Errors
    /// [`EngineError::Driver`] if the device failed.
    pub(crate) fn synchronise(&self) -> Result<(), EngineError> {
        self.0.synchronize().map_err(driver(STREAM))
    }
}

/// Bytes in device memory, freed on the stream that they were allocated on.
pub(crate) struct DeviceBytes {
    pub(super) bytes: CudaSlice<u8>,
    pub(super) stream: SideStream,
}

impl fmt::Debug for DeviceBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceBytes({})", self.bytes.len())
    }
}

impl SideStream {
    /// A new stream on the device of `engine`.
    ///
    /// # Errors
    /// [`EngineError::NotOnGpu`] if `engine` is the CPU, [`EngineError::Driver`] if the driver refuses.
    pub fn new(engine: &Engine) -> Result<Self, EngineError> {
        let device = inner(engine.device()).ok_or(EngineError::NotOnGpu)?;
        let context = device.cuda_stream().context().clone();
        // Its small kernels go first: a decoder that waits for the models' large ones falls behind.
        let stream = context
            .new_stream_with_priority(greatest_priority(&context)?)
            .map_err(driver(STREAM))?;
        Ok(Self {
            engine: engine.clone(),
            context,
            stream,
        })
    }

    /// The engine whose device it is a stream of.
    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The device's context as a `CUcontext`; valid while `self` is alive.
    pub(crate) fn context_pointer(&self) -> *mut c_void {
        self.context.cu_ctx().cast()
    }

    /// The stream as a `CUstream`; valid while `self` is alive.
    pub(crate) fn stream_pointer(&self) -> *mut c_void {
        self.stream.cu_stream().cast()
    }

    /// Runs `work`, which requests a picture from a video decoder, on this thread under `span` in the transfer log, while no graph is
    /// captured on any thread: a decoder's calls to the driver can break a capture. Nested calls run at once.
    pub(crate) fn decoding<T>(&self, span: Span, work: impl FnOnce() -> T) -> T {
        gate::beside_captures(|| self.engine.transfer_log().decoding(span, work))
    }

    /// Makes the device's context that of this thread, as calls to the driver by another library require.
    ///
    /// # Errors
    /// [`EngineError::Driver`] if the device failed.
    pub(crate) fn bind(&self) -> Result<(), EngineError> {
        self.context
            .bind_to_thread()
            .map_err(driver("use of the device"))
    }

    /// An event behind the work that the stream has so far.
    ///
    /// # Errors
    /// [`EngineError::Driver`] if the device failed.
    pub(crate) fn record(&self) -> Result<StreamEvent, EngineError> {
        StreamEvent::record(&self.stream)
    }

    /// Makes the stream wait, on the device, for an event of any stream of the device; the host does not wait.
    ///
    /// # Errors
    /// [`EngineError::Driver`] if the device failed.
    pub(crate) fn wait(&self, event: &StreamEvent) -> Result<(), EngineError> {
        event.delay(&self.stream)
    }

    /// Whether `device` is a handle of the same device.
    pub(super) fn is_of(&self, device: &CudaDevice) -> bool {
        device.cuda_stream().context().cu_ctx() == self.context.cu_ctx()
    }

    pub(super) fn stream(&self) -> &Arc<CudaStream> {
        &self.stream
    }

    /// Uninitialised memory for a YCbCr image of that width and height.
    pub(super) fn allocate_planes(
        &self,
        (width, height): (usize, usize),
        format: YuvFormat,
    ) -> Result<(YuvPlanes, DeviceBytes), EngineError> {
        let (columns, rows) = format.pairs((width, height));
        let pitch = |samples: usize| (samples * format.sample_bytes()).next_multiple_of(256);
        let (luma_pitch, chroma_pitch) = (pitch(width), pitch(2 * columns));
        // SAFETY: the callers write all of the image before anything reads it.
        let bytes = unsafe {
            self.stream
                .alloc::<u8>(luma_pitch * height + chroma_pitch * rows)
        }
        .map_err(driver(MEMORY))?;
        let luma = bytes.device_ptr(&self.stream).0;
        let planes = YuvPlanes {
            luma,
            luma_pitch,
            chroma: luma + (luma_pitch * height) as u64,
            chroma_pitch,
            width,
            height,
            format,
        };
        let stream = self.clone();
        Ok((planes, DeviceBytes { bytes, stream }))
    }

    /// Copies an image to memory of its own, on the device and in the order of the stream; the host does not wait.
    ///
    /// # Errors
    /// [`EngineError::NoMemory`] if memory ran out, [`EngineError::Driver`] if the device failed.
    ///
    /// # Safety
    /// `from` describes memory of this device that stays allocated until the stream is past the copy.
    pub(crate) unsafe fn duplicate_planes(
        &self,
        from: &YuvPlanes,
    ) -> Result<(YuvPlanes, DeviceBytes), EngineError> {
        let (size, sample) = ((from.width, from.height), from.format.sample_bytes());
        let (to, bytes) = self.allocate_planes(size, from.format)?;
        let (columns, rows) = from.format.pairs(size);
        // SAFETY: the caller's promise for `from`; `to` has as many rows, of a pitch at least as wide.
        unsafe {
            copy_rows(
                (from.luma, from.luma_pitch),
                (to.luma, to.luma_pitch),
                (from.width * sample, from.height),
                &self.stream,
            )?;
            copy_rows(
                (from.chroma, from.chroma_pitch),
                (to.chroma, to.chroma_pitch),
                (2 * columns * sample, rows),
                &self.stream,
            )?;
        }
        Ok((to, bytes))
    }
}

impl fmt::Debug for SideStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SideStream({})", self.engine.name())
    }
}

/// The number of the greatest priority that a stream can have.
fn greatest_priority(context: &CudaContext) -> Result<i32, EngineError> {
    let failed = |e: DriverError| driver(STREAM)(e);
    context.bind_to_thread().map_err(failed)?;
    let (mut least, mut greatest) = (0, 0);
    // SAFETY: the driver writes two numbers.
    unsafe { sys::cuCtxGetStreamPriorityRange(&raw mut least, &raw mut greatest) }
        .result()
        .map_err(failed)?;
    Ok(greatest)
}

/// Copies `height` rows of `width` bytes on the device, from and to addresses with their pitches in bytes.
///
/// # Safety
/// Both places are device memory with as many rows of that pitch, which stays allocated until the stream is past the copy.
unsafe fn copy_rows(
    from: (u64, usize),
    to: (u64, usize),
    (width, height): (usize, usize),
    stream: &CudaStream,
) -> Result<(), EngineError> {
    let copy = sys::CUDA_MEMCPY2D {
        srcXInBytes: 0,
        srcY: 0,
        srcMemoryType: sys::CUmemorytype::CU_MEMORYTYPE_DEVICE,
        srcHost: ptr::null(),
        srcDevice: from.0,
        srcArray: ptr::null_mut(),
        srcPitch: from.1,
        dstXInBytes: 0,
        dstY: 0,
        dstMemoryType: sys::CUmemorytype::CU_MEMORYTYPE_DEVICE,
        dstHost: ptr::null_mut(),
        dstDevice: to.0,
        dstArray: ptr::null_mut(),
        dstPitch: to.1,
        WidthInBytes: width,
        Height: height,
    };
    // SAFETY: the caller's promise.
    unsafe { sys::cuMemcpy2DAsync_v2(&raw const copy, stream.cu_stream()) }
        .result()
        .map_err(driver("a copy on the device"))
}
