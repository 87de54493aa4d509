//! Frames on their way up and results on their way down, through page-locked memory and without waiting.

#![allow(unsafe_code)]

use super::{
    Direction, Engine, EngineError, Span,
    cuda::{self, driver},
};
use candle_core::{
    DType, Tensor,
    cuda_backend::cudarc::driver::{CudaContext, CudaEvent, CudaStream, DriverError, result, sys},
};
use std::{fmt, sync::Arc, time::Duration};

/// Page-locked host memory.
struct Pinned {
    start: *mut u8,
    len: usize,
    context: Arc<CudaContext>,
}

// SAFETY: plain memory of this value's own.
unsafe impl Send for Pinned {}

impl Pinned {
    fn new(context: &Arc<CudaContext>, len: usize) -> Result<Self, EngineError> {
        context
            .bind_to_thread()
            .map_err(driver("use of the device"))?;
        // SAFETY: it is freed once, below.
        let start =
            unsafe { result::malloc_host(len.max(1), 0) }.map_err(driver("page-locked memory"))?;
        Ok(Self {
            start: start.cast(),
            len,
            context: context.clone(),
        })
    }

    fn bytes(&self, len: usize) -> &[u8] {
        // SAFETY: the memory is `self.len` long and was written before it is read, by the copy that is waited for.
        unsafe { std::slice::from_raw_parts(self.start, len.min(self.len)) }
    }

    fn bytes_mut(&mut self, len: usize) -> &mut [u8] {
        // SAFETY: as above, and only this borrow reaches it.
        unsafe { std::slice::from_raw_parts_mut(self.start, len.min(self.len)) }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // A context that is gone has taken the memory with it.
        if self.context.bind_to_thread().is_ok() {
            // SAFETY: allocated in `new`; whoever owns this value has waited for copies from and to it.
            let _ = unsafe { result::free_host(self.start.cast()) };
        }
    }
}

/// A ring of page-locked buffers with device buffers of their own, through which frames go up while earlier ones are worked on.
pub(crate) struct StagingRing {
    engine: Engine,
    /// Copies go beside the device's other work.
    stream: Arc<CudaStream>,
    slots: Vec<Slot>,
    /// The slot of the latest upload.
    latest: usize,
}

struct Slot {
    host: Option<Pinned>,
    device: Option<Tensor>,
    /// The upload is complete.
    arrived: CudaEvent,
    /// What reads the upload is complete.
    read: CudaEvent,
}

impl fmt::Debug for StagingRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "StagingRing of {} slots to {}",
            self.slots.len(),
            self.engine.name()
        )
    }
}

impl StagingRing {
    /// A ring of `slots` buffers, which grow with what is uploaded.
    ///
    /// # Errors
    /// [`EngineError::NotOnGpu`] on the CPU, [`EngineError::Driver`] if the driver refuses a stream.
    pub(crate) fn new(engine: &Engine, slots: usize) -> Result<Self, EngineError> {
        let stream = stream(engine)?;
        let context = stream.context();
        let event = || context.new_event(None).map_err(driver("an event"));
        let slot = |_| {
            Ok(Slot {
                host: None,
                device: None,
                arrived: event()?,
                read: event()?,
            })
        };
        Ok(Self {
            engine: engine.clone(),
            stream: context
                .new_stream()
                .map_err(driver("a stream for uploads"))?,
            slots: (0..slots.max(1))
                .map(slot)
                .collect::<Result<_, EngineError>>()?,
            latest: 0,
        })
    }

