//! A frame to its place in the models' inputs on the device.

use crate::{
    frame::Frame,
    geometry::Size,
    ops::{self, Normalisation},
    session::{
        error::ModelError,
        executor::resident::{captured::CapturedModels, layout::scaled},
        picture::{self, Picture},
        stage::Stage,
    },
};
use candle_core::Tensor;

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
        let (picture, bytes) = match picture::surface_for(&self.primary, frame) {
            Some(surface) => {
                let bytes = if beside.is_empty() {
                    None
                } else {
                    Some(
                        self.uploads
                            .upload(Stage::Decode, beside, &[beside.len()])?,
                    )
                };
                (Picture::Surface(surface), bytes)
            }
            None => {
                let image = picture::on_host(frame)?;
                let (rows, columns) = size.rows_columns();
                let (picture, bytes) = self.upload_pixels(
                    image.data(),
                    &[rows, columns, image.channels().count()],
                    beside,
                )?;
                (Picture::Tensor(picture), bytes)
            }
        };
        self.primary
            .within(Stage::Preprocess, || self.write_inputs(at, &picture, size))?;
        self.uploads.mark_consumed()?;
        Ok(bytes)
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

    /// Preprocesses `picture` into place `at` of the inputs of detector and image encoder.
    pub(super) fn write_inputs(
        &self,
        at: usize,
        picture: &Picture<'_>,
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
            match picture {
                Picture::Tensor(picture) => detector.model().preprocess_to(picture, &place()?)?,
                Picture::Surface(surface) => detector.model().preprocess_surface_to(
                    surface,
                    self.primary.device(),
                    &place()?,
                )?,
            }
        }
        if self.models.segmenter.is_some() {
            let scaled = scaled(size);
            let (by, out) = (&Normalisation::IMAGENET, place()?);
            let made = match picture {
                Picture::Tensor(picture) => ops::resize_normalise_to(picture, scaled, by, &out),
                Picture::Surface(surface) => ops::resize_normalise_surface_to(
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
