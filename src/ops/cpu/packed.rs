//! Weights laid out for [`super::tile`]: panels of 16 columns, each `[inner][16]`, aligned to cache lines.

use super::tile::PANEL;

#[repr(align(64))]
#[derive(Debug, Clone, Copy)]
struct Line([f32; PANEL]);

/// A matrix `[inner, columns]` in panels, with a bias for each column.
#[derive(Debug)]
pub(super) struct Packed {
    lines: Vec<Line>,
    bias: Option<Vec<Line>>,
    pub(super) inner: usize,
    pub(super) columns: usize,
}

impl Packed {
    /// Packs the matrix whose number at (row of `inner`, column) is `at(row, column)`.
    pub(super) fn new(
        inner: usize,
        columns: usize,
        bias: Option<&[f32]>,
        at: impl Fn(usize, usize) -> f32,
    ) -> Self {
        let panels = columns.div_ceil(PANEL);
        let mut lines = Vec::with_capacity(panels * inner);
        for panel in 0..panels {
            let present = PANEL.min(columns - panel * PANEL);
            for row in 0..inner {
                let mut line = Line([0.0; PANEL]);
                for (j, value) in line.0.iter_mut().enumerate().take(present) {
                    *value = at(row, panel * PANEL + j);
                }
                lines.push(line);
            }
        }
        let line_of = |chunk: &[f32]| {
            let mut line = Line([0.0; PANEL]);
            line.0[..chunk.len()].copy_from_slice(chunk);
            line
        };
        let bias = bias.map(|bias| bias.chunks(PANEL).map(line_of).collect());
        Self {
            lines,
            bias,
            inner,
            columns,
        }
    }

    /// Number of panels, the last one filled up with zeros.
    pub(super) fn panels(&self) -> usize {
        self.columns.div_ceil(PANEL)
    }

    /// Floats from one panel to the next.
    pub(super) fn panel_stride(&self) -> usize {
        self.inner * PANEL
    }

    /// Start of a panel.
    pub(super) fn panel(&self, panel: usize) -> *const f32 {
        self.lines[panel * self.inner..].as_ptr().cast()
    }

    /// Bias of a panel's columns.
    pub(super) fn bias(&self, panel: usize) -> Option<*const f32> {
        self.bias.as_ref().map(|bias| bias[panel..].as_ptr().cast())
    }
}
