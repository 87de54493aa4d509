//! swscale: a frame to 8 bits at its own size, a slice of it on each of several threads where it is large.

use super::frame_kind::Kind;
use crate::{
    av::{
        Error, ffi,
        format::{Pixel, pixel::Descriptor},
        frame,
        software::scaling::Flags,
    },
    geometry::Size,
};
use std::{
    ffi::{CStr, c_int},
    num::NonZero,
    ptr::{self, NonNull},
    thread,
};

/// Exact rounding, the same bytes on every machine, and chroma interpolated to full resolution.
const FLAGS: Flags = Flags::BICUBIC
    .union(Flags::ACCURATE_RND)
    .union(Flags::BITEXACT)
    .union(Flags::FULL_CHR_H_INT)
    .union(Flags::FULL_CHR_H_INP);

/// The least that a thread is woken for: some 0.3 ms of work.
const PIXELS_A_THREAD: u64 = 1 << 16;
/// Slices get too thin to gain from more.
const MAX_THREADS: usize = 64;

/// Flags of `AVPixFmtDescriptor`.
const PALETTE: u64 = 1 << 1;
const RGB: u64 = 1 << 5;
const ALPHA: u64 = 1 << 7;

/// What a pixel format holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content {
    pub(super) has_palette: bool,
    pub(super) has_alpha: bool,
    /// Not YCbCr.
    is_rgb: bool,
}

impl Content {
    #[allow(unsafe_code)]
    pub(super) fn of(descriptor: Descriptor) -> Self {
        // SAFETY: descriptors are constants of FFmpeg.
        let flags = unsafe { (*descriptor.as_ptr()).flags };
        Self {
            has_palette: flags & PALETTE != 0,
            has_alpha: flags & ALPHA != 0,
            is_rgb: flags & RGB != 0,
        }
    }
}

/// Number of threads that convert a picture: `threads` (0: one for each core), fewer for small pictures.
pub(super) fn threads_for(size: Size, threads: usize) -> usize {
    let max = match threads {
        0 => thread::available_parallelism().map_or(1, NonZero::get),
        n => n,
    };
    let worthwhile = usize::try_from(size.pixels() / PIXELS_A_THREAD).unwrap_or(MAX_THREADS);
    max.min(worthwhile).clamp(1, MAX_THREADS)
}

/// Converts frames of one kind to one format. The bytes do not depend on the number of threads.
pub(super) struct Scaler {
    kind: Kind,
    context: Context,
    output: frame::Video,
}

impl Scaler {
    /// For frames of `kind`, to `target`.
    ///
    /// # Errors
    /// What is wrong with frames of this kind.
    #[allow(unsafe_code)]
    pub(super) fn new(kind: Kind, target: Pixel, threads: usize) -> Result<Self, String> {
        // Where threads cannot be started, one is there.
        let context = Context::new(kind, target, threads)
            .or_else(|| {
                (threads > 1)
                    .then(|| Context::new(kind, target, 1))
                    .flatten()
            })
            .ok_or_else(|| {
                format!(
                    "has pixel format {:?}, which cannot be converted to RGB",
                    kind.format
                )
            })?;
        set_colours(context.pointer, kind);
        let output = frame::Video::new(target, kind.size.width, kind.size.height);
        // SAFETY: reads whether FFmpeg could allocate the frame's buffer.
        if unsafe { output.is_empty() } {
            return Err(format!("of {} pixels does not fit into memory", kind.size));
        }
        Ok(Self {
            kind,
            context,
            output,
        })
    }

    /// What it converts.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// The frame converted.
    ///
    /// # Errors
    /// What is wrong with the frame.
    pub(super) fn run(&mut self, frame: &frame::Video) -> Result<&frame::Video, String> {
        if Kind::of(frame) != self.kind {
            return Err(format!(
                "is not of {} pixels of {:?}",
                self.kind.size, self.kind.format
            ));
        }
        self.context
            .run(frame, &mut self.output)
            .map_err(|e| format!("cannot be converted to RGB: {e}"))?;
        Ok(&self.output)
    }
}

/// Has a context take the frame's matrix and range, where it is YCbCr.
#[allow(unsafe_code)]
fn set_colours(context: NonNull<ffi::SwsContext>, kind: Kind) {
    let Some(descriptor) = kind.format.descriptor() else {
        return;
    };
    let content = Content::of(descriptor);
    if content.is_rgb || content.has_palette || descriptor.nb_components() < 3 {
        return;
    }
    let full = c_int::from(kind.is_full_range() || descriptor.name().starts_with("yuvj"));
    // SAFETY: the context is alive; swscale's tables of coefficients are constants of four numbers, which it copies.
    unsafe {
        let from = ffi::sws_getCoefficients(kind.coefficients());
        ffi::sws_setColorspaceDetails(context.as_ptr(), from, full, from, 1, 0, 1 << 16, 1 << 16);
    }
}

