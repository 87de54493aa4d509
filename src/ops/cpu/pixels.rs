//! The pixels under a kernel as rows of a product, read where they lie.

#![allow(unsafe_code)]

use super::{gemm::Rows, map::Map, tile::Piece};
use crate::ops::types::convolution::Products;

/// Output pixels as rows. Where pixels lie one after another (`joined`) a piece is a row of the kernel, else a pixel.
pub(super) struct Pixels {
    pub(super) map: Map,
    pub(super) channels: usize,
    pub(super) joined: bool,
    /// As many as a row of the kernel has numbers.
    pub(super) zeros: *const f32,
    /// What the map holds. A number is a pair where that is bf16.
    pub(super) held: Products,
}

impl Pixels {
    /// The pixels of `map` as they are. They lie one after another if they have no more than `channels`.
    pub(super) fn of(map: &Map, channels: usize, zeros: *const f32) -> Self {
        Self {
            map: *map,
            channels,
            joined: map.pixel == channels,
            zeros,
            held: Products::F32,
        }
    }

    /// The pixels of `map`, whose numbers are rounded to `rounded` (see [`super::rounded::round_all`]) from row `first` of the first image on.
    /// Its pixels lie one after another and have an even number of channels.
    pub(super) fn of_pairs(
        map: &Map,
        rounded: *const f32,
        first: usize,
        zeros: *const f32,
    ) -> Self {
        let channels = map.pixel / 2;
        Self {
            map: Map {
                x: rounded.wrapping_sub(first * map.size.1 * channels),
                pixel: channels,
                ..*map
            },
            channels,
            joined: true,
            zeros,
            held: Products::Bf16,
        }
    }
}

// SAFETY: only read, as long as the memory is borrowed.
unsafe impl Sync for Pixels {}

impl Rows for Pixels {
    fn pieces(&self) -> usize {
        self.map.kernel.0 * if self.joined { 1 } else { self.map.kernel.1 }
    }

    fn read(&self, first: usize, count: usize, pieces: &mut [Piece], scratch: &mut Vec<f32>) {
        if pieces.is_empty() {
            return;
        }
        let Map {
            kernel: (kh, kw),
            out: (oh, ow),
            size: (h, w),
            options: o,
            ..
        } = self.map;
        let piece = self.channels * if self.joined { kw } else { 1 };
        for (i, to) in pieces.iter_mut().enumerate() {
            (to.first, to.inner, to.held) = (i * piece, piece, self.held);
        }
        if self.joined && scratch.len() < count * kh * piece {
            scratch.resize(count * kh * piece, 0.0);
        }
        let (mut row, mut at) = (0, first);
        while row < count {
            // Pixels of one row of the output.
            let (line, x) = (at / ow, at % ow);
            let run = (ow - x).min(count - row);
            for ky in 0..kh {
                let iy = (line % oh * o.stride + ky).wrapping_sub(o.padding.top);
                let input = (iy < h).then(|| {
                    self.map
                        .x
                        .wrapping_add((line / oh * h + iy) * w * self.map.pixel)
                });
                if self.joined {
                    let scratch = &mut scratch[ky * count * piece..];
                    self.joined_row(
                        input,
                        x,
                        &mut pieces[ky].rows[row..row + run],
                        &mut scratch[row * piece..],
                    );
                } else {
                    for kx in 0..kw {
                        self.single_row(
                            input,
                            x * o.stride + kx,
                            &mut pieces[ky * kw + kx].rows[row..row + run],
                        );
                    }
                }
            }
            (row, at) = (row + run, at + run);
        }
    }
}

impl Pixels {
    /// Pointers to the pixels at columns `column`, `column + stride`, … of the padded input.
    fn single_row(&self, input: Option<*const f32>, column: usize, to: &mut [*const f32]) {
        let Map {
            size: (_, w),
            options: o,
            pixel,
            ..
        } = self.map;
        for (i, to) in to.iter_mut().enumerate() {
            let x = (column + i * o.stride).wrapping_sub(o.padding.left);
            *to = match input {
                Some(input) if x < w => input.wrapping_add(x * pixel),
                _ => self.zeros,
            };
        }
    }

    /// Pointers to the rows of the kernel over outputs `x`, `x + 1`, …; those that reach over the border are copied.
    fn joined_row(
        &self,
        input: Option<*const f32>,
        x: usize,
        to: &mut [*const f32],
        scratch: &mut [f32],
    ) {
        let Map {
            size: (_, w),
            kernel: (_, kw),
            options: o,
            pixel,
            ..
        } = self.map;
        let Some(input) = input else {
            to.fill(self.zeros);
            return;
        };
        let left = (x * o.stride) as isize - o.padding.left as isize;
        let last = left + ((to.len() - 1) * o.stride + kw) as isize;
        if left >= 0 && last <= w as isize {
            let mut at = input.wrapping_add(left as usize * pixel);
            for to in to {
                *to = at;
                at = at.wrapping_add(o.stride * pixel);
            }
            return;
        }
        let piece = kw * self.channels;
        for (i, to) in to.iter_mut().enumerate() {
            let left = left + (i * o.stride) as isize;
            *to = if left >= 0 && left as usize + kw <= w {
                input.wrapping_add(left as usize * pixel)
            } else {
                let copy = &mut scratch[i * piece..][..piece];
                self.copy_border(input, left, copy);
                copy.as_ptr()
            };
        }
    }

    /// The pixels from column `left` on of a row of the input, zeros outside.
    fn copy_border(&self, line: *const f32, left: isize, to: &mut [f32]) {
        to.fill(0.0);
        let (w, kw) = (self.map.size.1 as isize, self.map.kernel.1 as isize);
        let (from, end) = (left.clamp(0, w), (left + kw).clamp(0, w));
        if from < end {
            let numbers = (end - from) as usize * self.channels;
            let at = (from - left) as usize * self.channels;
            // SAFETY: columns from..end lie within the row of the input, and as many pixels from `at` within the piece.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    line.wrapping_add(from as usize * self.channels),
                    to[at..at + numbers].as_mut_ptr(),
                    numbers,
                );
            }
        }
    }
}
