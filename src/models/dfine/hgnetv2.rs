//! HGNetv2, the backbone: a stem and four stages of blocks that gather all their layers' outputs.

use super::config::{HgNetV2Config, StageConfig};
use crate::{
    models::nn::{Built, ConvNorm},
    ops::{self, Activation, Conv2d, Conv2dOptions, Padding, Params, Part},
};
use candle_core::{DType, Tensor};
use candle_nn::Module;

/// The backbone's batch normalisation has PyTorch's default, whatever the configuration says of the rest.
const EPS: f64 = 1e-5;
/// A row below and a column to the right: what a 2×2 kernel needs to keep the size.
const BOTTOM_RIGHT: Padding = Padding {
    top: 0,
    bottom: 1,
    left: 0,
    right: 1,
};

/// The backbone.
#[derive(Debug)]
pub(super) struct HgNetV2 {
    stem: Stem,
    stages: Vec<Stage>,
    outputs: Vec<usize>,
}

impl HgNetV2 {
    /// `params`: `embedder.…`, `encoder.stages.…`.
    pub(super) fn load(params: &Params, config: &HgNetV2Config) -> Built<Self> {
        let stem = Stem::load(&params.scope("embedder"), config)?;
        let stages = params.scope("encoder").scope("stages");
        let stage = |(i, stage)| Stage::load(&stages.scope(i), stage, config.learnable_affine);
        let stages = config
            .stages
            .iter()
            .enumerate()
            .map(stage)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            stem,
            stages,
            outputs: config.outputs.clone(),
        })
    }

    /// Maps of the chosen stages, finest first, for an image `[B, H, W, C]`.
    pub(super) fn forward(&self, image: &Tensor) -> ops::Result<Vec<Tensor>> {
        let mut x = self.stem.forward(image)?;
        let mut maps = Vec::with_capacity(self.outputs.len());
        for (i, stage) in self.stages.iter().enumerate() {
            x = stage.forward(&x)?;
            if self.outputs.contains(&i) {
                maps.push(x.clone());
            }
        }
        Ok(maps)
    }
}

/// A convolution, its normalisation, ReLU and, where the model has them, a learnable scale and shift.
struct ConvLayer {
    in_channels: usize,
    out_channels: usize,
    kernel: usize,
    stride: usize,
    groups: usize,
    padding: Padding,
    activation: Activation,
    affine: bool,
}

impl ConvLayer {
    fn new(in_channels: usize, out_channels: usize, kernel: usize, affine: bool) -> Self {
        let padding = Padding::all((kernel - 1) / 2);
        Self {
            in_channels,
            out_channels,
            kernel,
            stride: 1,
            groups: 1,
            padding,
            activation: Activation::Relu,
            affine,
        }
    }

    fn depthwise(channels: usize, kernel: usize, affine: bool) -> Self {
        Self {
            groups: channels,
            ..Self::new(channels, channels, kernel, affine)
        }
    }

    fn load(&self, params: &Params) -> Built<Conv2d> {
        let scalar = |name: &str| params.scope("lab").number(name);
        // Without an activation the original has no scale and shift either.
        let affine = if self.affine && self.activation != Activation::Identity {
            Some((scalar("scale")?, scalar("bias")?))
        } else {
            None
        };
        let Self {
            stride,
            padding,
            groups,
            activation,
            ..
        } = *self;
        let spec = ConvNorm {
            conv: "convolution",
            norm: "normalization",
            shape: [
                self.out_channels,
                self.in_channels / groups,
                self.kernel,
                self.kernel,
            ],
            eps: EPS,
            fold_in: DType::F64,
            options: Conv2dOptions {
                stride,
                padding,
                groups,
                activation,
                affine,
            },
        };
        spec.load(params)
    }
}

#[derive(Debug)]
struct Stem {
    stem1: Conv2d,
    stem2a: Conv2d,
    stem2b: Conv2d,
    stem3: Conv2d,
    stem4: Conv2d,
}

impl Stem {
    fn load(params: &Params, config: &HgNetV2Config) -> Built<Self> {
        let ([image, mid, out], affine) = (config.stem_channels, config.learnable_affine);
        let layer = |name: &str, layer: ConvLayer| layer.load(&params.scope(name));
        Ok(Self {
            stem1: layer(
                "stem1",
                ConvLayer {
                    stride: 2,
                    ..ConvLayer::new(image, mid, 3, affine)
                },
            )?,
            stem2a: layer(
                "stem2a",
                ConvLayer {
                    padding: BOTTOM_RIGHT,
                    ..ConvLayer::new(mid, mid / 2, 2, affine)
                },
            )?,
            stem2b: layer(
                "stem2b",
                ConvLayer {
                    padding: BOTTOM_RIGHT,
                    ..ConvLayer::new(mid / 2, mid, 2, affine)
                },
            )?,
            stem3: layer(
                "stem3",
                ConvLayer {
                    stride: 2,
                    ..ConvLayer::new(2 * mid, mid, 3, affine)
                },
            )?,
            stem4: layer("stem4", ConvLayer::new(mid, out, 1, affine))?,
        })
    }
}

