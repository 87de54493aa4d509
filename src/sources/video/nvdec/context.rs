//! Decoders that decode on a device, and the number of surfaces that they get.

#![allow(unsafe_code)]

use super::{
    error::NvdecError,
    planes,
    surfaces::{DeviceState, OutstandingSurfaces},
};
use crate::av::{
    self, codec,
    ffi::{self, AVBufferRef, AVCodecContext, AVPixelFormat},
    frame,
};
use std::{
    ffi::c_int,
    ptr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// Surfaces that readers may hold beside those that the decoder needs: nearly all that two batches of 4, the default, hold. Beyond that,
/// surfaces are copied.
const AHEAD: usize = 24;
/// The least of them that each of several decoders gets.
const LEAST_AHEAD: usize = 4;
/// Maximum number of surfaces of a hardware decoder.
const MAX_SURFACES: usize = 32;

/// The tie between a decoder and the device that it decodes on. Must live longer than the decoder.
#[derive(Debug)]
pub(in crate::sources) struct HwDecoderContext {
    choice: Box<FormatChoice>,
    outstanding: Arc<OutstandingSurfaces>,
    device: Arc<DeviceState>,
}

impl Drop for HwDecoderContext {
    fn drop(&mut self) {
        self.device.close(&self.outstanding);
    }
}

/// State of the callback by which a decoder chooses its pixel format.
#[derive(Debug)]
struct FormatChoice {
    /// FFmpeg's handle of the device.
    handle: *mut AVBufferRef,
    /// Surfaces for readers.
    ahead: usize,
    /// Surfaces that may be outstanding beside those the decoder needs.
    limit: AtomicUsize,
    /// Whether decoding of the stream, as it is now, was tried on the device.
    tried: AtomicBool,
    refusal: Mutex<Option<String>>,
}

// SAFETY: the handle is only given to FFmpeg, whose reference counts are atomic.
unsafe impl Send for FormatChoice {}
// SAFETY: as above.
unsafe impl Sync for FormatChoice {}

impl FormatChoice {
    fn refusal(&self) -> MutexGuard<'_, Option<String>> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HwDecoderContext {
    /// Gives a decoder that is not open yet, one of `decoders` that work at once, the device of `device`.
    ///
    /// # Errors
    /// [`NvdecError::OutOfMemory`] if FFmpeg has no host memory left.
    pub(super) fn new(
        device: &Arc<DeviceState>,
        decoders: usize,
        context: &mut codec::Context,
    ) -> Result<Self, NvdecError> {
        let choice = FormatChoice {
            handle: device.handle(),
            ahead: (AHEAD / decoders.max(1)).max(LEAST_AHEAD),
            limit: AtomicUsize::new(2),
            tried: AtomicBool::new(false),
            refusal: Mutex::default(),
        };
        let tie = Self {
            choice: Box::new(choice),
            outstanding: Arc::default(),
            device: device.clone(),
        };
        // SAFETY: the context is alive and not open; the callback's state does not move, and its owner lives longer than the decoder.
        unsafe {
            let raw = context.as_mut_ptr();
            (*raw).hw_device_ctx = ffi::av_buffer_ref(device.handle());
            if (*raw).hw_device_ctx.is_null() {
                return Err(NvdecError::OutOfMemory);
            }
            (*raw).opaque = (&raw const *tie.choice).cast_mut().cast();
            (*raw).get_format = Some(choose_format);
        }
        Ok(tie)
    }

    /// Maximum number of outstanding surfaces, beside those that the decoder needs.
    pub(super) fn limit(&self) -> usize {
        self.choice.limit.load(Ordering::Relaxed)
    }

    /// The decoder's outstanding surfaces.
    pub(super) fn outstanding(&self) -> &Arc<OutstandingSurfaces> {
        &self.outstanding
    }

    /// The reason why the decoder returns frames in host memory; `None` while it decodes on the device.
    pub(in crate::sources) fn refusal(&self) -> Option<String> {
        self.choice.refusal().clone()
    }

    /// Whether a frame is in device memory.
    pub(in crate::sources) fn is_on_device(&self, frame: &frame::Video) -> bool {
        planes::is_on_device(frame)
    }
}

/// FFmpeg's `get_format` callback: decode on the device if it takes the stream, else into host memory.
unsafe extern "C" fn choose_format(
    context: *mut AVCodecContext,
    offered: *const AVPixelFormat,
) -> AVPixelFormat {
    // Numbers that the bindings do not know do no harm when they are read as such.
    let offered_number = offered.cast::<c_int>();
    // SAFETY: FFmpeg gives a live context whose `opaque` is the state, and a list that ends with -1.
    unsafe {
        let choice = &*(*context).opaque.cast_const().cast::<FormatChoice>();
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
        let refusal = if !has_device && choice.tried.load(Ordering::Relaxed) {
            Some("the device's decoder refused its size, profile or number of reference pictures, or has no memory left".to_owned())
        } else if !has_device {
            Some("this FFmpeg was built without NVDEC".to_owned())
        } else if !is_8_bit {
            Some("its samples are not 8 bits in 4:2:0".to_owned())
        } else {
            choice.tried.store(true, Ordering::Relaxed);
            make_surfaces(context, choice).err()
        };
        if refusal.is_none() {
            return AVPixelFormat::AV_PIX_FMT_CUDA;
        }
        *choice.refusal() = refusal;
        // The last one offered is that of host memory.
        if count == 0 {
            AVPixelFormat::AV_PIX_FMT_NONE
        } else {
            *offered.add(count - 1)
        }
    }
}

/// Sets the number of surfaces that the decoder allocates: those it needs, and those for readers.
///
/// # Safety
/// `context` is alive and in its `get_format` callback.
unsafe fn make_surfaces(context: *mut AVCodecContext, choice: &FormatChoice) -> Result<(), String> {
    let failed = |status: c_int| av::Error::from(status).to_string();
    // SAFETY: the calls are those that FFmpeg's documentation names for this callback, in their order.
    unsafe {
        let mut frames = ptr::null_mut();
        let status = ffi::avcodec_get_hw_frames_parameters(
            context,
            choice.handle,
            AVPixelFormat::AV_PIX_FMT_CUDA,
            &mut frames,
        );
        if status < 0 {
            return Err(format!("the device does not decode it: {}", failed(status)));
        }
        let description = (*frames).data.cast::<ffi::AVHWFramesContext>();
        let needed = usize::try_from((*description).initial_pool_size).unwrap_or(0) + 1;
        let all = (needed + choice.ahead).min(MAX_SURFACES);
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
        choice
            .limit
            .store(all.saturating_sub(needed + 1).max(2), Ordering::Relaxed);
    }
    Ok(())
}
