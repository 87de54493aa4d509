//! Decoders of encapsulated and native frames.

mod decode;
mod decoded;
mod header;
mod jpeg;
mod jpeg2000;
mod jpeg_ls;
mod native;
mod rle;

pub(super) use decode::decode;
pub(super) use decoded::{Colour, Decoded};
#[cfg(any(test, fuzzing))]
pub(super) use header::check_header;
pub(super) use native::unpack;
