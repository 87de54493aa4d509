//! `backbone_config` of `config.json`, as transformers writes it for an HGNet V2.

use super::{
    config::{HgNetV2Config, StageConfig},
    config_error::ConfigError,
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(default)]
pub(super) struct Backbone {
    model_type: String,
    num_channels: Option<usize>,
    hidden_act: String,
    stem_channels: [usize; 3],
    stem_strides: Vec<usize>,
    stage_in_channels: Vec<usize>,
    stage_mid_channels: Vec<usize>,
    stage_out_channels: Vec<usize>,
    stage_num_blocks: Vec<usize>,
    stage_downsample: Vec<bool>,
    stage_downsample_strides: Vec<usize>,
    stage_light_block: Vec<bool>,
    stage_kernel_size: Vec<usize>,
    stage_numb_of_layers: Vec<usize>,
    use_learnable_affine_block: bool,
    out_indices: Option<Vec<i64>>,
    out_features: Option<Vec<String>>,
}

impl Default for Backbone {
    fn default() -> Self {
        Self {
            model_type: "hgnet_v2".into(),
            num_channels: None,
            hidden_act: "relu".into(),
            stem_channels: [3, 32, 48],
            stem_strides: vec![2, 1, 1, 2, 1],
            stage_in_channels: vec![48, 128, 512, 1024],
            stage_mid_channels: vec![48, 96, 192, 384],
            stage_out_channels: vec![128, 512, 1024, 2048],
            stage_num_blocks: vec![1, 1, 3, 1],
            stage_downsample: vec![false, true, true, true],
            stage_downsample_strides: vec![2; 4],
            stage_light_block: vec![false, false, true, true],
            stage_kernel_size: vec![3, 3, 5, 5],
            stage_numb_of_layers: vec![6; 4],
            use_learnable_affine_block: false,
            out_indices: None,
            out_features: None,
        }
    }
}

impl Backbone {
    /// transformers' defaults but for `out_indices`.
    pub(super) fn with_outputs(out_indices: Vec<i64>) -> Self {
        Self {
            out_indices: Some(out_indices),
            ..Self::default()
        }
    }

    pub(super) fn to_config(&self) -> Result<HgNetV2Config, ConfigError> {
        let count = self.stage_in_channels.len();
        let lengths = [
            self.stage_mid_channels.len(),
            self.stage_out_channels.len(),
            self.stage_num_blocks.len(),
            self.stage_downsample.len(),
            self.stage_light_block.len(),
            self.stage_kernel_size.len(),
            self.stage_numb_of_layers.len(),
        ];
        if lengths.iter().any(|&n| n != count) {
            return Err(ConfigError::value(
                "backbone_config",
                lengths,
                format!("all stage_… lists must have {count} entries"),
            ));
        }
        if self.model_type != "hgnet_v2" || self.hidden_act != "relu" {
            let value = (&self.model_type, &self.hidden_act);
            return Err(ConfigError::value(
                "backbone_config",
                value,
                "only hgnet_v2 with relu is",
            ));
        }
        if self.stem_strides != [2, 1, 1, 2, 1]
            || self.stage_downsample_strides.iter().any(|&s| s != 2)
        {
            let value = (&self.stem_strides, &self.stage_downsample_strides);
            return Err(ConfigError::value(
                "stem_strides, stage_downsample_strides",
                value,
                "2, 1, 1, 2, 1 and 2 are expected",
            ));
        }
        if self
            .num_channels
            .is_some_and(|n| n != self.stem_channels[0])
        {
            return Err(ConfigError::value(
                "num_channels",
                self.num_channels,
                format!("the stem takes {}", self.stem_channels[0]),
            ));
        }
        let stage = |i: usize| StageConfig {
            in_channels: self.stage_in_channels[i],
            mid_channels: self.stage_mid_channels[i],
            out_channels: self.stage_out_channels[i],
            blocks: self.stage_num_blocks[i],
            layers: self.stage_numb_of_layers[i],
            downsample: self.stage_downsample[i],
            light: self.stage_light_block[i],
            kernel_size: self.stage_kernel_size[i],
        };
        Ok(HgNetV2Config {
            stem_channels: self.stem_channels,
            stages: (0..count).map(stage).collect(),
            learnable_affine: self.use_learnable_affine_block,
            outputs: self.outputs(count)?,
        })
    }

    /// Positions among the stages, from positions or names among stem and stages.
    fn outputs(&self, count: usize) -> Result<Vec<usize>, ConfigError> {
        let from_index = |&i: &i64| {
            let i = if i < 0 {
                i.checked_add(count as i64 + 1)?
            } else {
                i
            };
            usize::try_from(i.checked_sub(1)?).ok()
        };
        let from_name = |name: &String| {
            name.strip_prefix("stage")?
                .parse::<usize>()
                .ok()?
                .checked_sub(1)
        };
        let outputs = match (&self.out_indices, &self.out_features) {
            (Some(indices), _) => indices.iter().map(from_index).collect::<Option<Vec<_>>>(),
            (None, Some(names)) => names.iter().map(from_name).collect(),
            (None, None) => count.checked_sub(1).map(|last| vec![last]),
        };
        outputs.ok_or_else(|| {
            ConfigError::value(
                "out_indices, out_features",
                (&self.out_indices, &self.out_features),
                "stages only",
            )
        })
    }
}
