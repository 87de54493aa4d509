//! New models with random, untrained weights: to try the program out, or to start training from.

use crate::{
    engine::{Engine, Params},
    geometry::Size,
    models::{
        dfine::{DFine, DFineConfig, DFineSize},
        mobile_sam::MobileSam,
    },
    session::ModelError,
};
use candle_core::{Device, Tensor};
use std::{collections::HashMap, fs, io, path::Path};

/// A detector to be made.
#[derive(Debug, Clone)]
pub struct NewDetector {
    /// Published size.
    pub size: DFineSize,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Input channels, 1 or 3.
    pub channels: usize,
    /// Input size; both sides multiples of 32.
    pub input: Size,
}

/// Writes a detector with weights drawn from `seed` into `folder`: `config.json`, `preprocessor_config.json`,
/// `model.safetensors`, as transformers writes them.
///
/// # Errors
/// [`ModelError`] for a configuration that makes no model, or if the folder cannot be written.
pub fn init_detector(new: &NewDetector, seed: u64, folder: &Path) -> Result<(), ModelError> {
    let config_json = new.size.config_json(&new.classes, new.channels);
    let preprocessor_json = DFineSize::preprocessor_json(new.input);
    let config = DFineConfig::from_json(
        &config_json.to_string(),
        Some(&preprocessor_json.to_string()),
        new.classes.len(),
    );
    let config = config.map_err(crate::models::dfine::DFineError::from)?;
    let points = config.decoder.points.clone();
    let params = Params::generated("new D-FINE", &Engine::cpu(), move |name, shape| {
        dfine_tensor(name, shape, seed, &points)
    });
    DFine::load(&params, &config)?;
    create(folder)?;
    write_json(&folder.join("config.json"), &config_json)?;
    write_json(&folder.join("preprocessor_config.json"), &preprocessor_json)?;
    write_tensors(&params, &folder.join("model.safetensors"))
}

/// Writes a MobileSAM with weights drawn from `seed` as `mobile_sam.safetensors` into `folder`.
///
/// # Errors
/// [`ModelError`] if the folder cannot be written.
pub fn init_segmenter(seed: u64, folder: &Path) -> Result<(), ModelError> {
    let params = Params::generated("new MobileSAM", &Engine::cpu(), move |name, shape| {
        common_tensor(name, shape, seed)
    });
    MobileSam::load(&params)?;
    create(folder)?;
    write_tensors(&params, &folder.join("mobile_sam.safetensors"))
}

/// Numbers that D-FINE starts from: as [`common_tensor`], but few objects at first and offsets as the paper's code has them.
fn dfine_tensor(
    name: &str,
    shape: &[usize],
    seed: u64,
    points: &[usize],
) -> candle_core::Result<Tensor> {
    let constant = |value: f32| Tensor::full(value, shape, &Device::Cpu);
    // The score of every class starts at 0.01.
    let rare = -(99f32.ln());
    match name {
        "model.decoder.up" => constant(0.5),
        "model.decoder.reg_scale" => constant(4.0),
        _ if name.ends_with(".lab.scale") => constant(1.0),
        _ if name.ends_with(".lab.bias") => constant(0.0),
        _ if name.ends_with("num_points_scale") => {
            let scales: Vec<f32> = points
                .iter()
                .flat_map(|&n| std::iter::repeat_n(1.0 / n as f32, n))
                .collect();
            Tensor::from_vec(scales, shape, &Device::Cpu)
        }
        _ if name.ends_with("enc_score_head.bias")
            || name.contains("class_embed.") && name.ends_with(".bias") =>
        {
            constant(rare)
        }
        _ => common_tensor(name, shape, seed),
    }
}

/// Normalisations start as the identity, biases at 0, other weights uniform with variance 1 / inputs.
fn common_tensor(name: &str, shape: &[usize], seed: u64) -> candle_core::Result<Tensor> {
    let constant = |value: f32| Tensor::full(value, shape, &Device::Cpu);
    let last = name.rsplit('.').next().unwrap_or(name);
    match last {
        "running_var" => constant(1.0),
        "running_mean" | "bias" | "attention_biases" => constant(0.0),
        "weight" if shape.len() == 1 => constant(1.0),
        _ => {
            let count: usize = shape.iter().product();
            let fan_in: usize = if last == "weight" {
                shape.iter().skip(1).product()
            } else {
                1
            };
            let scale = (3.0 / fan_in.max(1) as f64).sqrt();
            let stream = fnv1a(name) ^ seed;
            let values: Vec<f32> = (0..count as u64)
                .map(|i| (scale * symmetric(stream, i)) as f32)
                .collect();
            Tensor::from_vec(values, shape, &Device::Cpu)
        }
    }
}

/// The `index`th number of a stream, uniform in [-1, 1): splitmix64 (Steele, Lea, Flood 2014).
fn symmetric(stream: u64, index: u64) -> f64 {
    let mut z = stream.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

fn create(folder: &Path) -> Result<(), ModelError> {
    fs::create_dir_all(folder).map_err(|e| written(folder, &e))
}

fn written(path: &Path, error: &io::Error) -> ModelError {
    ModelError::Written {
        path: path.to_owned(),
        problem: error.to_string(),
    }
}

fn write_json(path: &Path, value: &serde_json::Value) -> Result<(), ModelError> {
    fs::write(path, format!("{value:#}\n")).map_err(|e| written(path, &e))
}

/// Written under a temporary name first: a model is there whole or not at all.
fn write_tensors(params: &Params, path: &Path) -> Result<(), ModelError> {
    let tensors: HashMap<String, Tensor> = params.tensors().into_iter().collect();
    let temporary = path.with_extension("safetensors.tmp");
    candle_core::safetensors::save(&tensors, &temporary)
        .map_err(ModelError::op("writing the model"))?;
    fs::rename(&temporary, path).map_err(|e| written(path, &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_detector_has_the_same_bytes_for_the_same_seed_and_others_for_another() {
        let dir = tempfile::tempdir().unwrap();
        let new = NewDetector {
            size: DFineSize::N,
            classes: vec!["bone".into()],
            channels: 1,
            input: Size::new(512, 512),
        };
        let mut bytes = Vec::new();
        for (name, seed) in [("a", 1), ("b", 1), ("c", 2)] {
            init_detector(&new, seed, &dir.path().join(name)).unwrap();
            bytes.push(fs::read(dir.path().join(name).join("model.safetensors")).unwrap());
        }
        assert!(bytes[0] == bytes[1] && bytes[0] != bytes[2]);
    }
}
