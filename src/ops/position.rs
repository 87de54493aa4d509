//! Embeddings of positions.

use super::{Result, cpu, cuda};
use candle_core::{D, Tensor};
use std::f64::consts::TAU;

/// Random Fourier features (Tancik et al., 2020): sines, then cosines, of 2π·(2·at - 1)·`frequencies` for
/// at = `scale`·`points` + `shift`, plus `added` where given.
///
/// `points` `[N, K, 2]` (x, y; at is in 0..1), `frequencies` `[2, C/2]`, `added` `[K, C]`, all f32: `[N, K, C]` f32.
///
/// # Errors
/// If the shapes do not fit.
pub fn fourier_features(
    points: &Tensor,
    (scale, shift): (f64, f64),
    frequencies: &Tensor,
    added: Option<&Tensor>,
) -> Result<Tensor> {
    let ((n, k, two), (rows, half)) = (points.dims3()?, frequencies.dims2()?);
    if (two, rows) != (2, 2) || added.is_some_and(|a| a.dims() != [k, 2 * half]) {
        let added = added.map(Tensor::shape);
        candle_core::bail!(
            "fourier_features: {:?} by {:?}, added {added:?}",
            points.shape(),
            frequencies.shape()
        );
    }
    if !cpu::is_cpu(points) {
        return cuda::fourier_features(points, (scale as f32, shift as f32), frequencies, added);
    }
    let at = points
        .affine(scale, shift)?
        .affine(2.0, -1.0)?
        .contiguous()?
        .reshape((n * k, 2))?;
    let phase = at.matmul(frequencies)?.affine(TAU, 0.0)?;
    let features =
        Tensor::cat(&[phase.sin()?, phase.cos()?], D::Minus1)?.reshape((n, k, 2 * half))?;
    added.map_or(Ok(features.clone()), |added| features.broadcast_add(added))
}

/// Embeddings of tokens `[N, K, 2 + kinds]`, each a point (x, y) and how much it is of each kind, the first kind being no point at all:
/// [`fourier_features`] of the point times 1 less the first of these numbers, plus these numbers times `kinds` `[kinds, C]`. All are f32:
/// `[N, K, C]`.
///
/// # Errors
/// If the shapes do not fit.
pub fn token_features(
    tokens: &Tensor,
    by: (f64, f64),
    frequencies: &Tensor,
    kinds: &Tensor,
) -> Result<Tensor> {
    let ((n, k, width), (rows, half)) = (tokens.dims3()?, frequencies.dims2()?);
    if width < 3 || rows != 2 || kinds.dims() != [width - 2, 2 * half] {
        candle_core::bail!(
            "token_features: {:?} by {:?} with kinds {:?}",
            tokens.shape(),
            frequencies.shape(),
            kinds.shape()
        );
    }
    if !cpu::is_cpu(tokens) {
        return cuda::token_features(tokens, (by.0 as f32, by.1 as f32), frequencies, kinds);
    }
    let position = fourier_features(&tokens.narrow(2, 0, 2)?, by, frequencies, None)?;
    let is_point = tokens.narrow(2, 2, 1)?.affine(-1.0, 1.0)?;
    let kind = tokens
        .narrow(2, 2, width - 2)?
        .contiguous()?
        .reshape((n * k, ()))?;
    let kind = kind.matmul(kinds)?.reshape((n, k, ()))?;
    position.broadcast_mul(&is_point)? + kind
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn features_are_sines_and_cosines_of_the_phase() {
        let new = |values: &[f32], shape: &[usize]| {
            Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
        };
        let (points, frequencies) = (
            new(&[3.0, 1.0], &[1, 1, 2]),
            new(&[0.5, 1.0, 0.25, -2.0], &[2, 2]),
        );
        let found = fourier_features(
            &points,
            (0.25, 0.125),
            &frequencies,
            Some(&new(&[1.0, 0.0, 0.0, -1.0], &[1, 4])),
        )
        .unwrap();
        // at = (0.875, 0.375), 2·at - 1 = (0.75, -0.25).
        let phase = [0.75 * 0.5 - 0.25 * 0.25, 0.75 + 0.25 * 2.0].map(|turns: f64| TAU * turns);
        let expected = [
            phase[0].sin() + 1.0,
            phase[1].sin(),
            phase[0].cos(),
            phase[1].cos() - 1.0,
        ];
        for (found, expected) in found
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap()
            .iter()
            .zip(expected)
        {
            assert!(
                (f64::from(*found) - expected).abs() < 1e-5,
                "{found} {expected}"
            );
        }
        assert!(fourier_features(&points, (1.0, 0.0), &frequencies, Some(&points)).is_err());
    }
}
