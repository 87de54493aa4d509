//! Initialisation of FFmpeg, once a process.

use super::damage;
use std::sync::Once;
use video_rs::ffmpeg;

/// Initialises FFmpeg and routes its log: from then on FFmpeg, its decoders and its encoders print nothing, and errors of a decoder reach
/// its [`super::DamageListener`]. Every use of FFmpeg starts with it; calls after the first return at once.
pub(crate) fn init() {
    static READY: Once = Once::new();
    READY.call_once(|| {
        // Registers nothing since FFmpeg 4: it cannot fail.
        let _ = ffmpeg::init();
        ffmpeg::log::set_level(ffmpeg::log::Level::Quiet);
        damage::route_log();
    });
}
