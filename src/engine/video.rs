//! Decoding of video on a CUDA device: FFmpeg's decoders on the engine's own context, and the surfaces they leave in its memory.
//!
//! The decoder has a stream of its own, for that of the models may be under capture on another thread. What reads a surface lets its
//! stream wait, on the device, for the event behind the decoder's work; a surface goes back to the decoder once the event behind the last
//! kernel that read it has passed, which the decoding thread looks up when it needs one.

#![allow(unsafe_code)]

use super::{Colour, Direction, Engine, EngineError, Planes, Stage, Turn, cuda};
use candle_core::{
    CudaDevice,
    cuda_backend::cudarc::driver::{CudaContext, CudaEvent, CudaSlice, CudaStream, DevicePtr, DriverError, result, sys},
};
use std::{
    ffi::c_int,
    fmt, mem,
    panic::Location,
    ptr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};
use video_rs::ffmpeg::{
    codec,
    ffi::{self, AVBufferRef, AVCodecContext, AVHWDeviceType, AVPixelFormat},
    frame,
};

const WHAT: &str = "decoding on the GPU";

/// Surfaces that may be with those who read them, beside those that the decoder needs.
const AHEAD: usize = 12;
/// Most surfaces that a decoder of the hardware can have.
const MOST: usize = 32;

fn driver(e: DriverError) -> EngineError {
    refused(e.to_string())
}

