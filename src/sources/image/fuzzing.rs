//! What the fuzzer runs of still images.

use super::{ImageOptions, ImageSource, jpeg};
use crate::{
    dicom::Window,
    frame::SourceKind,
    sources::{Source, SourceSpec},
};
use std::{fs, path::Path};

const MAX_PIXELS: u64 = 1 << 16;

fn images(data: &[u8], path: &Path) {
    fs::write(path, data).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let spec = SourceSpec {
        path: path.to_owned(),
        kind: SourceKind::Image,
        files: Vec::new(),
        name: "image".to_owned(),
        folder: None,
    };
    let options = ImageOptions {
        max_pixels: MAX_PIXELS,
        window: Window::default(),
    };
    let Ok(mut source) = ImageSource::open(&spec, 0, &options) else {
        return;
    };
    let stated = source.info().frame_count.unwrap_or_default();
    let mut frames = 0;
    // Damaged pages are errors of their own; after the last there is nothing more.
    for _ in 0..stated.saturating_add(2).min(16) {
        match source.next_frame() {
            Ok(Some(frame)) => {
                frames += 1;
                assert!(frame.size().pixels() <= MAX_PIXELS, "{}", frame.size());
            }
            Ok(None) => break,
            Err(_) => {}
        }
    }
    assert!(frames <= stated, "{frames} frames of {stated}");
}

/// A TIFF file, its first pages decoded.
pub(crate) fn tiff(data: &[u8], folder: &Path) {
    if data.starts_with(b"II") || data.starts_with(b"MM") {
        images(data, &folder.join("image.tif"));
    }
}

/// An animated PNG or WebP file, its first frames decoded.
pub(crate) fn animation(data: &[u8], folder: &Path) {
    if data.starts_with(b"\x89PNG") || data.starts_with(b"RIFF") {
        images(data, &folder.join("animation"));
    }
}

/// A JPEG file and its markers: what comes out whole is whole.
pub(crate) fn jpeg(data: &[u8], _: &Path) {
    if !data.starts_with(b"\xff\xd8") {
        return;
    }
    if let Ok(whole) = jpeg::whole(data.to_vec(), MAX_PIXELS) {
        assert!(whole.len() <= data.len() + 2);
        assert_eq!(jpeg::whole(whole.clone(), MAX_PIXELS).as_ref(), Ok(&whole));
    }
}
