//! Still images: PNG, JPEG, TIFF, BMP, WebP. Files of several images (pages of a TIFF, animated WebP and PNG) give a frame
//! for each.

mod apng;
mod decode;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod grey;
mod jpeg;
mod picture;
mod pixels;
mod source;
mod tiff;
mod webp_animation;

pub(super) use decode::decode_file;
pub use decode::decode_image;
pub(crate) use grey::{display_colour_16, display_grey_16, display_grey_i16};
pub use picture::ImageOptions;
pub(super) use pixels::{composite_over_black, oriented, to_8_bit};
pub use source::ImageSource;
