//! Memory of decoded surfaces, and its way back to the decoder.

#![allow(unsafe_code)]

use super::error::NvdecError;
use crate::{
    av::{
        self,
        ffi::{self, AVBufferRef, AVCUDADeviceContext, AVHWDeviceContext, AVHWDeviceType},
        frame,
    },
    engine::{DeviceBytes, EngineError, SideStream, StreamEvent, SurfaceMemory},
};
use std::{
    fmt, mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// The surfaces of one decoder that have not gone back to it.
#[derive(Debug, Default)]
pub(super) struct OutstandingSurfaces {
    pub(super) count: AtomicUsize,
    /// Whether the decoder is closed; its surfaces are freed instead of filled again.
    pub(super) closed: AtomicBool,
}

/// What a surface lies in.
pub(super) enum Memory {
    /// Memory of a decoder; `outstanding` counts it until it is back.
    Decoder {
        frame: frame::Video,
        outstanding: Arc<OutstandingSurfaces>,
    },
    /// A copy in memory of its own.
    Own { _bytes: DeviceBytes },
}

impl Memory {
    /// Takes the surface of a decoded frame, which counts as outstanding from now on.
    pub(super) fn of_decoder(frame: frame::Video, outstanding: &Arc<OutstandingSurfaces>) -> Self {
        outstanding.count.fetch_add(1, Ordering::AcqRel);
        Self::Decoder {
            frame,
            outstanding: outstanding.clone(),
        }
    }

    /// Whether the decoder's stream orders what is done with the memory next. A closed decoder frees its surfaces in no order.
    fn is_ordered(&self) -> bool {
        match self {
            Self::Decoder { outstanding, .. } => !outstanding.closed.load(Ordering::Acquire),
            Self::Own { .. } => true,
        }
    }

    /// Whether it belongs to that decoder.
    fn is_of(&self, decoder: &Arc<OutstandingSurfaces>) -> bool {
        matches!(self, Self::Decoder { outstanding, .. } if Arc::ptr_eq(outstanding, decoder))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Self::Decoder { frame, outstanding } = self {
            // SAFETY: frees the frame's references, and with them the surface; the frame itself is freed by its owner.
            unsafe { ffi::av_frame_unref(frame.as_mut_ptr()) };
            outstanding.count.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Decoder { .. } => "Decoder",
            Self::Own { .. } => "Own",
        })
    }
}

/// Memory of a dropped surface that has not gone back yet.
#[derive(Debug)]
struct PendingReturn {
    memory: Memory,
    /// The device uses the memory until all of them have completed.
    uses: Vec<StreamEvent>,
}

/// FFmpeg's handle of a device, the decoders' stream on it, and the memory that waits to go back to them.
#[derive(Debug)]
pub(super) struct DeviceState {
    pending: Mutex<Vec<PendingReturn>>,
    pub(super) stream: SideStream,
    handle: *mut AVBufferRef,
}

// SAFETY: FFmpeg's reference counts are atomic, and many decoders on many threads may use the handle of a device at once.
unsafe impl Send for DeviceState {}
// SAFETY: as above.
unsafe impl Sync for DeviceState {}

impl DeviceState {
    /// Registers the device of `stream` with FFmpeg; its decoders enqueue on `stream`.
    pub(super) fn new(stream: SideStream) -> Result<Self, NvdecError> {
        // SAFETY: the fields are those of a CUDA device's context and are set before it is initialised, as FFmpeg requires. Context and
        // stream live as long as `Self`, which every decoder keeps through its `HwDecoderContext`.
        let handle = unsafe {
            let mut handle = ffi::av_hwdevice_ctx_alloc(AVHWDeviceType::AV_HWDEVICE_TYPE_CUDA);
            if handle.is_null() {
                return Err(NvdecError::NoCudaInFfmpeg);
            }
            let cuda = (*(*handle).data.cast::<AVHWDeviceContext>())
                .hwctx
                .cast::<AVCUDADeviceContext>();
            (*cuda).cuda_ctx = stream.context_pointer().cast();
            (*cuda).stream = stream.stream_pointer().cast();
            let status = ffi::av_hwdevice_ctx_init(handle);
            if status < 0 {
                ffi::av_buffer_unref(&mut handle);
                return Err(NvdecError::Device(av::Error::from(status)));
            }
            handle
        };
        Ok(Self {
            pending: Mutex::default(),
            stream,
            handle,
        })
    }

    /// FFmpeg's handle of the device; valid while `self` is alive.
    pub(super) fn handle(&self) -> *mut AVBufferRef {
        self.handle
    }

    fn pending(&self) -> MutexGuard<'_, Vec<PendingReturn>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues memory that the device uses until `uses` have completed; the next [`DeviceState::release`] gives it back.
    pub(super) fn queue(&self, memory: Memory, uses: Vec<StreamEvent>) {
        self.pending().push(PendingReturn { memory, uses });
    }

    /// Gives queued memory back, after the decoders' stream has been made to wait for its uses. Of each decoder the last one stays: it keeps
    /// the decoder, which must not end before the device is done with its surfaces.
    pub(super) fn release(&self) -> Result<(), EngineError> {
        let all = mem::take(&mut *self.pending());
        let is_last = |at: usize, decoder: &Arc<OutstandingSurfaces>| {
            !all.iter()
                .skip(at + 1)
                .any(|later| later.memory.is_of(decoder))
        };
        let keep: Vec<bool> = all
            .iter()
            .enumerate()
            .map(|(at, pending)| match &pending.memory {
                Memory::Own { .. } => false,
                Memory::Decoder { outstanding, .. } if pending.memory.is_ordered() => {
                    is_last(at, outstanding)
                }
                Memory::Decoder { .. } => !pending.uses.iter().all(StreamEvent::is_complete),
            })
            .collect();
        for (pending, keep) in all.into_iter().zip(keep) {
            if keep {
                self.pending().push(pending);
            } else {
                pending
                    .uses
                    .iter()
                    .try_for_each(|event| self.stream.wait(event))?;
            }
        }
        Ok(())
    }

    /// Marks a decoder as closed. Its last queued surface stays until the stream is past all work that it has now.
    pub(super) fn close(&self, decoder: &Arc<OutstandingSurfaces>) {
        decoder.closed.store(true, Ordering::Release);
        let event = self.stream.record();
        // Without an event the device has failed.
        if let (Some(last), Ok(event)) = (
            self.pending()
                .iter_mut()
                .rfind(|pending| pending.memory.is_of(decoder)),
            event,
        ) {
            last.uses.push(event);
        }
    }
}

impl Drop for DeviceState {
    fn drop(&mut self) {
        for pending in mem::take(&mut *self.pending()) {
            // A device that failed does no more work.
            let _ = pending.uses.iter().try_for_each(StreamEvent::synchronise);
        }
        // SAFETY: the one reference that `new` made.
        unsafe { ffi::av_buffer_unref(&mut self.handle) };
    }
}

/// The memory of a surface as the engine holds it: it is queued when the surface is dropped.
#[derive(Debug)]
pub(super) struct Returnable {
    pub(super) memory: Memory,
    pub(super) device: Arc<DeviceState>,
}

impl SurfaceMemory for Returnable {
    fn take_back(self: Box<Self>, mut uses: Vec<StreamEvent>) {
        let Self { memory, device } = *self;
        if uses.is_empty() || !memory.is_ordered() {
            // Nothing read it, or it is the last that keeps its decoder: the work that the decoders' stream has now comes first. Without an
            // event the device has failed.
            uses.extend(device.stream.record().ok());
        }
        device.queue(memory, uses);
    }
}
