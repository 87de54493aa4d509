//! The plain reference of reading decoded surfaces against FFmpeg's swscale with the settings that videos are decoded with on the CPU.

use crate::common::seeded;
use ultramotion::{
    engine::{Colour, YuvMatrix},
    ops::{Nv12, nv12_to_rgb},
};
use video_rs::ffmpeg::{
    ffi,
    format::Pixel,
    frame,
    software::scaling::{Context, Flags},
};

fn random(seed: usize, count: usize) -> Vec<u8> {
    seeded::uniform(&format!("nv12 {seed}"))
        .take(count)
        .map(|u| ((u + 1.0) * 127.99) as u8)
        .collect()
}

/// swscale's RGB of planes of YUV420P.
fn swscale(
    luma: &[u8],
    chroma: &[u8],
    (width, height): (usize, usize),
    matrix: i32,
    full: bool,
) -> Vec<u8> {
    let flags = Flags::BICUBIC
        | Flags::ACCURATE_RND
        | Flags::BITEXACT
        | Flags::FULL_CHR_H_INT
        | Flags::FULL_CHR_H_INP;
    let (w, h) = (width as u32, height as u32);
    let mut from = frame::Video::new(Pixel::YUV420P, w, h);
    let columns = width.div_ceil(2);
    for y in 0..height {
        let stride = from.stride(0);
        from.data_mut(0)[y * stride..][..width].copy_from_slice(&luma[y * width..][..width]);
    }
    for plane in [1, 2] {
        let stride = from.stride(plane);
        for (y, pairs) in chroma.chunks_exact(2 * columns).enumerate() {
            for (x, pair) in pairs.chunks_exact(2).enumerate() {
                from.data_mut(plane)[y * stride + x] = pair[plane - 1];
            }
        }
    }
    let mut context = Context::get(Pixel::YUV420P, w, h, Pixel::RGB24, w, h, flags).unwrap();
    // SAFETY: the context is alive, the table is a constant of swscale.
    #[allow(unsafe_code)]
    unsafe {
        let table = ffi::sws_getCoefficients(matrix);
        ffi::sws_setColorspaceDetails(
            context.as_mut_ptr(),
            table,
            i32::from(full),
            table,
            1,
            0,
            1 << 16,
            1 << 16,
        );
    }
    let mut to = frame::Video::empty();
    context.run(&from, &mut to).unwrap();
    (0..height)
        .flat_map(|y| to.data(0)[y * to.stride(0)..][..3 * width].to_vec())
        .collect()
}

#[test]
fn pixels_are_those_of_swscale() {
    let matrices = [
        (YuvMatrix::Bt601, 5),
        (YuvMatrix::Bt709, 1),
        (YuvMatrix::Fcc, 4),
        (YuvMatrix::Smpte240m, 7),
        (YuvMatrix::Bt2020, 9),
    ];
    for (n, size) in [(64, 48), (16, 16), (130, 34), (322, 180), (64, 130)]
        .into_iter()
        .enumerate()
    {
        let (width, height): (usize, usize) = size;
        let (luma_count, chroma_count) =
            (width * height, 2 * width.div_ceil(2) * height.div_ceil(2));
        for (matrix, number) in matrices {
            for full_range in [false, true] {
                let mut bytes = random(n, luma_count + chroma_count);
                if n % 2 == 0 {
                    // Colours as pictures have them, beside noise of all values.
                    bytes.iter_mut().for_each(|b| *b = 64 + *b / 2);
                }
                let (luma, chroma) = bytes.split_at(luma_count);
                let found = nv12_to_rgb(
                    &Nv12 {
                        luma,
                        chroma,
                        width,
                        height,
                    },
                    Colour { matrix, full_range },
                )
                .unwrap();
                let expected = swscale(luma, chroma, size, number, full_range);
                let wrong = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
                let most = found
                    .iter()
                    .zip(&expected)
                    .map(|(a, b)| a.abs_diff(*b))
                    .max()
                    .unwrap();
                println!(
                    "{size:?} {matrix:?} {full_range}: {wrong} of {} differ, by {most} at most",
                    found.len()
                );
                assert!(
                    most <= 1 && wrong * 1000 <= found.len(),
                    "{size:?} {matrix:?} full range {full_range}: {wrong}, {most}"
                );
            }
        }
    }
}

#[test]
fn odd_sizes_are_near_those_of_swscale() {
    for size in [(33, 17), (101, 64), (64, 75)] {
        let (width, height): (usize, usize) = size;
        let smooth = |x: usize, y: usize, k: usize| {
            (60.0 + 90.0 * ((x * k) as f64 / 40.0).sin().abs() + (y % 97) as f64 / 2.0) as u8
        };
        let luma: Vec<u8> = (0..width * height)
            .map(|i| smooth(i % width, i / width, 3))
            .collect();
        let columns = width.div_ceil(2);
        let chroma: Vec<u8> = (0..2 * columns * height.div_ceil(2))
            .map(|i| smooth(i / 2 % columns, i / 2 / columns, 1 + i % 2))
            .collect();
        let colour = Colour {
            matrix: YuvMatrix::Bt601,
            full_range: false,
        };
        let found = nv12_to_rgb(
            &Nv12 {
                luma: &luma,
                chroma: &chroma,
                width,
                height,
            },
            colour,
        )
        .unwrap();
        let expected = swscale(&luma, &chroma, size, 5, false);
        let off: u64 = found
            .iter()
            .zip(&expected)
            .map(|(a, b)| u64::from(a.abs_diff(*b)))
            .sum();
        assert!(
            off <= 2 * found.len() as u64,
            "{size:?}: off by {off} over {}",
            found.len()
        );
    }
}
