//! Depthwise convolution, vectors along the channels.

#![allow(unsafe_code)]

use super::{
    map::Map,
    math::Activate,
    memory::Shared,
    parallel,
    simd::{Isa, Kernel, Simd},
};
use crate::ops::types::activation::Activation;

/// Weights `[kh, kw, channels]` and bias.
#[derive(Debug)]
pub(super) struct Depthwise {
    weights: Vec<f32>,
    bias: Vec<f32>,
    channels: usize,
    /// Whether products in bf16 follow, so that activations need not be exact.
    coarse: bool,
}

impl Depthwise {
    /// From `weights` `[channels, 1, kh, kw]`.
    pub(super) fn new(
        weights: &[f32],
        bias: Option<Vec<f32>>,
        (kh, kw): (usize, usize),
        channels: usize,
        coarse: bool,
    ) -> Self {
        let taps = kh * kw;
        let weights = (0..taps * channels)
            .map(|i| weights[i % channels * taps + i / channels])
            .collect();
        Self {
            weights,
            bias: bias.unwrap_or_else(|| vec![0.0; channels]),
            channels,
            coarse,
        }
    }

    /// Convolves `batch` maps.
    ///
    /// # Safety
    /// The map's memory holds `batch` inputs; `out` and `residual` are as large as the outputs.
    pub(super) unsafe fn run(
        &self,
        map: &Map,
        batch: usize,
        out: *mut f32,
        residual: Option<*const f32>,
    ) {
        let (oh, ow) = map.out;
        let rows = batch * oh;
        let work = rows * ow * self.weights.len();
        let (isa, shared) = (Isa::best(), Shared::new((out, residual)));
        parallel::over(rows, work, |range| {
            for row in range {
                let (image, y) = (row / oh, row % oh);
                let at = row * ow * self.channels;
                let (out, residual) = shared.get();
                let (h, w) = map.size;
                let image = map.x.wrapping_add(image * h * w * map.pixel);
                let residual = residual.map(|r| r.wrapping_add(at));
                // SAFETY: the caller vouched for the memory; each row of the output is written by one task.
                unsafe { self.row(isa, map, image, y, out.wrapping_add(at), residual) };
            }
        });
    }

    /// Row `y` of the output for the input at `image`.
    ///
    /// # Safety
    /// The input's rows under the kernel, `out` and `residual` are there.
    pub(super) unsafe fn row(
        &self,
        isa: Isa,
        map: &Map,
        image: *const f32,
        y: usize,
        out: *mut f32,
        residual: Option<*const f32>,
    ) {
        // SAFETY: the caller vouched for the memory.
        unsafe {
            isa.run(Line {
                kernel: self,
                map,
                image,
                y,
                out,
                residual,
            })
        }
    }

    /// Channels of input and output.
    pub(super) fn channels(&self) -> usize {
        self.channels
    }
}

/// One row of an output.
struct Line<'a> {
    kernel: &'a Depthwise,
    map: &'a Map,
    /// Start of the input.
    image: *const f32,
    y: usize,
    out: *mut f32,
    residual: Option<*const f32>,
}

impl Kernel for Line<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let o = self.map.options;
        // SAFETY: see `Depthwise::run`.
        unsafe {
            match (self.map.kernel.1, o.stride) {
                (3, 1) => self.line::<S, 3, 1>(),
                (3, 2) => self.line::<S, 3, 2>(),
                (5, 1) => self.line::<S, 5, 1>(),
                (5, 2) => self.line::<S, 5, 2>(),
                _ => {
                    for x in 0..self.map.out.1 {
                        self.pixel::<S>(x);
                    }
                }
            }
            if !matches!(o.activation, Activation::Identity | Activation::Relu) {
                let len = self.map.out.1 * self.kernel.channels;
                Activate {
                    from: self.out,
                    to: self.out,
                    len,
                    activation: o.activation,
                    affine: o.affine,
                    coarse: self.kernel.coarse,
                }
                .run::<S>();
            }
        }
    }
}

