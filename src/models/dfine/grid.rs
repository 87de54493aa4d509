//! What depends on the input's size alone: anchors, which of them are valid, and position embeddings.

use super::{
    config::{DFineConfig, OUTPUT_STRIDE, PositionOrder},
    layers::constant,
};
use crate::ops;
use candle_core::{Device, Tensor};

/// Extent of the finest level's anchors, of the image; it doubles from level to level.
const ANCHOR_EXTENT: f64 = 0.05;
/// Anchors whose centre or extent comes nearer than this to 0 or 1 are not used.
const MARGIN: f64 = 1e-2;

/// Constants for one input size.
#[derive(Debug)]
pub(super) struct Grid {
    input: (usize, usize),
    levels: Vec<(usize, usize)>,
    anchors: Tensor,
    valid: Tensor,
    positions: Vec<Tensor>,
}

impl Grid {
    /// For inputs of (height, width), both multiples of 32.
    pub(super) fn new(
        input: (usize, usize),
        config: &DFineConfig,
        device: &Device,
    ) -> ops::Result<Self> {
        let levels = config.levels();
        let stride = |level: usize| OUTPUT_STRIDE >> (levels - 1 - level);
        let levels: Vec<_> = (0..levels)
            .map(|level| (input.0 / stride(level), input.1 / stride(level)))
            .collect();
        let (anchors, valid) = anchors(&levels);
        let tokens = valid.len();
        let encoder = &config.encoder;
        let embed = |&level: &usize| {
            let (h, w) = levels.get(level).copied().unwrap_or_default();
            let values = position_embedding(
                (h, w),
                encoder.hidden_dim,
                encoder.temperature,
                encoder.position_order,
            );
            constant(values, (1, h * w, encoder.hidden_dim), device)
        };
        let positions = encoder
            .attention_levels
            .iter()
            .map(embed)
            .collect::<ops::Result<_>>()?;
        let (anchors, valid) = (
            constant(anchors, (1, tokens, 4), device)?,
            constant(valid, (1, tokens), device)?,
        );
        Ok(Self {
            input,
            levels,
            anchors,
            valid,
            positions,
        })
    }

    /// (height, width) of the input.
    pub(super) fn input(&self) -> (usize, usize) {
        self.input
    }

    /// (height, width) of each level, finest first.
    pub(super) fn levels(&self) -> &[(usize, usize)] {
        &self.levels
    }

    /// Logits of (cx, cy, w, h) for every token of every level, `[1, N, 4]`; f32's largest number where not valid.
    pub(super) fn anchors(&self) -> &Tensor {
        &self.anchors
    }

    /// 1 where a token's anchor is valid, else 0: `[1, N]`.
    pub(super) fn valid(&self) -> &Tensor {
        &self.valid
    }

    /// `[1, tokens, channels]` for each level that goes through self-attention.
    pub(super) fn positions(&self) -> &[Tensor] {
        &self.positions
    }
}

fn anchors(levels: &[(usize, usize)]) -> (Vec<f32>, Vec<f32>) {
    let tokens = levels.iter().map(|(h, w)| h * w).sum();
    let (mut anchors, mut valid) = (Vec::with_capacity(4 * tokens), Vec::with_capacity(tokens));
    for (level, &(h, w)) in levels.iter().enumerate() {
        let extent = ANCHOR_EXTENT * f64::from(1u32 << level);
        for (y, x) in (0..h).flat_map(|y| (0..w).map(move |x| (y, x))) {
            let anchor = [
                (x as f64 + 0.5) / w as f64,
                (y as f64 + 0.5) / h as f64,
                extent,
                extent,
            ];
            let inside = anchor.iter().all(|&v| v > MARGIN && v < 1.0 - MARGIN);
            valid.push(f32::from(u8::from(inside)));
            anchors.extend(anchor.map(|v| {
                if inside {
                    (v / (1.0 - v)).ln() as f32
                } else {
                    f32::MAX
                }
            }));
        }
    }
    (anchors, valid)
}

/// Sines and cosines of the row, then of the column, at wavelengths up to `temperature`: `[h·w, channels]`.
fn position_embedding(
    (h, w): (usize, usize),
    channels: usize,
    temperature: f64,
    order: PositionOrder,
) -> Vec<f32> {
    let quarter = channels / 4;
    let omega: Vec<f64> = (0..quarter)
        .map(|i| temperature.powf(-(i as f64) / quarter as f64))
        .collect();
    let run = match order {
        PositionOrder::RowMajor => w,
        PositionOrder::Authors => h,
    };
    let mut values = Vec::with_capacity(h * w * channels);
    for token in 0..h * w {
        for at in [token / run, token % run] {
            values.extend(omega.iter().map(|o| (at as f64 * o).sin() as f32));
            values.extend(omega.iter().map(|o| (at as f64 * o).cos() as f32));
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_at_the_border_of_the_finest_level_are_not_valid() {
        let (anchors, valid) = anchors(&[(80, 80), (40, 40), (20, 20)]);
        assert_eq!(valid.len(), 8400);
        assert_eq!(
            valid.iter().sum::<f32>(),
            (78 * 78 + 40 * 40 + 20 * 20) as f32
        );
        assert_eq!((valid[0], anchors[0]), (0.0, f32::MAX));
        let second = &anchors[4 * 81..4 * 82];
        assert!(
            (second[0] - (1.5f32 / 78.5).ln()).abs() < 1e-6,
            "{second:?}"
        );
    }

    #[test]
    fn position_orders_agree_on_square_maps_only() {
        let of = |size, order| position_embedding(size, 8, 10000.0, order);
        assert_eq!(
            of((4, 4), PositionOrder::RowMajor),
            of((4, 4), PositionOrder::Authors)
        );
        assert_ne!(
            of((2, 4), PositionOrder::RowMajor),
            of((2, 4), PositionOrder::Authors)
        );
        let token = &of((2, 4), PositionOrder::RowMajor)[8 * 5..8 * 6];
        assert!(
            (token[0] - 1f32.sin()).abs() < 1e-6 && (token[4] - 1f32.sin()).abs() < 1e-6,
            "row 1, column 1: {token:?}"
        );
    }
}
