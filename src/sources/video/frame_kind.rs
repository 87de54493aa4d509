//! Format, size and colour of a decoded frame.

#![allow(unsafe_code)]

use crate::{
    av::{format::Pixel, frame},
    engine::YuvMatrix,
    geometry::Size,
};

/// `AVCOL_RANGE_MPEG` and `AVCOL_RANGE_JPEG`, as stable as FFmpeg's ABI.
const LIMITED: i32 = 1;
const FULL: i32 = 2;

/// The properties of a frame that its conversion to RGB depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) format: Pixel,
    pub(super) size: Size,
    matrix: i32,
    range: i32,
}

impl Kind {
    /// The properties of a decoded frame.
    pub(super) fn of(frame: &frame::Video) -> Self {
        // SAFETY: the frame is alive. The two fields are C enums: read as integers, a value that the bindings do not
        // know does no harm.
        let (matrix, range) = unsafe {
            let raw = frame.as_ptr();
            (
                (&raw const (*raw).colorspace).cast::<i32>().read(),
                (&raw const (*raw).color_range).cast::<i32>().read(),
            )
        };
        Self {
            format: frame.format(),
            size: Size::new(frame.width(), frame.height()),
            matrix,
            range,
        }
    }

    /// Checks the size of the frame.
    ///
    /// # Errors
    /// If it has no pixels or more than `max_pixels`.
    pub(super) fn check(self, max_pixels: u64) -> Result<(), String> {
        if self.size.pixels() == 0
            || self.size.pixels() > max_pixels
            || self.size.width > i32::MAX as u32 / 8
        {
            return Err(format!(
                "is {} pixels, the limit is {max_pixels}",
                self.size
            ));
        }
        Ok(())
    }

    /// Whether the frame states that its luma covers 0..=255.
    pub(super) fn is_full_range(self) -> bool {
        self.range == FULL
    }

    /// Whether the frame states that its luma covers 16..=235.
    pub(super) fn is_limited_range(self) -> bool {
        self.range == LIMITED
    }

    /// The matrix that [`Self::coefficients`] numbers.
    pub(super) fn matrix(self) -> YuvMatrix {
        match self.coefficients() {
            1 => YuvMatrix::Bt709,
            4 => YuvMatrix::Fcc,
            7 => YuvMatrix::Smpte240m,
            9 => YuvMatrix::Bt2020,
            _ => YuvMatrix::Bt601,
        }
    }

    /// The frame's matrix as swscale numbers it: BT.601 where none is stated or it is none of YCbCr with fixed coefficients.
    pub(super) fn coefficients(self) -> i32 {
        const BT709: i32 = 1;
        const BT601: i32 = 5;
        const FCC: i32 = 4;
        const SMPTE240M: i32 = 7;
        const BT2020: [i32; 2] = [9, 10];
        match self.matrix {
            BT709 | FCC | SMPTE240M => self.matrix,
            m if BT2020.contains(&m) => 9,
            _ => BT601,
        }
    }
}
