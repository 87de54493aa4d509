//! Reading `config.json` and `preprocessor_config.json` as transformers writes them. Fields left out have transformers' defaults.

use super::{
    backbone_json::Backbone,
    config::{
        DFineConfig, DecoderConfig, HgNetV2Config, HybridEncoderConfig, InputSizeSource,
        PositionOrder,
    },
    config_error::{ConfigError, ConfigFile, ConfigProblem},
    preprocessor::Preprocessor,
};
use crate::{
    geometry::Size,
    ops::{Activation, Normalisation},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;

/// Size of the input where nothing says it: that of the published models.
pub(super) const ASSUMED_INPUT: Size = Size::new(640, 640);
/// Classes that a configuration has which names none.
const DEFAULT_LABELS: usize = 2;

/// The fields of `config.json` that shape inference.
#[derive(Deserialize)]
#[serde(default)]
struct Config {
    model_type: String,
    backbone_config: Option<Backbone>,
    batch_norm_eps: f64,
    layer_norm_eps: f64,
    encoder_hidden_dim: usize,
    encoder_layers: usize,
    encoder_ffn_dim: usize,
    encoder_attention_heads: usize,
    encode_proj_layers: Vec<usize>,
    positional_encoding_temperature: f64,
    encoder_activation_function: String,
    activation_function: String,
    eval_size: Option<serde_json::Value>,
    normalize_before: bool,
    hidden_expansion: f64,
    depth_mult: f64,
    d_model: usize,
    num_queries: usize,
    decoder_in_channels: Vec<usize>,
    decoder_ffn_dim: usize,
    num_feature_levels: usize,
    decoder_n_points: Points,
    decoder_layers: usize,
    decoder_attention_heads: usize,
    decoder_activation_function: String,
    decoder_method: String,
    decoder_offset_scale: f64,
    learn_initial_query: bool,
    anchor_image_size: Option<[u32; 2]>,
    eval_idx: i64,
    max_num_bins: usize,
    top_prob_values: usize,
    lqe_hidden_dim: usize,
    lqe_layers: usize,
    id2label: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Points {
    Every(usize),
    Each(Vec<usize>),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            model_type: "d_fine".into(),
            backbone_config: None,
            batch_norm_eps: 1e-5,
            layer_norm_eps: 1e-5,
            encoder_hidden_dim: 256,
            encoder_layers: 1,
            encoder_ffn_dim: 1024,
            encoder_attention_heads: 8,
            encode_proj_layers: vec![2],
            positional_encoding_temperature: 10000.0,
            encoder_activation_function: "gelu".into(),
            activation_function: "silu".into(),
            eval_size: None,
            normalize_before: false,
            hidden_expansion: 1.0,
            depth_mult: 1.0,
            d_model: 256,
            num_queries: 300,
            decoder_in_channels: vec![256; 3],
            decoder_ffn_dim: 1024,
            num_feature_levels: 3,
            decoder_n_points: Points::Every(4),
            decoder_layers: 6,
            decoder_attention_heads: 8,
            decoder_activation_function: "relu".into(),
            decoder_method: "default".into(),
            decoder_offset_scale: 0.5,
            learn_initial_query: false,
            anchor_image_size: None,
            eval_idx: -1,
            max_num_bins: 32,
            top_prob_values: 4,
            lqe_hidden_dim: 64,
            lqe_layers: 2,
            id2label: None,
        }
    }
}

