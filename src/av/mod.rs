//! FFmpeg: its bindings, which no other module takes from video-rs, its libraries, and the state that it keeps once a process.
//!
//! video-rs's own decoder scales every frame with one colour matrix, drops errors and cannot read from memory; the program
//! uses the bindings below it (`video_rs::ffmpeg`).

mod damage;
mod hardware;
mod init;
#[cfg(ffmpeg_at_first_call)]
mod load;
mod stream;
mod unavailable;

pub(crate) use damage::DamageListener;
pub(crate) use hardware::hardware_decoders;
pub(crate) use init::init;
pub(crate) use stream::{StreamAddress, has_protocol, init_for, open_stream};
pub use unavailable::FfmpegUnavailable;
pub(crate) use video_rs::ffmpeg::{
    Codec, Dictionary, Error, Packet, Rational, Stream, codec, decoder, encoder, error, ffi,
    format, frame, media, software, util,
};
