//! The image encoder: TinyViT-5M (Wu et al., 2022) at a fixed 64×64 output, and SAM's neck.
//!
//! Maps stay `[B, H, W, C]` throughout, so that tokens and pixels are the same thing.

use super::{
    dimensions::EMBEDDING_CHANNELS,
    error::{Loaded, MobileSamError},
    layers::{EPS, EPS_2D, conv1x1, conv3x3, pointwise},
    window_attention::WindowAttention,
};
use crate::{
    models::nn::{layer_norm, linear, products},
    ops::{
        Activation, Conv2d, Conv2dOptions, LayerNorm, Linear, LinearPrecision, Padding, Params,
        Result, image_pair, inverted_residual, linear_depthwise, local_perceptron,
    },
};
use candle_core::Tensor;
use candle_nn::Module;

const CHANNELS: [usize; 4] = [64, 128, 160, 320];
const DEPTHS: [usize; 4] = [2, 2, 6, 2];
/// Of the stages with attention, the first of which is stage 1.
const HEADS: [usize; 4] = [0, 4, 5, 10];
const WINDOWS: [usize; 4] = [0, 7, 14, 7];
/// The last stage keeps the resolution of the one before it.
const STRIDES: [usize; 3] = [2, 2, 1];
const EXPANSION: usize = 4;

/// TinyViT with SAM's neck.
#[derive(Debug, Clone)]
pub(super) struct TinyVit {
    patch_embed: [Conv2d; 2],
    convolutions: Vec<MbConv>,
    /// What leads into each stage with attention, and its blocks.
    stages: Vec<(PatchMerging, Vec<Block>)>,
    neck: Neck,
}

impl TinyVit {
    pub(super) fn load(params: &Params) -> Loaded<Self> {
        let seq = params.scope("patch_embed").scope("seq");
        let half = CHANNELS[0] / 2;
        let layer = |stage: usize| params.scope("layers").scope(stage);
        let block = |stage: usize, i: usize| layer(stage).scope("blocks").scope(i);
        let stage = |stage: usize| -> Loaded<_> {
            let before = stage - 1;
            let merging = PatchMerging::load(
                &layer(before).scope("downsample"),
                CHANNELS[before],
                CHANNELS[stage],
                STRIDES[before],
            )?;
            let blocks = (0..DEPTHS[stage]).map(|i| Block::load(&block(stage, i), stage));
            Ok((merging, blocks.collect::<Loaded<_>>()?))
        };
        Ok(Self {
            patch_embed: [
                conv3x3(&seq.scope(0), 3, half, 1, 2, Activation::Gelu)?,
                conv3x3(&seq.scope(2), half, CHANNELS[0], 1, 2, Activation::Identity)?,
            ],
            convolutions: (0..DEPTHS[0])
                .map(|i| MbConv::load(&block(0, i), CHANNELS[0]))
                .collect::<Loaded<_>>()?,
            stages: (1..CHANNELS.len()).map(stage).collect::<Loaded<_>>()?,
            neck: Neck::load(&params.scope("neck"))?,
        })
    }
}

impl Module for TinyVit {
    /// `[B, 1024, 1024, 3]` to `[B, 64, 64, 256]`.
    fn forward(&self, pixel_values: &Tensor) -> candle_core::Result<Tensor> {
        let mut x = image_pair(pixel_values, &self.patch_embed[0], &self.patch_embed[1])?;
        for block in &self.convolutions {
            x = block.forward(&x)?;
        }
        for (merging, blocks) in &self.stages {
            x = merging.forward(&x)?;
            for block in blocks {
                x = block.forward(&x)?;
            }
        }
        self.neck.forward(&x)
    }
}

/// Inverted bottleneck: expand, depthwise 3×3, project, add.
#[derive(Debug, Clone)]
struct MbConv {
    expand: Conv2d,
    depthwise: Conv2d,
    /// Its activation comes after the sum.
    project: Conv2d,
}

impl MbConv {
    fn load(params: &Params, channels: usize) -> Loaded<Self> {
        let hidden = channels * EXPANSION;
        Ok(Self {
            expand: conv1x1(&params.scope("conv1"), channels, hidden, Activation::Gelu)?,
            depthwise: conv3x3(
                &params.scope("conv2"),
                hidden,
                hidden,
                hidden,
                1,
                Activation::Gelu,
            )?,
            project: conv1x1(&params.scope("conv3"), hidden, channels, Activation::Gelu)?,
        })
    }
}

