//! Initialisation of FFmpeg, once a process.

#[cfg(ffmpeg_at_first_call)]
use super::load;
use super::{damage, unavailable::FfmpegUnavailable};
use std::sync::Once;
use video_rs::ffmpeg;

/// Loads FFmpeg, initialises it and routes its log: from then on FFmpeg, its decoders and its encoders print nothing, and errors of a
/// decoder reach its [`super::DamageListener`]. Every use of FFmpeg starts with it; calls after the first return at once.
///
/// # Errors
/// A library that cannot be loaded, where they are loaded while the program runs.
pub(crate) fn init() -> Result<(), FfmpegUnavailable> {
    static READY: Once = Once::new();
    #[cfg(ffmpeg_at_first_call)]
    load::load_codecs()?;
    READY.call_once(|| {
        // All that FFmpeg's bindings need: formats and codecs register themselves since FFmpeg 4.
        ffmpeg::util::error::register_all();
        ffmpeg::log::set_level(ffmpeg::log::Level::Quiet);
        damage::route_log();
    });
    Ok(())
}

/// The same, with the devices that FFmpeg reads.
///
/// # Errors
/// As [`init`]; the libraries of devices are more than all others together.
pub(super) fn init_devices() -> Result<(), FfmpegUnavailable> {
    static READY: Once = Once::new();
    init()?;
    #[cfg(ffmpeg_at_first_call)]
    load::load_devices()?;
    READY.call_once(ffmpeg::device::register_all);
    Ok(())
}
