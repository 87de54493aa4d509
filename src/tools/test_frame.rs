//! Frames to time and compare models on, made without an input.

use crate::{
    frame::{Channels, Frame, Image, SourceInfo, SourceKind},
    geometry::Size,
};
use std::sync::Arc;

/// A frame of 1920×1080 colour pixels with edges and gradients, for timing without an input.
pub fn test_frame() -> Frame {
    test_frame_of(Size::new(1920, 1080))
}

/// The RGB bytes of [`test_frame_of`], row by row.
pub(super) fn test_pixels(size: Size) -> Vec<u8> {
    let [width, height] = [size.width, size.height].map(|side| side as usize);
    let pixel = |i: usize| {
        let (x, y) = (i % width, i / width);
        [
            (x * 255 / (width - 1)) as u8,
            (y * 255 / (height - 1)) as u8,
            if (x / 60 + y / 60) % 2 == 0 { 40 } else { 200 },
        ]
    };
    (0..size.pixels() as usize).flat_map(pixel).collect()
}

/// [`test_frame`] in another size, both sides more than 1 pixel.
pub(super) fn test_frame_of(size: Size) -> Frame {
    let data = test_pixels(size);
    let info = SourceInfo {
        ordinal: 0,
        path: "test frame".into(),
        name: "test-frame".into(),
        kind: SourceKind::Image,
        folder: None,
        frame_count: Some(1),
        frame_rate: None,
        attributes: Default::default(),
    };
    // The length is that of the size by construction.
    let image = Image::new(size, Channels::Rgb, data)
        .unwrap_or_else(|| unreachable!("three bytes a pixel"));
    Frame {
        source: Arc::new(info),
        index: 0,
        timestamp: None,
        file: None,
        pixels: image.into(),
        physical: None,
        exif_orientation: None,
        stored: None,
    }
}
