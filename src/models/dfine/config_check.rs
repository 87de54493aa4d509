//! What a configuration must be to make a model.

use super::{
    config::{
        DFineConfig, DecoderConfig, HgNetV2Config, HybridEncoderConfig, InputSizeSource,
        InputSizes, OUTPUT_STRIDE,
    },
    config_error::{ConfigError, ConfigFile},
};
use crate::{geometry::Size, text::counted};

/// Largest input side, so that a hostile configuration cannot ask for all memory.
const LARGEST_SIDE: u32 = 8192;
/// Most channels or bins of any part.
const MAX_CHANNELS: usize = 1 << 14;

impl DFineConfig {
    /// Puts the size of the input right by what stands outside of configuration and tensors: what a user wants counts most, then what a
    /// checkpoint without a configuration says in its metadata.
    ///
    /// # Errors
    /// [`ConfigError`] for a size that cannot be, or one that anchors of the checkpoint rule out.
    pub(super) fn settle_input(&mut self, sizes: InputSizes) -> Result<(), ConfigError> {
        let (known, source) = (self.input_size, self.input_size_source);
        if let Some(stated) = sizes.stated {
            check_input(stated).map_err(|e| e.of(ConfigFile::Checkpoint))?;
            (self.input_size, self.input_size_source) = (stated, InputSizeSource::Metadata);
        }
        if let Some(requested) = sizes.requested {
            check_input(requested).map_err(|e| e.of(ConfigFile::User))?;
            if matches!(source, InputSizeSource::Anchors | InputSizeSource::Config)
                && requested != known
            {
                let reason = format!(
                    "the checkpoint has anchors for {known}; do without a size of your own"
                );
                return Err(
                    ConfigError::value("size", requested.to_string(), reason).of(ConfigFile::User)
                );
            }
            (self.input_size, self.input_size_source) = (requested, InputSizeSource::User);
        }
        Ok(())
    }

    /// Checks what the parts must have in common.
    ///
    /// # Errors
    /// [`super::ConfigProblem::Value`], which names the setting.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.backbone.validate()?;
        self.encoder.validate(self.levels())?;
        self.decoder.validate(self.levels())?;
        in_range("number of classes", self.num_labels, 1, MAX_CHANNELS)?;
        if let Some(names) = &self.label_names
            && names.len() != self.num_labels
        {
            let reason = format!("the class head has {}", counted(self.num_labels, "class"));
            return Err(ConfigError::value("id2label", names.len(), reason));
        }
        let read_from = match self.input_size_source {
            InputSizeSource::Preprocessor => ConfigFile::Preprocessor,
            InputSizeSource::Assumed | InputSizeSource::Config => ConfigFile::Config,
            InputSizeSource::Anchors | InputSizeSource::Metadata => ConfigFile::Checkpoint,
            InputSizeSource::User => ConfigFile::User,
        };
        check_input(self.input_size).map_err(|e| e.of(read_from))?;
        for (name, eps) in [
            ("batch_norm_eps", self.batch_norm_eps),
            ("layer_norm_eps", self.layer_norm_eps),
        ] {
            if !(eps > 0.0 && eps < 1.0) {
                return Err(ConfigError::value(
                    name,
                    eps,
                    "it must be above 0 and below 1",
                ));
            }
        }
        Ok(())
    }
}

impl HgNetV2Config {
    fn validate(&self) -> Result<(), ConfigError> {
        if !matches!(self.stem_channels[0], 1 | 3) {
            return Err(ConfigError::value(
                "image channels",
                self.stem_channels[0],
                "images have 1 (grey) or 3 (RGB) channels",
            ));
        }
        in_range("stem_channels", self.stem_channels[1], 2, MAX_CHANNELS)?;
        in_range("stem_channels", self.stem_channels[2], 1, MAX_CHANNELS)?;
        let downsampled: Vec<bool> = self.stages.iter().map(|s| s.downsample).collect();
        if downsampled != [false, true, true, true] {
            return Err(ConfigError::value(
                "stage_downsample",
                downsampled,
                "four stages, all but the first halving the map",
            ));
        }
        for stage in &self.stages {
            for channels in [stage.in_channels, stage.mid_channels, stage.out_channels] {
                in_range("stage channels", channels, 1, MAX_CHANNELS)?;
            }
            in_range("stage_num_blocks", stage.blocks, 1, 64)?;
            in_range("stage_numb_of_layers", stage.layers, 1, 64)?;
            if !matches!(stage.kernel_size, 1 | 3 | 5 | 7) {
                return Err(ConfigError::value(
                    "stage_kernel_size",
                    stage.kernel_size,
                    "1, 3, 5 or 7",
                ));
            }
        }
        let last = self.stages.len();
        let first = last.saturating_sub(self.outputs.len());
        if self.outputs.len() < 2
            || self.outputs.len() > 3
            || !self.outputs.iter().copied().eq(first..last)
        {
            return Err(ConfigError::value(
                "backbone outputs",
                &self.outputs,
                "the last two or three stages must be given out",
            ));
        }
        Ok(())
    }
}

