//! `images/`: the pictures that annotations refer to, in the tree of the inputs.

use crate::{
    frame::{Detections, Frame, SourceInfo, SourceKind},
    sinks::{
        atomic_file::create_parent, error::SinkError, image_writer::ImageWriter,
        images_mode::ImagesMode, layout::Layout, png_file::write_image, sink::Sink,
    },
};
use std::{fs, io, path::Path, sync::Arc};

/// Pictures under the names that [`Layout::image_name`] gives them.
#[derive(Debug)]
pub struct ImagesSink {
    layout: Layout,
    writer: ImageWriter,
    mode: ImagesMode,
}

impl ImagesSink {
    /// A sink that writes through `writer`.
    pub fn new(layout: Layout, writer: ImageWriter, mode: ImagesMode) -> Self {
        Self {
            layout,
            writer,
            mode,
        }
    }
}

impl Sink for ImagesSink {
    fn begin_source(&mut self, _: &Arc<SourceInfo>) -> Result<(), SinkError> {
        Ok(())
    }

    fn write(&mut self, frame: &Frame, _: &Detections) -> Result<(), SinkError> {
        let (source, file) = (&frame.source, frame.file.as_deref());
        let name = Layout::image_name(source, frame.index, file);
        let path = self.layout.images().join(name);
        let original = match source.kind {
            SourceKind::Image => Some(&*source.path),
            SourceKind::Sequence => file,
            SourceKind::Video | SourceKind::Dicom => None,
        };
        // What came on standard input, or was renamed, has no file under its name: its pixels are written. Those of a turned
        // picture are written too, as not every reader turns it.
        let as_stored = frame.exif_orientation.is_none();
        if let Some(original) = original.filter(|original| as_stored && original.is_file()) {
            let (original, mode) = (original.to_owned(), self.mode);
            return self
                .writer
                .submit(move || place_original(&original, &path, mode));
        }
        let image = frame
            .image()
            .map_err(|e| SinkError::new(&path, e.to_string()))?;
        let image = Arc::clone(image);
        self.writer.submit(move || write_image(&path, &image))
    }

    fn end_source(&mut self, _: &Arc<SourceInfo>) -> Result<(), SinkError> {
        self.writer.wait()
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.writer.wait()
    }
}

/// Makes `path` a link to the file `original`, or a copy of it.
///
/// # Errors
/// [`SinkError`] if that cannot be done.
pub(crate) fn place_original(
    original: &Path,
    path: &Path,
    mode: ImagesMode,
) -> Result<(), SinkError> {
    create_parent(path)?;
    let temporary = Layout::temporary(path);
    let made = match mode {
        ImagesMode::None => return Ok(()),
        ImagesMode::Link => fs::canonicalize(original).and_then(|target| {
            if fs::read_link(path).is_ok_and(|there| there == target) {
                return Ok(false);
            }
            match fs::remove_file(&temporary) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            link(&target, &temporary).map(|()| true)
        }),
        ImagesMode::Copy => fs::copy(original, &temporary).map(|_| true),
    };
    let named = made.and_then(|new| {
        if new {
            fs::rename(&temporary, path)
        } else {
            Ok(())
        }
    });
    named.map_err(|e| {
        let _ = fs::remove_file(&temporary);
        let what = format!(
            "{} {}",
            if mode == ImagesMode::Link {
                "link to"
            } else {
                "copy"
            },
            original.display()
        );
        let error = SinkError::io(path, &what, &e);
        match mode {
            ImagesMode::Link => error.with_remedy("copy the pictures where links cannot be made"),
            _ => error,
        }
    })
}

#[cfg(unix)]
fn link(target: &Path, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(windows)]
fn link(target: &Path, path: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        frame::{Channels, Image},
        geometry::Size,
    };

    #[test]
    fn a_still_that_exif_turns_is_written_upright_instead_of_linked() {
        let dir = tempfile::tempdir().unwrap();
        let writer = ImageWriter::new(dir.path(), 1).unwrap();
        let mut sink = ImagesSink::new(Layout::new(dir.path()), writer, ImagesMode::Link);
        for (name, exif_orientation) in [("as-stored.jpg", None), ("turned.jpg", Some(6))] {
            let original = dir.path().join(name);
            fs::write(&original, "the file").unwrap();
            let source = Arc::new(SourceInfo {
                ordinal: 0,
                path: original.clone(),
                name: name.trim_end_matches(".jpg").to_owned(),
                kind: SourceKind::Image,
                folder: None,
                frame_count: Some(1),
                frame_rate: None,
                attributes: Default::default(),
            });
            let pixels = Image::new(Size::new(2, 3), Channels::Gray, (0..6).collect()).unwrap();
            let mut frame = Frame::new(Arc::clone(&source), 0, pixels.clone());
            frame.exif_orientation = exif_orientation;
            sink.begin_source(&source).unwrap();
            sink.write(&frame, &Detections::new(frame.size(), Vec::new()))
                .unwrap();
            sink.end_source(&source).unwrap();
            let path = dir.path().join("images").join(name);
            assert_eq!(path.is_symlink(), exif_orientation.is_none(), "{name}");
            let bytes = fs::read(path).unwrap();
            match exif_orientation {
                None => assert_eq!(bytes, b"the file"),
                Some(_) => {
                    let read = image::load_from_memory(&bytes).unwrap();
                    assert_eq!(read.as_bytes(), pixels.data());
                }
            }
        }
        sink.finish().unwrap();
    }
}