/// An owned swscale context.
struct Context {
    pointer: NonNull<ffi::SwsContext>,
    threads: usize,
}

// SAFETY: a swscale context belongs to no thread; it is used by one at a time, as `&mut` demands.
#[allow(unsafe_code)]
unsafe impl Send for Context {}

impl Context {
    /// None where swscale does not know the format, or has no memory or threads.
    #[allow(unsafe_code)]
    fn new(kind: Kind, target: Pixel, threads: usize) -> Option<Self> {
        // SAFETY: allocates.
        let pointer = NonNull::new(unsafe { ffi::sws_alloc_context() })?;
        let mut context = Self {
            pointer,
            threads: 1,
        };
        let set = |name: &CStr, value: i64| {
            // SAFETY: the context is alive and begins with its class, as FFmpeg's options ask for.
            (unsafe { ffi::av_opt_set_int(pointer.as_ptr().cast(), name.as_ptr(), value, 0) }) >= 0
        };
        let number = |format: Pixel| ffi::AVPixelFormat::from(format) as i64;
        let Size { width, height } = kind.size;
        let settings = [
            (c"srcw", i64::from(width)),
            (c"srch", i64::from(height)),
            (c"src_format", number(kind.format)),
            (c"dstw", i64::from(width)),
            (c"dsth", i64::from(height)),
            (c"dst_format", number(target)),
            (c"sws_flags", i64::from(FLAGS.bits())),
        ];
        if !settings.into_iter().all(|(name, value)| set(name, value)) {
            return None;
        }
        // FFmpeg before 5.0 has no such option.
        if threads > 1 && set(c"threads", threads as i64) {
            context.threads = threads;
        }
        // SAFETY: the context is alive and not yet initialised; no filters of one's own.
        let code =
            unsafe { ffi::sws_init_context(pointer.as_ptr(), ptr::null_mut(), ptr::null_mut()) };
        (code >= 0).then_some(context)
    }

    /// Both frames have the sizes and formats that the context was made for, and buffers of their own.
    #[allow(unsafe_code)]
    fn run(&mut self, from: &frame::Video, to: &mut frame::Video) -> Result<(), Error> {
        let context = self.pointer.as_ptr();
        let code = if self.threads > 1 {
            // SAFETY: the context is initialised, the frames are alive.
            unsafe { scale_frame(context, to.as_mut_ptr(), from.as_ptr()) }
        } else {
            // SAFETY: as above; the planes are those of frames of that size.
            unsafe {
                let (from, to) = (from.as_ptr(), to.as_mut_ptr());
                let (planes, lines) = ((*from).data.as_ptr().cast(), (*from).linesize.as_ptr());
                ffi::sws_scale(
                    context,
                    planes,
                    lines,
                    0,
                    (*from).height,
                    (*to).data.as_ptr(),
                    (*to).linesize.as_ptr(),
                )
            }
        };
        if code < 0 {
            Err(Error::from(code))
        } else {
            Ok(())
        }
    }
}

impl Drop for Context {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: the context is its own and alive.
        unsafe { ffi::sws_freeContext(self.pointer.as_ptr()) }
    }
}

/// Converts a frame on the context's threads.
///
/// # Safety
/// The context is initialised for frames such as these, which are alive and have buffers.
#[allow(unsafe_code)]
unsafe fn scale_frame(
    context: *mut ffi::SwsContext,
    to: *mut ffi::AVFrame,
    from: *const ffi::AVFrame,
) -> c_int {
    // Where FFmpeg's headers have the function, it hides the stand-in below: names of a block come before those around it.
    use ffi::*;
    let context: *mut SwsContext = context;
    // SAFETY: the caller's promise.
    unsafe { sws_scale_frame(context, to, from) }
}

