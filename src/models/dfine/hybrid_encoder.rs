//! The hybrid encoder: attention within the coarsest level (AIFI), then fusion across levels, down and up again.

use super::{
    config::{DFineConfig, HybridEncoderConfig},
    error::DFineError,
    fusion_block::RepNcspElan4,
    grid::Grid,
    layers::encoder_conv,
};
use crate::{
    models::nn::{Built, ConvNorm, build_linear_pair, layer_norm, linear, products},
    ops::{
        self, Activation, Conv2d, LayerNorm, Linear, LinearPair, Params, Part, Products, add,
        attention_in,
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
        // What only convolutions of single pixels read can be rounded to what they multiply.
        let project = |(i, (projection, map)): (usize, (&Conv2d, &Tensor))| {
            if self.attention.iter().any(|(level, _)| *level == i) {
                projection.forward(map)
            } else {
                projection.forward_to_products(map)
            }
        };
        let projections = self.input_projections.iter().zip(maps).enumerate();
        let mut maps = projections.map(project).collect::<ops::Result<Vec<_>>>()?;
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
            maps[coarse] = lateral.forward_to_products(&maps[coarse])?;
            let above = Part {
                map: &maps[coarse],
                doubled: true,
            };
            maps[coarse - 1] = block.forward(&[above, Part::from(&maps[coarse - 1])])?;
        }
        for (fine, ([pointwise, depthwise], block)) in
            self.downsample.iter().zip(&self.bottom_up).enumerate()
        {
            let down = depthwise.forward_to_products(&pointwise.forward(&maps[fine])?)?;
            maps[fine + 1] = block.forward(&[Part::from(&down), Part::from(&maps[fine + 1])])?;
        }
        Ok(maps)
    }
}

/// Multi-head self-attention, positions added to queries and keys only.
#[derive(Debug)]
pub(super) struct SelfAttention {
    /// Queries with keys of one tensor, values of another.
    qk_and_v: LinearPair,
    out: Linear,
    heads: usize,
    scale: f32,
    products: Products,
}

impl SelfAttention {
    pub(super) fn load(params: &Params, channels: usize, heads: usize) -> Result<Self, DFineError> {
        let scale = ((channels / heads) as f32).powf(-0.5);
        let both = |name: &str, shape: &[usize]| -> Result<Tensor, DFineError> {
            let [q, k] = ["q_proj", "k_proj"].map(|layer| params.scope(layer).get(name, shape));
            Ok(Tensor::cat(&[q?, k?], 0)?)
        };
        let (weight, bias) = (
            both("weight", &[channels, channels])?,
            both("bias", &[channels])?,
        );
        let value = params.scope("v_proj");
        let (v_weight, v_bias) = (
            value.get("weight", &[channels, channels])?,
            value.get("bias", &[channels])?,
        );
        let pair = [(&weight, &bias), (&v_weight, &v_bias)];
        Ok(Self {
            qk_and_v: build_linear_pair(params, pair, Activation::Identity)?,
            out: linear(
                &params.scope("out_proj"),
                channels,
                channels,
                Activation::Identity,
            )?,
            heads,
            scale,
            products: products(params),
        })
    }

    /// Attention among the tokens of x `[B, N, C]`, plus `residual`; `placed` is x plus the tokens' positions.
    pub(super) fn forward_add(
        &self,
        x: &Tensor,
        placed: &Tensor,
        residual: &Tensor,
    ) -> ops::Result<Tensor> {
        let (both, v) = self.qk_and_v.forward(placed, x)?;
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
        let placed = add(x, positions)?;
        let x = self
            .attention_norm
            .forward(&self.attention.forward_add(x, &placed, x)?)?;
        self.final_norm
            .forward(&self.fc2.forward_add(&self.fc1.forward(&x)?, &x)?)
    }
}
