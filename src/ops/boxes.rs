//! Boxes as distributions of their edges (D-FINE).

use super::{Result, cpu, cuda};
use candle_core::Tensor;

/// Boxes (cx, cy, w, h) `[B, Q, 4]` f32: each edge of `reference` `[B, Q, 4]` moved outwards by its distribution's mean, in units of the
/// reference's extent / `reg_scale`.
///
/// `logits` `[B, Q, 4·bins]` f32 are, for left, top, right and bottom, those of the distribution over the bins, which stand for
/// `offsets` `[1, bins]` f32.
///
/// # Errors
/// If the shapes do not fit.
pub fn refine_boxes(
    logits: &Tensor,
    reference: &Tensor,
    offsets: &Tensor,
    reg_scale: f64,
) -> Result<Tensor> {
    let reg_scale = reg_scale as f32;
    if cpu::is_cpu(logits) {
        cpu::refine_boxes(logits, reference, offsets, reg_scale)
    } else {
        cuda::refine_boxes(logits, reference, offsets, reg_scale)
    }
}

/// For each edge the `top` greatest probabilities of its distribution, greatest first, and their mean: `[B, Q, 4·(top + 1)]` from
/// `logits` `[B, Q, 4·bins]`, both f32.
///
/// # Errors
/// If the shapes do not fit.
pub fn top_probabilities(logits: &Tensor, bins: usize, top: usize) -> Result<Tensor> {
    if cpu::is_cpu(logits) {
        cpu::top_probabilities(logits, bins, top)
    } else {
        cuda::top_probabilities(logits, bins, top)
    }
}

/// `log(x / (1 - x))` of x f32 held within 1e-5 of its range, as D-FINE's authors do.
///
/// # Errors
/// If x is not f32.
pub fn inverse_sigmoid(x: &Tensor) -> Result<Tensor> {
    if !cpu::is_cpu(x) {
        return cuda::inverse_sigmoid(x);
    }
    let x = x.clamp(0f32, 1f32)?;
    let odds = (x.clamp(1e-5f32, 1f32)? / x.affine(-1.0, 1.0)?.clamp(1e-5f32, 1f32)?)?;
    odds.log()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn inverse_sigmoid_is_the_inverse_and_is_bounded() {
        let x = Tensor::new(&[-1f32, 0.0, 0.25, 0.5, 1.0, 2.0], &Device::Cpu).unwrap();
        let y = inverse_sigmoid(&x).unwrap().to_vec1::<f32>().unwrap();
        assert!(
            (y[2] + 3f32.ln()).abs() < 1e-5 && y[3].abs() < 1e-6,
            "{y:?}"
        );
        assert_eq!((y[0], y[4]), (y[1], y[5]));
        assert!((y[4] - 1e5f32.ln()).abs() < 1e-3, "{y:?}");
    }
}
