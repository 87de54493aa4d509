//! Which streams are decoded on the GPU, and the surfaces of their frames.

use super::{
    VideoOptions,
    frame_kind::Kind,
    input::VideoInput,
    nvdec::{HwDecoderContext, VideoDevice},
};
use crate::{
    av::{codec::Id, format::Pixel, frame},
    engine::{self, Colour, Surface},
};
use image::metadata::Orientation;

/// The device that decodes the stream of `input`, or why none does.
pub(super) fn device_for<'a>(
    input: &VideoInput,
    options: &'a VideoOptions,
) -> Result<&'a VideoDevice, String> {
    let device = options
        .device
        .as_ref()
        .filter(|device| device.is_gpu())
        .ok_or("the run has no CUDA device")?;
    let (codec, format) = input.coded_as();
    if !matches!(codec, Id::H264 | Id::HEVC) {
        return Err(format!(
            "it is coded as {codec:?}, and H.264 and HEVC alone are decoded on the GPU"
        ));
    }
    // A stream whose format the container's header does not tell is left to the decoder to judge.
    if !matches!(format, Pixel::YUV420P | Pixel::YUVJ420P | Pixel::None) {
        let name = format.descriptor().map_or("unknown", |d| d.name());
        return Err(format!(
            "its pixel format is {name}, and 8 bits in 4:2:0 alone are decoded on the GPU"
        ));
    }
    device.open()
}

/// A device, and the tie of a decoder to it. Must outlive the decoder.
pub(super) struct GpuDecoder {
    pub(super) device: VideoDevice,
    context: HwDecoderContext,
}

impl From<(VideoDevice, HwDecoderContext)> for GpuDecoder {
    fn from((device, context): (VideoDevice, HwDecoderContext)) -> Self {
        Self { device, context }
    }
}

impl GpuDecoder {
    /// Whether the decoder left a frame in device memory.
    pub(super) fn has(&self, frame: &frame::Video) -> bool {
        self.context.is_on_device(frame)
    }

    /// Whether the device refused the stream.
    pub(super) fn was_refused(&self) -> bool {
        self.context.refusal().is_some()
    }

    /// The reason why a frame is in host memory; `None` if it is on the device.
    pub(super) fn refusal(&self, frame: &frame::Video) -> Option<String> {
        if self.has(frame) {
            return None;
        }
        let unknown = || "the device did not decode it".to_owned();
        Some(self.context.refusal().unwrap_or_else(unknown))
    }

    /// The surface of a frame in device memory.
    ///
    /// # Errors
    /// What is wrong with the frame.
    pub(super) fn surface(
        &self,
        frame: frame::Video,
        orientation: Orientation,
        max_pixels: u64,
    ) -> Result<Surface, String> {
        let kind = Kind::of(&frame);
        kind.check(max_pixels)?;
        let colour = Colour {
            matrix: kind.matrix(),
            full_range: kind.is_full_range(),
        };
        self.device
            .surface(&self.context, frame, colour, transform(orientation))
            .map_err(|e| e.to_string())
    }
}

/// The same orientation, as kernels apply it.
pub(super) fn transform(orientation: Orientation) -> engine::Orientation {
    let (transposed, mirrored_across, mirrored_down) = match orientation {
        Orientation::NoTransforms => (false, false, false),
        Orientation::FlipHorizontal => (false, true, false),
        Orientation::FlipVertical => (false, false, true),
        Orientation::Rotate180 => (false, true, true),
        Orientation::Rotate90FlipH => (true, false, false),
        Orientation::Rotate90 => (true, true, false),
        Orientation::Rotate270 => (true, false, true),
        Orientation::Rotate270FlipH => (true, true, true),
    };
    engine::Orientation {
        transposed,
        mirrored_across,
        mirrored_down,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        frame::{Channels, Image},
        geometry::Size,
        sources::image::oriented,
    };

    /// Moves each pixel of a 3 × 2 picture as kernels do, and compares with the picture turned on the host.
    #[test]
    fn orientations_are_those_of_the_host() {
        use Orientation as O;
        let all = [
            O::NoTransforms,
            O::FlipHorizontal,
            O::FlipVertical,
            O::Rotate180,
            O::Rotate90,
            O::Rotate270,
            O::Rotate90FlipH,
            O::Rotate270FlipH,
        ];
        for orientation in all {
            let found = transform(orientation);
            let (width, height): (usize, usize) = found.size((3, 2));
            let mut moved = [0u8; 6];
            for value in 0..6u8 {
                let (x, y) = (usize::from(value) % 3, usize::from(value) / 3);
                let (mut x, mut y) = if found.transposed { (y, x) } else { (x, y) };
                if found.mirrored_across {
                    x = width - 1 - x;
                }
                if found.mirrored_down {
                    y = height - 1 - y;
                }
                moved[y * width + x] = value;
            }
            let expected = oriented(
                Image::new(Size::new(3, 2), Channels::Gray, (0..6).collect()).unwrap(),
                orientation,
            );
            assert_eq!(
                (expected.size(), expected.data()),
                (Size::new(width as u32, height as u32), &moved[..]),
                "{orientation:?}"
            );
        }
    }
}
