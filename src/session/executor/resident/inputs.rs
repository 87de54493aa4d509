//! A frame to its place in the models' inputs on the device.

use crate::{
    engine::Yuv,
    frame::{Frame, Pixels},
    geometry::Size,
    ops::{self, Normalisation},
    session::{
        error::ModelError,
        executor::resident::{captured::CapturedModels, masks::scaled},
        picture::{self, Picture},
        stage::Stage,
    },
};
use candle_core::Tensor;

/// What fills the models' inputs.
pub(super) enum Input<'a> {
    Picture(Picture<'a>),
    /// Planes of YCbCr on the device.
    Planes(Yuv<&'a Tensor>),
}

impl CapturedModels {
    /// Uploads `frame` and preprocesses it into place `at` of the models' inputs; the bytes `beside` go up in the same
    /// transfer and are returned as a u8 tensor on the device, `None` if there are none.
    pub(super) fn upload_frame(
        &mut self,
        at: usize,
        frame: &Frame,
        beside: &[u8],
    ) -> Result<Option<Tensor>, ModelError> {
        let size = frame.size();
        let (rows, columns) = size.rows_columns();
        let bytes = if let Some(surface) = picture::surface_for(&self.primary, frame) {
            let bytes = match beside {
                [] => None,
                _ => Some(
                    self.uploads
                        .upload(Stage::Decode, beside, &[beside.len()])?,
                ),
            };
            self.fill(at, &Input::Picture(Picture::Surface(surface)), size)?;
            bytes
        } else if let Pixels::Planes(planes) = &frame.pixels {
            let (data, yuv) = (planes.data(), planes.yuv());
            let (both, bytes) = self.upload_pixels(data, &[data.len()], beside)?;
            let plane = |from: usize, length: usize| {
                both.narrow(0, from, length)
                    .map_err(ModelError::op("planes of a frame"))
            };
            let planes = Yuv {
                luma: &plane(0, yuv.luma.len())?,
                chroma: &plane(yuv.luma.len(), yuv.chroma.len())?,
                width: yuv.width,
                height: yuv.height,
                format: yuv.format,
                colour: yuv.colour,
                orientation: yuv.orientation,
            };
            self.fill(at, &Input::Planes(planes), size)?;
            bytes
        } else {
            let image = picture::on_host(frame)?;
            let shape = [rows, columns, image.channels().count()];
            let (picture, bytes) = self.upload_pixels(image.data(), &shape, beside)?;
            self.fill(at, &Input::Picture(Picture::Tensor(picture)), size)?;
            bytes
        };
        self.uploads.mark_consumed()?;
        Ok(bytes)
    }

    fn fill(&self, at: usize, input: &Input<'_>, size: Size) -> Result<(), ModelError> {
        self.primary
            .within(Stage::Preprocess, || self.write_inputs(at, input, size))
    }

    /// Uploads a picture of `shape` (u8) and the bytes `beside` in one transfer.
    fn upload_pixels(
        &mut self,
        pixels: &[u8],
        shape: &[usize],
        beside: &[u8],
    ) -> Result<(Tensor, Option<Tensor>), ModelError> {
        if beside.is_empty() {
            return Ok((self.uploads.upload(Stage::Decode, pixels, shape)?, None));
        }
        let all = [pixels, beside].concat();
        let both = self.uploads.upload(Stage::Decode, &all, &[all.len()])?;
        let part = |from: usize, length: usize| {
            both.narrow(0, from, length)
                .map_err(ModelError::op("upload"))
        };
        let picture = part(0, pixels.len())?
            .reshape(shape)
            .map_err(ModelError::op("upload"))?;
        Ok((picture, Some(part(pixels.len(), beside.len())?)))
    }

    /// Preprocesses `input` into place `at` of the inputs of detector and image encoder.
    pub(super) fn write_inputs(
        &self,
        at: usize,
        input: &Input<'_>,
        size: Size,
    ) -> Result<(), ModelError> {
        let mut inputs = self.forward.inputs().iter();
        let mut place = || {
            inputs
                .next()
                .ok_or(ModelError::NoModels)?
                .narrow(0, at, 1)
                .map_err(ModelError::op("preprocessing"))
        };
        if let Some(detector) = self.models.detector.clone() {
            let model = detector.model();
            match input {
                Input::Picture(Picture::Tensor(picture)) => {
                    model.preprocess_to(picture, &place()?)?
                }
                Input::Picture(Picture::Surface(surface)) => {
                    model.preprocess_surface_to(surface, self.primary.device(), &place()?)?
                }
                Input::Planes(planes) => {
                    let config = model.config();
                    let (to, by) = (config.input_size.rows_columns(), &config.normalisation);
                    ops::resize_normalise_yuv_to(planes, to, by, &place()?)
                        .map_err(ModelError::op("preprocessing"))?
                }
            }
        }
        if self.models.segmenter.is_some() {
            let scaled = scaled(size);
            let (by, out) = (&Normalisation::IMAGENET, place()?);
            let made = match input {
                Input::Picture(Picture::Tensor(picture)) => {
                    ops::resize_normalise_to(picture, scaled, by, &out)
                }
                Input::Planes(planes) => ops::resize_normalise_yuv_to(planes, scaled, by, &out),
                Input::Picture(Picture::Surface(surface)) => ops::resize_normalise_surface_to(
                    surface,
                    self.primary.device(),
                    scaled,
                    by,
                    &out,
                ),
            };
            made.map_err(ModelError::op("preprocessing"))?;
        }
        Ok(())
    }
}