impl HybridEncoderConfig {
    fn validate(&self, levels: usize) -> Result<(), ConfigError> {
        in_range("encoder_hidden_dim", self.hidden_dim, 4, MAX_CHANNELS)?;
        in_range("encoder_ffn_dim", self.ffn_dim, 1, MAX_CHANNELS)?;
        in_range(
            "hidden_expansion (channels of a block)",
            self.block_channels,
            1,
            MAX_CHANNELS,
        )?;
        in_range(
            "depth_mult (convolutions in a block)",
            self.block_depth,
            0,
            64,
        )?;
        in_range("encoder_layers", self.attention_layers, 0, 64)?;
        heads_divide("encoder_attention_heads", self.heads, self.hidden_dim)?;
        if !self.hidden_dim.is_multiple_of(4) {
            return Err(ConfigError::value(
                "encoder_hidden_dim",
                self.hidden_dim,
                "a multiple of 4, for the position embedding",
            ));
        }
        if self.attention_levels.len() > levels
            || self.attention_levels.iter().any(|&level| level >= levels)
        {
            return Err(ConfigError::value(
                "encode_proj_layers",
                &self.attention_levels,
                format!("there are {levels} levels, from 0"),
            ));
        }
        if !(self.temperature > 1.0 && self.temperature.is_finite()) {
            return Err(ConfigError::value(
                "positional_encoding_temperature",
                self.temperature,
                "it must be above 1",
            ));
        }
        Ok(())
    }
}

impl DecoderConfig {
    fn validate(&self, levels: usize) -> Result<(), ConfigError> {
        in_range("d_model", self.d_model, 1, MAX_CHANNELS)?;
        in_range("decoder_ffn_dim", self.ffn_dim, 1, MAX_CHANNELS)?;
        in_range("decoder_layers", self.layers, 1, 64)?;
        in_range("num_queries", self.num_queries, 1, MAX_CHANNELS)?;
        in_range("lqe_hidden_dim", self.lqe_hidden_dim, 1, MAX_CHANNELS)?;
        in_range("lqe_layers", self.lqe_layers, 1, 16)?;
        heads_divide("decoder_attention_heads", self.heads, self.d_model)?;
        if self.points.len() != levels || self.points.iter().any(|&n| n == 0 || n > 64) {
            return Err(ConfigError::value(
                "decoder_n_points",
                &self.points,
                format!("1 to 64 points for each of {levels} levels"),
            ));
        }
        in_range("max_num_bins", self.max_num_bins, 4, 1024)?;
        if !self.max_num_bins.is_multiple_of(2) {
            return Err(ConfigError::value(
                "max_num_bins",
                self.max_num_bins,
                "an even number",
            ));
        }
        in_range(
            "top_prob_values",
            self.top_prob_values,
            1,
            self.max_num_bins + 1,
        )?;
        if !(self.offset_scale.is_finite() && self.offset_scale > 0.0) {
            return Err(ConfigError::value(
                "decoder_offset_scale",
                self.offset_scale,
                "it must be above 0",
            ));
        }
        Ok(())
    }
}

/// Whether a model can have an input of this size: both sides multiples of 32, and not so large that it asks for all memory.
///
/// # Errors
/// [`ConfigError`] with what it may be.
pub fn check_input(size: Size) -> Result<(), ConfigError> {
    if [size.width, size.height]
        .iter()
        .any(|&side| side == 0 || side % OUTPUT_STRIDE as u32 != 0 || side > LARGEST_SIDE)
    {
        let reason =
            format!("both sides must be multiples of {OUTPUT_STRIDE} up to {LARGEST_SIDE}");
        return Err(ConfigError::value("input size", size.to_string(), reason).of(ConfigFile::User));
    }
    Ok(())
}

fn in_range(field: &'static str, value: usize, low: usize, high: usize) -> Result<(), ConfigError> {
    if (low..=high).contains(&value) {
        Ok(())
    } else {
        Err(ConfigError::value(field, value, format!("{low} to {high}")))
    }
}

fn heads_divide(field: &'static str, heads: usize, channels: usize) -> Result<(), ConfigError> {
    if heads > 0 && channels.is_multiple_of(heads) {
        Ok(())
    } else {
        Err(ConfigError::value(
            field,
            heads,
            format!("it must divide the {channels} channels"),
        ))
    }
}
