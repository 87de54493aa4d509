//! Batch normalisation folded into the convolution before it.

use super::{BuildError, Built, build_conv};
use crate::ops::{Activation, Conv2d, Conv2dOptions, Linear, Params};
use candle_core::{DType, Tensor};

/// A convolution without bias and the batch normalisation after it: names, sizes and what follows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConvNorm {
    /// Name of the convolution below the layer's scope.
    pub(crate) conv: &'static str,
    /// Name of the batch normalisation below the layer's scope.
    pub(crate) norm: &'static str,
    /// `[out, in/groups, kernel_h, kernel_w]`.
    pub(crate) shape: [usize; 4],
    /// Added to the variance.
    pub(crate) eps: f64,
    /// Type that the folding computes in: f64 for D-FINE, f32 for MobileSAM. It decides the last bit of the weights.
    pub(crate) fold_in: DType,
    /// How the convolution runs.
    pub(crate) options: Conv2dOptions,
}

/// Weight `[out, in/groups, kernel_h, kernel_w]` and bias `[out]` of a convolution with its normalisation folded in, on the host.
#[derive(Debug, Clone)]
pub(crate) struct Folded {
    pub(crate) weight: Tensor,
    pub(crate) bias: Tensor,
}

impl ConvNorm {
    /// Reads convolution and normalisation and folds them into one weight and bias of type `fold_in`.
    pub(crate) fn fold(&self, params: &Params) -> Built<Folded> {
        let out = self.shape[0];
        let weight = params.scope(self.conv).get("weight", &self.shape)?;
        let norm = params.scope(self.norm);
        let [gamma, beta] = [norm.get("weight", &[out])?, norm.get("bias", &[out])?];
        let [mean, var] = [
            norm.get("running_mean", &[out])?,
            norm.get("running_var", &[out])?,
        ];
        let fold = || -> candle_core::Result<Folded> {
            let [gamma, beta, mean, var] =
                [gamma, beta, mean, var].map(|t| t.to_dtype(self.fold_in));
            let scale = (gamma? / (var? + self.eps)?.sqrt()?)?;
            let weight = weight.to_dtype(self.fold_in)?;
            Ok(Folded {
                weight: weight.broadcast_mul(&scale.reshape((out, 1, 1, 1))?)?,
                bias: (beta? - (mean? * scale)?)?,
            })
        };
        fold().map_err(BuildError::tensor("folding of batch normalisation"))
    }

    /// The one convolution that both make.
    pub(crate) fn load(&self, params: &Params) -> Built<Conv2d> {
        let Folded { weight, bias } = self.fold(params)?;
        build_conv(params, &weight, &bias, self.options)
    }

    /// A 1×1 convolution without padding as the matrix product over channels that it is; `options` apart from the activation must be the defaults.
    pub(crate) fn load_linear(&self, params: &Params) -> Built<Linear> {
        let Folded { weight, bias } = self.fold(params)?;
        let [outputs, inputs, _, _] = self.shape;
        let flat = weight
            .reshape((outputs, inputs))
            .and_then(|w| w.to_dtype(DType::F32));
        let bias = bias.to_dtype(DType::F32);
        let failed = BuildError::tensor("1×1 convolution");
        let activation: Activation = self.options.activation;
        super::build_linear(
            params,
            &flat.map_err(&failed)?,
            &bias.map_err(failed)?,
            activation,
        )
    }
}
