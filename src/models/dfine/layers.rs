//! The building blocks that the parts share, built from named tensors, normalisation folded into the convolution before it.

use super::DFineError;
use crate::ops::{self, Activation, Conv2d, Conv2dOptions, LayerNorm, Linear, Padding, Params, composed};
use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Shape, Tensor};

/// A convolution's names, sizes and what follows it.
pub(super) struct ConvSpec {
    /// Name of the convolution below the layer's scope.
    pub(super) conv: &'static str,
    /// Name of the batch normalisation below the layer's scope.
    pub(super) norm: &'static str,
    /// `[out, in/groups, kernel, kernel]`.
    pub(super) shape: [usize; 4],
    /// Added to the variance.
    pub(super) eps: f64,
    /// How it runs.
    pub(super) options: Conv2dOptions,
}

impl ConvSpec {
    /// Encoder names, stride 1, padding that keeps the size.
    pub(super) fn encoder(in_channels: usize, out_channels: usize, kernel: usize, eps: f64, activation: Activation) -> Self {
        let options = Conv2dOptions { padding: Padding::all((kernel - 1) / 2), activation, ..Conv2dOptions::default() };
        Self { conv: "conv", norm: "norm", shape: [out_channels, in_channels, kernel, kernel], eps, options }
    }

    /// Reads convolution and normalisation and builds the one layer they make.
    pub(super) fn load(&self, params: &Params) -> Result<Conv2d, DFineError> {
        let (weight, bias) = self.folded(params)?;
        build_conv(&weight, &bias, self.options)
    }

    /// Weight and bias with the normalisation folded in, in f64.
    pub(super) fn folded(&self, params: &Params) -> Result<(Tensor, Tensor), DFineError> {
        let out = self.shape[0];
        let weight = params.scope(self.conv).get("weight", &self.shape)?;
        let norm = params.scope(self.norm);
        let read = |name: &str| -> Result<Tensor, DFineError> { Ok(norm.get(name, &[out])?.to_dtype(DType::F64)?) };
        let (gamma, beta, mean, var) = (read("weight")?, read("bias")?, read("running_mean")?, read("running_var")?);
        let scale = (gamma / (var + self.eps)?.sqrt()?)?;
        let bias = (beta - (mean * &scale)?)?;
        Ok((weight.to_dtype(DType::F64)?.broadcast_mul(&scale.reshape((out, 1, 1, 1))?)?, bias))
    }
}

/// A layer from folded f64 weight and bias.
pub(super) fn build_conv(weight: &Tensor, bias: &Tensor, options: Conv2dOptions) -> Result<Conv2d, DFineError> {
    let weight = weight.to_dtype(DType::F32)?.contiguous()?;
    Ok(Conv2d::new(&weight, Some(&bias.to_dtype(DType::F32)?), options)?)
}

/// `weight` and `bias` of a fully connected layer.
pub(super) fn linear(params: &Params, inputs: usize, outputs: usize, activation: Activation) -> Result<Linear, DFineError> {
    let weight = params.get("weight", &[outputs, inputs])?;
    Ok(Linear::new(&weight, Some(&params.get("bias", &[outputs])?), activation)?)
}

/// `weight` and `bias` of a layer normalisation.
pub(super) fn layer_norm(params: &Params, channels: usize, eps: f64) -> Result<LayerNorm, DFineError> {
    Ok(LayerNorm::new(&params.get("weight", &[channels])?, &params.get("bias", &[channels])?, eps as f32))
}

/// A perceptron: fully connected layers, ReLU between them.
#[derive(Debug, Clone)]
pub(super) struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    /// Layers `layers.0`, `layers.1`, … of the channels in `dims`, one more than there are layers.
    pub(super) fn load(params: &Params, dims: &[usize]) -> Result<Self, DFineError> {
        let last = dims.len().saturating_sub(2);
        let layer = |(i, pair): (usize, &[usize])| {
            let activation = if i < last { Activation::Relu } else { Activation::Identity };
            linear(&params.scope("layers").scope(i), pair[0], pair[1], activation)
        };
        Ok(Self { layers: dims.windows(2).enumerate().map(layer).collect::<Result<_, _>>()? })
    }

    pub(super) fn forward(&self, x: &Tensor) -> ops::Result<Tensor> {
        self.layers.iter().try_fold(x.clone(), |x, layer| layer.forward(&x))
    }

    /// The perceptron's result plus `residual`.
    pub(super) fn forward_add(&self, x: &Tensor, residual: &Tensor) -> ops::Result<Tensor> {
        let Some((last, rest)) = self.layers.split_last() else { return Ok(residual.clone()) };
        let x = rest.iter().try_fold(x.clone(), |x, layer| layer.forward(&x))?;
        last.forward_add(&x, residual)
    }
}

