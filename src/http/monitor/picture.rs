//! The frame as JPEG.

use crate::frame::{Channels, Image};
use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress};

/// Quality: speckle looks as it is, at half of the bytes of 90.
const QUALITY: u8 = 80;

/// Pixels of a side that become one, so that none is longer than `longest`.
pub(super) fn factor(image: (u32, u32), longest: u32) -> u32 {
    image.0.max(image.1).div_ceil(longest.max(1)).max(1)
}

/// `image` as JPEG, `factor`×`factor` pixels to one: their mean. Columns and rows that fill no such square are left out.
///
/// # Errors
/// In words, if the encoder does not take it.
pub(super) fn jpeg(image: &Image, factor: u32) -> Result<Vec<u8>, String> {
    let (width, height) = (image.size().width, image.size().height);
    let factor = factor.clamp(1, width.min(height).max(1));
    let (columns, rows) = ((width / factor) as usize, (height / factor) as usize);
    let (format, sampling) = match image.channels() {
        Channels::Gray => (PixelFormat::Grayscale, Subsampling::S444),
        Channels::Rgb => (PixelFormat::Rgb, Subsampling::S420),
    };
    let (data, width, factor) = (image.data(), width as usize, factor as usize);
    let reduced = match (factor, image.channels()) {
        (1, _) => Vec::new(),
        (2, Channels::Gray) => halves::<1>(data, width, rows, columns),
        (2, Channels::Rgb) => halves::<3>(data, width, rows, columns),
        (_, Channels::Gray) => means::<1>(data, width, factor, rows, columns),
        (_, Channels::Rgb) => means::<3>(data, width, factor, rows, columns),
    };
    let pixels = if factor == 1 { data } else { &reduced };
    compress(pixels, columns, rows, format, QUALITY, sampling).map_err(|e| e.to_string())
}

/// Means of squares of `factor`×`factor` pixels of `C` interleaved channels.
fn means<const C: usize>(
    data: &[u8],
    width: usize,
    factor: usize,
    rows: usize,
    columns: usize,
) -> Vec<u8> {
    let mut reduced = vec![0; rows * columns * C];
    // Rows are added first, in which neighbours are independent of each other.
    let mut sums = vec![0u32; width * C];
    let area = (factor * factor) as u32;
    let bands = data.chunks_exact(factor * width * C);
    for (band, reduced) in bands.zip(reduced.chunks_exact_mut(columns * C)) {
        sums.fill(0);
        for row in band.chunks_exact(width * C) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += u32::from(*value);
            }
        }
        let pixels = reduced.chunks_exact_mut(C);
        for (pixel, square) in pixels.zip(sums.chunks_exact(factor * C)) {
            for (c, mean) in pixel.iter_mut().enumerate() {
                let sum: u32 = square.iter().skip(c).step_by(C).sum();
                *mean = ((sum + area / 2) / area) as u8;
            }
        }
    }
    reduced
}

/// The same of squares of 2×2 pixels, as frames of 1080 rows have them: in a third of the time.
fn halves<const C: usize>(data: &[u8], width: usize, rows: usize, columns: usize) -> Vec<u8> {
    let mut reduced = vec![0; rows * columns * C];
    let mut sums = vec![0u16; width * C];
    let bands = data.chunks_exact(2 * width * C);
    for (band, reduced) in bands.zip(reduced.chunks_exact_mut(columns * C)) {
        let (upper, lower) = band.split_at(width * C);
        for ((sum, a), b) in sums.iter_mut().zip(upper).zip(lower) {
            *sum = u16::from(*a) + u16::from(*b);
        }
        let pixels = reduced.as_chunks_mut::<C>().0.iter_mut();
        let pairs = sums.chunks_exact(2 * C);
        for (pixel, pair) in pixels.zip(pairs) {
            let (left, right) = pair.split_at(C);
            for ((mean, a), b) in pixel.iter_mut().zip(left).zip(right) {
                *mean = ((a + b + 2) / 4) as u8;
            }
        }
    }
    reduced
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;

    fn image(width: u32, height: u32, channels: Channels) -> Image {
        let count = (width * height) as usize * channels.count();
        let data = (0..count).map(|at| (at * 7 % 251) as u8).collect();
        Image::new(Size::new(width, height), channels, data).unwrap()
    }

    #[test]
    fn squares_become_their_means_whatever_the_factor() {
        for channels in [Channels::Gray, Channels::Rgb] {
            for factor in 2..6 {
                let (width, height, c) = (23usize, 17usize, channels.count());
                let image = image(width as u32, height as u32, channels);
                let (rows, columns) = (height / factor, width / factor);
                if factor == 2 {
                    let halves = match c {
                        1 => halves::<1>(image.data(), width, rows, columns),
                        _ => halves::<3>(image.data(), width, rows, columns),
                    };
                    let means = match c {
                        1 => means::<1>(image.data(), width, 2, rows, columns),
                        _ => means::<3>(image.data(), width, 2, rows, columns),
                    };
                    assert_eq!(halves, means);
                }
                let reduced = match c {
                    1 => means::<1>(image.data(), width, factor, rows, columns),
                    _ => means::<3>(image.data(), width, factor, rows, columns),
                };
                assert_eq!(reduced.len(), rows * columns * c);
                for (at, value) in reduced.iter().enumerate() {
                    let (y, x, channel) = (at / c / columns, at / c % columns, at % c);
                    let mut sum = 0;
                    for dy in 0..factor {
                        for dx in 0..factor {
                            let pixel = (y * factor + dy) * width + x * factor + dx;
                            sum += u32::from(image.data()[pixel * c + channel]);
                        }
                    }
                    let area = (factor * factor) as u32;
                    assert_eq!(u32::from(*value), (sum + area / 2) / area, "{factor} {at}");
                }
            }
        }
    }

    #[test]
    fn pictures_are_no_longer_than_wanted_and_decode_to_about_themselves() {
        assert_eq!(factor((1920, 1080), 1280), 2);
        assert_eq!(factor((1280, 720), 1280), 1);
        assert_eq!(factor((400, 3000), 1280), 3);
        for channels in [Channels::Gray, Channels::Rgb] {
            let flat = vec![90; 64 * 48 * channels.count()];
            let image = Image::new(Size::new(64, 48), channels, flat).unwrap();
            let bytes = jpeg(&image, 2).unwrap();
            let decoded = image::load_from_memory(&bytes).unwrap().to_luma8();
            assert_eq!(decoded.dimensions(), (32, 24));
            assert!(decoded.pixels().all(|p| p.0[0].abs_diff(90) < 3));
        }
        assert!(jpeg(&image(1, 1, Channels::Gray), 9).is_ok());
    }
}
