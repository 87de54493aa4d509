//! A frame's pixels on the models' device.

use super::ModelError;
use crate::{
    engine::{Engine, Stage},
    frame::Frame,
};
use candle_core::Tensor;

/// The frame's picture `[H, W, 1 or 3]` u8 on the device.
///
/// # Errors
/// [`ModelError`] if its pixels are not in host memory or the device has no memory for them.
pub(super) fn upload(engine: &Engine, frame: &Frame) -> Result<Tensor, ModelError> {
    let (size, image) = (frame.size(), frame.image()?);
    let shape = [size.height as usize, size.width as usize, image.channels().count()];
    Ok(engine.upload_u8(Stage::Decode, image.data(), &shape)?)
}
