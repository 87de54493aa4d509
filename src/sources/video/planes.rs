//! Decoded frames as planes.

use super::frame_kind::Kind;
use crate::{
    av::{format::pixel::Descriptor, frame},
    engine::{Chroma, Colour, Orientation, YuvFormat},
    frame::Planes,
};

/// Of the flags of `AVPixFmtDescriptor` the one that all formats taken here have, and no other.
const PLANAR: u64 = 1 << 4;

/// How a frame holds its samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layout {
    format: YuvFormat,
    /// Cb and Cr are in one plane, in turn.
    is_paired: bool,
}

impl Layout {
    /// None if it is not YCbCr of 8 to 16 bits, little-endian, in 4:2:0, 4:2:2 or 4:4:4, in two planes or three.
    #[allow(unsafe_code)]
    fn of(descriptor: Descriptor) -> Option<Self> {
        // SAFETY: descriptors are constants of FFmpeg.
        let raw = unsafe { &*descriptor.as_ptr() };
        if raw.nb_components != 3 || raw.flags != PLANAR {
            return None;
        }
        let chroma = match (raw.log2_chroma_w, raw.log2_chroma_h) {
            (1, 1) => Chroma::Quarter,
            (1, 0) => Chroma::Half,
            (0, 0) => Chroma::Full,
            _ => return None,
        };
        let [luma, blue, red, _] = raw.comp;
        let format = YuvFormat::new(chroma, u8::try_from(luma.depth).ok()?)?;
        let format = match luma.shift {
            0 => format,
            _ => format.in_upper_bits(),
        };
        let is_same = [luma, blue, red]
            .iter()
            .all(|c| c.depth == luma.depth && c.shift == i32::from(format.shift()));
        // Plane, and bytes from one sample to the next and before the first.
        let [luma, blue, red] = [luma, blue, red].map(|c| (c.plane, c.step, c.offset));
        let bytes = format.sample_bytes() as i32;
        let is_planar = (blue, red) == ((1, bytes, 0), (2, bytes, 0));
        let is_paired = (blue, red) == ((1, 2 * bytes, 0), (1, 2 * bytes, bytes));
        let is_taken = is_same && luma == (0, bytes, 0) && (is_planar || is_paired);
        is_taken.then_some(Self { format, is_paired })
    }
}

/// The planes of a frame; none if a GPU cannot make the picture of them that swscale makes.
///
/// # Errors
/// What is wrong with the frame.
pub(super) fn planes_of(
    frame: &frame::Video,
    orientation: Orientation,
    max_pixels: u64,
) -> Result<Option<Planes>, String> {
    let kind = Kind::of(frame);
    let Some(descriptor) = kind.format.descriptor() else {
        return Ok(None);
    };
    let Some(layout) = Layout::of(descriptor) else {
        return Ok(None);
    };
    kind.check(max_pixels)?;
    // Four rows of colour are brought to full height by a shortcut of swscale's.
    if layout.format.chroma() == Chroma::Quarter && kind.size.height.div_ceil(2) == 4 {
        return Ok(None);
    }
    let Some(data) = packed(frame, layout, kind.size.rows_columns())? else {
        return Ok(None);
    };
    let colour = Colour {
        matrix: kind.matrix(),
        full_range: kind.is_full_range() || descriptor.name().starts_with("yuvj"),
    };
    Ok(Planes::new(
        kind.size,
        layout.format,
        colour,
        orientation,
        data,
    ))
}

