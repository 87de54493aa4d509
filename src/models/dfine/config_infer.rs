//! Reading the configuration from the tensors themselves, for checkpoints that come without one.

use super::{
    config::{
        DFineConfig, DecoderConfig, HgNetV2Config, HybridEncoderConfig, InputSizeSource,
        OUTPUT_STRIDE, PositionOrder, StageConfig,
    },
    config_error::{ConfigError, ConfigFile},
    config_json::ASSUMED_INPUT,
    keys::Layout,
};
use crate::{
    geometry::Size,
    ops::{Activation, Normalisation, Params},
};
use candle_core::DType;

/// What no tensor tells and every published D-FINE has.
const HEADS: usize = 8;
const QUERIES: usize = 300;
const OFFSET_SCALE: f64 = 0.5;
const TEMPERATURE: f64 = 10000.0;

impl DFineConfig {
    /// Reads sizes and counts from the shapes of tensors with canonical names, and the input size from the anchors
    /// where they were stored (640×640 otherwise). What shapes do not tell is as in the published models.
    ///
    /// # Errors
    /// [`ConfigError`] naming what is missing, or a size that makes no model.
    pub fn infer(params: &Params, layout: Layout) -> Result<Self, ConfigError> {
        let model = Shapes(params.scope("model"));
        let backbone = infer_backbone(
            &Shapes(model.0.scope("backbone").scope("model")),
            model.count("encoder_input_proj", "0.weight"),
        )?;
        let levels = backbone.outputs.len();
        let anchors = infer_input_size(&model.0, levels)?;
        let config = Self {
            encoder: infer_encoder(&model, levels, layout)?,
            decoder: infer_decoder(&model, levels)?,
            num_labels: model.dim("enc_score_head.weight", 0)?,
            label_names: None,
            input_size: anchors.unwrap_or(ASSUMED_INPUT),
            input_size_source: anchors
                .map_or(InputSizeSource::Assumed, |_| InputSizeSource::Anchors),
            normalisation: Normalisation::UNIT,
            batch_norm_eps: 1e-5,
            layer_norm_eps: 1e-5,
            backbone,
        };
        config
            .validate()
            .map_err(|e| e.of(ConfigFile::Checkpoint))?;
        Ok(config)
    }
}

/// Shapes below a scope.
struct Shapes(Params);

impl Shapes {
    fn dim(&self, name: &str, axis: usize) -> Result<usize, ConfigError> {
        let size = self
            .0
            .shape(name)
            .and_then(|shape| shape.get(axis).copied());
        size.ok_or_else(|| {
            ConfigError::not_inferable(format!(
                "{} is missing or of too few dimensions",
                self.0.full_name(name)
            ))
        })
    }

    /// How many of `list.0.….name`, `list.1.….name`, … there are in a row.
    fn count(&self, list: &str, name: &str) -> usize {
        (0..)
            .take_while(|i| self.0.contains(&format!("{list}.{i}.{name}")))
            .count()
    }
}

fn infer_backbone(shapes: &Shapes, levels: usize) -> Result<HgNetV2Config, ConfigError> {
    let stem = |name: &str, axis| shapes.dim(&format!("embedder.{name}.convolution.weight"), axis);
    let count = shapes.count(
        "encoder.stages",
        "blocks.0.aggregation.0.convolution.weight",
    );
    let stages = (0..count)
        .map(|i| infer_stage(shapes, i))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(HgNetV2Config {
        stem_channels: [stem("stem1", 1)?, stem("stem1", 0)?, stem("stem4", 0)?],
        stages,
        learnable_affine: shapes.0.contains("embedder.stem1.lab.scale"),
        outputs: (count.saturating_sub(levels)..count).collect(),
    })
}

fn infer_stage(shapes: &Shapes, index: usize) -> Result<StageConfig, ConfigError> {
    let stage = Shapes(shapes.0.scope("encoder").scope("stages").scope(index));
    let light = stage
        .0
        .contains("blocks.0.layers.0.conv1.convolution.weight");
    let (pointwise, kernel) = if light {
        ("conv1.convolution.weight", "conv2.convolution.weight")
    } else {
        ("convolution.weight", "convolution.weight")
    };
    let layers = stage.count("blocks.0.layers", pointwise);
    let mid_channels = stage.dim(&format!("blocks.0.layers.0.{pointwise}"), 0)?;
    let gathered = stage.dim("blocks.0.aggregation.0.convolution.weight", 1)?;
    let Some(in_channels) = layers
        .checked_mul(mid_channels)
        .and_then(|inner| gathered.checked_sub(inner))
    else {
        let name = stage
            .0
            .full_name("blocks.0.aggregation.0.convolution.weight");
        return Err(ConfigError::not_inferable(format!(
            "{name} takes fewer channels than the block's {layers} layers give"
        )));
    };
    Ok(StageConfig {
        in_channels,
        mid_channels,
        out_channels: stage.dim("blocks.0.aggregation.1.convolution.weight", 0)?,
        blocks: stage.count("blocks", "aggregation.0.convolution.weight"),
        layers,
        downsample: stage.0.contains("downsample.convolution.weight"),
        light,
        kernel_size: stage.dim(&format!("blocks.0.layers.0.{kernel}"), 2)?,
    })
}

