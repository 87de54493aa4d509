//! An image file: frames decoded one at a time, stored values and display.

use super::{
    codec,
    colour::to_rgb,
    display::Display,
    error::{DicomError, Result},
    file::DicomFile,
    finding::DicomFinding,
    fragments::Fragments,
    layout::{Layout, Photometric, SampleKind},
    native::native,
    packing::Packing,
    samples::StoredFrame,
    syntax::{self, PixelEncoding},
    walk::Span,
    window::Window,
};
use crate::geometry::Size;
use dicom_dictionary_std::tags;
use std::path::Path;

/// One frame for display.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShownFrame {
    /// Columns and rows.
    pub size: Size,
    /// Whether a pixel is three bytes (red, green, blue) or one (grey).
    pub colour: bool,
    /// The pixels, rows top to bottom.
    pub data: Vec<u8>,
}

/// A DICOM file with frames.
#[derive(Debug)]
pub struct DicomImage {
    file: DicomFile,
    layout: Layout,
    pixels: Pixels,
    window: Window,
    /// Lowest and highest value of the file (or, if set from outside, of its series) after rescale.
    range: Option<(f64, f64)>,
    /// Findings since the last [`DicomImage::take_findings`].
    findings: Vec<DicomFinding>,
}

#[derive(Debug)]
enum Pixels {
    Native {
        span: Span,
        packing: Packing,
    },
    Encapsulated {
        encoding: PixelEncoding,
        fragments: Fragments,
    },
}

impl DicomImage {
    /// Opens a file and checks what its frames look like; decodes nothing.
    ///
    /// # Errors
    /// As [`DicomFile::open`]; [`DicomError::NoImage`]; [`DicomError::NoPixelData`]; [`DicomError::PixelLength`]; those of [`Layout::read`]; [`DicomError::Video`] where the
    /// pixel data are a video stream (see [`crate::dicom::encapsulated_video`]); [`DicomError::TransferSyntax`].
    pub fn open(path: &Path, window: Window) -> Result<Self> {
        Self::from_file(DicomFile::open(path)?, window)
    }

