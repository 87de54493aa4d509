//! Weights laid out for [`super::tile`]: panels of 16 columns, each `[inner][16]` in f32 or `[inner / 2][16][2]` in bf16, aligned to cache
//! lines. Sixteen lines of the latter are what a tile register of AMX takes.

use super::{amx, simd::pair, tile::PANEL};
use crate::ops::types::convolution::Products;

/// Numbers, or pairs of bf16, by their bits.
#[repr(align(64))]
#[derive(Debug, Clone, Copy)]
struct Line([u32; PANEL]);

/// A matrix `[inner, columns]` in panels, with a bias for each column.
#[derive(Debug)]
pub(super) struct Packed {
    /// Of pairs there is a tile of AMX less a line more than the panels have: the last tile of a panel reaches beyond it.
    lines: Vec<Line>,
    bias: Option<Vec<Line>>,
    pub(super) inner: usize,
    pub(super) columns: usize,
    pub(super) products: Products,
}

impl Packed {
    /// Packs the matrix whose number at (row of `inner`, column) is `at(row, column)`.
    pub(super) fn new(
        (inner, columns): (usize, usize),
        bias: Option<&[f32]>,
        products: Products,
        at: impl Fn(usize, usize) -> f32,
    ) -> Self {
        let panels = columns.div_ceil(PANEL);
        let rows = lines(inner, products);
        let beyond = match products {
            Products::F32 => 0,
            Products::Bf16 => amx::LINES - 1,
        };
        let mut lines = Vec::with_capacity(panels * rows + beyond);
        for panel in 0..panels {
            let present = PANEL.min(columns - panel * PANEL);
            for row in 0..rows {
                let mut line = Line([0; PANEL]);
                for (j, value) in line.0.iter_mut().enumerate().take(present) {
                    let number = |row: usize| match row < inner {
                        true => at(row, panel * PANEL + j),
                        false => 0.0,
                    };
                    *value = match products {
                        Products::F32 => number(row).to_bits(),
                        Products::Bf16 => pair(number(2 * row), number(2 * row + 1)),
                    };
                }
                lines.push(line);
            }
        }
        lines.resize(panels * rows + beyond, Line([0; PANEL]));
        let line_of = |chunk: &[f32]| {
            let mut line = Line([0; PANEL]);
            for (to, from) in line.0.iter_mut().zip(chunk) {
                *to = from.to_bits();
            }
            line
        };
        let bias = bias.map(|bias| bias.chunks(PANEL).map(line_of).collect());
        Self {
            lines,
            bias,
            inner,
            columns,
            products,
        }
    }

    /// Number of panels, the last one filled up with zeros.
    pub(super) fn panels(&self) -> usize {
        self.columns.div_ceil(PANEL)
    }

    /// Lines of a panel: numbers of a row of the other factor, or pairs.
    pub(super) fn lines(&self) -> usize {
        lines(self.inner, self.products)
    }

    /// Floats from one panel to the next.
    pub(super) fn panel_stride(&self) -> usize {
        self.lines() * PANEL
    }

    /// Start of a panel.
    pub(super) fn panel(&self, panel: usize) -> *const f32 {
        self.lines[panel * self.lines()..].as_ptr().cast()
    }

    /// Bias of a panel's columns.
    pub(super) fn bias(&self, panel: usize) -> Option<*const f32> {
        self.bias.as_ref().map(|bias| bias[panel..].as_ptr().cast())
    }
}

/// Lines of a panel of `inner` rows.
fn lines(inner: usize, products: Products) -> usize {
    match products {
        Products::F32 => inner,
        Products::Bf16 => inner.div_ceil(2),
    }
}
