//! The hybrid encoder: attention within the coarsest level (AIFI), then fusion across levels, down and up again.

use super::{
    config::{DFineConfig, HybridEncoderConfig},
    error::DFineError,
    grid::Grid,
    layers::encoder_conv,
};
use crate::{
    models::nn::{Built, ConvNorm, Folded, build_conv, build_linear, layer_norm, linear, products},
    ops::{
        self, Activation, Conv2d, Conv2dOptions, LayerNorm, Linear, Padding, Params, Part,
        Products, add, attention_in,
    },
};
use candle_core::Tensor;
use candle_nn::Module;

/// Batch normalisation of the input projections has PyTorch's default.
const INPUT_EPS: f64 = 1e-5;

/// The encoder with its input projections.
#[derive(Debug)]
pub(super) struct HybridEncoder {
    input_projections: Vec<Conv2d>,
    attention: Vec<(usize, Vec<EncoderLayer>)>,
    lateral: Vec<Conv2d>,
    top_down: Vec<RepNcspElan4>,
    downsample: Vec<[Conv2d; 2]>,
    bottom_up: Vec<RepNcspElan4>,
}

impl HybridEncoder {
    /// `params`: `encoder_input_proj.…`, `encoder.…`.
    pub(super) fn load(params: &Params, config: &DFineConfig) -> Result<Self, DFineError> {
        let (encoder, eps) = (&config.encoder, config.batch_norm_eps);
        let (hidden, fusions) = (encoder.hidden_dim, config.levels() - 1);
        let own = params.scope("encoder");
        let project = |(i, &stage): (usize, &usize)| {
            let inputs = config
                .backbone
                .stages
                .get(stage)
                .map_or(0, |s| s.out_channels);
            let spec = encoder_conv(inputs, hidden, 1, INPUT_EPS, Activation::Identity);
            ConvNorm {
                conv: "0",
                norm: "1",
                ..spec
            }
            .load(&params.scope("encoder_input_proj").scope(i))
        };
        let attend = |(i, &level): (usize, &usize)| {
            let layers = own.scope("encoder").scope(i).scope("layers");
            let layers = (0..encoder.attention_layers)
                .map(|i| EncoderLayer::load(&layers.scope(i), config))
                .collect::<Result<_, _>>();
            layers.map(|layers| (level, layers))
        };
        let plain = |name: &str, i: usize| {
            encoder_conv(hidden, hidden, 1, eps, Activation::Identity)
                .load(&own.scope(name).scope(i))
        };
        let block =
            |name: &str, i: usize| RepNcspElan4::load(&own.scope(name).scope(i), encoder, eps);
        let down = |i: usize| -> Built<[Conv2d; 2]> {
            let params = own.scope("downsample_convs").scope(i);
            let pointwise = encoder_conv(hidden, hidden, 1, eps, Activation::Identity)
                .load(&params.scope("conv1"))?;
            let mut depthwise = encoder_conv(1, hidden, 3, eps, Activation::Identity);
            (depthwise.options.stride, depthwise.options.groups) = (2, hidden);
            Ok([pointwise, depthwise.load(&params.scope("conv2"))?])
        };
        Ok(Self {
            input_projections: config
                .backbone
                .outputs
                .iter()
                .enumerate()
                .map(project)
                .collect::<Result<_, _>>()?,
            attention: encoder
                .attention_levels
                .iter()
                .enumerate()
                .map(attend)
                .collect::<Result<_, _>>()?,
            lateral: (0..fusions)
                .map(|i| plain("lateral_convs", i))
                .collect::<Result<_, _>>()?,
            top_down: (0..fusions)
                .map(|i| block("fpn_blocks", i))
                .collect::<Result<_, _>>()?,
            downsample: (0..fusions).map(down).collect::<Result<_, _>>()?,
            bottom_up: (0..fusions)
                .map(|i| block("pan_blocks", i))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Fused maps `[B, H, W, hidden]`, finest first, from the backbone's.
    pub(super) fn forward(&self, maps: &[Tensor], grid: &Grid) -> ops::Result<Vec<Tensor>> {
        let project = self
            .input_projections
            .iter()
            .zip(maps)
            .map(|(projection, map)| projection.forward(map));
        let mut maps = project.collect::<ops::Result<Vec<_>>>()?;
        for ((level, layers), positions) in self.attention.iter().zip(grid.positions()) {
            let (b, h, w, c) = maps[*level].dims4()?;
            let tokens = maps[*level].reshape((b, h * w, c))?;
            let tokens = layers
                .iter()
                .try_fold(tokens, |tokens, layer| layer.forward(&tokens, positions))?;
            maps[*level] = tokens.reshape((b, h, w, c))?;
        }
        // Coarse to fine: `maps[i]` becomes the level's fused map, the coarser one its lateral.
        for (i, (lateral, block)) in self.lateral.iter().zip(&self.top_down).enumerate() {
            let coarse = maps.len() - 1 - i;
            maps[coarse] = lateral.forward(&maps[coarse])?;
            let above = Part {
                map: &maps[coarse],
                doubled: true,
            };
            maps[coarse - 1] = block.forward(&[above, Part::from(&maps[coarse - 1])])?;
        }
        for (fine, ([pointwise, depthwise], block)) in
            self.downsample.iter().zip(&self.bottom_up).enumerate()
        {
            let down = depthwise.forward(&pointwise.forward(&maps[fine])?)?;
            maps[fine + 1] = block.forward(&[Part::from(&down), Part::from(&maps[fine + 1])])?;
        }
        Ok(maps)
    }
}

/// Multi-head self-attention, positions added to queries and keys only.
#[derive(Debug)]
pub(super) struct SelfAttention {
    /// Queries, then keys.
    qk: Linear,
    v: Linear,
    out: Linear,
    heads: usize,
    scale: f32,
    products: Products,
}

impl SelfAttention {
    pub(super) fn load(params: &Params, channels: usize, heads: usize) -> Result<Self, DFineError> {
        let layer = |name: &str| {
            linear(
                &params.scope(name),
                channels,
                channels,
                Activation::Identity,
            )
        };
        let scale = ((channels / heads) as f32).powf(-0.5);
        let both = |name: &str, shape: &[usize]| -> Result<Tensor, DFineError> {
            let [q, k] = ["q_proj", "k_proj"].map(|layer| params.scope(layer).get(name, shape));
            Ok(Tensor::cat(&[q?, k?], 0)?)
        };
        let (weight, bias) = (
            both("weight", &[channels, channels])?,
            both("bias", &[channels])?,
        );
        let qk = build_linear(params, &weight, &bias, Activation::Identity)?;
        Ok(Self {
            qk,
            v: layer("v_proj")?,
            out: layer("out_proj")?,
            heads,
            scale,
            products: products(params),
        })
    }

    /// Attention among the tokens of x `[B, N, C]`, plus `residual`.
    pub(super) fn forward_add(
        &self,
        x: &Tensor,
        positions: &Tensor,
        residual: &Tensor,
    ) -> ops::Result<Tensor> {
        let (both, v) = (self.qk.forward(&add(x, positions)?)?, self.v.forward(x)?);
        let channels = both.dim(2)? / 2;
        let (q, k) = (
            both.narrow(2, 0, channels)?,
            both.narrow(2, channels, channels)?,
        );
        self.out.forward_add(
            &attention_in(&q, &k, &v, self.heads, self.scale, None, self.products)?,
            residual,
        )
    }
}

#[derive(Debug)]
struct EncoderLayer {
    attention: SelfAttention,
    attention_norm: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    final_norm: LayerNorm,
}

impl EncoderLayer {
    fn load(params: &Params, config: &DFineConfig) -> Result<Self, DFineError> {
        let HybridEncoderConfig {
            hidden_dim,
            ffn_dim,
            heads,
            ffn_activation,
            ..
        } = config.encoder;
        let norm = |name: &str| layer_norm(&params.scope(name), hidden_dim, config.layer_norm_eps);
        Ok(Self {
            attention: SelfAttention::load(&params.scope("self_attn"), hidden_dim, heads)?,
            attention_norm: norm("self_attn_layer_norm")?,
            fc1: linear(&params.scope("fc1"), hidden_dim, ffn_dim, ffn_activation)?,
            fc2: linear(
                &params.scope("fc2"),
                ffn_dim,
                hidden_dim,
                Activation::Identity,
            )?,
            final_norm: norm("final_layer_norm")?,
        })
    }

    fn forward(&self, x: &Tensor, positions: &Tensor) -> ops::Result<Tensor> {
        let x = self
            .attention_norm
            .forward(&self.attention.forward_add(x, positions, x)?)?;
        self.final_norm
            .forward(&self.fc2.forward_add(&self.fc1.forward(&x)?, &x)?)
    }
}

/// A fusion block: two branches in a row, all intermediate maps concatenated (RepNCSPELAN4).
#[derive(Debug)]
struct RepNcspElan4 {
    /// Of its two halves of channels the second feeds the branches.
    first: Conv2d,
    branches: [(CspRepLayer, Conv2d); 2],
    merge: Conv2d,
}

impl RepNcspElan4 {
    fn load(params: &Params, config: &HybridEncoderConfig, eps: f64) -> Result<Self, DFineError> {
        let (hidden, inner) = (config.hidden_dim, config.block_channels);
        let first = encoder_conv(2 * hidden, 2 * hidden, 1, eps, Activation::Silu);
        let branch = |csp: &str, conv: &str, inputs| -> Result<_, DFineError> {
            let csp = CspRepLayer::load(&params.scope(csp), inputs, config, eps)?;
            Ok((
                csp,
                encoder_conv(inner, inner, 3, eps, Activation::Silu).load(&params.scope(conv))?,
            ))
        };
        let merge = encoder_conv(2 * (hidden + inner), hidden, 1, eps, Activation::Silu);
        Ok(Self {
            first: first.load(&params.scope("conv1"))?,
            branches: [
                branch("csp_rep1", "conv2", hidden)?,
                branch("csp_rep2", "conv3", inner)?,
            ],
            merge: merge.load(&params.scope("conv4"))?,
        })
    }

    /// x as maps side by side.
    fn forward(&self, x: &[Part<'_>]) -> ops::Result<Tensor> {
        let mut parts = vec![self.first.forward_parts(x)?];
        let half = parts[0].dim(3)? / 2;
        let mut last = parts[0].narrow(3, half, half)?;
        for (csp, conv) in &self.branches {
            last = conv.forward(&csp.forward(&last)?)?;
            parts.push(last.clone());
        }
        self.merge
            .forward_parts(&parts.iter().map(Part::from).collect::<Vec<_>>())
    }
}

/// Two parallel 1×1 convolutions, one followed by re-parameterised ones, added.
#[derive(Debug)]
struct CspRepLayer {
    /// Both in one, the channels of the first before those of the second.
    both: Conv2d,
    bottlenecks: Vec<Conv2d>,
}

impl CspRepLayer {
    fn load(
        params: &Params,
        inputs: usize,
        config: &HybridEncoderConfig,
        eps: f64,
    ) -> Result<Self, DFineError> {
        let (channels, activation) = (config.block_channels, config.block_activation);
        let spec = encoder_conv(inputs, channels, 1, eps, activation);
        let first = spec.fold(&params.scope("conv1"))?;
        let second = spec.fold(&params.scope("conv2"))?;
        let (weight, bias) = (
            Tensor::cat(&[first.weight, second.weight], 0)?,
            Tensor::cat(&[first.bias, second.bias], 0)?,
        );
        let both = build_conv(params, &weight, &bias, spec.options)?;
        let bottleneck = |i| {
            rep_vgg(
                &params.scope("bottlenecks").scope(i),
                channels,
                eps,
                activation,
            )
        };
        let bottlenecks = (0..config.block_depth)
            .map(bottleneck)
            .collect::<Result<_, _>>()?;
        Ok(Self { both, bottlenecks })
    }
}

impl Module for CspRepLayer {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let both = self.both.forward(x)?;
        let channels = both.dim(3)? / 2;
        let (deep, short) = (
            both.narrow(3, 0, channels)?,
            both.narrow(3, channels, channels)?,
        );
        match self.bottlenecks.split_last() {
            None => add(&deep, &short),
            Some((last, others)) => last.forward_then_add(
                &others.iter().try_fold(deep, |x, conv| conv.forward(&x))?,
                &short,
            ),
        }
    }
}

/// A RepVGG block in its deploy form: the 3×3 and the 1×1 convolution as one.
fn rep_vgg(
    params: &Params,
    channels: usize,
    eps: f64,
    activation: Activation,
) -> Result<Conv2d, DFineError> {
    let spec = |kernel| encoder_conv(channels, channels, kernel, eps, Activation::Identity);
    let Folded { weight, bias } = spec(3).fold(&params.scope("conv1"))?;
    let point = spec(1).fold(&params.scope("conv2"))?;
    let point_weight = point
        .weight
        .pad_with_zeros(2, 1, 1)?
        .pad_with_zeros(3, 1, 1)?;
    let options = Conv2dOptions {
        padding: Padding::all(1),
        activation,
        ..Conv2dOptions::default()
    };
    Ok(build_conv(
        params,
        &(weight + point_weight)?,
        &(bias + point.bias)?,
        options,
    )?)
}
