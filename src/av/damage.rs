//! FFmpeg's log as a sign of damaged data. Some damage shows in nothing else in time: a decoder's threads mark a picture as
//! damaged when it may have been returned already.

#![allow(unsafe_code)]

use std::{
    collections::BTreeMap,
    ffi::{CStr, c_char, c_int, c_void},
    ptr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};
use video_rs::ffmpeg::{
    codec,
    ffi::{self, AVClass, AVCodecContext},
};

/// Flags of the listeners, by the mark of their decoder.
static LISTENERS: Mutex<BTreeMap<usize, Arc<AtomicBool>>> = Mutex::new(BTreeMap::new());
/// Odd, so that no mark equals an address that another decoder has in the same field.
static NEXT_MARK: AtomicUsize = AtomicUsize::new(1);

/// Records whether one decoder, on any of its threads, has logged an error or concealed damage.
#[derive(Debug)]
pub(crate) struct DamageListener {
    mark: usize,
    heard: Arc<AtomicBool>,
}

impl DamageListener {
    /// Listens to the decoder that `context` will be opened as; sets its `opaque` field, which must be unused.
    pub(crate) fn of(context: &mut codec::Context) -> Self {
        let (mark, heard) = (
            NEXT_MARK.fetch_add(2, Ordering::Relaxed),
            Arc::new(AtomicBool::new(false)),
        );
        LISTENERS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(mark, heard.clone());
        // SAFETY: the context is alive; FFmpeg copies the field to the contexts of its threads and never follows it.
        unsafe { (*context.as_mut_ptr()).opaque = ptr::without_provenance_mut(mark) };
        Self { mark, heard }
    }

    /// Forgets what was heard. The decoder's threads must be idle, as they are once its buffers are flushed.
    pub(crate) fn reset(&self) {
        self.heard.store(false, Ordering::Release);
    }

    /// Whether the decoder has logged damage so far.
    pub(crate) fn has_damage(&self) -> bool {
        self.heard.load(Ordering::Acquire)
    }
}

impl Drop for DamageListener {
    fn drop(&mut self) {
        LISTENERS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.mark);
    }
}

/// Installs the log callback of the process: FFmpeg prints nothing from then on.
pub(super) fn route_log() {
    // SAFETY: the function may be called from any thread, and reads of its arguments only what FFmpeg promises.
    unsafe { ffi::av_log_set_callback(Some(take)) };
}

/// Whether a message below the level of errors reports data that ended before their picture did.
fn is_about_damage(format: &CStr) -> bool {
    const WORDS: [&[u8]; 2] = [b"overread", b"concealing"];
    WORDS.iter().any(|word| {
        format
            .to_bytes()
            .windows(word.len())
            .any(|part| part == *word)
    })
}

/// FFmpeg's log callback. `L`, the list of arguments, has another type on each architecture; it is not read.
unsafe extern "C" fn take<L>(object: *mut c_void, level: c_int, format: *const c_char, _: L) {
    if object.is_null() || format.is_null() || level > ffi::AV_LOG_DEBUG {
        return;
    }
    // SAFETY: FFmpeg's formats are C strings.
    if level > ffi::AV_LOG_ERROR && !is_about_damage(unsafe { CStr::from_ptr(format) }) {
        return;
    }
    // SAFETY: FFmpeg's objects that send messages begin with a pointer to their class; one with the class of codecs is
    // a live codec context, whose field is only compared.
    let mark = unsafe {
        if *object.cast::<*const AVClass>() != ffi::avcodec_get_class() {
            return;
        }
        (*object.cast::<AVCodecContext>()).opaque.addr()
    };
    if let Some(heard) = LISTENERS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get(&mark)
    {
        heard.store(true, Ordering::Release);
    }
}
