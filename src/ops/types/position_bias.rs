//! What attention within windows adds to scores by the distance of two tokens.

use super::result::Result;
use candle_core::{Device, Tensor};

/// A number below all scores that 16-bit types can hold, and the bound of those beside it.
const VERY_LOW: f32 = -60000.0;

/// What is added to the score of a query and a key by the rows and the columns between them, ready to be placed on a device.
#[derive(Debug, Clone)]
pub struct PositionBias {
    /// `[heads, window², window²]`.
    pairs: Tensor,
    /// As the kernels of `attention_tiles.cu` take it, for windows that have one.
    rows: Option<Tensor>,
    heads: usize,
    window: usize,
    scale: f32,
}

impl PositionBias {
    /// `distances` `[heads, window²]` f32 on the CPU has what is added to the score of two tokens, after the product of both was multiplied
    /// by `scale`, at (rows between them)·window + (columns between them).
    ///
    /// # Errors
    /// If it is not on the CPU, or has another type or shape.
    pub fn new(distances: &Tensor, scale: f32) -> Result<Self> {
        let (heads, tokens) = distances.dims2()?;
        let window = tokens.isqrt();
        if window * window != tokens || !matches!(distances.device(), Device::Cpu) {
            candle_core::bail!(
                "position bias {:?}: [heads, window²] on the CPU was expected",
                distances.shape()
            );
        }
        let of_heads = distances.to_vec2::<f32>()?;
        let tensor =
            |values: Vec<f32>, shape: &[usize]| Tensor::from_vec(values, shape, &Device::Cpu);
        let pairs = of_heads.iter().flat_map(|head| by_pair(head, window));
        let rows = RowLayout::of(window)
            .filter(|_| scale > 0.0)
            .map(|layout| {
                let values = of_heads.iter().flat_map(|head| layout.fill(head, scale));
                tensor(
                    values.collect(),
                    &[heads, layout.rows, 32, layout.numbers()],
                )
            })
            .transpose()?;
        Ok(Self {
            pairs: tensor(pairs.collect(), &[heads, tokens, tokens])?,
            rows,
            heads,
            window,
            scale,
        })
    }

    /// The same with its tensors where `place` puts them.
    ///
    /// # Errors
    /// Those of `place`.
    pub fn placed<E>(
        &self,
        place: impl Fn(&Tensor) -> std::result::Result<Tensor, E>,
    ) -> std::result::Result<Self, E> {
        Ok(Self {
            pairs: place(&self.pairs)?,
            rows: self.rows.as_ref().map(&place).transpose()?,
            ..self.clone()
        })
    }

    /// `[heads, window², window²]`, tokens of a window row by row.
    pub(in crate::ops) fn pairs(&self) -> &Tensor {
        &self.pairs
    }

    /// As the kernels of `attention_tiles.cu` take it (see [`RowLayout`]), where they do.
    #[cfg_attr(not(feature = "cuda"), allow(dead_code))]
    pub(in crate::ops) fn rows(&self) -> Option<&Tensor> {
        self.rows.as_ref()
    }

    /// Whether it was made for such windows and scores.
    pub(in crate::ops) fn is_for(&self, window: usize, heads: usize, scale: f32) -> bool {
        (self.window, self.heads, self.scale.to_bits()) == (window, heads, scale.to_bits())
    }
}

/// A head's bias for all pairs of tokens of a window.
fn by_pair(distances: &[f32], window: usize) -> impl Iterator<Item = f32> {
    let tokens = window * window;
    (0..tokens * tokens).map(move |pair| {
        let (a, b) = (pair / tokens, pair % tokens);
        let (rows, columns) = (
            (a / window).abs_diff(b / window),
            (a % window).abs_diff(b % window),
        );
        distances[rows * window + columns]
    })
}

/// How the tensor cores' kernels take the bias of a head: for each number of rows between query and key what each of the 32 lanes of a warp
/// has of a matrix over the columns of both, in order of eights of keys, eights of queries, and two neighbouring keys; rows and columns
/// are filled up to whole eights. It is what products are to be added to before they are multiplied by the scale. Keys that fill up are
/// very low, queries 0.
struct RowLayout {
    window: usize,
    /// Numbers of rows between a query and a key.
    rows: usize,
    /// Eights of columns.
    eights: usize,
}

