//! The input of a convolution.

#![allow(unsafe_code)]

use crate::ops::types::convolution::{Conv2dOptions, Padding};
use std::ops::Range;

/// An input map and how a kernel slides over it.
#[derive(Clone, Copy)]
pub(super) struct Map {
    pub(super) x: *const f32,
    /// Floats from one pixel to the next.
    pub(super) pixel: usize,
    /// Height and width of the input.
    pub(super) size: (usize, usize),
    /// Height and width of the kernel.
    pub(super) kernel: (usize, usize),
    /// Height and width of the output.
    pub(super) out: (usize, usize),
    pub(super) options: Conv2dOptions,
}

// SAFETY: only read, as long as the memory is borrowed.
unsafe impl Sync for Map {}

impl Map {
    pub(super) fn at_channel(mut self, channel: usize) -> Self {
        self.x = self.x.wrapping_add(channel);
        self
    }

    /// Rows of the input under the kernel for some rows of the output.
    pub(super) fn rows_under(&self, rows: &Range<usize>) -> Range<usize> {
        let Conv2dOptions {
            stride, padding, ..
        } = self.options;
        rows_under(rows, self.kernel.0, stride, padding, self.size.0)
    }
}

/// Rows of an input of `size` rows that lie under a kernel of `kernel` rows for `rows` of the output.
pub(super) fn rows_under(
    rows: &Range<usize>,
    kernel: usize,
    stride: usize,
    padding: Padding,
    size: usize,
) -> Range<usize> {
    let end = ((rows.end.max(1) - 1) * stride + kernel).saturating_sub(padding.top);
    let end = end.min(size);
    (rows.start * stride).saturating_sub(padding.top).min(end)..end
}
