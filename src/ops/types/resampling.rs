//! Normalisation of pixels, and the coefficients of resampling.

/// `(pixel - mean) / std` for each channel, pixels in 0..255.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalisation {
    /// Subtracted, for red, green, blue.
    pub mean: [f32; 3],
    /// Divided by, for red, green, blue.
    pub std: [f32; 3],
}

impl Normalisation {
    /// To 0..1 and no further (D-FINE).
    pub const UNIT: Self = Self {
        mean: [0.0; 3],
        std: [255.0; 3],
    };
    /// ImageNet's, in 0..255 (SAM).
    pub const IMAGENET: Self = Self {
        mean: [123.675, 116.28, 103.53],
        std: [58.395, 57.12, 57.375],
    };
}

/// Pillow's coefficients of antialiased bilinear resampling along one side, as integers of [`Coefficients::BITS`] fractional bits.
#[derive(Debug)]
pub(in crate::ops) struct Coefficients {
    /// For each output pixel, the first input pixel and the number of input pixels.
    spans: Vec<(usize, usize)>,
    /// `max_taps` for each output pixel.
    taps: Vec<i32>,
    max_taps: usize,
}

impl Coefficients {
    /// Fractional bits: 32 less the 8 of a pixel and 2 of head room.
    pub(in crate::ops) const BITS: u32 = 32 - 8 - 2;

    /// One half.
    pub(in crate::ops) const HALF: i32 = 1 << (Self::BITS - 1);

    /// For a side of `from` pixels brought to `to`.
    pub(in crate::ops) fn new(from: usize, to: usize) -> Self {
        let scale = from as f64 / to as f64;
        let support = scale.max(1.0);
        let max_taps = support.ceil() as usize * 2 + 1;
        let (mut spans, mut all) = (Vec::with_capacity(to), vec![0; to * max_taps]);
        for (i, taps) in all.chunks_exact_mut(max_taps).enumerate() {
            let centre = (i as f64 + 0.5) * scale;
            let first = ((centre - support + 0.5) as i64).max(0) as usize;
            let end = ((centre + support + 0.5) as i64).min(from as i64) as usize;
            let share =
                |x: usize| (1.0 - ((x as f64 - centre + 0.5) * (1.0 / support)).abs()).max(0.0);
            let total: f64 = (first..end).map(share).sum();
            for (x, tap) in (first..end).zip(taps) {
                *tap = (share(x) / total * f64::from(1 << Self::BITS) + 0.5) as i32;
            }
            spans.push((first, end - first));
        }
        Self {
            spans,
            taps: all,
            max_taps,
        }
    }

    /// The first input pixel of output pixel `i`, and the factors of that and the next ones.
    pub(in crate::ops) fn of(&self, i: usize) -> (usize, &[i32]) {
        let (first, count) = self.spans[i];
        (first, &self.taps[i * self.max_taps..][..count])
    }

    /// Largest number of input pixels of an output pixel.
    pub(in crate::ops) fn max_taps(&self) -> usize {
        self.max_taps
    }
}
