//! FFmpeg: its bindings, which no other module takes from video-rs, and the state that FFmpeg keeps once a process.
//!
//! video-rs's own decoder scales every frame with one colour matrix, drops errors and cannot read from memory; the program
//! uses the bindings below it (`video_rs::ffmpeg`).

mod damage;
mod hardware;
mod init;
mod stream;

pub(crate) use damage::DamageListener;
pub(crate) use hardware::hardware_decoders;
pub(crate) use init::init;
pub(crate) use stream::{StreamAddress, has_protocol, open_stream};
pub(crate) use video_rs::ffmpeg::{
    Codec, Dictionary, Error, Packet, Rational, Stream, codec, decoder, encoder, error, ffi,
    format, frame, media, software, util,
};
