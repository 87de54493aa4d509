//! The published sizes, as the `config.json` that transformers writes for them.

use super::config::DFineConfig;
use crate::geometry::Size;
use serde_json::{Value, json};
use std::{fmt, str::FromStr};

/// A published size of D-FINE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DFineSize {
    /// Nano: HGNetv2-B0, two levels.
    N,
    /// Small: HGNetv2-B0.
    S,
    /// Medium: HGNetv2-B2.
    M,
    /// Large: HGNetv2-B4.
    L,
    /// Extra large: HGNetv2-B5.
    X,
}

/// A name that is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}: not a size of D-FINE; use n, s, m, l or x")]
pub struct UnknownSize(pub String);

impl FromStr for DFineSize {
    type Err = UnknownSize;

    fn from_str(text: &str) -> Result<Self, UnknownSize> {
        match text {
            "n" => Ok(Self::N),
            "s" => Ok(Self::S),
            "m" => Ok(Self::M),
            "l" => Ok(Self::L),
            "x" => Ok(Self::X),
            _ => Err(UnknownSize(text.to_owned())),
        }
    }
}

impl fmt::Display for DFineSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::N => "n",
            Self::S => "s",
            Self::M => "m",
            Self::L => "l",
            Self::X => "x",
        })
    }
}

impl DFineSize {
    /// All sizes, smallest first.
    pub const ALL: [Self; 5] = [Self::N, Self::S, Self::M, Self::L, Self::X];

    /// The size that a configuration is of; none for one of no published size.
    pub fn of(config: &DFineConfig) -> Option<Self> {
        let stages = |config: &DFineConfig| -> Vec<(usize, usize, usize)> {
            config
                .backbone
                .stages
                .iter()
                .map(|s| (s.out_channels, s.mid_channels, s.blocks))
                .collect()
        };
        let same = |size: &Self| {
            let text = size.config_json(&["object".to_owned()], 3).to_string();
            let Ok(published) = DFineConfig::from_json(&text, None, 1) else {
                return false;
            };
            stages(&published) == stages(config)
                && published.levels() == config.levels()
                && published.encoder.hidden_dim == config.encoder.hidden_dim
                && published.decoder.layers == config.decoder.layers
        };
        Self::ALL.into_iter().find(same)
    }

    /// The `config.json` of this size for `classes` and `channels` of input (1 or 3). The input's size stands in
    /// `preprocessor_config.json`.
    pub fn config_json(self, classes: &[String], channels: usize) -> Value {
        let mut config = json!({
            "model_type": "d_fine",
            "architectures": ["DFineForObjectDetection"],
            "backbone_config": self.backbone(channels),
            "id2label": classes.iter().enumerate().map(|(i, name)| (i.to_string(), json!(name))).collect::<serde_json::Map<_, _>>(),
            "label2id": classes.iter().enumerate().map(|(i, name)| (name.clone(), json!(i))).collect::<serde_json::Map<_, _>>(),
        });
        let own = self.own();
        if let (Some(config), Value::Object(own)) = (config.as_object_mut(), own) {
            config.extend(own);
        }
        config
    }

    /// The `preprocessor_config.json` for `input`.
    pub fn preprocessor_json(input: Size) -> Value {
        json!({
            "image_processor_type": "RTDetrImageProcessor",
            "do_resize": true, "size": { "height": input.height, "width": input.width }, "resample": 2,
            "do_rescale": true, "rescale_factor": 1.0 / 255.0, "do_normalize": false, "do_pad": false,
        })
    }