impl DFineConfig {
    /// Reads `config.json` and, where there is one, `preprocessor_config.json`.
    ///
    /// `num_labels` is the number of rows of the class head (`model.enc_score_head.weight`), where the checkpoint has it;
    /// `id2label` must match it. Without it `id2label` tells the number of classes.
    ///
    /// # Errors
    /// [`ConfigError`] naming the file, if it cannot be parsed or has a setting that is not supported.
    pub fn from_json(
        config: &str,
        preprocessor: Option<&str>,
        num_labels: impl Into<Option<usize>>,
    ) -> Result<Self, ConfigError> {
        let config: Config = parse(ConfigFile::Config, config)?;
        config.refuse_unsupported()?;
        let (backbone, decoder) = (config.backbone()?, config.decoder()?);
        let mut read = Self {
            encoder: config.encoder()?,
            backbone,
            decoder,
            num_labels: num_labels.into().unwrap_or(
                config
                    .id2label
                    .as_ref()
                    .map_or(DEFAULT_LABELS, BTreeMap::len),
            ),
            label_names: label_names(config.id2label)?,
            input_size: config
                .anchor_image_size
                .map_or(ASSUMED_INPUT, |[height, width]| Size::new(width, height)),
            input_size_source: config
                .anchor_image_size
                .map_or(InputSizeSource::Assumed, |_| InputSizeSource::Config),
            normalisation: Normalisation::UNIT,
            batch_norm_eps: config.batch_norm_eps,
            layer_norm_eps: config.layer_norm_eps,
        };
        if let Some(text) = preprocessor {
            let preprocessor: Preprocessor = parse(ConfigFile::Preprocessor, text)?;
            let here = |error: ConfigError| error.of(ConfigFile::Preprocessor);
            if let Some(size) = preprocessor.input_size().map_err(here)? {
                (read.input_size, read.input_size_source) = (size, InputSizeSource::Preprocessor);
            }
            read.normalisation = preprocessor.normalisation().map_err(here)?;
        }
        read.validate()?;
        Ok(read)
    }
}

impl Config {
    fn refuse_unsupported(&self) -> Result<(), ConfigError> {
        fn is(
            field: &'static str,
            value: impl Serialize,
            supported: bool,
            reason: &str,
        ) -> Result<(), ConfigError> {
            if supported {
                Ok(())
            } else {
                Err(ConfigError::value(field, value, reason))
            }
        }
        is(
            "model_type",
            &self.model_type,
            self.model_type == "d_fine",
            "only d_fine is",
        )?;
        is(
            "eval_size",
            &self.eval_size,
            self.eval_size.is_none(),
            "it switches position embeddings off; null is expected",
        )?;
        is(
            "normalize_before",
            self.normalize_before,
            !self.normalize_before,
            "no D-FINE was published with it",
        )?;
        is(
            "decoder_method",
            &self.decoder_method,
            self.decoder_method == "default",
            "only default is",
        )?;
        is(
            "learn_initial_query",
            self.learn_initial_query,
            !self.learn_initial_query,
            "no D-FINE was published with it",
        )?;
        let levels = self.decoder_in_channels.len();
        is(
            "num_feature_levels",
            self.num_feature_levels,
            self.num_feature_levels == levels,
            "as many as decoder_in_channels are",
        )?;
        let hidden = self.encoder_hidden_dim;
        let agree = self.decoder_in_channels.iter().all(|&c| c == hidden);
        is(
            "decoder_in_channels",
            &self.decoder_in_channels,
            agree,
            "all must be encoder_hidden_dim",
        )
    }

    fn backbone(&self) -> Result<HgNetV2Config, ConfigError> {
        let default = Backbone::with_outputs(vec![2, 3, 4]);
        let backbone = self
            .backbone_config
            .as_ref()
            .unwrap_or(&default)
            .to_config()?;
        if backbone.outputs.len() == self.decoder_in_channels.len() {
            Ok(backbone)
        } else {
            let reason = format!(
                "decoder_in_channels has {} levels",
                self.decoder_in_channels.len()
            );
            Err(ConfigError::value("out_indices", &backbone.outputs, reason))
        }
    }

