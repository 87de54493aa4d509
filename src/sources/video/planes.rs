//! Decoded frames of 8 bits in 4:2:0 as planes.

use super::frame_kind::Kind;
use crate::{
    av::{format::Pixel, frame},
    engine::Colour,
    frame::Planes,
};

/// The planes of a frame, not turned; none if it is no frame of 8 bits in 4:2:0.
///
/// # Errors
/// What is wrong with the frame.
pub(super) fn planes_of(frame: &frame::Video, max_pixels: u64) -> Result<Option<Planes>, String> {
    let kind = Kind::of(frame);
    let is_interleaved = match kind.format {
        Pixel::YUV420P | Pixel::YUVJ420P => false,
        Pixel::NV12 => true,
        _ => return Ok(None),
    };
    kind.check(max_pixels)?;
    let (width, height) = (kind.size.width as usize, kind.size.height as usize);
    let (columns, rows) = (width.div_ceil(2), height.div_ceil(2));
    let mut data = Vec::with_capacity(width * height + 2 * columns * rows);
    for row in plane(frame, 0, width, height)? {
        data.extend_from_slice(row);
    }
    if is_interleaved {
        for row in plane(frame, 1, 2 * columns, rows)? {
            data.extend_from_slice(row);
        }
    } else {
        let both = plane(frame, 1, columns, rows)?.zip(plane(frame, 2, columns, rows)?);
        for (blue, red) in both {
            data.extend(blue.iter().zip(red).flat_map(|(&cb, &cr)| [cb, cr]));
        }
    }
    let colour = Colour {
        matrix: kind.matrix(),
        full_range: kind.is_full_range() || kind.format == Pixel::YUVJ420P,
    };
    Ok(Planes::new(kind.size, colour, data))
}

/// The rows of a plane without the padding between them, `bytes` each.
#[allow(unsafe_code)]
fn plane(
    frame: &frame::Video,
    number: usize,
    bytes: usize,
    rows: usize,
) -> Result<impl Iterator<Item = &[u8]>, String> {
    // SAFETY: reads the pointer and the line size of a plane of a live frame.
    let (first, stride) = unsafe {
        (
            (*frame.as_ptr()).data[number],
            (*frame.as_ptr()).linesize[number],
        )
    };
    if first.is_null() || (stride.unsigned_abs() as usize) < bytes {
        return Err("has no pixels".to_owned());
    }
    // SAFETY: FFmpeg allocates `rows` lines of `|stride|` bytes, of which `bytes` are samples; with a negative stride the first line is the
    // last in memory. They live as long as the frame.
    Ok((0..rows).map(move |y| unsafe {
        std::slice::from_raw_parts(first.offset(y as isize * stride as isize), bytes)
    }))
}

#[cfg(test)]
mod tests {
    use crate::{
        frame::Pixels,
        ops::{Nv12, nv12_to_rgb},
        sources::{SourceOptions, expand, open},
    };
    use std::path::PathBuf;

    const PLANES: [&str; 9] = [
        "av1.mp4",
        "h264.mp4",
        "moving_h264.mp4",
        "moving_hevc.mkv",
        "mjpeg.avi",
        "mpeg4.avi",
        "vp9.webm",
        "joined_mpeg2.ts",
        "shape.mp4",
    ];
    /// Of other formats, or turned.
    const OTHERS: [&str; 4] = ["gray.mkv", "hevc10.mkv", "bt709_full.mkv", "rotated90.mov"];

    /// Frames of a file as planes, brought to RGB as a GPU does, are those that swscale makes.
    fn same_picture(name: &str) -> (usize, usize) {
        let path = PathBuf::from("tests/fixtures/media").join(name);
        let spec = expand(&[path.into()], Default::default(), &mut std::io::empty());
        let spec = spec.sources.into_iter().next().unwrap().unwrap();
        let options = |planes| SourceOptions {
            planes,
            decode_threads: 1,
            ..SourceOptions::default()
        };
        let mut converted = open(&spec, 0, &options(false)).unwrap();
        let mut kept = open(&spec, 0, &options(true)).unwrap();
        let (mut frames, mut planes) = (0, 0);
        while let Some(frame) = converted.next_frame().unwrap() {
            let expected = frame.image().unwrap();
            let found = kept.next_frame().unwrap().unwrap();
            assert_eq!((found.size(), found.index), (frame.size(), frame.index));
            match &found.pixels {
                Pixels::Planes(of) => {
                    let (luma, chroma) = of.split();
                    let (height, width) = of.size().rows_columns();
                    let nv12 = Nv12 {
                        luma,
                        chroma,
                        width,
                        height,
                    };
                    let rgb = nv12_to_rgb(&nv12, of.colour()).unwrap();
                    assert!(rgb == expected.data(), "{name}, frame {}", frame.index);
                    assert!(found.image().unwrap_err().to_string().contains("YCbCr"));
                    planes += 1;
                }
                pixels => assert_eq!(pixels.image().unwrap(), expected),
            }
            frames += 1;
        }
        assert!(kept.next_frame().unwrap().is_none());
        (frames, planes)
    }

    #[test]
    fn planes_hold_the_picture_that_the_host_makes() {
        for name in PLANES {
            let (frames, planes) = same_picture(name);
            assert!(
                frames > 0 && planes == frames,
                "{name}: {planes} of {frames}"
            );
        }
        for name in OTHERS {
            let (frames, planes) = same_picture(name);
            assert!(frames > 0 && planes == 0, "{name}: {planes} of {frames}");
        }
    }
}
