//! A decoder, and the pictures of the frames that it gives.

use super::{
    VideoOptions, display_matrix,
    gpu::{GpuDecoder, transform},
    input::{Facts, Opened, VideoInput, unequal},
    nvdec::VideoDevice,
    pixels::Converter,
    planes::planes_of,
};
use crate::{
    av::{
        DamageListener,
        decoder::Video,
        frame::{self, side_data},
    },
    frame::Pixels,
    sources::{SourceError, image::oriented},
};
use image::metadata::Orientation;
use std::{
    mem,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A decoder of a stream, with the frame that it gave last.
pub(super) struct FrameDecoder {
    pub(super) decoder: Video,
    /// The tie to the device it decodes on; after the decoder, which must be dropped first.
    gpu: Option<GpuDecoder>,
    /// Listens for damage, if the decoder stops at the first.
    pub(super) listener: Option<DamageListener>,
    pub(super) frame: frame::Video,
    converter: Converter,
    /// Whether frames stay planes where they can.
    planes: bool,
    max_pixels: u64,
    facts: Facts,
    path: PathBuf,
}

impl FrameDecoder {
    /// A decoder of the stream of `input` on `device`, or on the CPU if none is given.
    ///
    /// # Errors
    /// As [`VideoInput::decoder`].
    pub(super) fn new(
        path: &Path,
        input: &VideoInput,
        options: &VideoOptions,
        device: Option<&VideoDevice>,
        listens: bool,
    ) -> Result<Self, SourceError> {
        let Opened {
            decoder,
            hardware,
            damage,
        } = input.decoder(path, options, device, listens)?;
        Ok(Self {
            decoder,
            gpu: device.cloned().zip(hardware).map(GpuDecoder::from),
            listener: damage,
            frame: frame::Video::empty(),
            converter: Converter::new(options.max_pixels, options.threads),
            planes: options.planes,
            max_pixels: options.max_pixels,
            facts: *input.facts(),
            path: path.to_owned(),
        })
    }

    /// The device it decodes on.
    pub(super) fn device(&self) -> Option<&VideoDevice> {
        self.gpu.as_ref().map(|gpu| &gpu.device)
    }

    /// The reason why the frame is in host memory; `None` if the decoder has no device, or it is there.
    pub(super) fn refusal(&self) -> Option<String> {
        self.gpu.as_ref()?.refusal(&self.frame)
    }

    /// Whether the device refused the stream.
    pub(super) fn was_refused(&self) -> bool {
        self.gpu.as_ref().is_some_and(GpuDecoder::was_refused)
    }

    /// Whether the decoder marked the frame as damaged.
    pub(super) fn has_damaged_frame(&self) -> bool {
        self.frame.is_corrupt() || self.frame.has_decode_errors()
    }

    /// The pixels of the frame, which has the number `index`. Those on a device are moved out: a second call fails.
    ///
    /// # Errors
    /// [`SourceError`] if the frame is too large, cannot be converted, or the device failed.
    pub(super) fn picture(&mut self, index: u64) -> Result<Pixels, SourceError> {
        let orientation = self.orientation();
        let wrong = |problem| SourceError::new(&self.path, problem).at(index);
        match &self.gpu {
            Some(gpu) if gpu.has(&self.frame) => {
                let frame = mem::replace(&mut self.frame, frame::Video::empty());
                let surface = gpu
                    .surface(frame, orientation, self.max_pixels)
                    .map_err(wrong)?;
                Ok(Pixels::Device(Arc::new(surface)))
            }
            _ => {
                if self.planes {
                    let planes = planes_of(&self.frame, transform(orientation), self.max_pixels)
                        .map_err(wrong)?;
                    if let Some(planes) = planes {
                        return Ok(Pixels::Planes(Arc::new(planes)));
                    }
                }
                let image = self.converter.convert(&self.frame).map_err(wrong)?;
                Ok(oriented(image, orientation).into())
            }
        }
    }

    /// The orientation that makes the frame upright.
    fn orientation(&self) -> Orientation {
        let matrix = self.frame.side_data(side_data::Type::DisplayMatrix);
        matrix.map_or(self.facts.orientation, |data| {
            display_matrix::orientation(data.data())
        })
    }

    /// Width and height of a pixel of the upright frame, in relation: as the container states, else as the stream does.
    pub(super) fn pixel_aspect(&self) -> Option<[u32; 2]> {
        let ratio = self.frame.aspect_ratio();
        let [width, height] = self
            .facts
            .pixel_aspect
            .or_else(|| unequal(ratio.numerator(), ratio.denominator()))?;
        let is_transposed = display_matrix::is_transposed(self.orientation());
        Some(if is_transposed {
            [height, width]
        } else {
            [width, height]
        })
    }
}
