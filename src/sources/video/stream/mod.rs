//! Streams: network addresses and devices, whose frames arrive at a pace of their own.

mod address;
mod connection;
mod options;
mod reader;
#[cfg(test)]
mod tests;
mod watch;

pub use address::{StreamAddress, StreamAddressError, without_secrets};
pub use options::StreamOptions;
pub use reader::{StreamReader, StreamStep};
