//! FFmpeg's libraries, loaded at the first call.
//!
//! They and what they need are some 200 libraries, which the loader would take 60 ms to map when the program starts, also where it reads
//! no video. The entries that the build script made (`build/ffmpeg.rs`) stand for their functions instead. Whoever uses FFmpeg loads them
//! with [`load_codecs`] or [`load_devices`], which report what is missing; an entry that is called before, as by a program that uses
//! FFmpeg's bindings beside this crate, loads its library itself.

#![allow(unsafe_code)]

use super::unavailable::FfmpegUnavailable;
use libloading::os::unix::{Library as Handle, RTLD_LOCAL, RTLD_NOW};
use std::{
    error::Error as _,
    ffi::{c_int, c_uint, c_void},
    mem, process, ptr,
    sync::{
        OnceLock,
        atomic::{AtomicPtr, Ordering},
    },
};
use video_rs::ffmpeg::ffi;

// `LIBRARIES`, `FUNCTIONS` (addresses by index, null where nothing was found so far), and the entries.
include!(concat!(env!("OUT_DIR"), "/ffmpeg.rs"));

/// How many of `LIBRARIES` decode, encode, convert, read and write; those behind them are for devices.
const CODECS: usize = 5;

/// A library, and its part of `FUNCTIONS`.
struct Library {
    /// Its name for the loader.
    soname: &'static str,
    /// The minor version that the program was built with. The major one is in the name.
    minor: c_int,
    /// Index of the first function.
    first: usize,
    /// Names of the functions, each ended by a zero byte.
    names: &'static str,
    loaded: OnceLock<Result<(), FfmpegUnavailable>>,
}

/// Loads what files and streams need.
///
/// # Errors
/// The first library that cannot be loaded.
pub(super) fn load_codecs() -> Result<(), FfmpegUnavailable> {
    LIBRARIES.iter().take(CODECS).try_for_each(Library::load)
}

/// Loads what devices need, half of all libraries.
///
/// # Errors
/// The first library that cannot be loaded.
pub(super) fn load_devices() -> Result<(), FfmpegUnavailable> {
    LIBRARIES.iter().try_for_each(Library::load)
}

impl Library {
    const fn new(soname: &'static str, minor: c_int, first: usize, names: &'static str) -> Self {
        Self {
            soname,
            minor,
            first,
            names,
            loaded: OnceLock::new(),
        }
    }

    fn load(&self) -> Result<(), FfmpegUnavailable> {
        self.loaded.get_or_init(|| self.open()).clone()
    }

    /// Names of the functions, with the zero byte.
    fn functions(&self) -> impl Iterator<Item = &'static str> {
        self.names.split_inclusive('\0')
    }

    fn open(&self) -> Result<(), FfmpegUnavailable> {
        // SAFETY: FFmpeg's libraries may be loaded at any time, by any thread.
        let handle = unsafe { Handle::open(Some(self.soname), RTLD_NOW | RTLD_LOCAL) };
        let handle = handle.map_err(|error| {
            // What the loader said.
            let said = error
                .source()
                .map_or_else(|| error.to_string(), ToString::to_string);
            self.unavailable(format!("cannot be loaded: {said}"))
        })?;
        let address = |name: &str| {
            // SAFETY: an address is no more than a number here.
            let found = unsafe { handle.get::<*mut c_void>(name.as_bytes()) };
            found.map_or(ptr::null_mut(), |symbol| symbol.as_raw_ptr())
        };
        let found: Vec<*mut c_void> = self.functions().map(address).collect();
        let missing = self.functions().zip(&found).find(|(_, at)| at.is_null());
        if let Some((name, _)) = missing
            && let Some(minor) = self.minor_of(&handle)
            && minor < self.minor
        {
            return Err(self.unavailable(format!(
                "has no function {}: it is version {minor}, and the program was built with {}",
                name.trim_end_matches('\0'),
                self.minor
            )));
        }
        for (slot, address) in FUNCTIONS.iter().skip(self.first).zip(found) {
            slot.store(address, Ordering::Release);
        }
        // Its functions are called, and its threads run, until the process ends.
        mem::forget(handle);
        Ok(())
    }

    /// The minor version of a library that was loaded.
    fn minor_of(&self, handle: &Handle) -> Option<c_int> {
        let name = self.soname.strip_prefix("lib")?.split('.').next()?;
        // SAFETY: every library of FFmpeg has this function, which only returns a constant.
        let version = unsafe {
            handle
                .get::<unsafe extern "C" fn() -> c_uint>(format!("{name}_version\0").as_bytes())
                .ok()?()
        };
        c_int::try_from((version >> 8) & 0xff).ok()
    }

    fn unavailable(&self, problem: String) -> FfmpegUnavailable {
        let up_to_this = LIBRARIES.iter().filter(|it| it.first <= self.first).count();
        let packages: Vec<String> = LIBRARIES
            .iter()
            .take(up_to_this.max(CODECS))
            .map(|it| it.soname.replace(".so.", ""))
            .collect();
        FfmpegUnavailable {
            library: self.soname.to_owned(),
            problem,
            remedy: format!(
                "install FFmpeg's libraries (Debian, Ubuntu: apt-get install {}), or name their folder in LD_LIBRARY_PATH",
                packages.join(" ")
            ),
        }
    }
}

