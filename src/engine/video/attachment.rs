//! What FFmpeg's decoders are told so that they decode on a device, and what they leave there.

use super::{VideoDevice, lock, refused};
use crate::engine::{EngineError, Planes};
use std::{
    ffi::c_int,
    ptr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};
use video_rs::ffmpeg::{
    codec,
    ffi::{self, AVBufferRef, AVCodecContext, AVPixelFormat},
    frame,
};

/// Surfaces that may be with those who read them, beside those that the decoder needs: nearly all that batches of 4, the default, hold. What
/// is held beyond is copied.
const AHEAD: usize = 24;
/// Most surfaces that a decoder of the hardware can have.
const MOST: usize = 32;

/// What ties a decoder to a device; must live longer than the decoder.
#[derive(Debug)]
pub struct Attachment {
    state: Box<State>,
    device: VideoDevice,
}

/// A decoder's surfaces that it does not have back yet.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) count: AtomicUsize,
    /// Whether the decoder is gone, but for them.
    pub(super) closed: AtomicBool,
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let held = &self.state.held;
        held.closed.store(true, Ordering::Release);
        self.device.close(held);
    }
}

/// What FFmpeg's question for a format is answered from.
#[derive(Debug)]
struct State {
    handle: *mut AVBufferRef,
    /// Surfaces that may be held beside those the decoder needs.
    limit: AtomicUsize,
    held: Arc<Held>,
    /// Whether the device was asked to decode the stream as it is now.
    tried: AtomicBool,
    refusal: Mutex<Option<String>>,
}

// SAFETY: the handle is only given to FFmpeg, whose reference counts are atomic.
unsafe impl Send for State {}
// SAFETY: as above.
unsafe impl Sync for State {}

impl Attachment {
    /// Gives a decoder that is not open yet the device of `handle`.
    pub(super) fn new(
        device: &VideoDevice,
        handle: *mut AVBufferRef,
        context: &mut codec::Context,
    ) -> Result<Self, EngineError> {
        let state = State {
            handle,
            limit: AtomicUsize::new(2),
            held: Arc::default(),
            tried: AtomicBool::new(false),
            refusal: Mutex::default(),
        };
        let attachment = Self {
            state: Box::new(state),
            device: device.clone(),
        };
        // SAFETY: the context is alive and not open; the state does not move, and its owner lives longer than the decoder.
        unsafe {
            let raw = context.as_mut_ptr();
            (*raw).hw_device_ctx = ffi::av_buffer_ref(handle);
            if (*raw).hw_device_ctx.is_null() {
                return Err(refused("out of memory"));
            }
            (*raw).opaque = (&raw const *attachment.state).cast_mut().cast();
            (*raw).get_format = Some(choose_format);
        }
        Ok(attachment)
    }

    /// Surfaces that may be held beside those the decoder needs.
    pub(super) fn limit(&self) -> usize {
        self.state.limit.load(Ordering::Relaxed)
    }

    /// How many are.
    pub(super) fn held(&self) -> &Arc<Held> {
        &self.state.held
    }

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

/// The picture of a frame of device memory, without what the stream says to crop.
pub(super) fn planes_of(frame: &frame::Video) -> Result<Planes, EngineError> {
    // SAFETY: the frame is alive; these are numbers and addresses that are not followed here, and the frames' context is FFmpeg's own.
    let (format, software, data, pitches, crop, size) = unsafe {
        let raw = frame.as_ptr();
        let frames = (*raw).hw_frames_ctx;
        let software = if frames.is_null() {
            -1
        } else {
            (&raw const (*(*frames).data.cast::<ffi::AVHWFramesContext>()).sw_format)
                .cast::<c_int>()
                .read()
        };
        let data = ((*raw).data[0] as u64, (*raw).data[1] as u64);
        let pitches = ((*raw).linesize[0], (*raw).linesize[1]);
        (
            (*raw).format,
            software,
            data,
            pitches,
            ((*raw).crop_left, (*raw).crop_top),
            ((*raw).width, (*raw).height),
        )
    };
    if format != AVPixelFormat::AV_PIX_FMT_CUDA as c_int
        || software != AVPixelFormat::AV_PIX_FMT_NV12 as c_int
    {
        return Err(refused(
            "the decoder gave a picture of another format than NV12",
        ));
    }
    let side = |whole: c_int, cut: usize| {
        usize::try_from(whole)
            .ok()
            .and_then(|whole| whole.checked_sub(cut))
            .filter(|n| *n > 0)
    };
    let pitch = |bytes: c_int| usize::try_from(bytes).ok();
    // Samples of colour stand for two columns and rows: an odd first column or row would share one with what is cut off.
    let (left, top) = (crop.0 & !1, crop.1 & !1);
    let found = side(size.0, left)
        .zip(side(size.1, top))
        .zip(pitch(pitches.0).zip(pitch(pitches.1)));
    let ((width, height), (luma_pitch, chroma_pitch)) =
        found.ok_or_else(|| refused("the decoder gave a picture without pixels"))?;
    if data.0 == 0 || data.1 == 0 || luma_pitch < width || chroma_pitch < width.div_ceil(2) * 2 {
        return Err(refused("the decoder gave a picture without pixels"));
    }
    let luma = data.0 + (top * luma_pitch + left) as u64;
    let chroma = data.1 + (top / 2 * chroma_pitch + left) as u64;
    Ok(Planes {
        luma,
        luma_pitch,
        chroma,
        chroma_pitch,
        width,
        height,
    })
}

/// Answers FFmpeg's question in which format to decode: on the device where it takes the stream, else into host memory.
unsafe extern "C" fn choose_format(
    context: *mut AVCodecContext,
    offered: *const AVPixelFormat,
) -> AVPixelFormat {
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
        let is_8_bit = [
            AVPixelFormat::AV_PIX_FMT_YUV420P,
            AVPixelFormat::AV_PIX_FMT_YUVJ420P,
        ]
        .iter()
        .any(|f| *f as c_int == software);
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
        if count == 0 {
            AVPixelFormat::AV_PIX_FMT_NONE
        } else {
            *offered.add(count - 1)
        }
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
        let status = ffi::avcodec_get_hw_frames_parameters(
            context,
            state.handle,
            AVPixelFormat::AV_PIX_FMT_CUDA,
            &mut frames,
        );
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
            return Err(format!(
                "the device has no memory for its pictures: {}",
                failed(status)
            ));
        }
        (*context).hw_frames_ctx = frames;
        // One stays with the device until the next is given back; what FFmpeg names as needed has two for those who hold on to pictures.
        state
            .limit
            .store(all.saturating_sub(needed + 1).max(2), Ordering::Relaxed);
    }
    Ok(())
}