fn refused(reason: impl Into<String>) -> EngineError {
    EngineError::Driver { what: WHAT, reason: reason.into() }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A device that decodes video into its own memory. Clones are the same device.
#[derive(Debug, Clone)]
pub struct VideoDevice {
    engine: Engine,
    shared: Arc<Shared>,
}

struct Shared {
    /// Read and waiting for the device, or read by nobody.
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
    _memory: Memory,
    /// After which the device does nothing with it.
    last: Vec<CudaEvent>,
}

impl Returned {
    /// Whether the device is done with it. A device that failed will not touch it either.
    fn is_done(&self) -> bool {
        self.last.iter().all(|event| event.try_is_complete().unwrap_or(true))
    }

    fn wait(&self) -> Result<(), DriverError> {
        self.last.iter().try_for_each(CudaEvent::synchronize)
    }
}

/// What a surface lies in.
enum Memory {
    /// The decoder's, counted until it is back.
    Decoder { frame: frame::Video, held: Arc<AtomicUsize> },
    /// Its own.
    Own { _bytes: CudaSlice<u8> },
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Self::Decoder { frame, held } = self {
            // SAFETY: frees the frame's references, and by these the surface; the frame itself is freed by its owner.
            unsafe { ffi::av_frame_unref(frame.as_mut_ptr()) };
            held.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Shared {
    /// Gives back what the device is done with. With `wait`, waits for one at least if there is any; true if one was given back.
    fn release(&self, wait: bool) -> Result<bool, EngineError> {
        let mut returned = lock(&self.returned);
        let (mut done, rest): (Vec<_>, Vec<_>) = mem::take(&mut *returned).into_iter().partition(Returned::is_done);
        *returned = rest;
        let awaited = (wait && done.is_empty() && !returned.is_empty()).then(|| returned.remove(0));
        // Whoever drops a surface meanwhile does not wait too.
        drop(returned);
        if let Some(awaited) = awaited {
            awaited.wait().map_err(driver)?;
            done.push(awaited);
        }
        Ok(!done.is_empty())
    }
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

/// What ties a decoder to a device; must live longer than the decoder.
#[derive(Debug)]
pub struct Attachment {
    state: Box<State>,
    _device: VideoDevice,
}

/// What FFmpeg's question for a format is answered from.
#[derive(Debug)]
struct State {
    handle: *mut AVBufferRef,
    /// Surfaces that may be held beside those the decoder needs.
    limit: AtomicUsize,
    held: Arc<AtomicUsize>,
    /// Whether the device was asked to decode the stream as it is now.
    tried: AtomicBool,
    refusal: Mutex<Option<String>>,
}

// SAFETY: the handle is only given to FFmpeg, whose reference counts are atomic.
unsafe impl Send for State {}
// SAFETY: as above.
unsafe impl Sync for State {}

impl Attachment {
    /// Why the decoder gives pictures in host memory, where it does.
    pub fn refusal(&self) -> Option<String> {
        lock(&self.state.refusal).clone()
    }

    /// Whether a frame is in device memory.
    pub fn is_on_device(&self, frame: &frame::Video) -> bool {
        format_of(frame) == AVPixelFormat::AV_PIX_FMT_CUDA as c_int
    }
}

fn format_of(frame: &frame::Video) -> c_int {
    // SAFETY: the frame is alive; its format is a number.
    unsafe { (*frame.as_ptr()).format }
}

impl VideoDevice {
    /// The engine's device, for decoding.
    ///
    /// # Errors
    /// [`EngineError::Driver`] if the engine is the CPU, or FFmpeg cannot use the device.
    pub fn open(engine: &Engine) -> Result<Self, EngineError> {
        let device = cuda::inner(engine.device()).ok_or_else(|| refused("the device is the CPU"))?;
        let context = device.cuda_stream().context().clone();
        let stream = context.new_stream().map_err(driver)?;
        // SAFETY: the new context's fields are those of CUDA; they are set before it is initialised, as FFmpeg asks. Both handles live as
        // long as `Shared`, which every decoder holds through its attachment.
        let handle = unsafe {
            let mut handle = ffi::av_hwdevice_ctx_alloc(AVHWDeviceType::AV_HWDEVICE_TYPE_CUDA);
            if handle.is_null() {
                return Err(refused("this FFmpeg was built without CUDA"));
            }
            let cuda = (*(*handle).data.cast::<ffi::AVHWDeviceContext>()).hwctx.cast::<ffi::AVCUDADeviceContext>();
            (*cuda).cuda_ctx = context.cu_ctx().cast();
            (*cuda).stream = stream.cu_stream().cast();
            let status = ffi::av_hwdevice_ctx_init(handle);
            if status < 0 {
                ffi::av_buffer_unref(&mut handle);
                return Err(refused(format!("FFmpeg cannot use the device: {}", video_rs::ffmpeg::Error::from(status))));
            }
            handle
        };
        let shared = Shared { returned: Mutex::default(), context, stream, handle };
        Ok(Self { engine: engine.clone(), shared: Arc::new(shared) })
    }

    /// Does `work` as that of decoding, on this thread.
    pub fn work<T>(&self, work: impl FnOnce() -> T) -> T {
        self.engine.within(Stage::Decode, work)
    }

    /// Lets a decoder that is not open yet decode on the device what the device can decode.
    ///
    /// # Errors
    /// [`EngineError::Driver`] if memory ran out.
    pub fn attach(&self, context: &mut codec::Context) -> Result<Attachment, EngineError> {
        let state = State {
            handle: self.shared.handle,
            limit: AtomicUsize::new(2),
            held: Arc::default(),
            tried: AtomicBool::new(false),
            refusal: Mutex::default(),
        };
        let attachment = Attachment { state: Box::new(state), _device: self.clone() };
        // SAFETY: the context is alive and not open; the state does not move, and its owner lives longer than the decoder.
        unsafe {
            let raw = context.as_mut_ptr();
            (*raw).hw_device_ctx = ffi::av_buffer_ref(self.shared.handle);
            if (*raw).hw_device_ctx.is_null() {
                return Err(refused("out of memory"));
            }
            (*raw).opaque = (&raw const *attachment.state).cast_mut().cast();
            (*raw).get_format = Some(choose_format);
        }
        Ok(attachment)
    }

    /// A frame that the attached decoder left in device memory, as a surface. If all surfaces that may be held are, those that were
    /// read are waited for; if none was, the picture is copied, on the device, to memory of its own.
    ///
    /// # Errors
    /// [`EngineError::Driver`] if the frame is none of device memory, or the device failed.
    pub fn surface(&self, attachment: &Attachment, frame: frame::Video, colour: Colour, turn: Turn) -> Result<Surface, EngineError> {
        let planes = planes_of(&frame)?;
        let state = &*attachment.state;
        state.held.fetch_add(1, Ordering::AcqRel);
        let memory = Memory::Decoder { frame, held: state.held.clone() };
        let shared = &self.shared;
        shared.context.bind_to_thread().map_err(driver)?;
        shared.release(false)?;
        let limit = state.limit.load(Ordering::Relaxed);
        while state.held.load(Ordering::Acquire) > limit && shared.release(true)? {}
        let (planes, memory) = if state.held.load(Ordering::Acquire) > limit { self.copy(planes, memory)? } else { (planes, memory) };
        Ok(Surface::new(self, memory, planes, (colour, turn), shared.stream.record_event(None).map_err(driver)?))
    }

    /// A picture in memory of its own; the old memory goes back once it is copied.
    fn copy(&self, from: Planes, memory: Memory) -> Result<(Planes, Memory), EngineError> {
        let (shared, stream) = (&self.shared, &self.shared.stream);
        let (to, bytes) = self.allocate((from.width, from.height))?;
        let chroma = (from.width.div_ceil(2) * 2, from.height.div_ceil(2));
        copy_rows((from.luma, from.luma_pitch), (to.luma, to.luma_pitch), (from.width, from.height), stream)?;
        copy_rows((from.chroma, from.chroma_pitch), (to.chroma, to.chroma_pitch), chroma, stream)?;
        lock(&shared.returned).push(Returned { _memory: memory, last: vec![stream.record_event(None).map_err(driver)?] });
        Ok((to, Memory::Own { _bytes: bytes }))
    }

    fn allocate(&self, (width, height): (usize, usize)) -> Result<(Planes, CudaSlice<u8>), EngineError> {
        let pitch = width.next_multiple_of(256);
        // SAFETY: all of the picture is written before anything reads it.
        let bytes = unsafe { self.shared.stream.alloc::<u8>(pitch * (height + height.div_ceil(2))) }.map_err(driver)?;
        let luma = bytes.device_ptr(&self.shared.stream).0;
        let chroma = luma + (pitch * height) as u64;
        Ok((Planes { luma, luma_pitch: pitch, chroma, chroma_pitch: pitch, width, height }, bytes))
    }

    /// Brings a picture of the host to the device: rows of brightness of `size` (width, height), and rows of pairs of Cb and Cr.
    ///
    /// # Errors
    /// [`EngineError::Driver`] if the lengths are not those of the size, or the device failed.
    #[track_caller]
    pub fn upload(
        &self,
        stage: Stage,
        luma: &[u8],
        chroma: &[u8],
        size: (usize, usize),
        colour: Colour,
        turn: Turn,
    ) -> Result<Surface, EngineError> {
        let (width, height) = size;
        let (pairs, rows) = (width.div_ceil(2) * 2, height.div_ceil(2));
        if luma.len() != width * height || chroma.len() != pairs * rows || luma.is_empty() {
            return Err(refused(format!("{} and {} bytes for {width}×{height}", luma.len(), chroma.len())));
        }
        let stream = &self.shared.stream;
        self.shared.context.bind_to_thread().map_err(driver)?;
        let (planes, mut bytes) = self.allocate(size)?;
        let mut padded = vec![0u8; planes.luma_pitch * (height + rows)];
        let (above, below) = padded.split_at_mut(planes.luma_pitch * height);
        let lines = above.chunks_exact_mut(planes.luma_pitch).zip(luma.chunks_exact(width));
        let pair_lines = below.chunks_exact_mut(planes.chroma_pitch).zip(chroma.chunks_exact(pairs));
        for (to, from) in lines.chain(pair_lines) {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        }
        let announced = (stage, Direction::HostToDevice, padded.len() as u64);
        let copy = || stream.memcpy_htod(&padded, &mut bytes).and_then(|()| stream.synchronize());
        self.engine.ledger().moving(true, announced, Location::caller(), copy).map_err(driver)?;
        let ready = stream.record_event(None).map_err(driver)?;
        Ok(Surface::new(self, Memory::Own { _bytes: bytes }, planes, (colour, turn), ready))
    }

    /// Surfaces that were read and wait for the device.
    pub fn held(&self) -> usize {
        lock(&self.shared.returned).len()
    }
}

/// Copies rows of bytes on the device.
fn copy_rows(from: (u64, usize), to: (u64, usize), (width, height): (usize, usize), stream: &CudaStream) -> Result<(), EngineError> {
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
    unsafe { sys::cuMemcpy2DAsync_v2(&raw const copy, stream.cu_stream()) }.result().map_err(driver)
}

/// The picture of a frame of device memory, without what the stream says to crop.
fn planes_of(frame: &frame::Video) -> Result<Planes, EngineError> {
    // SAFETY: the frame is alive; these are numbers and addresses that are not followed here, and the frames' context is FFmpeg's own.
    let (format, software, data, pitches, crop, size) = unsafe {
        let raw = frame.as_ptr();
        let frames = (*raw).hw_frames_ctx;
        let software = if frames.is_null() {
            -1
        } else {
            (&raw const (*(*frames).data.cast::<ffi::AVHWFramesContext>()).sw_format).cast::<c_int>().read()
        };
        let data = ((*raw).data[0] as u64, (*raw).data[1] as u64);
        let pitches = ((*raw).linesize[0], (*raw).linesize[1]);
        ((*raw).format, software, data, pitches, ((*raw).crop_left, (*raw).crop_top), ((*raw).width, (*raw).height))
    };
    if format != AVPixelFormat::AV_PIX_FMT_CUDA as c_int || software != AVPixelFormat::AV_PIX_FMT_NV12 as c_int {
        return Err(refused("the decoder gave a picture of another format than NV12"));
    }
    let side = |whole: c_int, cut: usize| usize::try_from(whole).ok().and_then(|whole| whole.checked_sub(cut)).filter(|n| *n > 0);
    let pitch = |bytes: c_int| usize::try_from(bytes).ok();
    // Samples of colour stand for two columns and rows: an odd first column or row would share one with what is cut off.
    let (left, top) = (crop.0 & !1, crop.1 & !1);
    let found = side(size.0, left).zip(side(size.1, top)).zip(pitch(pitches.0).zip(pitch(pitches.1)));
    let ((width, height), (luma_pitch, chroma_pitch)) = found.ok_or_else(|| refused("the decoder gave a picture without pixels"))?;
    if data.0 == 0 || data.1 == 0 || luma_pitch < width || chroma_pitch < width.div_ceil(2) * 2 {
        return Err(refused("the decoder gave a picture without pixels"));
    }
    let luma = data.0 + (top * luma_pitch + left) as u64;
    let chroma = data.1 + (top / 2 * chroma_pitch + left) as u64;
    Ok(Planes { luma, luma_pitch, chroma, chroma_pitch, width, height })
}

/// Answers FFmpeg's question in which format to decode: on the device where it takes the stream, else into host memory.
unsafe extern "C" fn choose_format(context: *mut AVCodecContext, offered: *const AVPixelFormat) -> AVPixelFormat {
    // Numbers that the bindings do not know do no harm when they are read as such.
    let offered_number = offered.cast::<c_int>();
    // SAFETY: FFmpeg gives a live context whose `opaque` is the attachment's state, and a list that ends with -1.
    unsafe {
        let state = &*(*context).opaque.cast_const().cast::<State>();
        let (mut count, mut has_device) = (0, false);
        while *offered_number.add(count) != AVPixelFormat::AV_PIX_FMT_NONE as c_int {
            has_device |= *offered_number.add(count) == AVPixelFormat::AV_PIX_FMT_CUDA as c_int;
            count += 1;
        }
        let software = (&raw const (*context).sw_pix_fmt).cast::<c_int>().read();
        let is_8_bit = [AVPixelFormat::AV_PIX_FMT_YUV420P, AVPixelFormat::AV_PIX_FMT_YUVJ420P].iter().any(|f| *f as c_int == software);
        let refusal = if !has_device && state.tried.load(Ordering::Relaxed) {
            Some("the device's decoder refused its size, profile or number of reference pictures, or has no memory left".to_owned())
        } else if !has_device {
            Some("this FFmpeg was built without NVDEC".to_owned())
        } else if !is_8_bit {
            Some("its samples are not 8 bits in 4:2:0".to_owned())
        } else {
            state.tried.store(true, Ordering::Relaxed);
            make_surfaces(context, state).err()
        };
        let chosen = refusal.is_none();
        if chosen {
            return AVPixelFormat::AV_PIX_FMT_CUDA;
        }
        *lock(&state.refusal) = refusal;
        // The last one offered is that of host memory.
        if count == 0 { AVPixelFormat::AV_PIX_FMT_NONE } else { *offered.add(count - 1) }
    }
}

/// Describes the surfaces that the decoder shall have: those it needs, and some for those who read them.
///
/// # Safety
/// `context` is alive and asks for a format.
unsafe fn make_surfaces(context: *mut AVCodecContext, state: &State) -> Result<(), String> {
    let failed = |status: c_int| video_rs::ffmpeg::Error::from(status).to_string();
    // SAFETY: the calls are those that FFmpeg's documentation names for this callback, in their order.
    unsafe {
        let mut frames = ptr::null_mut();
        let status = ffi::avcodec_get_hw_frames_parameters(context, state.handle, AVPixelFormat::AV_PIX_FMT_CUDA, &mut frames);
        if status < 0 {
            return Err(format!("the device does not decode it: {}", failed(status)));
        }
        let description = (*frames).data.cast::<ffi::AVHWFramesContext>();
        let needed = usize::try_from((*description).initial_pool_size).unwrap_or(0) + 1;
        let all = (needed + AHEAD).min(MOST);
        (*description).initial_pool_size = all as c_int;
        let status = ffi::av_hwframe_ctx_init(frames);
        if status < 0 {
            ffi::av_buffer_unref(&mut frames);
            return Err(format!("the device has no memory for its pictures: {}", failed(status)));
        }
        (*context).hw_frames_ctx = frames;
        // What FFmpeg names as needed has two for those who hold on to pictures.
        state.limit.store(all.saturating_sub(needed).max(2), Ordering::Relaxed);
    }
    Ok(())
}

/// A decoded picture in device memory. It goes back to the decoder when it is dropped and the device has done what was asked of it.
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
    fn new(device: &VideoDevice, memory: Memory, planes: Planes, (colour, turn): (Colour, Turn), ready: CudaEvent) -> Self {
        let (device, ready) = (device.clone(), Arc::new(ready));
        Self { device, memory: Some(memory), planes, colour, turn, ready, read: Mutex::default() }
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
        // SAFETY: both are alive. (The safe call wants the same handle of the context, which siblings do not have.)
        unsafe { result::stream::wait_event(stream.cu_stream(), self.ready.cu_event(), sys::CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT) }
            .map_err(driver)
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
        let Some(memory) = self.memory.take() else { return };
        let mut last: Vec<CudaEvent> = mem::take(&mut *lock(&self.read)).into_iter().map(|(_, event)| event).collect();
        if last.is_empty() {
            // Read by nobody: what the decoder does is waited for. Without an event the device has failed.
            last.extend(self.shared().stream.record_event(None).ok());
        }
        lock(&self.shared().returned).push(Returned { _memory: memory, last });
    }
}

impl fmt::Debug for Surface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Surface({}×{}, {:?}, {:?})", self.planes.width, self.planes.height, self.colour, self.turn)
    }
}