    /// Starts the copy of `bytes` to the device as a u8 tensor of `shape`; work on the tensor can be enqueued at once. The tensor is
    /// overwritten after as many further uploads as the ring has slots.
    ///
    /// The host waits only if the upload that used the slot before has not been read from host memory yet.
    ///
    /// # Errors
    /// [`EngineError::Driver`] and [`EngineError::Tensor`] if memory ran out or the device failed.
    #[track_caller]
    pub(crate) fn upload(
        &mut self,
        span: impl Into<Span>,
        bytes: &[u8],
        shape: &[usize],
    ) -> Result<Tensor, EngineError> {
        let main = stream(&self.engine)?;
        self.latest = (self.latest + 1) % self.slots.len();
        let Some(slot) = self.slots.get_mut(self.latest) else {
            unreachable!("a ring has a slot")
        };
        slot.arrived
            .synchronize_unless_complete()
            .map_err(driver("an earlier upload"))?;
        let device = slot.ensure_capacity(&self.engine, &main, bytes.len())?;
        let Some(host) = &mut slot.host else {
            unreachable!("ensure_capacity allocates it")
        };
        copy_large(host.bytes_mut(bytes.len()), bytes);
        self.stream
            .wait(&slot.read)
            .map_err(driver("order of uploads"))?;
        let (to, _) = cuda::place(&device)?;
        let (copying, from) = (&self.stream, host.bytes(bytes.len()));
        // SAFETY: the device buffer has room; the host buffer is not written before `arrived` has passed.
        let copy = || unsafe { result::memcpy_htod_async(to, from, copying.cu_stream()) };
        self.engine
            .moving(span, Direction::HostToDevice, bytes.len(), copy)
            .map_err(driver("upload of a frame"))?;
        slot.arrived
            .record(&self.stream)
            .map_err(driver("order of uploads"))?;
        main.wait(&slot.arrived)
            .map_err(driver("order of uploads"))?;
        let view = device
            .narrow(0, 0, bytes.len())
            .and_then(|t| t.reshape(shape));
        view.map_err(|source| EngineError::Tensor {
            what: "upload of a frame",
            source: Box::new(source),
        })
    }

    /// Marks the latest upload as consumed: all work that reads it has been enqueued.
    ///
    /// # Errors
    /// [`EngineError::Driver`] if the device failed.
    pub(crate) fn mark_consumed(&mut self) -> Result<(), EngineError> {
        let main = stream(&self.engine)?;
        let Some(slot) = self.slots.get(self.latest) else {
            return Ok(());
        };
        slot.read.record(&main).map_err(driver("order of uploads"))
    }
}

/// Copies by several threads where one would take a good part of a millisecond.
fn copy_large(to: &mut [u8], from: &[u8]) {
    use rayon::prelude::*;
    const PART: usize = 512 << 10;
    if from.len() <= 2 * PART {
        return to.copy_from_slice(from);
    }
    to.par_chunks_mut(PART)
        .zip(from.par_chunks(PART))
        .for_each(|(to, from)| to.copy_from_slice(from));
}

impl Drop for StagingRing {
    fn drop(&mut self) {
        // Buffers must outlive the copies from them.
        let _ = self.stream.synchronize();
    }
}

impl Slot {
    /// The device buffer, with room for `bytes`, and a host buffer as large.
    fn ensure_capacity(
        &mut self,
        engine: &Engine,
        main: &CudaStream,
        bytes: usize,
    ) -> Result<Tensor, EngineError> {
        if let Some(device) = self.device.as_ref().filter(|d| d.elem_count() >= bytes) {
            return Ok(device.clone());
        }
        self.device = None;
        self.host = Some(Pinned::new(main.context(), bytes)?);
        let device = engine.zeros(DType::U8, &[bytes.max(1)])?;
        // Memory is made in the order of the device's work: the copying stream must not be ahead of it.
        self.read.record(main).map_err(driver("order of uploads"))?;
        self.device = Some(device.clone());
        Ok(device)
    }
}

/// Waiting for what has not happened yet only.
trait Unless {
    fn synchronize_unless_complete(&self) -> Result<(), DriverError>;
}

impl Unless for CudaEvent {
    fn synchronize_unless_complete(&self) -> Result<(), DriverError> {
        if self.is_complete() {
            Ok(())
        } else {
            self.synchronize()
        }
    }
}

/// A page-locked buffer for a result that comes down while the device goes on.
pub(crate) struct Download {
    engine: Engine,
    host: Option<Pinned>,
    bytes: usize,
    ready: CudaEvent,
    /// What lies before each, and moments in the device's work; more of these than names are from earlier work.
    marked: Vec<&'static str>,
    moments: Vec<CudaEvent>,
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Download of {} bytes from {}",
            self.bytes,
            self.engine.name()
        )
    }
}