impl Module for MbConv {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        inverted_residual(x, &self.expand, &self.depthwise, &self.project, Some(x))
    }
}

/// From a stage to the next: more channels, and fewer pixels where the stride is 2.
#[derive(Debug, Clone)]
struct PatchMerging {
    expand: Linear,
    depthwise: Conv2d,
    project: Linear,
}

impl PatchMerging {
    fn load(params: &Params, inputs: usize, outputs: usize, stride: usize) -> Loaded<Self> {
        Ok(Self {
            expand: pointwise(&params.scope("conv1"), inputs, outputs, Activation::Gelu)?,
            depthwise: conv3x3(
                &params.scope("conv2"),
                outputs,
                outputs,
                outputs,
                stride,
                Activation::Gelu,
            )?,
            project: pointwise(
                &params.scope("conv3"),
                outputs,
                outputs,
                Activation::Identity,
            )?,
        })
    }
}

impl Module for PatchMerging {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        linear_depthwise(x, &self.expand, &self.depthwise, &self.project)
    }
}

/// Window attention, a depthwise convolution for what crosses the windows, and an MLP.
#[derive(Debug, Clone)]
struct Block {
    attention: WindowAttention,
    local_conv: Conv2d,
    norm: LayerNorm,
    fc1: Linear,
    fc2: Linear,
}

impl Block {
    fn load(params: &Params, stage: usize) -> Loaded<Self> {
        let channels = CHANNELS[stage];
        let mlp = params.scope("mlp");
        Ok(Self {
            attention: WindowAttention::load(
                &params.scope("attn"),
                channels,
                HEADS[stage],
                WINDOWS[stage],
            )?,
            local_conv: conv3x3(
                &params.scope("local_conv"),
                channels,
                channels,
                channels,
                1,
                Activation::Identity,
            )?,
            norm: layer_norm(&mlp.scope("norm"), channels, EPS)?,
            fc1: linear(
                &mlp.scope("fc1"),
                channels,
                channels * EXPANSION,
                Activation::Gelu,
            )?,
            fc2: linear(
                &mlp.scope("fc2"),
                channels * EXPANSION,
                channels,
                Activation::Identity,
            )?,
        })
    }
}

impl Module for Block {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let x = self.attention.forward(x)?;
        local_perceptron(&x, &self.local_conv, &self.norm, &self.fc1, &self.fc2)
    }
}

/// SAM's neck: 1×1 and 3×3 convolutions without bias, each normalised over the channels.
#[derive(Debug, Clone)]
struct Neck {
    pointwise: Linear,
    norm1: LayerNorm,
    conv: Conv2d,
    norm2: LayerNorm,
}

impl Neck {
    fn load(params: &Params) -> Loaded<Self> {
        let (inputs, outputs) = (CHANNELS[3], EMBEDDING_CHANNELS);
        let pointwise = params.place(&params.scope(0).get("weight", &[outputs, inputs, 1, 1])?)?;
        let conv = params.place(&params.scope(2).get("weight", &[outputs, outputs, 3, 3])?)?;
        let options = Conv2dOptions {
            padding: Padding::all(1),
            ..Conv2dOptions::default()
        };
        let build = || -> Result<(Linear, Conv2d)> {
            let products = products(params);
            let pointwise = Linear::new_in(
                &pointwise.reshape((outputs, inputs))?,
                None,
                Activation::Identity,
                LinearPrecision::Input,
                products,
            )?;
            Ok((pointwise, Conv2d::new_in(&conv, None, options, products)?))
        };
        let (pointwise, conv) = build().map_err(MobileSamError::tensor("neck"))?;
        Ok(Self {
            pointwise,
            norm1: layer_norm(&params.scope(1), outputs, EPS_2D)?,
            conv,
            norm2: layer_norm(&params.scope(3), outputs, EPS_2D)?,
        })
    }
}

impl Module for Neck {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let x = self.norm1.forward(&self.pointwise.forward(x)?)?;
        self.norm2.forward(&self.conv.forward(&x)?)
    }
}
