//! Decoding threads: each takes the next source, or part of one, and sends its frames.

mod dealer;
mod decoder;
mod opening;
#[cfg(test)]
mod tests;

pub(crate) use dealer::Dealer;
pub(crate) use decoder::Decoder;
pub(crate) use opening::{Opener, Units, one_ahead};
