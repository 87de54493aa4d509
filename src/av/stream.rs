//! Inputs that are opened by address: network streams and devices.

#![allow(unsafe_code)]

use super::{
    init::{init, init_devices},
    unavailable::FfmpegUnavailable,
};
use std::{
    ffi::{CStr, CString},
    ptr,
};
use video_rs::ffmpeg::{
    Dictionary, Error, error, ffi,
    format::{context::Input, network},
    util::interrupt,
};

/// How an address is opened.
pub(crate) struct StreamAddress<'a> {
    /// As FFmpeg takes it.
    pub(crate) url: &'a str,
    /// FFmpeg's name of the format or device, where the address does not say it.
    pub(crate) format: Option<&'a str>,
    /// Whether reading returns [`ffi::AVERROR`] of `EAGAIN` instead of waiting in a driver.
    pub(crate) nonblocking: bool,
}

/// Makes FFmpeg ready for an address.
///
/// # Errors
/// A library that cannot be loaded: devices need more of them.
pub(crate) fn init_for(address: &StreamAddress<'_>) -> Result<(), FfmpegUnavailable> {
    match address.format {
        Some(_) => init_devices(),
        None => init(),
    }
}

/// Opens an address, for which FFmpeg must be ready ([`init_for`]), and reads until its streams are known. `interrupt` is called while FFmpeg waits, in this call and in those that read
/// the input: where it returns true, they end with [`Error::Exit`].
///
/// # Errors
/// FFmpeg's own; [`Error::DemuxerNotFound`] for a format or device that it was built without.
pub(crate) fn open_stream(
    address: &StreamAddress<'_>,
    options: Dictionary<'_>,
    interrupt: impl FnMut() -> bool + Send + 'static,
) -> Result<Input, Error> {
    network::init();
    let url = CString::new(address.url).map_err(|_| Error::InvalidData)?;
    let format = match address.format {
        Some(name) => {
            let name = CString::new(name).map_err(|_| Error::DemuxerNotFound)?;
            find_format(&name)?
        }
        None => ptr::null(),
    };
    let interrupt = interrupt::new(Box::new(interrupt));
    // SAFETY: the calls are those of FFmpeg's documentation, in their order. The context is freed by FFmpeg where opening fails, else
    // owned by the input, which keeps the callback's state for as long as it lives. The dictionary is handed over and what is left of
    // it is freed.
    unsafe {
        let mut context = ffi::avformat_alloc_context();
        if context.is_null() {
            return Err(Error::Other {
                errno: error::ENOMEM,
            });
        }
        (*context).interrupt_callback = interrupt.interrupt;
        if address.nonblocking {
            (*context).flags |= ffi::AVFMT_FLAG_NONBLOCK;
        }
        let mut options = options.disown();
        let status =
            ffi::avformat_open_input(&mut context, url.as_ptr(), format.cast_mut(), &mut options);
        ffi::av_dict_free(&mut options);
        if status < 0 {
            return Err(Error::from(status));
        }
        let input = Input::wrap_with_interrupt(context, interrupt.guard);
        match ffi::avformat_find_stream_info(context, ptr::null_mut()) {
            status if status < 0 => Err(Error::from(status)),
            _ => Ok(input),
        }
    }
}

/// A format, or a device, by FFmpeg's name.
fn find_format(name: &CStr) -> Result<*const ffi::AVInputFormat, Error> {
    // SAFETY: reads FFmpeg's list of formats, in which devices are once the library is initialised.
    let format = unsafe { ffi::av_find_input_format(name.as_ptr()) };
    if format.is_null() {
        return Err(Error::DemuxerNotFound);
    }
    Ok(format.cast())
}

/// Whether FFmpeg was built with a protocol for reading, by its name.
pub(crate) fn has_protocol(name: &str) -> bool {
    let mut opaque = ptr::null_mut();
    loop {
        // SAFETY: walks FFmpeg's list of protocols, whose names are C strings that live as long as the process.
        let found = unsafe {
            let found = ffi::avio_enum_protocols(&mut opaque, 0);
            if found.is_null() {
                return false;
            }
            CStr::from_ptr(found)
        };
        if found.to_bytes() == name.as_bytes() {
            return true;
        }
    }
}