impl Download {
    /// A buffer that grows with what is downloaded.
    ///
    /// # Errors
    /// [`EngineError::NotOnGpu`] on the CPU, [`EngineError::Driver`] if the driver refuses an event.
    pub(crate) fn new(engine: &Engine) -> Result<Self, EngineError> {
        let ready = stream(engine)?
            .context()
            .new_event(None)
            .map_err(driver("an event"))?;
        Ok(Self {
            engine: engine.clone(),
            host: None,
            bytes: 0,
            ready,
            marked: Vec::new(),
            moments: Vec::new(),
        })
    }

    /// Records an event behind the work enqueued so far, as the end of `what`, which began at the mark before. The first mark after a wait
    /// for a result only begins something.
    ///
    /// # Errors
    /// [`EngineError::Driver`] if the device failed.
    pub(crate) fn mark(&mut self, what: &'static str) -> Result<(), EngineError> {
        let main = stream(&self.engine)?;
        if self.moments.len() <= self.marked.len() {
            let timed = sys::CUevent_flags::CU_EVENT_DEFAULT;
            self.moments.push(
                main.context()
                    .new_event(Some(timed))
                    .map_err(driver("an event"))?,
            );
        }
        let Some(moment) = self.moments.get(self.marked.len()) else {
            return Ok(());
        };
        moment.record(&main).map_err(driver("an event"))?;
        self.marked.push(what);
        Ok(())
    }

    /// Removes the marks and returns the time between each and the one before, by the name of the later; those that the device has not passed
    /// are left out.
    pub(crate) fn take_times(&mut self) -> Vec<(&'static str, Duration)> {
        let marked = std::mem::take(&mut self.marked);
        let between = self
            .moments
            .iter()
            .zip(self.moments.iter().skip(1))
            .zip(marked.into_iter().skip(1));
        let time = |((start, end), what): ((&CudaEvent, &CudaEvent), &'static str)| {
            // SAFETY: both events are alive and were recorded; the driver only reads them.
            let ms = unsafe { result::event::elapsed(start.cu_event(), end.cu_event()) }.ok()?;
            Some((what, Duration::try_from_secs_f32(ms / 1e3).ok()?))
        };
        between.filter_map(time).collect()
    }

    /// Starts the copy of a contiguous u32 tensor to the host, after all work enqueued so far. One at a time: the copy started before must
    /// have been waited for.
    ///
    /// # Errors
    /// [`EngineError::Driver`] if memory ran out or the device failed.
    #[track_caller]
    pub(crate) fn start(
        &mut self,
        span: impl Into<Span>,
        words: &Tensor,
    ) -> Result<(), EngineError> {
        let main = stream(&self.engine)?;
        let (from, bytes) = cuda::place(words)?;
        if self.host.as_ref().is_none_or(|h| h.len < bytes) {
            // Making and freeing such memory waits for the device: with room to spare it is seldom done.
            self.host = None;
            self.host = Some(Pinned::new(main.context(), bytes + bytes / 2)?);
        }
        let Some(host) = &mut self.host else {
            unreachable!("made above")
        };
        let to = host.bytes_mut(bytes);
        // SAFETY: both have that many bytes; the host reads after `ready` has passed.
        let copy = || unsafe { result::memcpy_dtoh_async(to, from, main.cu_stream()) };
        self.engine
            .moving(span, Direction::DeviceToHost, bytes, copy)
            .map_err(driver("download of a result"))?;
        self.bytes = bytes;
        self.ready
            .record(&main)
            .map_err(driver("download of a result"))
    }

    /// Whether the result is there.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.is_complete()
    }

    /// Waits for the result: its numbers.
    ///
    /// # Errors
    /// [`EngineError::Driver`] if the device failed.
    pub(crate) fn wait(&self) -> Result<&[u32], EngineError> {
        self.ready
            .synchronize()
            .map_err(driver("waiting for a result"))?;
        let bytes = self.host.as_ref().map_or(&[][..], |h| h.bytes(self.bytes));
        // SAFETY: page-locked memory is aligned to pages; any four bytes are a number.
        let (_, words, _) = unsafe { bytes.align_to::<u32>() };
        Ok(words)
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        let _ = self.ready.synchronize();
    }
}

/// The stream of an engine's device.
fn stream(engine: &Engine) -> Result<Arc<CudaStream>, EngineError> {
    match cuda::inner(engine.device()) {
        Some(device) => Ok(device.cuda_stream()),
        None => Err(EngineError::NotOnGpu),
    }
}
