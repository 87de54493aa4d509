//! Blocks that both models are built from: layers by the names of their tensors, batch normalisation folded into the convolution
//! before it, perceptrons. Weights are prepared on the host; what a layer keeps is uploaded to the model's device once.
//!
//! Every layer and block that maps one tensor to one tensor is a [`candle_nn::Module`].

mod error;
mod layers;
mod mlp;
mod norm;

pub(crate) use error::{BuildError, Built};
pub(crate) use layers::{
    build_conv, build_linear, build_linear_in, build_linear_pair, layer_norm, linear, linear_in,
    products,
};
pub(crate) use mlp::Mlp;
pub(crate) use norm::{ConvNorm, Folded};
