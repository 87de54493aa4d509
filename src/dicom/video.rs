//! Video streams in DICOM files.

use super::{
    error::{DicomError, Result},
    file::DicomFile,
    fragments::{Fragments, Stretch},
    syntax::{PixelEncoding, VideoCodec},
};
use std::io::Write;

/// The video stream of an MPEG-2, H.264 or HEVC file, to be handed to a video decoder.
#[derive(Debug)]
pub struct EncapsulatedVideo<'a> {
    codec: VideoCodec,
    file: &'a mut DicomFile,
    fragments: Vec<Stretch>,
}

/// The video stream of a file whose transfer syntax is a video one; none for any other file.
///
/// # Errors
/// [`DicomError::NoImage`], [`DicomError::NoPixelData`], [`DicomError::WrongEncoding`], [`DicomError::Structure`].
pub fn encapsulated_video(file: &mut DicomFile) -> Result<Option<EncapsulatedVideo<'_>>> {
    let Some(PixelEncoding::Video(codec)) = file.syntax.pixels else {
        return Ok(None);
    };
    let span = file.pixel_span()?;
    if !span.undefined {
        return Err(file.wrong_encoding(&span, "of a defined length, as native data are"));
    }
    let fragments = Fragments::index(file, &span, 1, PixelEncoding::Video(codec))?
        .all()
        .to_vec();
    Ok(Some(EncapsulatedVideo {
        codec,
        file,
        fragments,
    }))
}

impl EncapsulatedVideo<'_> {
    /// The codec the transfer syntax states.
    pub fn codec(&self) -> VideoCodec {
        self.codec
    }

    /// Bytes of the stream, a last pad byte included.
    pub fn len(&self) -> u64 {
        self.fragments.iter().map(|f| f.len).sum()
    }

    /// Whether the stream has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes the stream (elementary, MP4 or transport stream, as it was stored) without holding it in memory.
    ///
    /// # Errors
    /// [`DicomError::Truncated`] if the file ends before the stream, [`DicomError::Io`].
    pub fn write_to(&mut self, out: &mut dyn Write) -> Result<()> {
        const PIECE: u64 = 1 << 20;
        let end = self.file.bytes.len();
        for fragment in &self.fragments {
            if fragment.offset + fragment.len > end {
                let available = end.saturating_sub(fragment.offset);
                return Err(DicomError::Truncated {
                    frame: 0,
                    available,
                    needed: fragment.len,
                    cut_off: true,
                });
            }
            for at in (0..fragment.len).step_by(PIECE as usize) {
                out.write_all(
                    &self
                        .file
                        .bytes
                        .range(fragment.offset + at, PIECE.min(fragment.len - at))?,
                )?;
            }
        }
        Ok(())
    }
}
