//! Animated PNG.

use super::{error::too_large, pixels::composite_over_black};
use crate::{
    frame::{Channels, Image},
    geometry::Size,
    sources::SourceError,
};
use png::{
    BlendOp, ColorType, Decoder, DecodingError, DisposeOp, FrameControl, Limits, Reader,
    Transformations,
};
use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::Path,
    time::Duration,
};

/// Bytes of a PNG's signature.
const SIGNATURE: u64 = 8;
/// Chunks before the picture that are looked at.
const MAX_CHUNKS: usize = 10_000;

/// The frames of an animation, composed on its canvas. What is transparent there is black.
pub(super) struct Apng {
    reader: Reader<BufReader<File>>,
    size: Size,
    count: u64,
    given: u64,
    grey: bool,
    /// RGBA.
    canvas: Vec<u8>,
    /// What of the canvas is put back before the next frame, and how.
    disposal: Option<Disposal>,
    elapsed: Duration,
}

struct Disposal {
    place: Place,
    /// The pixels that were there before; none is transparency.
    before: Option<Vec<u8>>,
}

#[derive(Clone, Copy)]
struct Place {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

/// What stands before the picture.
struct Head {
    /// Frames of the animation.
    frames: u32,
    bits: u8,
    /// Whether it has no colours.
    grey: bool,
}

impl Apng {
    /// Opens the file; `None` if it is a still image, or so damaged that decoding it as one reports the error.
    pub(super) fn open(path: &Path, max_pixels: u64) -> Result<Option<Self>, SourceError> {
        let cannot = |e: io::Error| SourceError::unreadable(path, &e);
        let mut file = File::open(path).map_err(cannot)?;
        let Some(head) = head(&mut BufReader::new(&mut file))
            .map_err(cannot)?
            .filter(|head| head.frames > 0)
        else {
            return Ok(None);
        };
        if head.bits == 16 {
            let error = SourceError::new(path, "is an animated PNG of 16 bits, which is not read");
            return Err(error.with_remedy("convert it to one of 8 bits, or its frames to files"));
        }
        file.rewind().map_err(cannot)?;
        let bytes = usize::try_from(max_pixels.saturating_mul(8).saturating_add(64 << 20))
            .unwrap_or(usize::MAX);
        let mut decoder =
            Decoder::new_with_limits(BufReader::with_capacity(1 << 16, file), Limits { bytes });
        decoder.set_transformations(Transformations::EXPAND);
        let reader = decoder.read_info().map_err(|e| wrong(path, &e))?;
        let size = Size::new(reader.info().width, reader.info().height);
        if size.pixels() > max_pixels {
            return Err(too_large(
                path,
                &format!("the animation of {size} pixels"),
                max_pixels,
            ));
        }
        let count = u64::from(head.frames);
        let canvas = vec![0; size.pixels() as usize * 4];
        Ok(Some(Self {
            reader,
            size,
            count,
            given: 0,
            grey: head.grey,
            canvas,
            disposal: None,
            elapsed: Duration::ZERO,
        }))
    }

    pub(super) fn frame_count(&self) -> u64 {
        self.count
    }

    /// The next frame and when it is shown.
    pub(super) fn next(&mut self, path: &Path) -> Result<(Image, Duration), SourceError> {
        let bytes = self
            .reader
            .output_buffer_size()
            .ok_or_else(|| SourceError::new(path, "is too large"))?;
        let mut pixels = vec![0; bytes];
        if self.given == 0 && self.reader.info().frame_control.is_none() {
            // A still picture for those who know no animations.
            self.reader
                .next_frame(&mut pixels)
                .map_err(|e| wrong(path, &e))?;
        }
        let read = self
            .reader
            .next_frame(&mut pixels)
            .map_err(|e| wrong(path, &e))?;
        let Some(control) = self.reader.info().frame_control else {
            return Err(SourceError::new(
                path,
                "is damaged: a frame of its animation has no place",
            ));
        };
        pixels.truncate(read.buffer_size());
        let pixels = rgba(pixels, read.color_type);
        let place = self.place(&control).ok_or_else(|| {
            SourceError::new(path, "is damaged: a frame is not inside of its canvas")
        })?;
        self.compose(&control, place, &pixels);
        self.given += 1;
        let rgb = composite_over_black(&self.canvas, 4);
        let (channels, data) = if self.grey {
            (Channels::Gray, rgb.into_iter().step_by(3).collect())
        } else {
            (Channels::Rgb, rgb)
        };
        let image = Image::new(self.size, channels, data)
            .ok_or_else(|| SourceError::new(path, "has an empty canvas"))?;
        let at = self.elapsed;
        // A denominator of 0 stands for hundredths.
        let denominator = if control.delay_den == 0 {
            100
        } else {
            control.delay_den
        };
        self.elapsed += Duration::from_nanos(
            u64::from(control.delay_num) * 1_000_000_000 / u64::from(denominator),
        );
        Ok((image, at))
    }