/// FFmpeg before 5.0 has no function of this name. It knows no threads either, so that none asks for it.
#[allow(dead_code, unsafe_code)]
unsafe fn sws_scale_frame(
    _: *mut ffi::SwsContext,
    _: *mut ffi::AVFrame,
    _: *const ffi::AVFrame,
) -> c_int {
    Error::Bug.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::av::software::scaling;

    const FORMATS: [Pixel; 28] = [
        Pixel::YUV420P,
        Pixel::YUVJ420P,
        Pixel::NV12,
        Pixel::NV21,
        Pixel::YUV422P,
        Pixel::YUVJ422P,
        Pixel::YUV444P,
        Pixel::YUV440P,
        Pixel::YUV411P,
        Pixel::YUV410P,
        Pixel::YUYV422,
        Pixel::UYVY422,
        Pixel::YUV420P10LE,
        Pixel::YUV422P10LE,
        Pixel::YUV444P12LE,
        Pixel::P010LE,
        Pixel::YUVA420P,
        Pixel::YUVA444P10LE,
        Pixel::RGB24,
        Pixel::BGR24,
        Pixel::BGRA,
        Pixel::RGB565LE,
        Pixel::RGB48LE,
        Pixel::GBRP,
        Pixel::GBRP10LE,
        Pixel::GBRAP,
        Pixel::PAL8,
        Pixel::YA8,
    ];

    /// A frame of noise within the range of its samples.
    fn noise(format: Pixel, width: u32, height: u32) -> frame::Video {
        let mut frame = frame::Video::new(format, width, height);
        let name = format.descriptor().unwrap().name();
        // Of samples of 16 bits the upper byte holds so many; P010 has its own in the upper bits.
        let upper = [("p10le", 0x03), ("p12le", 0x0f)]
            .iter()
            .find(|(end, _)| name.ends_with(end))
            .map_or(0xff, |(_, mask)| *mask);
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        for plane in 0..frame.planes() {
            for (at, byte) in frame.data_mut(plane).iter_mut().enumerate() {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                *byte = (state >> 32) as u8 & if at % 2 == 1 { upper } else { 0xff };
            }
        }
        frame
    }

    fn target_of(format: Pixel) -> Pixel {
        if Content::of(format.descriptor().unwrap()).has_alpha {
            Pixel::RGBA
        } else {
            Pixel::RGB24
        }
    }

    fn rows(frame: &frame::Video) -> Vec<u8> {
        let bytes = if frame.format() == Pixel::RGBA { 4 } else { 3 } * frame.width() as usize;
        frame
            .data(0)
            .chunks(frame.stride(0))
            .take(frame.height() as usize)
            .flat_map(|row| row[..bytes].to_vec())
            .collect()
    }

    /// As FFmpeg's bindings convert, on one thread.
    #[allow(unsafe_code)]
    fn plain(frame: &frame::Video, target: Pixel) -> Vec<u8> {
        let (width, height) = (frame.width(), frame.height());
        let mut context =
            scaling::Context::get(frame.format(), width, height, target, width, height, FLAGS)
                .unwrap();
        // SAFETY: the context is alive.
        set_colours(
            NonNull::new(unsafe { context.as_mut_ptr() }).unwrap(),
            Kind::of(frame),
        );
        let mut output = frame::Video::empty();
        context.run(frame, &mut output).unwrap();
        rows(&output)
    }

    #[test]
    fn threads_change_no_byte() {
        crate::av::init().unwrap();
        for format in FORMATS {
            for (width, height) in [(64, 48), (33, 17), (101, 77), (3, 130), (322, 181), (17, 1)] {
                let (frame, target) = (noise(format, width, height), target_of(format));
                let expected = plain(&frame, target);
                for threads in [1, 2, 5, 16] {
                    let mut scaler = Scaler::new(Kind::of(&frame), target, threads).unwrap();
                    // Twice, since a context is kept.
                    for _ in 0..2 {
                        let found = rows(scaler.run(&frame).unwrap());
                        assert!(
                            found == expected,
                            "{format:?}, {width}×{height}, {threads} threads"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_frame_of_another_kind_is_refused() {
        let mut scaler =
            Scaler::new(Kind::of(&noise(Pixel::YUV420P, 64, 48)), Pixel::RGB24, 2).unwrap();
        for other in [noise(Pixel::YUV422P, 64, 48), noise(Pixel::YUV420P, 64, 50)] {
            assert!(scaler.run(&other).is_err());
        }
        assert!(scaler.run(&noise(Pixel::YUV420P, 64, 48)).is_ok());
    }

    #[test]
    fn small_pictures_take_one_thread_and_no_picture_more_than_asked_for() {
        assert_eq!(threads_for(Size::new(64, 48), 8), 1);
        assert_eq!(threads_for(Size::new(512, 512), 8), 4);
        assert_eq!(threads_for(Size::new(1920, 1080), 8), 8);
        assert_eq!(threads_for(Size::new(1920, 1080), 1), 1);
        assert_eq!(threads_for(Size::new(1 << 14, 1 << 14), 1000), MAX_THREADS);
        assert!(threads_for(Size::new(1920, 1080), 0) >= 1);
    }
}