fn infer_encoder(
    model: &Shapes,
    levels: usize,
    layout: Layout,
) -> Result<HybridEncoderConfig, ConfigError> {
    let attended = model.count("encoder.encoder", "layers.0.fc1.weight");
    if attended != 1 {
        return Err(ConfigError::not_inferable(format!(
            "self-attention at {attended} levels instead of at the coarsest alone"
        )));
    }
    Ok(HybridEncoderConfig {
        hidden_dim: model.dim("encoder_input_proj.0.0.weight", 0)?,
        ffn_dim: model.dim("encoder.encoder.0.layers.0.fc1.weight", 0)?,
        heads: HEADS,
        attention_layers: model.count("encoder.encoder.0.layers", "fc1.weight"),
        attention_levels: vec![levels.saturating_sub(1)],
        temperature: TEMPERATURE,
        position_order: match layout {
            Layout::HuggingFace => PositionOrder::RowMajor,
            Layout::Authors => PositionOrder::Authors,
        },
        ffn_activation: Activation::Gelu,
        block_activation: Activation::Silu,
        block_channels: model.dim("encoder.fpn_blocks.0.conv2.conv.weight", 0)?,
        block_depth: model.count(
            "encoder.fpn_blocks.0.csp_rep1.bottlenecks",
            "conv1.conv.weight",
        ),
    })
}

fn infer_decoder(model: &Shapes, levels: usize) -> Result<DecoderConfig, ConfigError> {
    let indivisible = |name: &str| {
        ConfigError::not_inferable(format!(
            "{} has an unexpected size",
            model.0.full_name(name)
        ))
    };
    let (corners, quality) = (
        "decoder.bbox_embed.0.layers.2.weight",
        "decoder.lqe_layers.{}.reg_conf.layers",
    );
    let layers = model.count("decoder.layers", "fc1.weight");
    // A deployed checkpoint keeps the last layer's estimator alone.
    let quality = quality.replace("{}", &layers.saturating_sub(1).to_string());
    let first = format!("{quality}.0.weight");
    let bins = model.dim(corners, 0)? / 4;
    let statistics = model.dim(&first, 1)? / 4;
    Ok(DecoderConfig {
        d_model: model.dim("enc_output.0.weight", 0)?,
        ffn_dim: model.dim("decoder.layers.0.fc1.weight", 0)?,
        ffn_activation: Activation::Relu,
        heads: HEADS,
        layers,
        points: infer_points(&model.0, levels)?,
        offset_scale: OFFSET_SCALE,
        num_queries: QUERIES,
        max_num_bins: bins.checked_sub(1).ok_or_else(|| indivisible(corners))?,
        top_prob_values: statistics
            .checked_sub(1)
            .ok_or_else(|| indivisible(&first))?,
        lqe_hidden_dim: model.dim(&first, 0)?,
        lqe_layers: model.count(&quality, "weight"),
    })
}

/// Points a level: the buffer `num_points_scale` has n times 1/n for a level of n points.
fn infer_points(model: &Params, levels: usize) -> Result<Vec<usize>, ConfigError> {
    let name = "decoder.layers.0.encoder_attn.num_points_scale";
    let wrong =
        |what: &str| ConfigError::not_inferable(format!("{} {what}", model.full_name(name)));
    let scales = values(model, name)?.ok_or_else(|| wrong("is missing"))?;
    let mut rest = scales.as_slice();
    let mut points = Vec::new();
    while let Some(&scale) = rest.first() {
        let n = (1.0 / scale).round();
        if !(1.0..=64.0).contains(&n) || rest.len() < n as usize {
            return Err(wrong("holds no points' scales"));
        }
        let (level, after) = rest.split_at(n as usize);
        if level.iter().any(|s| (s - scale).abs() > 1e-3 * scale) {
            return Err(wrong("holds no points' scales"));
        }
        points.push(n as usize);
        rest = after;
    }
    if points.len() == levels {
        Ok(points)
    } else {
        Err(wrong("is for another number of levels"))
    }
}

/// The size that stored anchors were made for: their number, and the step between two neighbours of the finest level.
fn infer_input_size(model: &Params, levels: usize) -> Result<Option<Size>, ConfigError> {
    let name = "decoder.anchors";
    let Some(anchors) = values(model, name)? else {
        return Ok(None);
    };
    let odd =
        || ConfigError::not_inferable(format!("{} is of no input size", model.full_name(name)));
    let centre = |anchor: &[f32]| 1.0 / (1.0 + f64::from(-anchor[0]).exp());
    let usable = |anchor: &[f32]| anchor.iter().all(|v| v.abs() < 20.0);
    let rows: Vec<&[f32]> = anchors.chunks_exact(4).collect();
    let neighbours = rows
        .windows(2)
        .find(|pair| usable(pair[0]) && usable(pair[1]))
        .ok_or_else(odd)?;
    let width = (1.0 / (centre(neighbours[1]) - centre(neighbours[0]))).round();
    // Each level has a quarter of the tokens of the one before: N = finest · (4^L - 1) / (3 · 4^(L-1)).
    let quarters = 4usize.pow(levels as u32);
    let finest = (rows.len() * 3 * quarters / 4)
        .checked_div(quarters - 1)
        .ok_or_else(odd)?;
    let stride = OUTPUT_STRIDE >> (levels - 1);
    if !(1.0..=1e4).contains(&width) || finest % width as usize != 0 {
        return Err(odd());
    }
    let (width, height) = (width as usize, finest / width as usize);
    let total: usize = (0..levels)
        .map(|level| (width >> level) * (height >> level))
        .sum();
    if total != rows.len() || height > 10_000 {
        return Err(odd());
    }
    Ok(Some(Size::new(
        (width * stride) as u32,
        (height * stride) as u32,
    )))
}

fn values(params: &Params, name: &str) -> Result<Option<Vec<f32>>, ConfigError> {
    let Some(tensor) = params.peek(name) else {
        return Ok(None);
    };
    let read = tensor
        .to_dtype(DType::F32)
        .and_then(|t| t.flatten_all())
        .and_then(|t| t.to_vec1::<f32>());
    read.map(Some)
        .map_err(|e| ConfigError::not_inferable(format!("{}: {e}", params.full_name(name))))
}
