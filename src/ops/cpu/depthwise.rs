//! Depthwise convolution, vectors along the channels.

#![allow(unsafe_code)]

use super::{
    map::Map,
    math::Activate,
    memory::Shared,
    parallel,
    simd::{Factors, Halves, Isa, Kernel, PairKernel, Pairs, Simd, Singles},
};
use crate::ops::types::{activation::Activation, convolution::Products};

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

    /// Whether products in bf16 follow, and outputs may be rounded to it: they are whole vectors, and finished where they are summed up.
    pub(super) fn rounds(&self, activation: Activation) -> bool {
        let light = matches!(activation, Activation::Identity | Activation::Relu);
        self.coarse && light && self.channels.is_multiple_of(16) && Isa::best().has_pairs()
    }

    /// Convolves `batch` maps, to an output that is kept in f32, or in bf16 where [`Depthwise::rounds`].
    ///
    /// # Safety
    /// The map's memory holds `batch` inputs; `out` and `residual` are as large as the outputs.
    pub(super) unsafe fn run(
        &self,
        map: &Map,
        batch: usize,
        out: *mut f32,
        residual: Option<*const f32>,
        kept: Products,
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
                let line = Line {
                    kernel: self,
                    map,
                    image,
                    y,
                    out: match kept {
                        Products::F32 => out.wrapping_add(at),
                        Products::Bf16 => out.wrapping_add(at / 2),
                    },
                    residual: residual.map(|r| r.wrapping_add(at)),
                };
                // SAFETY: the caller vouched for the memory; each row of the output is written by one task.
                unsafe {
                    match kept {
                        Products::F32 => isa.run(line),
                        Products::Bf16 => isa.run_pairs(line),
                    }
                };
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

/// Repeats a block with a constant for each of some numbers: loops would leave the accumulators in memory.
macro_rules! each {
    ($i:ident $($n:literal)* $body:block) => {
        $({
            const $i: usize = $n;
            $body
        })*
    };
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
        // SAFETY: see `Depthwise::run`.
        unsafe { self.all::<S, Singles>() }
    }
}

impl PairKernel for Line<'_> {
    #[inline(always)]
    unsafe fn run<S: Pairs>(self) {
        // SAFETY: see `Depthwise::run`.
        unsafe { self.all::<S, Halves>() }
    }
}

impl Line<'_> {
    #[inline(always)]
    unsafe fn all<S: Simd, F: Factors<S>>(&self) {
        let o = self.map.options;
        // SAFETY: see `Depthwise::run`.
        unsafe {
            match (self.map.kernel.1, o.stride) {
                (3, 1) => self.line::<S, F, 3, 1>(),
                (3, 2) => self.line::<S, F, 3, 2>(),
                (5, 1) => self.line::<S, F, 5, 1>(),
                (5, 2) => self.line::<S, F, 5, 2>(),
                _ => {
                    for x in 0..self.map.out.1 {
                        self.pixel::<S, F>(x);
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
    unsafe fn line<S: Simd, F: Factors<S>, const KW: usize, const STRIDE: usize>(&self) {
        let ow = self.map.out.1;
        // SAFETY: see `Depthwise::run`.
        unsafe {
            match ow {
                8.. => self.tiles::<S, F, KW, STRIDE, 8>(),
                4.. => self.tiles::<S, F, KW, STRIDE, 4>(),
                _ => {
                    for x in 0..ow {
                        self.pixel::<S, F>(x);
                    }
                }
            }
        }
    }

    /// The row by tiles of `N` outputs; the last one may overlap the one before it.
    #[inline(always)]
    unsafe fn tiles<
        S: Simd,
        F: Factors<S>,
        const KW: usize,
        const STRIDE: usize,
        const N: usize,
    >(
        &self,
    ) {
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
                    self.tile::<S, F, KW, STRIDE, N, false>(x);
                } else {
                    self.tile::<S, F, KW, STRIDE, N, true>(x);
                }
                next += N;
            }
        }
    }

    /// `N` outputs from column `x` on, whose kernels reach over the input's border only where `BORDER`.
    #[inline(always)]
    unsafe fn tile<
        S: Simd,
        F: Factors<S>,
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
                    let mut weight = [S::splat(0.0); KW];
                    for (kx, weight) in weight.iter_mut().enumerate() {
                        let at = weights.wrapping_add((ky * KW + kx) * channels + c);
                        *weight = if full { S::load(at) } else { S::load_n(at, n) };
                    }
                    // Each column of the input is read once, for all outputs that it is under.
                    each!(J 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 {
                        let column = (x * STRIDE + J).wrapping_sub(o.padding.left);
                        if J < (N - 1) * STRIDE + KW && (!BORDER || column < w) {
                            let at = line.wrapping_add(column * pixel);
                            let value = if full { S::load(at) } else { S::load_n(at, n) };
                            each!(K 0 1 2 3 4 {
                                if let Some(ahead) = J.checked_sub(K)
                                    && K < KW
                                    && ahead % STRIDE == 0
                                    && ahead / STRIDE < N
                                {
                                    let i = ahead / STRIDE;
                                    acc[i] = S::fma(value, weight[K], acc[i]);
                                }
                            });
                        }
                    });
                }
                for (i, acc) in acc.iter().enumerate() {
                    self.finish::<S, F>((x + i) * channels + c, *acc, n);
                }
                c += S::LANES;
            }
        }
    }

    /// The output at column `x`, wherever the kernel lies.
    #[inline(always)]
    unsafe fn pixel<S: Simd, F: Factors<S>>(&self, x: usize) {
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
                self.finish::<S, F>(x * channels + c, acc, n);
                c += S::LANES;
            }
        }
    }

    /// Residual, relu and affine, and the way to memory.
    #[inline(always)]
    unsafe fn finish<S: Simd, F: Factors<S>>(&self, at: usize, mut v: S::V, n: usize) {
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
            F::put(self.out, at, v, n);
        }
    }
}
