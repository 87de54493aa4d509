//! Animated WebP.

use super::{error::too_large, pixels::composite_over_black};
use crate::{
    frame::{Channels, Image},
    geometry::Size,
    sources::SourceError,
};
use image_webp::WebPDecoder;
use std::{
    fs::File,
    io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom},
    path::Path,
    time::Duration,
};

/// The frames of an animation, composed on its canvas. What is transparent there is black.
pub(super) struct WebpAnimation {
    decoder: WebPDecoder<BufReader<Part>>,
    size: Size,
    canvas: Vec<u8>,
    elapsed: Duration,
    /// What the file ought to have, where it has fewer bytes.
    ending: Option<SourceError>,
}

impl WebpAnimation {
    /// Opens the file; none if it is a still image.
    pub(super) fn open(path: &Path, max_pixels: u64) -> Result<Option<Self>, SourceError> {
        let failed = |e: image_webp::DecodingError| {
            SourceError::new(path, format!("cannot be decoded: {e}"))
        };
        let cannot = |e: io::Error| SourceError::unreadable(path, &e);
        let mut file = File::open(path).map_err(cannot)?;
        let length = file.metadata().map_err(cannot)?.len();
        let (stated, whole) = chunks(&mut BufReader::new(&mut file)).map_err(cannot)?;
        file.rewind().map_err(cannot)?;
        let is_cut = stated > length;
        let early = |rest: &str| {
            SourceError::new(
                path,
                format!("the file ends early: it ought to have {stated} bytes{rest}"),
            )
        };
        let opened = WebPDecoder::new(BufReader::new(Part {
            file,
            at: 0,
            length: whole,
        }));
        let mut decoder = match opened {
            Err(_) if is_cut => return Err(early("")),
            opened => opened.map_err(failed)?,
        };
        if is_cut && !decoder.is_animated() {
            return Err(early(""));
        }
        if !decoder.is_animated() {
            return Ok(None);
        }
        let (width, height) = decoder.dimensions();
        let size = Size::new(width, height);
        if size.pixels() > max_pixels {
            return Err(too_large(
                path,
                &format!("the animation of {size} pixels"),
                max_pixels,
            ));
        }
        decoder.set_background_color([0, 0, 0, 0]).map_err(failed)?;
        let bytes = decoder
            .output_buffer_size()
            .ok_or_else(|| too_large(path, "the animation", max_pixels))?;
        let ending = is_cut.then(|| {
            early(&format!(
                "; the frames after the first {} are missing",
                decoder.num_frames()
            ))
        });
        Ok(Some(Self {
            decoder,
            size,
            canvas: vec![0; bytes],
            elapsed: Duration::ZERO,
            ending,
        }))
    }

    /// What comes after the last frame of a file that was cut short.
    pub(super) fn ending(&self) -> Option<SourceError> {
        self.ending.clone()
    }

    pub(super) fn frame_count(&self) -> u64 {
        u64::from(self.decoder.num_frames())
    }

    /// The next frame and when it is shown.
    pub(super) fn next(&mut self, path: &Path) -> Result<(Image, Duration), SourceError> {
        let milliseconds = self
            .decoder
            .read_frame(&mut self.canvas)
            .map_err(|e| SourceError::new(path, format!("cannot be decoded: {e}")))?;
        let data = if self.decoder.has_alpha() {
            composite_over_black(&self.canvas, 4)
        } else {
            self.canvas.clone()
        };
        let image = Image::new(self.size, Channels::Rgb, data)
            .ok_or_else(|| SourceError::new(path, "has an empty canvas"))?;
        let at = self.elapsed;
        self.elapsed += Duration::from_millis(u64::from(milliseconds));
        Ok((image, at))
    }
}

/// The beginning of a file.
struct Part {
    file: File,
    at: u64,
    length: u64,
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(self.at))
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let read = self.file.read(&mut buffer[..left])?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Part {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
        };
        self.at = self
            .file
            .seek(SeekFrom::Start(at.ok_or(ErrorKind::InvalidInput)?))?;
        Ok(self.at)
    }
}

/// How many bytes the file ought to have by its header, and where its last whole chunk ends.
fn chunks(file: &mut (impl Read + Seek)) -> io::Result<(u64, u64)> {
    let length = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    let mut head = [0; 8];
    let mut read = |file: &mut dyn Read| match file.read_exact(&mut head) {
        Ok(()) => Ok(Some(u64::from(u32::from_le_bytes([
            head[4], head[5], head[6], head[7],
        ])))),
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(e) => Err(e),
    };
    let Some(stated) = read(file)?.map(|size| size + 8) else {
        return Ok((0, length));
    };
    if stated <= length {
        return Ok((stated, length));
    }
    let mut end = 12.min(length);
    loop {
        file.seek(SeekFrom::Start(end))?;
        match read(file)? {
            Some(size) if end + 8 + size + size % 2 <= length => end += 8 + size + size % 2,
            _ => return Ok((stated, end)),
        }
    }
}
