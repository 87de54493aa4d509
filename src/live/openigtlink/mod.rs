//! OpenIGTLink as input and output of a live loop: 3D Slicer, PLUS and their like.

mod address;
mod error;
mod frame_clock;
mod geometry;
mod inbox;
mod input;
mod input_options;
mod label_map;
mod link;
mod output;
mod output_options;
mod picture;
mod report;
mod sending;
mod stated;

pub use address::{IgtlAddress, IgtlAddressError};
pub use error::IgtlError;
pub use input::IgtlInput;
pub use input_options::IgtlInputOptions;
pub use output::IgtlOutput;
pub use output_options::{DeviceNames, IgtlOutputOptions, MaskValues, PictureSent};

#[cfg(test)]
mod tests;
