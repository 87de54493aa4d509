//! The matrix from YCbCr to RGB.

use crate::engine::Colour;

/// A matrix in integers of 13 fractional bits, as kernels take it.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::ops) struct YuvCoefficients {
    /// What stands for black, with 9 fractional bits.
    black: i32,
    /// Brightness to each colour.
    luma: i32,
    red_cr: i32,
    green_cr: i32,
    green_cb: i32,
    blue_cb: i32,
}

impl YuvCoefficients {
    /// ITU-R BT.601, 3.5: colour differences of amplitude 224 (255 in full range), brightness of 219.
    pub(in crate::ops) fn new(colour: Colour) -> Self {
        let (red, blue) = colour.matrix.weights();
        let green = 1.0 - red - blue;
        // As swscale: numbers of 16 fractional bits first, of limited range, which are cut to those of full range.
        let limited = |share: f64| (share * 255.0 / 224.0 * 65536.0).round() as i64;
        let of_range = |number: i64| {
            if colour.full_range {
                number * 224 / 255
            } else {
                number
            }
        };
        let short = |number: i64| ((number * (1 << 13) + (1 << 15)) >> 16) as i32;
        let share = |share: f64| short(of_range(limited(share)));
        // A half is rounded upwards here too.
        let negative = |share: f64| short(-of_range(limited(share)));
        Self {
            black: if colour.full_range { 0 } else { 16 << 9 },
            luma: short(if colour.full_range {
                1 << 16
            } else {
                (1i64 << 16) * 255 / 219
            }),
            red_cr: share(2.0 * (1.0 - red)),
            green_cr: negative(2.0 * red * (1.0 - red) / green),
            green_cb: negative(2.0 * blue * (1.0 - blue) / green),
            blue_cb: share(2.0 * (1.0 - blue)),
        }
    }

    /// Red, green and blue of a pixel: brightness, and colour differences around 0, as 8 bits have them with 9 fractional bits.
    pub(in crate::ops) fn rgb(&self, luma: i32, cb: i32, cr: i32) -> [u8; 3] {
        // Colours that no picture should have wrap around, as they do there.
        let bright = (luma - self.black)
            .wrapping_mul(self.luma)
            .wrapping_add(1 << 21);
        let sum = |terms: [i32; 2]| bright.wrapping_add(terms[0]).wrapping_add(terms[1]);
        let colours = [
            sum([cr.wrapping_mul(self.red_cr), 0]),
            sum([
                cr.wrapping_mul(self.green_cr),
                cb.wrapping_mul(self.green_cb),
            ]),
            sum([cb.wrapping_mul(self.blue_cb), 0]),
        ];
        colours.map(|c| (c.clamp(0, (1 << 30) - 1) >> 22) as u8)
    }
}
