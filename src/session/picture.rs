//! A frame's pixels on the models' device, and back on the host for outputs that show them.

use crate::{
    engine::{Engine, Surface},
    frame::{Channels, Frame, Image, Pixels, Planes},
    ops,
    session::{error::ModelError, stage::Stage},
};
use candle_core::Tensor;
use std::sync::Arc;

/// A frame's picture where the models can read it.
pub(crate) enum Picture<'a> {
    /// `[H, W, 1 or 3]` u8.
    Tensor(Tensor),
    /// As the device decoded it.
    Surface(&'a Surface),
}

/// The frame's picture on the device of `engine`. What was decoded there stays where it is; pixels of the host, and of another device,
/// are brought up.
///
/// # Errors
/// [`ModelError`] if its pixels were released or the device has no memory for them.
pub(crate) fn on_device<'a>(engine: &Engine, frame: &'a Frame) -> Result<Picture<'a>, ModelError> {
    if let Some(surface) = surface_for(engine, frame) {
        return Ok(Picture::Surface(surface));
    }
    let (size, image) = (frame.size(), on_host(frame)?);
    let shape = [
        size.height as usize,
        size.width as usize,
        image.channels().count(),
    ];
    Ok(Picture::Tensor(engine.upload_u8(
        Stage::Decode,
        image.data(),
        &shape,
    )?))
}

/// The frame's surface, where it is in the memory of `engine`.
pub(crate) fn surface_for<'a>(engine: &Engine, frame: &'a Frame) -> Option<&'a Surface> {
    surface(&frame.pixels).filter(|surface| surface.is_in(engine))
}

fn surface(pixels: &Pixels) -> Option<&Surface> {
    match pixels {
        Pixels::Device(surface) => Some(surface),
        _ => None,
    }
}

/// The frame's picture on the host; one of a device is brought down, by one announced copy that is waited for, and planes are converted.
///
/// # Errors
/// [`ModelError`] if its pixels were released or the device failed.
pub(crate) fn on_host(frame: &Frame) -> Result<Arc<Image>, ModelError> {
    let surface = match &frame.pixels {
        Pixels::Device(surface) => surface,
        Pixels::Planes(planes) => return rgb_of(planes),
        _ => return Ok(frame.image()?.clone()),
    };
    let engine = surface.engine();
    let rgb = ops::surface_to_rgb(surface, engine.device())
        .map_err(ModelError::op("pixels of a decoded frame"))?;
    let data = engine.download_u8(Stage::Write, &rgb)?;
    let image = Image::new(frame.size(), Channels::Rgb, data);
    Ok(Arc::new(
        image.unwrap_or_else(|| unreachable!("three bytes a pixel")),
    ))
}

/// The picture of planes.
fn rgb_of(planes: &Planes) -> Result<Arc<Image>, ModelError> {
    let data =
        ops::yuv_to_rgb(&planes.yuv()).map_err(ModelError::op("pixels of a decoded frame"))?;
    let image = Image::new(planes.size(), Channels::Rgb, data);
    Ok(Arc::new(
        image.unwrap_or_else(|| unreachable!("three bytes a pixel")),
    ))
}

/// Lets a frame go on to the outputs without its surface, which goes back to the decoder when the device has read it, or its planes. Where
/// outputs show the pixels they are brought to the host.
///
/// # Errors
/// As [`on_host`].
pub(crate) fn settle(frame: &mut Frame, is_shown: bool) -> Result<(), ModelError> {
    if matches!(frame.pixels, Pixels::Device(_) | Pixels::Planes(_)) {
        frame.pixels = if is_shown {
            on_host(frame)?.into()
        } else {
            Pixels::Released(frame.size())
        };
    }
    Ok(())
}
