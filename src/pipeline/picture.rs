//! A frame's pixels on the models' device, and back on the host for outputs that show them.

use super::ModelError;
use crate::{
    engine::{Engine, Stage, Surface},
    frame::{Channels, DevicePicture, Frame, Image, Pixels},
    ops,
    sources::VideoPicture,
};
use candle_core::Tensor;

/// A frame's picture where the models can read it.
pub(super) enum Picture<'a> {
    /// `[H, W, 1 or 3]` u8.
    Tensor(Tensor),
    /// As the device decoded it.
    Surface(&'a Surface),
}

/// The frame's picture on the device. Pixels of the host are uploaded; decoded ones of the device stay where they are.
///
/// # Errors
/// [`ModelError`] if its pixels were given up or the device has no memory for them.
pub(super) fn on_device<'a>(engine: &Engine, frame: &'a Frame) -> Result<Picture<'a>, ModelError> {
    match &frame.pixels {
        Pixels::Device(picture) => match surface(&**picture) {
            Some(surface) => Ok(Picture::Surface(surface)),
            None => Ok(Picture::Tensor(upload(engine, frame)?)),
        },
        _ => Ok(Picture::Tensor(upload(engine, frame)?)),
    }
}

fn surface(picture: &dyn DevicePicture) -> Option<&Surface> {
    picture.as_any().downcast_ref::<VideoPicture>().map(VideoPicture::surface)
}

/// The frame's picture `[H, W, 1 or 3]` u8 on the device, from the host.
fn upload(engine: &Engine, frame: &Frame) -> Result<Tensor, ModelError> {
    let (size, image) = (frame.size(), frame.image()?);
    let shape = [size.height as usize, size.width as usize, image.channels().count()];
    Ok(engine.upload_u8(Stage::Decode, image.data(), &shape)?)
}

/// Lets a frame go on without its surface, which goes back to the decoder when the device has read it: for outputs that show the
/// pixels they are brought to the host, by one announced copy.
///
/// # Errors
/// [`ModelError`] if the device failed.
pub(super) fn settle(engine: Option<&Engine>, frame: &mut Frame, is_shown: bool) -> Result<(), ModelError> {
    let Pixels::Device(picture) = &frame.pixels else { return Ok(()) };
    let size = picture.size();
    let settled = match (engine, surface(&**picture)) {
        (Some(engine), Some(surface)) if is_shown => {
            let rgb = ops::surface_to_rgb(surface).map_err(ModelError::op("pixels of a decoded frame"))?;
            let data = engine.download_u8(Stage::Sink, &rgb)?;
            Image::new(size, Channels::Rgb, data).map_or(Pixels::Dropped(size), Pixels::from)
        }
        _ => Pixels::Dropped(size),
    };
    frame.pixels = settled;
    Ok(())
}
