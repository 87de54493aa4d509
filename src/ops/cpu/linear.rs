//! Linear layers.

#![allow(unsafe_code)]

use super::{
    gemm::{Gemm, Strided},
    memory::{Input, Output, even, to_vec},
    packed::Packed,
    parts::After,
    simd::Isa,
};
use crate::ops::types::{
    activation::Activation,
    convolution::{Part, Products},
    result::Result,
};
use candle_core::Tensor;

/// The packed weights of a linear layer.
#[derive(Debug)]
pub(crate) struct Linear {
    weights: Packed,
}

impl Linear {
    /// Packs `weight` `[out, in]` and `bias` `[out]`.
    pub(crate) fn new(weight: &Tensor, bias: Option<&Tensor>, products: Products) -> Result<Self> {
        let (out, inner) = weight.dims2()?;
        let (numbers, bias) = (to_vec(weight)?, bias.map(to_vec).transpose()?);
        Ok(Self {
            weights: Packed::new((inner, out), bias.as_deref(), products, |row, column| {
                numbers[column * inner + row]
            }),
        })
    }

    /// The packed weights.
    pub(super) fn weights(&self) -> &Packed {
        &self.weights
    }

    /// `activation(x·Wᵀ + bias + residual)`.
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        residual: Option<&Tensor>,
        activation: Activation,
    ) -> Result<Tensor> {
        let Packed { inner, columns, .. } = self.weights;
        let mut shape = x.dims().to_vec();
        match shape.last_mut() {
            Some(last) if *last == inner => *last = columns,
            _ => candle_core::bail!(
                "linear: an input of shape {:?} for a layer of {inner} inputs",
                x.shape()
            ),
        }
        let x = even(x)?;
        let x = Input::<f32>::new(&x, "linear")?;
        let rows = shape[..shape.len() - 1].iter().product::<usize>();
        let mut out = Output::new(rows * columns);
        let residual = residual
            .map(|r| super::residual::residual(r, &shape))
            .transpose()?;
        let residual = residual
            .as_ref()
            .map(|r| Input::<f32>::new(r, "linear"))
            .transpose()?;
        let gemm = Gemm {
            isa: Isa::best_for(self.weights.products),
            weights: &self.weights,
            rows,
            out: out.ptr(),
            out_stride: columns,
            residual: residual.as_ref().map(|r| super::residual::addend(r, false)),
            bias: true,
            activation,
            affine: None,
        };
        // SAFETY: x has `rows` rows of `inner` numbers, `stride` apart; out and residual have rows·columns numbers, and
        // the product writes each of them.
        unsafe {
            gemm.run(&Strided {
                start: x.ptr(),
                stride: x.stride,
                inner,
            });
            out.into_tensor(&shape)
        }
    }

    /// [`Linear::forward`] of tensors side by side in their last dimension.
    pub(crate) fn forward_parts(
        &self,
        parts: &[&Tensor],
        activation: Activation,
    ) -> Result<Tensor> {
        let parts: Vec<_> = parts.iter().map(|part| Part::from(*part)).collect();
        let after = After {
            activation,
            affine: None,
            residual: None,
            kept: Products::F32,
        };
        super::parts::product(&parts, &self.weights, after)
    }
}
