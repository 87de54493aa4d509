//! Decoding of video on a CUDA device: FFmpeg's decoders on the engine's own context, and the surfaces they leave in its memory.
//!
//! The decoder has a stream of its own, for that of the models may be under capture on another thread. What reads a surface lets its
//! stream wait, on the device, for the event behind the decoder's work; a surface goes back to the decoder as soon as nobody will ask to read
//! it any more, behind a wait of the decoder's stream, on the device again, for the last kernel that reads it: FFmpeg lets the decoder
//! fill a surface on that stream. The host waits for none of this.

#![allow(unsafe_code)]

mod attachment;
mod surface;

pub use attachment::Attachment;
pub use surface::Surface;

use super::{Colour, Direction, Engine, EngineError, Planes, Span, Turn, cuda, gate};
use attachment::{Held, planes_of};
use candle_core::cuda_backend::cudarc::driver::{
    CudaContext, CudaEvent, CudaSlice, CudaStream, DevicePtr, DriverError, result, sys,
};
use std::{
    fmt, mem,
    panic::Location,
    ptr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
};
use video_rs::ffmpeg::{
    codec,
    ffi::{self, AVBufferRef, AVHWDeviceType},
    frame,
};

const WHAT: &str = "decoding on the GPU";

fn driver(e: DriverError) -> EngineError {
    refused(e.to_string())
}