    fn encoder(&self) -> Result<HybridEncoderConfig, ConfigError> {
        let scale = |field, factor: f64, whole: f64| {
            if factor.is_finite() && factor >= 0.0 && factor * whole < 1e6 {
                Ok(factor * whole)
            } else {
                Err(ConfigError::value(
                    field,
                    factor,
                    "a small factor, not negative",
                ))
            }
        };
        Ok(HybridEncoderConfig {
            hidden_dim: self.encoder_hidden_dim,
            ffn_dim: self.encoder_ffn_dim,
            heads: self.encoder_attention_heads,
            attention_layers: self.encoder_layers,
            attention_levels: self.encode_proj_layers.clone(),
            temperature: self.positional_encoding_temperature,
            position_order: PositionOrder::RowMajor,
            ffn_activation: activation(
                "encoder_activation_function",
                &self.encoder_activation_function,
            )?,
            block_activation: activation("activation_function", &self.activation_function)?,
            // Python's `round(expansion * hidden // 2)` and `round(3 * depth)`, the latter to even.
            block_channels: (scale(
                "hidden_expansion",
                self.hidden_expansion,
                self.encoder_hidden_dim as f64,
            )? / 2.0)
                .floor() as usize,
            block_depth: scale("depth_mult", self.depth_mult, 3.0)?.round_ties_even() as usize,
        })
    }

    fn decoder(&self) -> Result<DecoderConfig, ConfigError> {
        let layers = self.decoder_layers as i64;
        let eval = if self.eval_idx < 0 {
            layers.checked_add(self.eval_idx)
        } else {
            Some(self.eval_idx)
        };
        let Some(eval) = eval.filter(|i| (0..layers).contains(i)) else {
            return Err(ConfigError::value(
                "eval_idx",
                self.eval_idx,
                format!("there are {layers} decoder layers"),
            ));
        };
        let points = match &self.decoder_n_points {
            Points::Every(n) => vec![*n; self.decoder_in_channels.len()],
            Points::Each(points) => points.clone(),
        };
        Ok(DecoderConfig {
            d_model: self.d_model,
            ffn_dim: self.decoder_ffn_dim,
            ffn_activation: activation(
                "decoder_activation_function",
                &self.decoder_activation_function,
            )?,
            heads: self.decoder_attention_heads,
            layers: eval as usize + 1,
            points,
            offset_scale: self.decoder_offset_scale,
            num_queries: self.num_queries,
            max_num_bins: self.max_num_bins,
            top_prob_values: self.top_prob_values,
            lqe_hidden_dim: self.lqe_hidden_dim,
            lqe_layers: self.lqe_layers,
        })
    }
}

fn parse<T: DeserializeOwned>(file: ConfigFile, text: &str) -> Result<T, ConfigError> {
    serde_json::from_str(text).map_err(|e| ConfigError {
        file,
        problem: ConfigProblem::Json(e.to_string()),
    })
}

fn activation(field: &'static str, name: &str) -> Result<Activation, ConfigError> {
    match name {
        "relu" => Ok(Activation::Relu),
        "gelu" => Ok(Activation::Gelu),
        "silu" | "swish" => Ok(Activation::Silu),
        _ => Err(ConfigError::value(field, name, "relu, gelu or silu")),
    }
}

/// Names in order, or none where transformers made them up (`LABEL_0`, …).
fn label_names(
    id2label: Option<BTreeMap<String, String>>,
) -> Result<Option<Vec<String>>, ConfigError> {
    let Some(id2label) = id2label else {
        return Ok(None);
    };
    let mut names = BTreeMap::new();
    for (id, name) in &id2label {
        let Ok(id) = id.parse::<usize>() else {
            return Err(ConfigError::value(
                "id2label",
                id,
                "class numbers from 0 are expected as keys",
            ));
        };
        names.insert(id, name.clone());
    }
    if !names.keys().copied().eq(0..id2label.len()) {
        return Err(ConfigError::value(
            "id2label",
            names.keys().collect::<Vec<_>>(),
            "every class from 0 on must have one name",
        ));
    }
    let made_up = names
        .iter()
        .all(|(id, name)| name == &format!("LABEL_{id}"));
    Ok((!made_up).then(|| names.into_values().collect()))
}

#[cfg(test)]
mod tests;
