//! What FFmpeg's decoders complain of. Some damage shows in nothing else in time: threads mark a picture as damaged when
//! it may have been given out already.

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

/// Those who listen, by the mark of their decoder.
static LISTENERS: Mutex<BTreeMap<usize, Arc<AtomicBool>>> = Mutex::new(BTreeMap::new());
/// Odd, so that no address which another decoder carries in its place is equal to one.
static NEXT_MARK: AtomicUsize = AtomicUsize::new(1);

/// Hears what one decoder, with all of its threads, reports as an error.
#[derive(Debug)]
pub(super) struct Complaints {
    mark: usize,
    heard: Arc<AtomicBool>,
}

impl Complaints {
    /// Listens to a decoder that is not open yet and carries no mark.
    #[allow(unsafe_code)]
    pub(super) fn of(context: &mut codec::Context) -> Self {
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

    /// Whether there was a complaint.
    pub(super) fn heard(&self) -> bool {
        self.heard.load(Ordering::Acquire)
    }
}

impl Drop for Complaints {
    fn drop(&mut self) {
        LISTENERS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.mark);
    }
}

/// Takes FFmpeg's messages from then on: none is printed.
#[allow(unsafe_code)]
pub(super) fn set_up() {
    // SAFETY: the function may be called from any thread, and reads of its arguments only what FFmpeg promises.
    unsafe { ffi::av_log_set_callback(Some(take)) };
}

/// Whether a message that is no error tells of data that ended before their picture did.
fn is_about_damage(format: &CStr) -> bool {
    const WORDS: [&[u8]; 2] = [b"overread", b"concealing"];
    WORDS.iter().any(|word| {
        format
            .to_bytes()
            .windows(word.len())
            .any(|part| part == *word)
    })
}

/// FFmpeg's call for a message. `L`, its list of arguments, has another type on each kind of machine.
#[allow(unsafe_code)]
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