/// `log(x / (1 - x))`, x held within 1e-5 of its range, as the authors do.
pub(super) fn inverse_sigmoid(x: &Tensor) -> ops::Result<Tensor> {
    let x = x.clamp(0f32, 1f32)?;
    let odds = (x.clamp(1e-5f32, 1f32)? / x.affine(-1.0, 1.0)?.clamp(1e-5f32, 1f32)?)?;
    odds.log()
}

pub(super) use composed::{sigmoid, softmax};

/// Brings numbers that were computed while loading (or for a new input size) to the model's device.
pub(super) fn constant(values: Vec<f32>, shape: impl Into<Shape>, device: &Device) -> ops::Result<Tensor> {
    Tensor::from_vec(values, shape.into(), device)
}

/// Positions of the `k` largest numbers in each row of x `[…, N]`, best first, equal ones by position: `[…, k]` u32.
///
/// Numbers are ordered as by IEEE 754's total order, so that a NaN does not make the result arbitrary.
pub(super) fn top_k(x: &Tensor, k: usize) -> ops::Result<Tensor> {
    x.contiguous()?.apply_op1_no_bwd(&TopK { k })
}

/// Rows of x `[B, N, C]` chosen by `index` `[B, k]`: `[B, k, C]`.
pub(super) fn gather_rows(x: &Tensor, index: &Tensor) -> ops::Result<Tensor> {
    let (b, k) = index.dims2()?;
    x.gather(&index.unsqueeze(2)?.broadcast_as((b, k, x.dim(2)?))?.contiguous()?, 1)
}

struct TopK {
    k: usize,
}

impl CustomOp1 for TopK {
    fn name(&self) -> &'static str {
        "top-k"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let CpuStorage::F32(values) = storage else { candle_core::bail!("top-k takes f32") };
        let mut dims = layout.dims().to_vec();
        let (Some((start, end)), Some(last)) = (layout.contiguous_offsets(), dims.last_mut()) else {
            candle_core::bail!("top-k takes contiguous rows")
        };
        let n = std::mem::replace(last, self.k);
        if self.k == 0 || self.k > n {
            candle_core::bail!("top-k: {} of {n} numbers", self.k);
        }
        let mut chosen = Vec::with_capacity(dims.iter().product());
        let mut order = Vec::with_capacity(n);
        for row in values[start..end].chunks_exact(n) {
            let better = |a: &u32, b: &u32| row[*b as usize].total_cmp(&row[*a as usize]).then(a.cmp(b));
            order.clear();
            order.extend(0..n as u32);
            if self.k < n {
                order.select_nth_unstable_by(self.k - 1, better);
            }
            order.truncate(self.k);
            order.sort_unstable_by(better);
            chosen.extend_from_slice(&order);
        }
        Ok((CpuStorage::U32(chosen), Shape::from(dims)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn top_k_breaks_ties_by_position() {
        let x = Tensor::new(&[[1f32, 3.0, 3.0, 2.0, 3.0], [0.0, 0.0, 0.0, 0.0, -1.0]], &Device::Cpu).unwrap();
        let top = top_k(&x, 3).unwrap().to_vec2::<u32>().unwrap();
        assert_eq!(top, [[1, 2, 4], [0, 1, 2]]);
        assert!(top_k(&x, 6).is_err());
    }

    #[test]
    fn inverse_sigmoid_is_the_inverse_and_is_bounded() {
        let x = Tensor::new(&[-1f32, 0.0, 0.25, 0.5, 1.0, 2.0], &Device::Cpu).unwrap();
        let y = inverse_sigmoid(&x).unwrap().to_vec1::<f32>().unwrap();
        assert!((y[2] + 3f32.ln()).abs() < 1e-5 && y[3].abs() < 1e-6, "{y:?}");
        assert_eq!((y[0], y[4]), (y[1], y[5]));
        assert!((y[4] - 1e5f32.ln()).abs() < 1e-3, "{y:?}");
    }
}
