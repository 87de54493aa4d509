//! An image file: frames decoded one at a time, stored values and display.

use super::{
    codec::{self, Colour, Decoded},
    colour,
    display::{Display, Window},
    error::{DicomError, Result},
    file::DicomFile,
    finding::DicomFinding,
    fragments::{Fragments, Stretch},
    layout::{Layout, Photometric, SampleKind},
    packing::Packing,
    samples::StoredFrame,
    syntax::{self, PixelEncoding, VideoCodec},
    walk::Span,
};
use crate::geometry::Size;
use dicom_core::VR;
use dicom_dictionary_std::tags;
use std::{io::Write, path::Path};

/// How DICOM is read.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct DicomOptions {
    /// The window of grey images.
    pub window: Window,
    /// Whether attributes that identify a patient are given out.
    pub keep_patient_data: bool,
    /// Whether instance UIDs are given out, with or without the rest that identifies.
    pub keep_uids: bool,
    /// Whether frames carry the values as stored besides the picture for display.
    pub stored_values: bool,
}

impl DicomOptions {
    /// Whether instance UIDs are given out.
    pub(super) fn gives_uids(&self) -> bool {
        self.keep_uids || self.keep_patient_data
    }
}

/// One frame for display.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Findings that nobody has taken yet.
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
    /// pixel data are a video stream (see [`encapsulated_video`]); [`DicomError::TransferSyntax`].
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

    /// What was found about the file, and about the frames since the last call, each finding once.
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

    /// Number of Frames as stated, 1 where it is absent. The data may hold fewer, an error when the time of those comes,
    /// or more, a finding: what is stated is read, as other readers do.
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
    /// decoded are passed over: they are reported when they are asked for.
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

/// A frame of native pixel data.
fn native(
    file: &mut DicomFile,
    layout: &Layout,
    (span, packing): (&Span, Packing),
    frame: u64,
) -> Result<Decoded> {
    let bits = layout.frame_bits(packing);
    let available = span.end - span.value;
    let place = frame
        .checked_mul(bits)
        .and_then(|first| Some((first / 8, first.checked_add(bits)?.div_ceil(8), first % 8)));
    let (start, end, first_bit) =
        place
            .filter(|&(_, end, _)| end <= available)
            .ok_or(DicomError::Truncated {
                frame,
                available,
                needed: frame.saturating_add(1).saturating_mul(bits.div_ceil(8)),
                cut_off: span.stated > available,
            })?;
    let big_endian = file.encoding.big_endian;
    // Big-endian OW data of 8 bits or fewer lie in swapped pairs.
    let swapped = big_endian && layout.bits_allocated <= 8 && span.vr == VR::OW;
    let mut data = if swapped {
        let (even_start, even_end) = (start & !1, (end + (end & 1)).min(available));
        let mut pairs = file
            .bytes
            .range(span.value + even_start, even_end - even_start)?;
        pairs
            .as_chunks_mut::<2>()
            .0
            .iter_mut()
            .for_each(|pair| pair.swap(0, 1));
        let from = (start - even_start) as usize;
        pairs
            .get(from..from + (end - start) as usize)
            .unwrap_or_default()
            .to_vec()
    } else {
        file.bytes.range(span.value + start, end - start)?
    };
    if first_bit > 0 {
        align_bits(&mut data, first_bit as u32);
    }
    let mut samples = codec::unpack(&data, layout, packing, big_endian);
    // Old files may keep their values in high bits.
    samples.shift_right(layout.high_bit + 1 - layout.bits_stored);
    Ok(Decoded::new(samples, layout.bits_stored))
}

/// Shifts packed bits (first pixel lowest) so that bit `first` becomes bit 0.
fn align_bits(data: &mut [u8], first: u32) {
    let mut carry = 0;
    for byte in data.iter_mut().rev() {
        let low = *byte;
        *byte = low >> first | carry;
        carry = low << (8 - first);
    }
}

/// Makes colour RGB; gives what the samples mean then, and whether the stream contradicted what is stated.
fn to_rgb(
    decoded: &mut Decoded,
    layout: &Layout,
    jpeg_2000: bool,
) -> (Photometric, Option<DicomFinding>) {
    use Photometric::{Rgb, YbrFull, YbrFull422, YbrIct, YbrRct};
    let stated = layout.photometric;
    if layout.samples != 3 {
        return (stated, None);
    }
    let as_stated = matches!(stated, YbrFull | YbrFull422);
    let transformed = matches!(stated, YbrIct | YbrRct);
    let (ybr, finding) = match decoded.colour {
        Colour::Converted => (false, None),
        Colour::Rgb(proof) => {
            let wrong = as_stated || transformed && !jpeg_2000;
            (
                false,
                wrong.then_some(DicomFinding::StreamColour {
                    stated: stated.keyword(),
                    found: "RGB",
                    proof,
                }),
            )
        }
        Colour::Ybr(proof) => (
            true,
            (!as_stated).then_some(DicomFinding::StreamColour {
                stated: stated.keyword(),
                found: "YCbCr",
                proof,
            }),
        ),
        Colour::AsStated => (
            as_stated,
            transformed.then_some(DicomFinding::NoTransform {
                stated: stated.keyword(),
            }),
        ),
    };
    if ybr {
        colour::ybr_to_rgb(&mut decoded.samples, decoded.precision);
    }
    (Rgb, finding)
}

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