/// Luma, then pairs of Cb and Cr, without padding; none if they cannot be counted.
fn packed(
    frame: &frame::Video,
    layout: Layout,
    (height, width): (usize, usize),
) -> Result<Option<Vec<u8>>, String> {
    let Layout { format, is_paired } = layout;
    let (bytes, (columns, rows)) = (format.sample_bytes(), format.pairs((width, height)));
    let Some((luma, chroma)) = format.plane_bytes((width, height)) else {
        return Ok(None);
    };
    let mut data = Vec::with_capacity(luma + chroma);
    for row in plane(frame, 0, width * bytes, height)? {
        data.extend_from_slice(row);
    }
    if is_paired {
        for row in plane(frame, 1, 2 * columns * bytes, rows)? {
            data.extend_from_slice(row);
        }
        return Ok(Some(data));
    }
    let blue = plane(frame, 1, columns * bytes, rows)?;
    let red = plane(frame, 2, columns * bytes, rows)?;
    for (blue, red) in blue.zip(red) {
        if bytes == 1 {
            data.extend(blue.iter().zip(red).flat_map(|(&cb, &cr)| [cb, cr]));
        } else {
            let pairs = blue.as_chunks().0.iter().zip(red.as_chunks().0);
            data.extend(pairs.flat_map(|(&[b0, b1], &[r0, r1])| [b0, b1, r0, r1]));
        }
    }
    Ok(Some(data))
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
    use super::{super::pixels::Converter, *};
    use crate::{
        av::{
            format::Pixel,
            util::color::{Range, Space},
        },
        frame::Pixels,
        ops::yuv_to_rgb,
        sources::{SourceOptions, expand, open},
    };
    use std::path::PathBuf;

    const PLANES: [&str; 14] = [
        "av1.mp4",
        "h264.mp4",
        "moving_h264.mp4",
        "moving_hevc.mkv",
        "mjpeg.avi",
        "mpeg4.avi",
        "vp9.webm",
        "joined_mpeg2.ts",
        "shape.mp4",
        "hevc10.mkv",
        "bt709_full.mkv",
        "rotated90.mov",
        "rotated180.mov",
        "rotated270.mov",
    ];

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
                    let rgb = yuv_to_rgb(&of.yuv()).unwrap();
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
        let (frames, planes) = same_picture("gray.mkv");
        assert!(frames > 0 && planes == 0, "{planes} of {frames}");
    }

    /// A frame of noise within the range of its samples.
    fn noise(format: Pixel, size: (u32, u32), seed: u64, is_mild: bool) -> frame::Video {
        let mut frame = frame::Video::new(format, size.0, size.1);
        let layout = Layout::of(format.descriptor().unwrap()).unwrap();
        let (depth, shift) = (layout.format.depth(), layout.format.shift());
        let mut state = 0x2545_f491_4f6c_dd1d_u64 ^ (seed << 20);
        let mut sample = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let any = (state >> 32) as u16 >> (16 - depth);
            // Colours as pictures have them, beside noise of all values.
            let value = if is_mild {
                (1 << (depth - 2)) + any / 2
            } else {
                any
            };
            (value << shift).to_le_bytes()
        };
        for plane in 0..frame.planes() {
            for to in frame
                .data_mut(plane)
                .chunks_exact_mut(layout.format.sample_bytes())
            {
                to.copy_from_slice(&sample()[..to.len()]);
            }
        }
        frame
    }

    const SPACES: [Space; 6] = [
        Space::BT709,
        Space::Unspecified,
        Space::FCC,
        Space::SMPTE170M,
        Space::SMPTE240M,
        Space::BT2020NCL,
    ];

    /// Noise of any matrix and range as planes, brought to RGB as a GPU does, is what swscale makes of it.
    fn same_noise(format: Pixel, sizes: &[(u32, u32)]) {
        let mut converter = Converter::new(1 << 30, 1);
        for (n, &size) in sizes.iter().enumerate() {
            for (m, space) in SPACES.into_iter().enumerate() {
                for range in [Range::MPEG, Range::JPEG] {
                    let mut frame = noise(format, size, (n * 6 + m) as u64, (n + m) % 2 == 0);
                    frame.set_color_space(space);
                    frame.set_color_range(range);
                    let planes = planes_of(&frame, Orientation::default(), 1 << 30)
                        .unwrap()
                        .unwrap();
                    let expected = converter.convert(&frame).unwrap();
                    let found = yuv_to_rgb(&planes.yuv()).unwrap();
                    assert!(
                        found == expected.data(),
                        "{format:?}, {size:?}, {space:?}, {range:?}"
                    );
                }
            }
        }
    }

    const FORMATS: [Pixel; 17] = [
        Pixel::YUV420P,
        Pixel::YUVJ420P,
        Pixel::NV12,
        Pixel::YUV422P,
        Pixel::YUVJ422P,
        Pixel::YUV444P,
        Pixel::YUVJ444P,
        Pixel::NV24,
        Pixel::YUV420P9LE,
        Pixel::YUV420P10LE,
        Pixel::P010LE,
        Pixel::YUV422P10LE,
        Pixel::YUV444P10LE,
        Pixel::YUV420P12LE,
        Pixel::YUV422P12LE,
        Pixel::YUV444P12LE,
        Pixel::YUV420P16LE,
    ];

    #[test]
    fn every_layout_and_depth_is_converted_as_by_the_host() {
        crate::av::init().unwrap();
        for format in FORMATS {
            same_noise(format, &[(64, 48), (33, 17), (130, 35), (101, 10), (1, 1)]);
        }
    }

    #[test]
    fn small_and_odd_sizes_are_converted_as_by_the_host() {
        crate::av::init().unwrap();
        let sides: Vec<u32> = (1..30).chain([639, 1081]).collect();
        let across: Vec<_> = sides.iter().map(|&side| (side, 6)).collect();
        let down: Vec<_> = sides
            .iter()
            .map(|&side| (6, side))
            .filter(|(_, height)| height.div_ceil(2) != 4)
            .collect();
        for sizes in [across, down] {
            same_noise(Pixel::YUV420P, &sizes);
        }
        same_noise(Pixel::YUV422P10LE, &[(9, 7), (9, 8), (639, 7)]);
    }

    #[test]
    fn other_formats_are_left_to_the_host() {
        crate::av::init().unwrap();
        for format in [
            Pixel::GRAY8,
            Pixel::RGB24,
            Pixel::GBRP,
            Pixel::PAL8,
            Pixel::NV21,
            Pixel::YUYV422,
            Pixel::YUV440P,
            Pixel::YUV411P,
            Pixel::YUVA420P,
            Pixel::YUV420P10BE,
        ] {
            let frame = frame::Video::new(format, 16, 16);
            let planes = planes_of(&frame, Orientation::default(), 1 << 30).unwrap();
            assert!(planes.is_none(), "{format:?}");
        }
        for height in [7, 8] {
            let frame = frame::Video::new(Pixel::YUV420P, 16, height);
            let planes = planes_of(&frame, Orientation::default(), 1 << 30).unwrap();
            assert!(planes.is_none(), "{height} rows");
        }
        let large = frame::Video::new(Pixel::YUV444P, 16, 16);
        assert!(planes_of(&large, Orientation::default(), 255).is_err());
    }
}
