//! Animated WebP.

use super::decode::{composite_over_black, too_large};
use crate::{
    frame::{Channels, Image},
    geometry::Size,
    sources::SourceError,
};
use image_webp::WebPDecoder;
use std::{fs::File, io::BufReader, path::Path, time::Duration};

/// The frames of an animation, composed on its canvas. What is transparent there is black.
pub(super) struct WebpAnimation {
    decoder: WebPDecoder<BufReader<File>>,
    size: Size,
    canvas: Vec<u8>,
    elapsed: Duration,
}

impl WebpAnimation {
    /// Opens the file; none if it is a still image.
    pub(super) fn open(path: &Path, max_pixels: u64) -> Result<Option<Self>, SourceError> {
        let failed = |e: image_webp::DecodingError| SourceError::new(path, format!("cannot be decoded: {e}"));
        let file = File::open(path).map_err(|e| SourceError::new(path, format!("cannot be read: {e}")))?;
        let mut decoder = WebPDecoder::new(BufReader::new(file)).map_err(failed)?;
        if !decoder.is_animated() {
            return Ok(None);
        }
        let (width, height) = decoder.dimensions();
        let size = Size::new(width, height);
        if size.pixels() > max_pixels {
            return Err(too_large(path, &format!("the animation of {size} pixels"), max_pixels));
        }
        decoder.set_memory_limit(usize::try_from(max_pixels.saturating_mul(8)).unwrap_or(usize::MAX));
        decoder.set_background_color([0, 0, 0, 0]).map_err(failed)?;
        let bytes = decoder.output_buffer_size().ok_or_else(|| too_large(path, "the animation", max_pixels))?;
        Ok(Some(Self { decoder, size, canvas: vec![0; bytes], elapsed: Duration::ZERO }))
    }

    pub(super) fn frame_count(&self) -> u64 {
        u64::from(self.decoder.num_frames())
    }

    /// The next frame and when it is shown.
    pub(super) fn next(&mut self, path: &Path) -> Result<(Image, Duration), SourceError> {
        let milliseconds =
            self.decoder.read_frame(&mut self.canvas).map_err(|e| SourceError::new(path, format!("cannot be decoded: {e}")))?;
        let data = if self.decoder.has_alpha() { composite_over_black(&self.canvas, 4) } else { self.canvas.clone() };
        let image = Image::new(self.size, Channels::Rgb, data).ok_or_else(|| SourceError::new(path, "has an empty canvas"))?;
        let at = self.elapsed;
        self.elapsed += Duration::from_millis(u64::from(milliseconds));
        Ok((image, at))
    }
}