    fn place(&self, control: &FrameControl) -> Option<Place> {
        let inside =
            |at: u32, length: u32, all: u32| at.checked_add(length).is_some_and(|end| end <= all);
        let fits = inside(control.x_offset, control.width, self.size.width)
            && inside(control.y_offset, control.height, self.size.height);
        let [x, y, width, height] = [
            control.x_offset,
            control.y_offset,
            control.width,
            control.height,
        ]
        .map(|v| v as usize);
        fits.then_some(Place {
            x,
            y,
            width,
            height,
        })
    }

    /// Puts back what the frame before wants put back, and draws this one.
    fn compose(&mut self, control: &FrameControl, place: Place, pixels: &[u8]) {
        if let Some(Disposal { place, before }) = self.disposal.take() {
            match before {
                Some(before) => self
                    .rows(place)
                    .zip(before.chunks_exact(place.width * 4))
                    .for_each(|(row, before)| row.copy_from_slice(before)),
                None => self.rows(place).for_each(|row| row.fill(0)),
            }
        }
        self.disposal = match control.dispose_op {
            DisposeOp::None => None,
            // There is nothing before the first.
            DisposeOp::Previous if self.given > 0 => {
                let before = self.rows(place).flat_map(|row| row.to_vec()).collect();
                Some(Disposal {
                    place,
                    before: Some(before),
                })
            }
            DisposeOp::Background | DisposeOp::Previous => Some(Disposal {
                place,
                before: None,
            }),
        };
        let over = control.blend_op == BlendOp::Over;
        for (row, new) in self.rows(place).zip(pixels.chunks_exact(place.width * 4)) {
            if over {
                row.as_chunks_mut::<4>()
                    .0
                    .iter_mut()
                    .zip(new.as_chunks::<4>().0)
                    .for_each(|(old, new)| *old = blended(*old, *new));
            } else {
                row.copy_from_slice(new);
            }
        }
    }

    fn rows(&mut self, place: Place) -> impl Iterator<Item = &mut [u8]> {
        let rows = self
            .canvas
            .chunks_exact_mut(self.size.width as usize * 4)
            .skip(place.y)
            .take(place.height);
        rows.map(move |row| &mut row[place.x * 4..(place.x + place.width) * 4])
    }
}

fn wrong(path: &Path, error: &DecodingError) -> SourceError {
    match error {
        DecodingError::IoError(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            SourceError::new(path, "the file ends early")
        }
        e => SourceError::new(path, format!("cannot be decoded: {e}")),
    }
}

fn rgba(pixels: Vec<u8>, colour: ColorType) -> Vec<u8> {
    match colour {
        ColorType::Grayscale => pixels.into_iter().flat_map(|v| [v, v, v, 255]).collect(),
        ColorType::GrayscaleAlpha => pixels
            .as_chunks::<2>()
            .0
            .iter()
            .flat_map(|&[v, a]| [v, v, v, a])
            .collect(),
        ColorType::Rgb | ColorType::Indexed => pixels
            .as_chunks::<3>()
            .0
            .iter()
            .flat_map(|&[r, g, b]| [r, g, b, 255])
            .collect(),
        ColorType::Rgba => pixels,
    }
}

/// A pixel over another, neither multiplied by its alpha.
fn blended(old: [u8; 4], new: [u8; 4]) -> [u8; 4] {
    match (new[3], old[3]) {
        (255, _) | (_, 0) => new,
        (0, _) => old,
        (over, under) => {
            let (over, under) = (
                u32::from(over) * 255,
                u32::from(under) * (255 - u32::from(over)),
            );
            let alpha = over + under;
            let mix = |n: usize| {
                ((u32::from(new[n]) * over + u32::from(old[n]) * under + alpha / 2) / alpha) as u8
            };
            [mix(0), mix(1), mix(2), ((alpha + 127) / 255) as u8]
        }
    }
}

/// Reads the chunks before the picture; none where there is no animation.
fn head(file: &mut (impl Read + Seek)) -> io::Result<Option<Head>> {
    file.seek(SeekFrom::Start(SIGNATURE))?;
    let (mut bits, mut grey) = (8, false);
    for _ in 0..MAX_CHUNKS {
        let mut start = [0; 8];
        if let Err(e) = file.read_exact(&mut start) {
            return if e.kind() == io::ErrorKind::UnexpectedEof {
                Ok(None)
            } else {
                Err(e)
            };
        }
        let [l0, l1, l2, l3, kind @ ..] = start;
        let mut left = i64::from(u32::from_be_bytes([l0, l1, l2, l3])) + 4;
        match &kind {
            b"IHDR" if left >= 14 => {
                let mut header = [0; 10];
                file.read_exact(&mut header)?;
                (bits, grey) = (header[8], matches!(header[9], 0 | 4));
                left -= 10;
            }
            b"acTL" if left >= 12 => {
                let mut count = [0; 4];
                file.read_exact(&mut count)?;
                return Ok(Some(Head {
                    frames: u32::from_be_bytes(count),
                    bits,
                    grey,
                }));
            }
            b"IDAT" | b"IEND" => return Ok(None),
            _ => {}
        }
        file.seek(SeekFrom::Current(left))?;
    }
    Ok(None)
}
