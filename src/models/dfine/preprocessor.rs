//! Reading `preprocessor_config.json` as transformers writes it.

use super::config_error::ConfigError;
use crate::{geometry::Size, ops::Normalisation};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The fields of `preprocessor_config.json` that shape a model's input.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub(super) struct Preprocessor {
    do_resize: bool,
    size: Option<BTreeMap<String, Option<u32>>>,
    resample: u32,
    do_rescale: bool,
    rescale_factor: f64,
    do_normalize: bool,
    image_mean: Option<Vec<f32>>,
    image_std: Option<Vec<f32>>,
    do_pad: Option<bool>,
}

impl Default for Preprocessor {
    fn default() -> Self {
        Self {
            do_resize: true,
            size: None,
            resample: 2,
            do_rescale: true,
            rescale_factor: 1.0 / 255.0,
            do_normalize: false,
            image_mean: None,
            image_std: None,
            do_pad: None,
        }
    }
}

impl Preprocessor {
    /// Size that images are stretched to, if it is said.
    pub(super) fn input_size(&self) -> Result<Option<Size>, ConfigError> {
        if !self.do_resize || self.do_pad == Some(true) || self.resample != 2 {
            let value = (self.do_resize, self.do_pad, self.resample);
            let reason =
                "images are stretched to one size (true), without padding (false), bilinearly (2)";
            return Err(ConfigError::value(
                "do_resize, do_pad, resample",
                value,
                reason,
            ));
        }
        let Some(size) = &self.size else {
            return Ok(None);
        };
        let side = |name: &str| size.get(name).copied().flatten();
        match (side("height"), side("width")) {
            (Some(height), Some(width)) => Ok(Some(Size::new(width, height))),
            _ => Err(ConfigError::value(
                "size",
                size,
                "height and width are expected",
            )),
        }
    }

    /// What pixels in 0..255 are brought to.
    pub(super) fn normalisation(&self) -> Result<Normalisation, ConfigError> {
        if !self.do_rescale || (self.rescale_factor * 255.0 - 1.0).abs() > 1e-4 {
            let value = (self.do_rescale, self.rescale_factor);
            return Err(ConfigError::value(
                "do_rescale, rescale_factor",
                value,
                "pixels are divided by 255",
            ));
        }
        if !self.do_normalize {
            return Ok(Normalisation::UNIT);
        }
        let of = |field, values: &Option<Vec<f32>>, default: [f32; 3], valid: fn(f32) -> bool| {
            let three = match values.as_deref() {
                None => Some(default),
                Some(&[grey]) => Some([grey; 3]),
                Some(values) => <[f32; 3]>::try_from(values).ok(),
            };
            let usable = three.filter(|v| v.iter().all(|&v| valid(v)));
            usable
                .map(|v| v.map(|v| v * 255.0))
                .ok_or_else(|| ConfigError::value(field, values, "three numbers are expected"))
        };
        Ok(Normalisation {
            mean: of(
                "image_mean",
                &self.image_mean,
                [0.485, 0.456, 0.406],
                f32::is_finite,
            )?,
            std: of("image_std", &self.image_std, [0.229, 0.224, 0.225], |v| {
                v.is_finite() && v > 0.0
            })?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Preprocessor {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn size_and_normalisation_are_read() {
        assert_eq!(read("{}").input_size().unwrap(), None);
        let wide = read(
            r#"{"size": {"height": 512, "width": 768, "longest_edge": null}, "do_normalize": true, "image_mean": [0.5, 0.5, 0.5]}"#,
        );
        assert_eq!(wide.input_size().unwrap(), Some(Size::new(768, 512)));
        let normalisation = wide.normalisation().unwrap();
        assert_eq!(
            (normalisation.mean, normalisation.std[2]),
            ([127.5; 3], 0.225 * 255.0)
        );
        assert_eq!(read("{}").normalisation().unwrap(), Normalisation::UNIT);
    }

    #[test]
    fn what_the_detector_does_not_do_is_refused() {
        let size = |text| read(text).input_size().unwrap_err().to_string();
        assert!(
            size(r#"{"size": {"shortest_edge": 640}}"#).contains("height and width are expected")
        );
        assert!(
            size(r#"{"size": {"longest_edge": 1333}}"#)
                .contains(r#"size: {"longest_edge": 1333} is not supported"#)
        );
        assert!(
            size(r#"{"resample": 3}"#)
                .contains("do_resize, do_pad, resample: [true, null, 3] is not supported")
        );
        assert!(size(r#"{"do_pad": true}"#).contains("[true, true, 2]"));
        assert!(read(r#"{"rescale_factor": 1.0}"#).normalisation().is_err());
        assert!(
            read(r#"{"do_normalize": true, "image_std": [0.0]}"#)
                .normalisation()
                .is_err()
        );
    }
}
