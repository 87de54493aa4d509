//! Where FFmpeg left a decoded picture in device memory.

#![allow(unsafe_code)]

use super::error::NvdecError;
use crate::{
    av::{
        ffi::{AVHWFramesContext, AVPixelFormat},
        frame,
    },
    engine::{YuvFormat, YuvPlanes},
};
use std::ffi::c_int;

/// Whether a frame is in the memory of a CUDA device.
pub(super) fn is_on_device(frame: &frame::Video) -> bool {
    // SAFETY: the frame is alive; its format is a number.
    unsafe { (*frame.as_ptr()).format == AVPixelFormat::AV_PIX_FMT_CUDA as c_int }
}

/// The planes of a frame in device memory, inside the crop rectangle that the stream states.
///
/// # Errors
/// [`NvdecError::Format`] if the frame is in host memory or not NV12, [`NvdecError::Empty`] if it has no pixels.
pub(super) fn planes_of(frame: &frame::Video) -> Result<YuvPlanes, NvdecError> {
    if !is_on_device(frame) {
        return Err(NvdecError::Format);
    }
    // SAFETY: the frame is alive; these are numbers and addresses that are not followed here, and the frames' context is FFmpeg's own.
    let (software, data, pitches, crop, size) = unsafe {
        let raw = frame.as_ptr();
        let frames = (*raw).hw_frames_ctx;
        let software = if frames.is_null() {
            -1
        } else {
            (&raw const (*(*frames).data.cast::<AVHWFramesContext>()).sw_format)
                .cast::<c_int>()
                .read()
        };
        (
            software,
            ((*raw).data[0] as u64, (*raw).data[1] as u64),
            ((*raw).linesize[0], (*raw).linesize[1]),
            ((*raw).crop_left, (*raw).crop_top),
            ((*raw).width, (*raw).height),
        )
    };
    if software != AVPixelFormat::AV_PIX_FMT_NV12 as c_int {
        return Err(NvdecError::Format);
    }
    let side = |whole: c_int, cut: usize| {
        usize::try_from(whole)
            .ok()
            .and_then(|whole| whole.checked_sub(cut))
            .filter(|n| *n > 0)
    };
    let pitch = |bytes: c_int| usize::try_from(bytes).ok();
    // Samples of chroma stand for two columns and rows: an odd first column or row would share one with what is cut off.
    let (left, top) = (crop.0 & !1, crop.1 & !1);
    let found = side(size.0, left)
        .zip(side(size.1, top))
        .zip(pitch(pitches.0).zip(pitch(pitches.1)));
    let ((width, height), (luma_pitch, chroma_pitch)) = found.ok_or(NvdecError::Empty)?;
    if data.0 == 0 || data.1 == 0 || luma_pitch < width || chroma_pitch < width.div_ceil(2) * 2 {
        return Err(NvdecError::Empty);
    }
    Ok(YuvPlanes {
        luma: data.0 + (top * luma_pitch + left) as u64,
        luma_pitch,
        chroma: data.1 + (top / 2 * chroma_pitch + left) as u64,
        chroma_pitch,
        width,
        height,
        format: YuvFormat::NV12,
    })
}