    /// As [`Self::open`], of an open file.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn from_file(mut file: DicomFile, window: Window) -> Result<Self> {
        let span = file.pixel_span()?;
        let kind = match span.tag {
            tags::FLOAT_PIXEL_DATA => SampleKind::Float32,
            tags::DOUBLE_FLOAT_PIXEL_DATA => SampleKind::Float64,
            _ => SampleKind::Integer,
        };
        let encoding = file
            .syntax
            .pixels
            .ok_or_else(|| syntax::unsupported(file.transfer_syntax_uid()))?;
        if let PixelEncoding::Video(codec) = encoding {
            return Err(DicomError::Video(codec.name()));
        }
        let layout = Layout::read(file.attributes(), kind)?;
        let stated = file
            .attributes()
            .int(tags::NUMBER_OF_FRAMES)
            .and_then(|n| u64::try_from(n).ok());
        let (pixels, findings) = match (encoding, span.undefined) {
            (PixelEncoding::Native, false) => {
                let (packing, findings) = layout.packing(span.stated, stated)?;
                (Pixels::Native { span, packing }, findings)
            }
            (PixelEncoding::Native, true)
                if file.transfer_syntax_uid() != syntax::ENCAPSULATED_NATIVE =>
            {
                return Err(file.wrong_encoding(&span, "fragments, as of compressed data"));
            }
            _ => {
                let (fragments, finding) =
                    Fragments::of(&mut file, &span, layout.frames, encoding)?;
                let present = fragments.frames();
                let more = (present > layout.frames)
                    .then_some(DicomFinding::MoreFrames { stated, present });
                (
                    Pixels::Encapsulated {
                        encoding,
                        fragments,
                    },
                    finding.into_iter().chain(more).collect(),
                )
            }
        };
        Ok(Self {
            file,
            layout,
            pixels,
            window,
            range: None,
            findings,
        })
    }

    /// Removes and returns the findings about the file, and about the frames decoded since the last call, each once.
    pub fn take_findings(&mut self) -> Vec<DicomFinding> {
        std::mem::take(&mut self.findings)
    }

    fn found(&mut self, findings: impl IntoIterator<Item = DicomFinding>) {
        for finding in findings {
            if !self.findings.contains(&finding) {
                self.findings.push(finding);
            }
        }
    }

    /// The file.
    pub fn file(&self) -> &DicomFile {
        &self.file
    }

    /// What the frames look like.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Number of Frames as stated, 1 where it is absent. The data may hold fewer, an error of those frames,
    /// or more, a finding: as many as stated are read, as other readers do.
    pub fn frames(&self) -> u64 {
        self.layout.frames
    }

    /// Decodes a frame (from 0) to stored values; colour comes as RGB, palettes as indices.
    ///
    /// # Errors
    /// [`DicomError::Truncated`] for a frame past the end of the data; the codec's errors.
    pub fn stored(&mut self, frame: u64) -> Result<StoredFrame> {
        let layout = &self.layout;
        if frame >= layout.frames {
            let needed = frame.saturating_add(1);
            return Err(DicomError::Truncated {
                frame,
                available: layout.frames,
                needed,
                cut_off: false,
            });
        }
        let mut decoded = match &self.pixels {
            Pixels::Native { span, packing } => {
                native(&mut self.file, layout, (span, *packing), frame)?
            }
            Pixels::Encapsulated {
                encoding,
                fragments,
            } => {
                let encoded = fragments.frame(&mut self.file.bytes, frame)?;
                codec::decode(&encoded, *encoding, layout)?
            }
        };
        if layout.kind == SampleKind::Integer {
            decoded.samples.keep_bits(decoded.precision, layout.signed);
        }
        let jpeg_2000 = matches!(
            self.pixels,
            Pixels::Encapsulated {
                encoding: PixelEncoding::Jpeg2000,
                ..
            }
        );
        let (photometric, finding) = to_rgb(&mut decoded, layout, jpeg_2000);
        let (size, bits, samples_per_pixel, signed) = (
            layout.size,
            layout.bits_stored,
            layout.samples,
            layout.signed,
        );
        self.found(decoded.findings.into_iter().chain(finding));
        Ok(StoredFrame {
            size,
            samples_per_pixel,
            bits,
            signed,
            photometric,
            samples: decoded.samples,
        })
    }

    /// Decodes a frame (from 0) for display, by the rules of [`Window`] and the file.
    ///
    /// # Errors
    /// As [`Self::stored`], and those of broken lookup tables and windows. Where the display needs the range of the
    /// file's values all its frames are decoded once before the first is shown.
    pub fn shown(&mut self, frame: u64) -> Result<ShownFrame> {
        let stored = self.stored(frame)?;
        let mut display = self.display(frame)?;
        self.found(display.take_findings());
        if display.needs_range(&self.layout) {
            let (low, high) = self.range()?.unwrap_or((0.0, 0.0));
            display.set_range(low, high);
        }
        let colour = stored.photometric == Photometric::Palette || stored.samples_per_pixel == 3;
        Ok(ShownFrame {
            size: stored.size,
            colour,
            data: display.show(&stored),
        })
    }

    /// Whether frames are shown by the range of the file's values, for want of a window (see [`Window::Auto`]).
    ///
    /// # Errors
    /// Those of broken lookup tables and windows.
    pub fn needs_range(&self) -> Result<bool> {
        Ok(self.display(0)?.needs_range(&self.layout))
    }

    /// The lowest and highest value of the file after rescale; decodes every frame the first time. Frames that cannot be
    /// decoded are passed over: [`Self::stored`] reports them.
    ///
    /// # Errors
    /// Those of broken lookup tables.
    pub fn range(&mut self) -> Result<Option<(f64, f64)>> {
        if self.range.is_none() {
            for frame in 0..self.available_frames() {
                let display = self.display(frame)?;
                let Ok(stored) = self.stored(frame) else {
                    continue;
                };
                if let Some((low, high)) = display.range(&stored) {
                    self.range = Some(
                        self.range
                            .map_or((low, high), |(l, h)| (l.min(low), h.max(high))),
                    );
                }
            }
        }
        Ok(self.range)
    }

    /// Sets the range that [`Self::shown`] uses, for a file that is part of a series.
    pub fn set_range(&mut self, low: f64, high: f64) {
        self.range = Some((low, high));
    }

    /// Frames the data can hold, at most the stated ones.
    fn available_frames(&self) -> u64 {
        let there = match &self.pixels {
            Pixels::Native { span, packing } => {
                ((span.end - span.value) * 8).div_ceil(self.layout.frame_bits(*packing).max(1))
            }
            Pixels::Encapsulated { fragments, .. } => fragments.frames(),
        };
        there.min(self.layout.frames)
    }

    fn display(&self, frame: u64) -> Result<Display> {
        Display::read(self.file.frame_attributes(frame), &self.layout, self.window)
    }
}
