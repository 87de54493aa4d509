//! Fine-grained distribution refinement: an edge's offset as a distribution over bins, and what it says of the box's quality.

use super::{
    config::DecoderConfig,
    error::DFineError,
    layers::{constant, mlp_repeated},
};
use crate::{
    models::nn::Mlp,
    ops::{self, Activation, Params},
};
use candle_core::Tensor;

/// Turns distributions over bins into edge offsets and boxes.
#[derive(Debug)]
pub(super) struct Integral {
    /// What each bin stands for `[1, bins]`.
    offsets: Tensor,
    reg_scale: f64,
}

impl Integral {
    /// `params`: `up`, `reg_scale`.
    pub(super) fn load(params: &Params, config: &DecoderConfig) -> Result<Self, DFineError> {
        let scalar =
            |name: &str| -> Result<f64, DFineError> { Ok(f64::from(params.number(name)?.abs())) };
        let (up, reg_scale) = (scalar("up")?, scalar("reg_scale")?);
        if !(up > 0.0 && up.is_finite() && reg_scale > 0.0 && reg_scale.is_finite()) {
            let what = format!("{} and reg_scale", params.full_name("up"));
            return Err(DFineError::Value {
                what,
                value: format!("{up} and {reg_scale}"),
                reason: "both must be finite and not 0",
            });
        }
        let weights = weighting_function(config.max_num_bins, up, reg_scale);
        let bins = weights.len();
        Ok(Self {
            offsets: constant(weights, (1, bins), params.device())?,
            reg_scale,
        })
    }

    /// Boxes (cx, cy, w, h) `[B, Q, 4]`: the reference boxes with each edge moved by the mean of its distribution, of which
    /// `corners` `[B, Q, 4·bins]` are the logits.
    pub(super) fn boxes(&self, reference: &Tensor, corners: &Tensor) -> ops::Result<Tensor> {
        ops::refine_boxes(corners, reference, &self.offsets, self.reg_scale)
    }
}

/// W(n) of the paper: the offset, in units of extent / reg_scale, that each of `max_num_bins + 1` bins stands for.
///
/// Fine near 0 and coarse outwards; the outermost bins stand for twice the range.
fn weighting_function(max_num_bins: usize, up: f64, reg_scale: f64) -> Vec<f32> {
    let bound = up * reg_scale;
    let step = (bound + 1.0).powf(2.0 / (max_num_bins as f64 - 2.0));
    let half = max_num_bins / 2;
    let inner = |i: usize| step.powi(i as i32) - 1.0;
    let left = (1..half).rev().map(|i| -inner(i));
    let right = (1..half).map(inner);
    let values = std::iter::once(-2.0 * bound)
        .chain(left)
        .chain([0.0])
        .chain(right)
        .chain([2.0 * bound]);
    values.map(|v| v as f32).collect()
}

/// Location quality estimator: corrects class logits by how peaked the box's distributions are.
#[derive(Debug)]
pub(super) struct Lqe {
    reg_conf: Mlp,
    bins: usize,
    top: usize,
}

impl Lqe {
    /// `params`: `reg_conf.…`.
    pub(super) fn load(
        params: &Params,
        config: &DecoderConfig,
        classes: usize,
    ) -> Result<Self, DFineError> {
        let mut dims = vec![4 * (config.top_prob_values + 1)];
        dims.extend(std::iter::repeat_n(
            config.lqe_hidden_dim,
            config.lqe_layers - 1,
        ));
        dims.push(1);
        // One quality for all classes: as many equal outputs, to which the logits are added as the residual they are.
        let reg_conf = mlp_repeated(
            &params.scope("reg_conf"),
            &dims,
            Activation::Identity,
            classes,
        )?;
        Ok(Self {
            reg_conf,
            bins: config.max_num_bins + 1,
            top: config.top_prob_values,
        })
    }

    /// Logits `[B, Q, K]` f32 plus each query's quality, for `corners` as in [`Integral::boxes`].
    pub(super) fn forward(&self, logits: &Tensor, corners: &Tensor) -> ops::Result<Tensor> {
        let statistics = ops::top_probabilities(corners, self.bins, self.top)?;
        self.reg_conf.forward_add(&statistics, logits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_odd_and_reach_twice_the_bound() {
        let w = weighting_function(32, 0.5, 4.0);
        assert_eq!((w.len(), w[16]), (33, 0.0));
        assert!(w.iter().zip(w.iter().rev()).all(|(a, b)| a == &-b));
        assert_eq!((w[0], w[32]), (-4.0, 4.0));
        assert!(
            (w[31] - 2.0).abs() < 1e-6,
            "(1 + bound)^(2·15/30) - 1 = bound: {}",
            w[31]
        );
    }
}
