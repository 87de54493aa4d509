//! Resizing against Pillow's own results, and masks against their reference.

use super::{assert_close, random};
use crate::ops::{
    Normalisation, cpu::simd::for_each_isa, masks_to_runs, reference, resize_normalise,
};
use candle_core::{DType, Device, Tensor};

const PILLOW: &[u8] = include_bytes!("testdata/pillow_resize.bin");

/// As in testdata/pillow_resize.py: height, width and channels of the image, and of the result.
const CASES: [[usize; 6]; 8] = [
    [37, 53, 3, 24, 64, 3],
    [53, 37, 1, 64, 40, 1],
    [100, 41, 3, 13, 80, 3],
    [16, 21, 3, 16, 7, 3],
    [9, 90, 1, 20, 90, 1],
    [31, 29, 3, 40, 20, 1],
    [1, 1, 3, 5, 4, 3],
    [120, 200, 1, 3, 2, 1],
];

/// The image of testdata/pillow_resize.py.
fn image(h: usize, w: usize, c: usize) -> Tensor {
    let noise = |i: u64| ((i * 2_654_435_761 % (1 << 32)) >> 23).min(255) as u8;
    Tensor::from_vec(
        (0..(h * w * c) as u64).map(noise).collect(),
        (h, w, c),
        &Device::Cpu,
    )
    .unwrap()
}

const PIXELS: Normalisation = Normalisation {
    mean: [0.0; 3],
    std: [1.0; 3],
};

#[test]
fn resized_pixels_are_pillows() {
    for_each_isa(|isa| {
        let mut expected = PILLOW;
        for [h, w, c, oh, ow, channels] in CASES {
            let x = resize_normalise(
                &image(h, w, c),
                (oh, ow),
                (oh, ow),
                channels,
                &PIXELS,
                DType::F32,
            )
            .unwrap();
            let found: Vec<f32> = x.flatten_all().unwrap().to_vec1().unwrap();
            let (this, rest) = expected.split_at(oh * ow * channels);
            expected = rest;
            let this: Vec<f32> = this.iter().map(|&v| f32::from(v)).collect();
            assert!(
                found == this,
                "{isa:?}: {h}×{w}×{c} to {oh}×{ow}×{channels}"
            );
        }
        assert!(expected.is_empty());
    });
}

#[test]
fn resizing_is_the_reference_bit_for_bit() {
    for (h, w, c, size, padded, channels) in [
        (37, 53, 3, (24, 64), (24, 64), 3),
        (20, 30, 3, (43, 64), (64, 64), 3),
        (20, 30, 1, (43, 64), (50, 70), 3),
        (64, 64, 3, (64, 64), (64, 64), 1),
        (33, 70, 3, (33, 20), (40, 20), 1),
        (33, 70, 1, (20, 70), (20, 70), 1),
    ] {
        for normalisation in [Normalisation::UNIT, Normalisation::IMAGENET] {
            let image = image(h, w, c);
            let expected =
                reference::resize_normalise(&image, size, padded, channels, &normalisation)
                    .unwrap();
            for_each_isa(|isa| {
                let found =
                    resize_normalise(&image, size, padded, channels, &normalisation, DType::F32)
                        .unwrap();
                assert_close(
                    &found,
                    &expected,
                    0.0,
                    &format!("{isa:?} {h}×{w}×{c} to {size:?} in {padded:?}, {channels}"),
                );
            });
        }
    }
}

#[test]
fn resizing_refuses_what_it_does_not_take() {
    let x = image(4, 4, 3);
    assert!(resize_normalise(&x, (8, 8), (7, 8), 3, &PIXELS, DType::F32).is_err());
    assert!(resize_normalise(&x, (0, 8), (8, 8), 3, &PIXELS, DType::F32).is_err());
    assert!(resize_normalise(&x, (8, 8), (8, 8), 2, &PIXELS, DType::F32).is_err());
    assert!(
        resize_normalise(
            &x.to_dtype(DType::F32).unwrap(),
            (8, 8),
            (8, 8),
            3,
            &PIXELS,
            DType::F32
        )
        .is_err()
    );
    assert!(resize_normalise(&image(4, 4, 2), (8, 8), (8, 8), 3, &PIXELS, DType::F32).is_err());
}

/// Row-major pixels of column-major runs.
fn pixels(counts: &[u32], (h, w): (usize, usize)) -> Vec<bool> {
    let columns: Vec<bool> = counts
        .iter()
        .enumerate()
        .flat_map(|(i, &n)| std::iter::repeat_n(i % 2 == 1, n as usize))
        .collect();
    assert_eq!(columns.len(), h * w);
    (0..h * w).map(|i| columns[i % w * h + i / w]).collect()
}

#[test]
fn masks_agree_except_where_the_logit_is_zero_within_rounding() {
    for (n, size, side, scaled, frame) in [
        (3, (16, 16), 64, (64, 48), (97, 71)),
        (2, (16, 16), 64, (40, 64), (20, 33)),
        (1, (16, 12), 16, (16, 16), (16, 16)),
        (1, (16, 16), 8, (8, 7), (30, 9)),
        (1, (1, 1), 4, (4, 4), (5, 3)),
        (2, (64, 64), 256, (143, 256), (270, 480)),
    ] {
        // Smooth blobs and noise.
        let noise = random(&[n, size.0, size.1], 5);
        for logits in [
            noise.clone(),
            (noise.ones_like().unwrap() * -1.0).unwrap(),
            noise.ones_like().unwrap(),
        ] {
            let found = masks_to_runs(&logits, side, scaled, frame).unwrap();
            let expected = reference::masks_to_runs(&logits, side, scaled, frame).unwrap();
            let middle = reference::resize_bilinear(&logits, (side, side)).unwrap();
            let middle = middle
                .narrow(1, 0, scaled.0)
                .unwrap()
                .narrow(2, 0, scaled.1)
                .unwrap()
                .contiguous()
                .unwrap();
            let values = reference::resize_bilinear(&middle, frame)
                .unwrap()
                .flatten_from(1)
                .unwrap()
                .to_vec2::<f32>()
                .unwrap();
            for ((found, expected), values) in found.iter().zip(&expected).zip(&values) {
                let (f, e) = (
                    pixels(&found.counts, frame),
                    pixels(&expected.counts, frame),
                );
                assert!(found.counts.iter().skip(1).all(|&c| c > 0), "an empty run");
                assert_eq!(found.area, f.iter().filter(|&&p| p).count() as u64);
                for (i, value) in values.iter().enumerate() {
                    assert!(
                        f[i] == e[i] || value.abs() < 1e-5,
                        "{size:?} {side} {scaled:?} {frame:?}: pixel {i}, logit {value}"
                    );
                }
            }
        }
    }
}

#[test]
fn masks_of_impossible_sizes_are_refused() {
    let x = random(&[1, 4, 4], 1);
    assert!(masks_to_runs(&x, 8, (9, 8), (5, 5)).is_err());
    assert!(masks_to_runs(&x, 8, (8, 8), (0, 5)).is_err());
    assert!(masks_to_runs(&x, 8, (8, 8), (1 << 20, 1 << 20)).is_err());
    assert!(
        masks_to_runs(&random(&[0, 4, 4], 1), 8, (8, 8), (5, 5))
            .unwrap()
            .is_empty()
    );
}
