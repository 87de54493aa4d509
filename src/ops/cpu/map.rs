//! The input of a convolution.

#![allow(unsafe_code)]

use crate::ops::types::convolution::Conv2dOptions;

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
}
