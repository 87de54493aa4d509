//! Loading of the layers that several parts of the model share: weights are folded on the host and then brought to the model's device.

use super::{Loaded, MobileSamError};
use crate::ops::{
    Activation, Conv2d, Conv2dOptions, LayerNorm, Linear, Padding, Params, Precision, Result,
};
use candle_core::Tensor;

/// PyTorch's default of `BatchNorm2d` and `LayerNorm`.
pub(super) const EPS: f64 = 1e-5;
/// SAM's `LayerNorm2d`.
pub(super) const EPS_2D: f64 = 1e-6;

/// A fully connected layer `weight` `[outputs, inputs]` with `bias`.
pub(super) fn linear(
    params: &Params,
    inputs: usize,
    outputs: usize,
    activation: Activation,
) -> Loaded<Linear> {
    let weight = params.place(&params.get("weight", &[outputs, inputs])?)?;
    let bias = params.place(&params.get("bias", &[outputs])?)?;
    Linear::new(&weight, Some(&bias), activation).map_err(MobileSamError::tensor("linear layer"))
}

/// Layer normalisation over `channels`.
pub(super) fn layer_norm(params: &Params, channels: usize, eps: f64) -> Loaded<LayerNorm> {
    let weight = params.place(&params.get("weight", &[channels])?)?;
    let bias = params.place(&params.get("bias", &[channels])?)?;
    Ok(LayerNorm::new(&weight, &bias, eps as f32))
}

/// A convolution without bias and the batch normalisation behind it, folded into one weight and bias.
struct Folded {
    weight: Tensor,
    bias: Tensor,
}

/// Reads `c.weight` of `shape`, folds `bn` into it, and brings it to the model's device.
fn fold(params: &Params, shape: [usize; 4]) -> Loaded<Folded> {
    let out = shape[0];
    let weight = params.scope("c").get("weight", &shape)?;
    let bn = params.scope("bn");
    let [gamma, beta] = [bn.get("weight", &[out])?, bn.get("bias", &[out])?];
    let [mean, var] = [
        bn.get("running_mean", &[out])?,
        bn.get("running_var", &[out])?,
    ];
    let fold = || -> Result<Folded> {
        let scale = (gamma / (var + EPS)?.sqrt()?)?;
        let weight = weight.broadcast_mul(&scale.reshape((out, 1, 1, 1))?)?;
        Ok(Folded {
            weight,
            bias: (beta - (mean * scale)?)?,
        })
    };
    let Folded { weight, bias } =
        fold().map_err(MobileSamError::tensor("folding of batch normalisation"))?;
    Ok(Folded {
        weight: params.place(&weight)?,
        bias: params.place(&bias)?,
    })
}

/// A 1×1 convolution with batch normalisation, as the matrix product over channels that it is.
pub(super) fn pointwise(
    params: &Params,
    inputs: usize,
    outputs: usize,
    activation: Activation,
) -> Loaded<Linear> {
    let Folded { weight, bias } = fold(params, [outputs, inputs, 1, 1])?;
    let build = || Linear::new(&weight.reshape((outputs, inputs))?, Some(&bias), activation);
    build().map_err(MobileSamError::tensor("1×1 convolution"))
}

/// A 1×1 convolution with batch normalisation.
pub(super) fn conv1x1(
    params: &Params,
    inputs: usize,
    outputs: usize,
    activation: Activation,
) -> Loaded<Conv2d> {
    let Folded { weight, bias } = fold(params, [outputs, inputs, 1, 1])?;
    let options = Conv2dOptions {
        activation,
        ..Conv2dOptions::default()
    };
    Conv2d::new(&weight, Some(&bias), options).map_err(MobileSamError::tensor("1×1 convolution"))
}

/// A 3×3 convolution with padding 1 and batch normalisation.
pub(super) fn conv3x3(
    params: &Params,
    inputs: usize,
    outputs: usize,
    groups: usize,
    stride: usize,
    activation: Activation,
) -> Loaded<Conv2d> {
    let Folded { weight, bias } = fold(params, [outputs, inputs / groups, 3, 3])?;
    let options = Conv2dOptions {
        stride,
        padding: Padding::all(1),
        groups,
        activation,
        affine: None,
    };
    Conv2d::new(&weight, Some(&bias), options).map_err(MobileSamError::tensor("3×3 convolution"))
}

/// Fully connected layers with ReLU between them: SAM's `MLP`, `sizes` from input to output.
#[derive(Debug, Clone)]
pub(super) struct Mlp(Vec<Linear>);

impl Mlp {
    pub(super) fn load(params: &Params, sizes: &[usize]) -> Loaded<Self> {
        let last = sizes.len().saturating_sub(2);
        let layer = |(i, pair): (usize, &[usize])| {
            let activation = if i == last {
                Activation::Identity
            } else {
                Activation::Relu
            };
            linear(
                &params.scope("layers").scope(i),
                pair[0],
                pair[1],
                activation,
            )
        };
        Ok(Self(
            sizes
                .windows(2)
                .enumerate()
                .map(layer)
                .collect::<Loaded<_>>()?,
        ))
    }

    /// The same layers, the result being f32 whatever the input's type.
    pub(super) fn with_f32_result(mut self) -> Self {
        if let Some(last) = self.0.pop() {
            self.0.push(last.with_precision(Precision::F32Result));
        }
        self
    }

    /// x `[…, input]` to `[…, output]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.0
            .iter()
            .try_fold(x.clone(), |x, layer| layer.forward(&x))
    }
}