    /// What the size changes of transformers' defaults, outside the backbone.
    fn own(self) -> Value {
        match self {
            Self::N => json!({
                "num_feature_levels": 2, "encoder_in_channels": [512, 1024], "feat_strides": [16, 32], "encode_proj_layers": [1],
                "encoder_hidden_dim": 128, "encoder_ffn_dim": 512, "d_model": 128, "decoder_ffn_dim": 512,
                "decoder_in_channels": [128, 128], "decoder_n_points": [6, 6], "decoder_layers": 3, "depth_mult": 0.5,
                "hidden_expansion": 0.34,
            }),
            Self::S => json!({
                "encoder_in_channels": [256, 512, 1024], "decoder_n_points": [3, 6, 3], "decoder_layers": 3, "depth_mult": 0.34,
                "hidden_expansion": 0.5,
            }),
            Self::M => json!({
                "encoder_in_channels": [384, 768, 1536], "decoder_n_points": [3, 6, 3], "decoder_layers": 4, "depth_mult": 0.67,
                "hidden_expansion": 1.0,
            }),
            Self::L => json!({
                "encoder_in_channels": [512, 1024, 2048], "decoder_n_points": [3, 6, 3], "decoder_layers": 6, "depth_mult": 1.0,
                "hidden_expansion": 1.0,
            }),
            Self::X => json!({
                "encoder_in_channels": [512, 1024, 2048], "encoder_hidden_dim": 384, "encoder_ffn_dim": 2048,
                "decoder_in_channels": [384, 384, 384], "decoder_n_points": [3, 6, 3], "decoder_layers": 6, "depth_mult": 1.0,
                "hidden_expansion": 1.0, "reg_scale": 8.0,
            }),
        }
    }

    fn backbone(self, channels: usize) -> Value {
        let (stem, inner, mid, out, blocks, layers) = match self {
            Self::N | Self::S => (
                [16, 16],
                [16, 64, 256, 512],
                [16, 32, 64, 128],
                [64, 256, 512, 1024],
                [1, 1, 2, 1],
                3,
            ),
            Self::M => (
                [24, 32],
                [32, 96, 384, 768],
                [32, 64, 128, 256],
                [96, 384, 768, 1536],
                [1, 1, 3, 1],
                4,
            ),
            Self::L => (
                [32, 48],
                [48, 128, 512, 1024],
                [48, 96, 192, 384],
                [128, 512, 1024, 2048],
                [1, 1, 3, 1],
                6,
            ),
            Self::X => (
                [32, 64],
                [64, 128, 512, 1024],
                [64, 128, 256, 512],
                [128, 512, 1024, 2048],
                [1, 2, 5, 2],
                6,
            ),
        };
        let out_indices = if self == Self::N {
            json!([3, 4])
        } else {
            json!([2, 3, 4])
        };
        let out_features = if self == Self::N {
            json!(["stage3", "stage4"])
        } else {
            json!(["stage2", "stage3", "stage4"])
        };
        json!({
            "model_type": "hgnet_v2", "num_channels": channels, "hidden_act": "relu",
            "stem_channels": [channels, stem[0], stem[1]], "stem_strides": [2, 1, 1, 2, 1], "hidden_sizes": out,
            "stage_in_channels": inner, "stage_mid_channels": mid, "stage_out_channels": out, "stage_num_blocks": blocks,
            "stage_numb_of_layers": [layers, layers, layers, layers], "stage_downsample": [false, true, true, true],
            "stage_light_block": [false, false, true, true], "stage_kernel_size": [3, 3, 5, 5],
            "use_learnable_affine_block": !matches!(self, Self::L | Self::X),
            "out_features": out_features, "out_indices": out_indices,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::dfine::DFineConfig;

    #[test]
    fn every_size_is_a_configuration_that_makes_a_model() {
        let classes = ["a".to_owned(), "b".to_owned()];
        for size in DFineSize::ALL {
            for (channels, input) in [(3, Size::new(640, 640)), (1, Size::new(512, 512))] {
                let config = size.config_json(&classes, channels).to_string();
                let preprocessor = DFineSize::preprocessor_json(input).to_string();
                let config = DFineConfig::from_json(&config, Some(&preprocessor), 2).unwrap();
                config.validate().unwrap();
                assert_eq!(
                    (config.channels(), config.input_size),
                    (channels, input),
                    "{size}"
                );
                assert_eq!(config.label_names.as_deref(), Some(&classes[..]));
                assert_eq!(size.to_string().parse(), Ok(size));
            }
        }
    }
}