/// Called by an entry whose function was not found so far: loads its library and returns the function, or ends the process, since the
/// caller takes no error.
extern "C" fn resolve(index: c_uint) -> *mut c_void {
    let index = index as usize;
    let of_library = LIBRARIES.iter().rev().find(|it| it.first <= index);
    let (Some(library), Some(slot)) = (of_library, FUNCTIONS.get(index)) else {
        give_up(format_args!("FFmpeg: has no function {index}"));
    };
    if let Err(error) = library.load() {
        give_up(format_args!("{error}"));
    }
    let function = slot.load(Ordering::Acquire);
    if function.is_null() {
        let name = library.functions().nth(index - library.first);
        give_up(format_args!(
            "{}: has no function {}, which that of the build had; install an FFmpeg that was built with it",
            library.soname,
            name.unwrap_or_default().trim_end_matches('\0')
        ));
    }
    function
}

fn give_up(message: std::fmt::Arguments<'_>) -> ! {
    eprintln!("{message}");
    process::abort();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_belongs_to_one_library() {
        let mut first = 0;
        for library in &LIBRARIES {
            assert_eq!(library.first, first, "{}", library.soname);
            first += library.functions().count();
        }
        assert_eq!(first, FUNCTIONS.len());
        assert!(LIBRARIES[CODECS].soname.starts_with("libavfilter."));
    }

    #[test]
    fn an_entry_jumps_to_the_function_of_its_name() {
        // SAFETY: they take nothing and return a constant.
        let versions = unsafe {
            [
                ffi::avutil_version(),
                ffi::avcodec_version(),
                ffi::avdevice_version(),
            ]
        };
        for (version, library) in versions.iter().zip([0, 3, 6]) {
            let soname = LIBRARIES[library].soname;
            assert!(
                soname.ends_with(&format!(".so.{}", version >> 16)),
                "{soname}, {version:x}"
            );
        }
    }

    #[test]
    fn a_library_that_is_not_there_is_named_with_what_would_work() {
        static ABSENT: Library = Library::new("libabsent.so.1", 0, 0, "av_absent\0");
        let error = ABSENT.load().unwrap_err();
        assert_eq!(error.library, "libabsent.so.1");
        assert!(
            error
                .problem
                .starts_with("cannot be loaded: libabsent.so.1: "),
            "{error}"
        );
        assert!(
            error
                .remedy
                .contains(&LIBRARIES[0].soname.replace(".so.", ""))
        );
        assert!(!error.remedy.contains("libavdevice"), "{error}");
    }

    #[test]
    fn a_library_older_than_that_of_the_build_is_refused_where_a_function_is_missing() {
        let absent =
            |minor| Library::new(LIBRARIES[0].soname, minor, FUNCTIONS.len(), "av_absent\0");
        let error = absent(c_int::MAX).load().unwrap_err();
        assert!(
            error
                .problem
                .contains("has no function av_absent: it is version "),
            "{error}"
        );
        assert_eq!(absent(0).load(), Ok(()));
    }
}