impl Module for Stem {
    fn forward(&self, image: &Tensor) -> candle_core::Result<Tensor> {
        let x = ops::stem(
            image,
            &self.stem1,
            [&self.stem2a, &self.stem2b],
            (2, BOTTOM_RIGHT),
            &self.stem3,
        )?;
        self.stem4.forward(&x)
    }
}

#[derive(Debug)]
struct Stage {
    downsample: Option<Conv2d>,
    /// Whether all that reads the first block's input is a 1×1 convolution.
    light: bool,
    blocks: Vec<Block>,
}

impl Stage {
    fn load(params: &Params, config: &StageConfig, affine: bool) -> Built<Self> {
        let strided = ConvLayer {
            stride: 2,
            activation: Activation::Identity,
            ..ConvLayer::depthwise(config.in_channels, 3, affine)
        };
        let downsample = config
            .downsample
            .then(|| strided.load(&params.scope("downsample")))
            .transpose()?;
        let block = |i| Block::load(&params.scope("blocks").scope(i), config, i, affine);
        Ok(Self {
            downsample,
            light: config.light,
            blocks: (0..config.blocks).map(block).collect::<Result<_, _>>()?,
        })
    }
}

impl Module for Stage {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let x = match &self.downsample {
            Some(downsample) if self.light => downsample.forward_to_products(x)?,
            Some(downsample) => downsample.forward(x)?,
            None => x.clone(),
        };
        self.blocks.iter().try_fold(x, |x, block| block.forward(&x))
    }
}

/// A chain of layers whose input and outputs are all concatenated, squeezed and excited.
#[derive(Debug)]
struct Block {
    layers: Vec<Vec<Conv2d>>,
    squeeze: Conv2d,
    excite: Conv2d,
    shortcut: bool,
}

impl Block {
    fn load(params: &Params, config: &StageConfig, index: usize, affine: bool) -> Built<Self> {
        let (mid, out) = (config.mid_channels, config.out_channels);
        let inputs = if index == 0 { config.in_channels } else { out };
        let layer = |i: usize| -> Built<Vec<Conv2d>> {
            let (params, inputs) = (
                params.scope("layers").scope(i),
                if i == 0 { inputs } else { mid },
            );
            if !config.light {
                return Ok(vec![
                    ConvLayer::new(inputs, mid, config.kernel_size, affine).load(&params)?,
                ]);
            }
            let pointwise = ConvLayer {
                activation: Activation::Identity,
                ..ConvLayer::new(inputs, mid, 1, affine)
            };
            let depthwise = ConvLayer::depthwise(mid, config.kernel_size, affine);
            Ok(vec![
                pointwise.load(&params.scope("conv1"))?,
                depthwise.load(&params.scope("conv2"))?,
            ])
        };
        let aggregation = params.scope("aggregation");
        Ok(Self {
            layers: (0..config.layers).map(layer).collect::<Result<_, _>>()?,
            squeeze: ConvLayer::new(inputs + config.layers * mid, out / 2, 1, affine)
                .load(&aggregation.scope(0))?,
            excite: ConvLayer::new(out / 2, out, 1, affine).load(&aggregation.scope(1))?,
            shortcut: index > 0,
        })
    }
}

impl Module for Block {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let mut outputs = vec![x.clone()];
        let mut last = x.clone();
        for (i, layer) in self.layers.iter().enumerate() {
            last = match layer.as_slice() {
                [pointwise, depthwise] => {
                    depthwise.forward_to_products(&pointwise.forward(&last)?)?
                }
                [dense] if i + 1 == self.layers.len() => dense.forward_to_products(&last)?,
                layer => layer.iter().try_fold(last, |x, conv| conv.forward(&x))?,
            };
            outputs.push(last.clone());
        }
        let parts: Vec<Part<'_>> = outputs.iter().map(Part::from).collect();
        let squeezed = self.squeeze.forward_parts_to_products(&parts)?;
        if self.shortcut {
            self.excite.forward_then_add(&squeezed, x)
        } else {
            self.excite.forward(&squeezed)
        }
    }
}