impl RowLayout {
    fn of(window: usize) -> Option<Self> {
        // In windows of 7 queries of an eighth row are worked on too.
        let (rows, eights) = match window {
            7 => (8, 1),
            14 => (14, 2),
            _ => return None,
        };
        Some(Self {
            window,
            rows,
            eights,
        })
    }

    /// Numbers of a lane.
    fn numbers(&self) -> usize {
        2 * self.eights * self.eights
    }

    fn fill<'a>(&'a self, distances: &'a [f32], scale: f32) -> impl Iterator<Item = f32> + 'a {
        let (window, numbers) = (self.window, self.numbers());
        (0..self.rows * 32 * numbers).map(move |i| {
            let (row, lane, n) = (i / numbers / 32, i / numbers % 32, i % numbers);
            let query = n / 2 % self.eights * 8 + lane / 4;
            let key = n / 2 / self.eights * 8 + lane % 4 * 2 + n % 2;
            if key >= window {
                return VERY_LOW;
            }
            if query >= window || row >= window {
                return 0.0;
            }
            let bias = distances[row * window + query.abs_diff(key)];
            (bias / scale).clamp(VERY_LOW, -VERY_LOW)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two heads' distances, all different.
    fn bias(window: usize) -> PositionBias {
        let values: Vec<f32> = (0..2 * window * window).map(|i| i as f32 - 3.0).collect();
        let distances = Tensor::from_vec(values, (2, window * window), &Device::Cpu).unwrap();
        PositionBias::new(&distances, 0.5).unwrap()
    }

    #[test]
    fn pairs_go_by_their_distance() {
        let pairs = bias(5).pairs().to_vec3::<f32>().unwrap();
        // Head 1: row 3, column 0 and row 1, column 4 are 2 rows and 4 columns apart.
        assert_eq!(pairs[1][15][9], (25 + 2 * 5 + 4) as f32 - 3.0);
        assert_eq!(pairs[1][9][15], pairs[1][15][9]);
        assert_eq!(pairs[0][24][24], -3.0);
    }

    #[test]
    fn rows_have_each_pair_where_a_lane_looks_for_it() {
        for window in [7, 14] {
            let bias = bias(window);
            let pairs = bias.pairs().to_vec3::<f32>().unwrap();
            let rows = bias.rows().unwrap();
            let (_, distances, lanes, numbers) = rows.dims4().unwrap();
            let all = rows.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let eights = window.div_ceil(8);
            for (head, pairs) in pairs.iter().enumerate() {
                for (query, keys) in pairs.iter().enumerate() {
                    for (key, &expected) in keys.iter().enumerate() {
                        let row = (query / window).abs_diff(key / window);
                        let (q, k) = (query % window, key % window);
                        let lane = q % 8 * 4 + k % 8 / 2;
                        let n = (k / 8 * eights + q / 8) * 2 + k % 2;
                        let at = ((head * distances + row) * lanes + lane) * numbers + n;
                        assert_eq!(all[at], expected / 0.5, "{window}: {query}, {key}");
                    }
                }
            }
        }
    }

    #[test]
    fn keys_that_fill_up_have_no_weight() {
        let rows = bias(14).rows().unwrap().to_dtype(candle_core::DType::F16);
        let rows = rows.unwrap().to_dtype(candle_core::DType::F32).unwrap();
        let all = rows.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let low = all.iter().filter(|&&v| v < -59_000.0).count();
        // Of 16 keys two, for 16 queries at 14 distances of two heads.
        assert_eq!(low, 2 * 16 * 14 * 2);
        assert!(all.iter().all(|v| v.is_finite()));
    }

    #[test]
    fn only_squares_and_positive_scales_fit() {
        let distances = Tensor::zeros((1, 50), candle_core::DType::F32, &Device::Cpu).unwrap();
        assert!(PositionBias::new(&distances, 1.0).is_err());
        let distances = distances.narrow(1, 0, 49).unwrap();
        assert!(PositionBias::new(&distances, 0.0).unwrap().rows().is_none());
        let bias = PositionBias::new(&distances, 1.0).unwrap();
        assert!(bias.is_for(7, 1, 1.0) && !bias.is_for(7, 1, 0.5) && !bias.is_for(7, 2, 1.0));
    }
}