fn refused(reason: impl Into<String>) -> EngineError {
    EngineError::Driver {
        what: WHAT,
        reason: reason.into(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A device that decodes video into its own memory. Clones are the same device.
#[derive(Debug, Clone)]
pub struct VideoDevice {
    engine: Engine,
    span: Span,
    shared: Arc<Shared>,
}

struct Shared {
    /// Read, or to be read by nobody.
    returned: Mutex<Vec<Returned>>,
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    /// FFmpeg's handle of the device.
    handle: *mut AVBufferRef,
}

// SAFETY: FFmpeg's reference counts are atomic, and a device's handle may be used by many decoders at once.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shared({} returned)", lock(&self.returned).len())
    }
}

/// Memory of a surface that nobody will ask to read any more.
struct Returned {
    memory: Memory,
    /// After which the device does nothing with it.
    last: Vec<CudaEvent>,
}

impl Returned {
    /// Whether the device is done with it. A device that failed will not touch it either.
    fn is_done(&self) -> bool {
        self.last
            .iter()
            .all(|event| event.try_is_complete().unwrap_or(true))
    }

    fn wait(&self) -> Result<(), DriverError> {
        self.last.iter().try_for_each(CudaEvent::synchronize)
    }
}

/// What a surface lies in.
enum Memory {
    /// The decoder's, counted until it is back.
    Decoder {
        frame: frame::Video,
        held: Arc<Held>,
    },
    /// Its own.
    Own { _bytes: CudaSlice<u8> },
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Self::Decoder { frame, held } = self {
            // SAFETY: frees the frame's references, and by these the surface; the frame itself is freed by its owner.
            unsafe { ffi::av_frame_unref(frame.as_mut_ptr()) };
            held.count.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Memory {
    /// Whether what is done with it next is ordered by the decoder's stream. A decoder that is closed frees its surfaces instead.
    fn is_ordered(&self) -> bool {
        match self {
            Self::Decoder { held, .. } => !held.closed.load(Ordering::Acquire),
            Self::Own { .. } => true,
        }
    }

    /// Whether it is that of a decoder.
    fn is_of(&self, decoder: &Arc<Held>) -> bool {
        matches!(self, Self::Decoder { held, .. } if Arc::ptr_eq(held, decoder))
    }
}

impl Shared {
    /// Gives back what nobody will ask to read any more: the stream waits for its readers. The last one stays, and with it its decoder,
    /// which must not end before the device is done with what it made.
    fn release(&self) -> Result<(), EngineError> {
        let all = mem::take(&mut *lock(&self.returned));
        let is_last = |at: usize, held: &Arc<Held>| {
            !all.iter()
                .skip(at + 1)
                .any(|later| later.memory.is_of(held))
        };
        let keep: Vec<bool> = all
            .iter()
            .enumerate()
            .map(|(at, returned)| match &returned.memory {
                Memory::Own { .. } => false,
                Memory::Decoder { held, .. } if returned.memory.is_ordered() => is_last(at, held),
                Memory::Decoder { .. } => !returned.is_done(),
            })
            .collect();
        for (returned, keep) in all.into_iter().zip(keep) {
            if keep {
                lock(&self.returned).push(returned);
            } else {
                returned
                    .last
                    .iter()
                    .try_for_each(|event| follow(&self.stream, event))?;
            }
        }
        Ok(())
    }
}

/// Lets a stream wait, on the device, for an event of any stream of it.
fn follow(stream: &CudaStream, event: &CudaEvent) -> Result<(), EngineError> {
    // SAFETY: both are alive. (The safe call wants the same handle of the context, which siblings do not have.)
    unsafe {
        result::stream::wait_event(
            stream.cu_stream(),
            event.cu_event(),
            sys::CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT,
        )
    }
    .map_err(driver)
}

impl Drop for Shared {
    fn drop(&mut self) {
        for returned in mem::take(&mut *lock(&self.returned)) {
            // A device that failed does nothing more.
            let _ = returned.wait();
        }
        // SAFETY: the one reference that `open` made.
        unsafe { ffi::av_buffer_unref(&mut self.handle) };
    }
}

impl VideoDevice {
    /// The engine's device, for decoding; what decoders do there is logged under `span`.
    ///
    /// # Errors
    /// [`EngineError::Driver`] if the engine is the CPU, or FFmpeg cannot use the device.
    pub fn open(engine: &Engine, span: impl Into<Span>) -> Result<Self, EngineError> {
        let device =
            cuda::inner(engine.device()).ok_or_else(|| refused("the device is the CPU"))?;
        let context = device.cuda_stream().context().clone();
        // The decoder's small kernels go first: a decoder that waits for the models' large ones falls behind.
        let stream = context
            .new_stream_with_priority(greatest_priority(&context)?)
            .map_err(driver)?;
        // SAFETY: the new context's fields are those of CUDA; they are set before it is initialised, as FFmpeg asks. Both handles live as
        // long as `Shared`, which every decoder holds through its attachment.
        let handle = unsafe {
            let mut handle = ffi::av_hwdevice_ctx_alloc(AVHWDeviceType::AV_HWDEVICE_TYPE_CUDA);
            if handle.is_null() {
                return Err(refused("this FFmpeg was built without CUDA"));
            }
            let cuda = (*(*handle).data.cast::<ffi::AVHWDeviceContext>())
                .hwctx
                .cast::<ffi::AVCUDADeviceContext>();
            (*cuda).cuda_ctx = context.cu_ctx().cast();
            (*cuda).stream = stream.cu_stream().cast();
            let status = ffi::av_hwdevice_ctx_init(handle);
            if status < 0 {
                ffi::av_buffer_unref(&mut handle);
                return Err(refused(format!(
                    "FFmpeg cannot use the device: {}",
                    video_rs::ffmpeg::Error::from(status)
                )));
            }
            handle
        };
        let shared = Shared {
            returned: Mutex::default(),
            context,
            stream,
            handle,
        };
        Ok(Self {
            engine: engine.clone(),
            span: span.into(),
            shared: Arc::new(shared),
        })
    }

    /// Does `work` as that of decoding, on this thread, while no graph is captured. All that a decoder does on the device must be in it,
    /// its end included.
    pub fn work<T>(&self, work: impl FnOnce() -> T) -> T {
        gate::beside_captures(|| self.engine.transfer_log().decoding(self.span, work))
    }

    /// Lets a decoder that is not open yet decode on the device what the device can decode.
    ///
    /// # Errors
    /// [`EngineError::Driver`] if memory ran out.
    pub fn attach(&self, context: &mut codec::Context) -> Result<Attachment, EngineError> {
        Attachment::new(self, self.shared.handle, context)
    }

    /// A frame that the attached decoder left in device memory, as a surface. If all surfaces that may be held are, the picture is copied,
    /// on the device, to memory of its own.
    ///
    /// # Errors
    /// [`EngineError::Driver`] if the frame is none of device memory, or the device failed.
    pub fn surface(
        &self,
        attachment: &Attachment,
        frame: frame::Video,
        colour: Colour,
        turn: Turn,
    ) -> Result<Surface, EngineError> {
        let planes = planes_of(&frame)?;
        let held = attachment.held();
        held.count.fetch_add(1, Ordering::AcqRel);
        let memory = Memory::Decoder {
            frame,
            held: held.clone(),
        };
        let shared = &self.shared;
        shared.context.bind_to_thread().map_err(driver)?;
        shared.release()?;
        let too_many = held.count.load(Ordering::Acquire) > attachment.limit();
        let (planes, memory) = if too_many {
            self.copy(planes, memory)?
        } else {
            (planes, memory)
        };
        Ok(Surface::new(
            self,
            memory,
            planes,
            (colour, turn),
            shared.stream.record_event(None).map_err(driver)?,
        ))
    }

    /// A picture in memory of its own; the old memory goes back.
    fn copy(&self, from: Planes, old: Memory) -> Result<(Planes, Memory), EngineError> {
        let stream = &self.shared.stream;
        let (to, bytes) = self.allocate((from.width, from.height))?;
        let chroma = (from.width.div_ceil(2) * 2, from.height.div_ceil(2));
        copy_rows(
            (from.luma, from.luma_pitch),
            (to.luma, to.luma_pitch),
            (from.width, from.height),
            stream,
        )?;
        copy_rows(
            (from.chroma, from.chroma_pitch),
            (to.chroma, to.chroma_pitch),
            chroma,
            stream,
        )?;
        let done = stream.record_event(None).map_err(driver)?;
        lock(&self.shared.returned).push(Returned {
            memory: old,
            last: vec![done],
        });
        self.shared.release()?;
        Ok((to, Memory::Own { _bytes: bytes }))
    }

    /// A decoder ends: the last surface of it that was given back stays until its stream is past all that was asked of it.
    fn close(&self, held: &Arc<Held>) {
        let event = self.shared.stream.record_event(None);
        // Without an event the device has failed.
        if let (Some(returned), Ok(event)) = (
            lock(&self.shared.returned)
                .iter_mut()
                .rfind(|r| r.memory.is_of(held)),
            event,
        ) {
            returned.last.push(event);
        }
    }

    fn allocate(
        &self,
        (width, height): (usize, usize),
    ) -> Result<(Planes, CudaSlice<u8>), EngineError> {
        let pitch = width.next_multiple_of(256);
        // SAFETY: all of the picture is written before anything reads it.
        let bytes = unsafe {
            self.shared
                .stream
                .alloc::<u8>(pitch * (height + height.div_ceil(2)))
        }
        .map_err(driver)?;
        let luma = bytes.device_ptr(&self.shared.stream).0;
        let chroma = luma + (pitch * height) as u64;
        Ok((
            Planes {
                luma,
                luma_pitch: pitch,
                chroma,
                chroma_pitch: pitch,
                width,
                height,
            },
            bytes,
        ))
    }

    /// Brings a picture of the host to the device: rows of brightness of `size` (width, height), and rows of pairs of Cb and Cr.
    ///
    /// # Errors
    /// [`EngineError::Driver`] if the lengths are not those of the size, or the device failed.
    #[track_caller]
    pub fn upload(
        &self,
        span: impl Into<Span>,
        luma: &[u8],
        chroma: &[u8],
        size: (usize, usize),
        colour: Colour,
        turn: Turn,
    ) -> Result<Surface, EngineError> {
        let (width, height) = size;
        let (pairs, rows) = (width.div_ceil(2) * 2, height.div_ceil(2));
        if luma.len() != width * height || chroma.len() != pairs * rows || luma.is_empty() {
            return Err(refused(format!(
                "{} and {} bytes for {width}×{height}",
                luma.len(),
                chroma.len()
            )));
        }
        let stream = &self.shared.stream;
        self.shared.context.bind_to_thread().map_err(driver)?;
        let (planes, mut bytes) = self.allocate(size)?;
        let mut padded = vec![0u8; planes.luma_pitch * (height + rows)];
        let (above, below) = padded.split_at_mut(planes.luma_pitch * height);
        let lines = above
            .chunks_exact_mut(planes.luma_pitch)
            .zip(luma.chunks_exact(width));
        let pair_lines = below
            .chunks_exact_mut(planes.chroma_pitch)
            .zip(chroma.chunks_exact(pairs));
        for (to, from) in lines.chain(pair_lines) {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        }
        let announced = (span.into(), Direction::HostToDevice, padded.len() as u64);
        let copy = || {
            stream
                .memcpy_htod(&padded, &mut bytes)
                .and_then(|()| stream.synchronize())
        };
        self.engine
            .transfer_log()
            .moving(true, announced, Location::caller(), copy)
            .map_err(driver)?;
        let ready = stream.record_event(None).map_err(driver)?;
        Ok(Surface::new(
            self,
            Memory::Own { _bytes: bytes },
            planes,
            (colour, turn),
            ready,
        ))
    }
}

/// The number of the greatest priority that a stream can have.
fn greatest_priority(context: &CudaContext) -> Result<i32, EngineError> {
    context.bind_to_thread().map_err(driver)?;
    let (mut least, mut greatest) = (0, 0);
    // SAFETY: the driver writes two numbers.
    unsafe { sys::cuCtxGetStreamPriorityRange(&raw mut least, &raw mut greatest) }
        .result()
        .map_err(driver)?;
    Ok(greatest)
}

/// Copies rows of bytes on the device.
fn copy_rows(
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
    // SAFETY: both places have as many rows of that pitch, and live until the stream is past the copy.
    unsafe { sys::cuMemcpy2DAsync_v2(&raw const copy, stream.cu_stream()) }
        .result()
        .map_err(driver)
}