impl Line<'_> {
    /// Rows of the kernel that fall on the input: from, to.
    #[inline(always)]
    fn kernel_rows(&self) -> (usize, usize) {
        let top = self.y * self.map.options.stride;
        let pad = self.map.options.padding.top;
        (
            pad.saturating_sub(top),
            self.map
                .kernel
                .0
                .min((self.map.size.0 + pad).saturating_sub(top)),
        )
    }

    #[inline(always)]
    unsafe fn line<S: Simd, const KW: usize, const STRIDE: usize>(&self) {
        let ow = self.map.out.1;
        // SAFETY: see `Depthwise::run`.
        unsafe {
            match ow {
                8.. => self.tiles::<S, KW, STRIDE, 8>(),
                4.. => self.tiles::<S, KW, STRIDE, 4>(),
                _ => {
                    for x in 0..ow {
                        self.pixel::<S>(x);
                    }
                }
            }
        }
    }

    /// The row by tiles of `N` outputs; the last one may overlap the one before it.
    #[inline(always)]
    unsafe fn tiles<S: Simd, const KW: usize, const STRIDE: usize, const N: usize>(&self) {
        let (ow, w, left) = (
            self.map.out.1,
            self.map.size.1,
            self.map.options.padding.left,
        );
        // SAFETY: see `Depthwise::run`; no tile reaches beyond the row.
        unsafe {
            let mut next = 0;
            while next < ow {
                let x = next.min(ow - N);
                if x * STRIDE >= left && (x + N - 1) * STRIDE + KW <= w + left {
                    self.tile::<S, KW, STRIDE, N, false>(x);
                } else {
                    self.tile::<S, KW, STRIDE, N, true>(x);
                }
                next += N;
            }
        }
    }

    /// `N` outputs from column `x` on, whose kernels reach over the input's border only where `BORDER`.
    #[inline(always)]
    unsafe fn tile<
        S: Simd,
        const KW: usize,
        const STRIDE: usize,
        const N: usize,
        const BORDER: bool,
    >(
        &self,
        x: usize,
    ) {
        let (channels, pixel, w) = (self.kernel.channels, self.map.pixel, self.map.size.1);
        let o = self.map.options;
        let (from, to) = self.kernel_rows();
        let weights = self.kernel.weights.as_ptr();
        let mut c = 0;
        // SAFETY: see `Depthwise::run`; the channels left are read and written alone.
        unsafe {
            while c < channels {
                let n = S::LANES.min(channels - c);
                let full = n == S::LANES;
                let mut acc = [S::load_n(self.kernel.bias.as_ptr().wrapping_add(c), n); N];
                for ky in from..to {
                    let iy = self.y * STRIDE + ky - o.padding.top;
                    let line = self.image.wrapping_add(iy * w * pixel + c);
                    for kx in 0..KW {
                        let at = weights.wrapping_add((ky * KW + kx) * channels + c);
                        let weight = if full { S::load(at) } else { S::load_n(at, n) };
                        for (i, acc) in acc.iter_mut().enumerate() {
                            let column = ((x + i) * STRIDE + kx).wrapping_sub(o.padding.left);
                            if BORDER && column >= w {
                                continue;
                            }
                            let at = line.wrapping_add(column * pixel);
                            let value = if full { S::load(at) } else { S::load_n(at, n) };
                            *acc = S::fma(value, weight, *acc);
                        }
                    }
                }
                for (i, acc) in acc.iter().enumerate() {
                    self.finish::<S>((x + i) * channels + c, *acc, n);
                }
                c += S::LANES;
            }
        }
    }

    /// The output at column `x`, wherever the kernel lies.
    #[inline(always)]
    unsafe fn pixel<S: Simd>(&self, x: usize) {
        let (channels, pixel, w) = (self.kernel.channels, self.map.pixel, self.map.size.1);
        let (o, kw) = (self.map.options, self.map.kernel.1);
        let (from, to) = self.kernel_rows();
        let (column, left) = (x * o.stride, o.padding.left);
        let columns = left.saturating_sub(column)..kw.min((w + left).saturating_sub(column));
        let mut c = 0;
        // SAFETY: see `Depthwise::run`; the channels left are read and written alone.
        unsafe {
            while c < channels {
                let n = S::LANES.min(channels - c);
                let mut acc = S::load_n(self.kernel.bias.as_ptr().wrapping_add(c), n);
                for ky in from..to {
                    let iy = self.y * o.stride + ky - o.padding.top;
                    for kx in columns.clone() {
                        let value = self
                            .image
                            .wrapping_add((iy * w + column + kx - left) * pixel + c);
                        let weight = self
                            .kernel
                            .weights
                            .as_ptr()
                            .wrapping_add((ky * kw + kx) * channels + c);
                        acc = S::fma(S::load_n(value, n), S::load_n(weight, n), acc);
                    }
                }
                self.finish::<S>(x * channels + c, acc, n);
                c += S::LANES;
            }
        }
    }

    /// Residual, relu and affine, and the way to memory.
    #[inline(always)]
    unsafe fn finish<S: Simd>(&self, at: usize, mut v: S::V, n: usize) {
        let o = &self.map.options;
        // SAFETY: see `Depthwise::run`.
        unsafe {
            if let Some(residual) = self.residual {
                v = S::add(v, S::load_n(residual.wrapping_add(at), n));
            }
            if o.activation == Activation::Relu {
                v = S::max(S::splat(0.0), v);
            }
            if let Some((scale, shift)) = o.affine
                && matches!(o.activation, Activation::Identity | Activation::Relu)
            {
                v = S::fma(v, S::splat(scale), S::splat(shift));
            }
            let to = self.out.wrapping_add(at);
            if n == S::LANES {
                S::store(to, v)
            } else {
                S::store_n(to, v, n)
            }
        }
    }
}
