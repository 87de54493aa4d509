//! The library's functions.

#![allow(unsafe_code)]

use super::{super::AuditError, search};
use std::{
    ffi::{CStr, c_char, c_void},
    path::Path,
    sync::OnceLock,
};

/// `CUptiResult`: 0 is success.
pub(super) type Status = u32;
/// No more records.
pub(super) const MAX_LIMIT_REACHED: Status = 12;

pub(super) type RequestBuffer = extern "C" fn(*mut *mut u8, *mut usize, *mut usize);
pub(super) type BufferComplete = extern "C" fn(*mut c_void, u32, *mut u8, usize, usize);
pub(super) type Callback = extern "C" fn(*mut c_void, u32, u32, *const c_void);
pub(super) type Subscriber = *mut c_void;

/// `CUpti_ResourceData`.
#[repr(C)]
pub(super) struct ResourceData {
    context: *mut c_void,
    handle: *mut c_void,
    pub(super) descriptor: *const c_void,
}

/// `CUpti_GraphData`.
#[repr(C)]
pub(super) struct GraphData {
    graph: *mut c_void,
    original_graph: *mut c_void,
    pub(super) node: *mut c_void,
    pub(super) original_node: *mut c_void,
    node_type: u32,
    dependency: *mut c_void,
    graph_exec: *mut c_void,
}

macro_rules! functions {
    ($($field:ident: $symbol:literal, fn($($argument:ty),*);)*) => {
        /// The functions that are used; the library stays loaded until the program ends.
        pub(super) struct Library {
            $(pub(super) $field: unsafe extern "C" fn($($argument),*) -> Status,)*
            path: String,
        }

        impl Library {
            fn load(path: &Path) -> Result<Self, libloading::Error> {
                // SAFETY: CUPTI's initialisers have no demands; the types of the functions are those of its headers, the same in
                // CUDA 12 and 13. The library is never unloaded.
                unsafe {
                    let library = libloading::Library::new(path)?;
                    let loaded = Self {
                        $($field: *library.get($symbol)?,)*
                        path: path.display().to_string(),
                    };
                    std::mem::forget(library);
                    Ok(loaded)
                }
            }
        }
    };
}

functions! {
    version: b"cuptiGetVersion\0", fn(*mut u32);
    result_string: b"cuptiGetResultString\0", fn(Status, *mut *const c_char);
    timestamp: b"cuptiGetTimestamp\0", fn(*mut u64);
    register: b"cuptiActivityRegisterCallbacks\0", fn(RequestBuffer, BufferComplete);
    enable: b"cuptiActivityEnable\0", fn(u32);
    disable: b"cuptiActivityDisable\0", fn(u32);
    flush: b"cuptiActivityFlushAll\0", fn(u32);
    next_record: b"cuptiActivityGetNextRecord\0", fn(*mut u8, usize, *mut *mut u8);
    dropped: b"cuptiActivityGetNumDroppedRecords\0", fn(*mut c_void, u32, *mut usize);
    push_id: b"cuptiActivityPushExternalCorrelationId\0", fn(u32, u64);
    pop_id: b"cuptiActivityPopExternalCorrelationId\0", fn(u32, *mut u64);
    subscribe: b"cuptiSubscribe\0", fn(*mut Subscriber, Callback, *mut c_void);
    unsubscribe: b"cuptiUnsubscribe\0", fn(Subscriber);
    enable_callback: b"cuptiEnableCallback\0", fn(u32, Subscriber, u32, u32);
    callback_name: b"cuptiGetCallbackName\0", fn(u32, u32, *mut *const c_char);
    graph_node_id: b"cuptiGetGraphNodeId\0", fn(*mut c_void, *mut u64);
}

static LIBRARY: OnceLock<Result<Library, String>> = OnceLock::new();

/// The library, loaded at the first call.
pub(super) fn library() -> Result<&'static Library, AuditError> {
    let loaded = LIBRARY.get_or_init(|| {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let mut problem = None;
        for path in search::candidates(|name| std::env::var_os(name), &maps) {
            // A file that is not there is not worth a word; one that is there and does not load is.
            if path.components().count() > 1 && !path.exists() {
                continue;
            }
            match Library::load(&path) {
                Ok(library) => return Ok(library),
                Err(error) => problem = problem.or(Some(format!("{}: {error}", path.display()))),
            }
        }
        Err(problem.unwrap_or_else(|| "libcupti.so was not found".to_owned()))
    });
    loaded
        .as_ref()
        .map_err(|problem| AuditError::NoCupti(problem.clone()))
}

/// The library if it was loaded.
pub(super) fn loaded() -> Option<&'static Library> {
    LIBRARY.get().and_then(|library| library.as_ref().ok())
}

impl Library {
    /// An error of `what` unless `status` is success.
    pub(super) fn check(&self, what: &'static str, status: Status) -> Result<(), AuditError> {
        if status == 0 {
            return Ok(());
        }
        let mut text = std::ptr::null();
        // SAFETY: the text, where there is one, is the library's own and constant.
        let reason = unsafe {
            if (self.result_string)(status, &raw mut text) == 0 {
                text_at(text)
            } else {
                None
            }
        };
        Err(AuditError::Cupti {
            what,
            reason: reason.unwrap_or_else(|| format!("status {status}")),
        })
    }

    /// `CUPTI 130001 (path)`.
    pub(super) fn describe(&self) -> String {
        let mut version = 0;
        // SAFETY: writes one number.
        let _ = unsafe { (self.version)(&raw mut version) };
        format!("CUPTI {version} ({})", self.path)
    }

    /// The name of a call of the runtime or the driver.
    pub(super) fn call_name(&self, runtime: bool, number: u32) -> Option<String> {
        let (domain, mut text) = (if runtime { 2 } else { 1 }, std::ptr::null());
        // SAFETY: the text, where there is one, is the library's own and constant.
        unsafe {
            if (self.callback_name)(domain, number, &raw mut text) == 0 {
                text_at(text)
            } else {
                None
            }
        }
    }
}

/// The text at `start`.
///
/// # Safety
/// `start` is null or a C string that lives during the call.
pub(super) unsafe fn text_at(start: *const c_char) -> Option<String> {
    (!start.is_null()).then(|| {
        // SAFETY: not null; the caller vouches for the string.
        unsafe { CStr::from_ptr(start) }
            .to_string_lossy()
            .into_owned()
    })
}
