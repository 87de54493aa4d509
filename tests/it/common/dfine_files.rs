//! A small D-FINE under the authors' names, for tests of checkpoints.

use super::torch_file::Value;
use candle_core::{DType, Device, Tensor};
use std::{collections::BTreeMap, path::Path};
use ultramotion::{
    geometry::Size,
    models::dfine::DFineSize,
    tools::{NewDetector, init_detector},
};

/// Tensors by name.
pub(crate) type Tensors = BTreeMap<String, Tensor>;

/// Writes a random D-FINE-N for 320×320 RGB as transformers would into `folder`, and gives its tensors.
pub(crate) fn hub_model(folder: &Path, classes: &[&str]) -> Tensors {
    let classes = classes.iter().map(|&c| c.to_owned()).collect();
    init_detector(
        &NewDetector {
            size: DFineSize::N,
            classes,
            channels: 3,
            input: Size::new(320, 320),
        },
        5,
        folder,
    )
    .unwrap();
    candle_core::safetensors::load(folder.join("model.safetensors"), &Device::Cpu)
        .unwrap()
        .into_iter()
        .collect()
}

/// What the authors call tensors, by what the hub calls them; the first that fits counts.
const NAMES: &[(&str, &str)] = &[
    ("model.backbone.model.embedder.", "backbone.stem."),
    ("model.backbone.model.encoder.", "backbone."),
    ("model.encoder_input_proj.", "encoder.input_proj."),
    ("model.decoder_input_proj.", "decoder.input_proj."),
    ("model.encoder.", "encoder."),
    ("model.decoder.class_embed.", "decoder.dec_score_head."),
    ("model.decoder.bbox_embed.", "decoder.dec_bbox_head."),
    ("model.decoder.pre_bbox_head.", "decoder.pre_bbox_head."),
    ("model.decoder.query_pos_head.", "decoder.query_pos_head."),
    ("model.decoder.", "decoder.decoder."),
    ("model.enc_output.0.", "decoder.enc_output.proj."),
    ("model.enc_output.1.", "decoder.enc_output.norm."),
    ("model.", "decoder."),
];
const PARTS: &[(&str, &str)] = &[
    (".convolution.", ".conv."),
    (".normalization.", ".bn."),
    (".encoder_attn.", ".cross_attn."),
    (".self_attn_layer_norm.", ".norm1."),
    (".fc1.", ".linear1."),
    (".fc2.", ".linear2."),
];
const BLOCKS: &[(&str, &str)] = &[
    (".conv1.", ".cv1."),
    (".csp_rep1.", ".cv2.0."),
    (".conv2.", ".cv2.1."),
    (".csp_rep2.", ".cv3.0."),
    (".conv3.", ".cv3.1."),
    (".conv4.", ".cv4."),
];

/// The tensors of [`hub_model`] as the authors' code saves them.
pub(crate) fn authors_names(tensors: &Tensors) -> Tensors {
    let mut renamed = Tensors::new();
    for (name, tensor) in tensors {
        if name.contains(".q_proj.") {
            let part = |p: &str| &tensors[&name.replace(".q_proj.", p)];
            let joined = Tensor::cat(&[tensor, part(".k_proj."), part(".v_proj.")], 0).unwrap();
            renamed.insert(authors_name(&name.replace(".q_proj.", ".in_proj_")), joined);
        } else if !name.contains(".k_proj.") && !name.contains(".v_proj.") {
            renamed.insert(authors_name(name), tensor.clone());
        }
    }
    renamed
}

fn authors_name(name: &str) -> String {
    let (from, to) = NAMES
        .iter()
        .find(|(from, _)| name.starts_with(from))
        .unwrap();
    let mut name = name.replacen(from, to, 1);
    for (from, to) in PARTS {
        name = name.replace(from, to);
    }
    let last_norm = if name.starts_with("decoder.") {
        ".norm3."
    } else {
        ".norm2."
    };
    name = name.replace(".final_layer_norm.", last_norm);
    let parts: Vec<&str> = name.split('.').collect();
    if let ["encoder", "input_proj", level, kind, rest] = parts[..] {
        return format!(
            "encoder.input_proj.{level}.{}.{rest}",
            if kind == "0" { "conv" } else { "norm" }
        );
    }
    if name.starts_with("encoder.downsample_convs.") {
        name = name
            .replace(".conv1.", ".0.cv1.")
            .replace(".conv2.", ".0.cv2.");
    }
    if name.contains("_blocks.") {
        // Only the part after the block's number: bottlenecks have a conv1 of their own.
        let (from, to) = BLOCKS
            .iter()
            .find(|(from, _)| {
                name.splitn(4, '.')
                    .nth(3)
                    .is_some_and(|rest| format!(".{rest}").starts_with(from))
            })
            .unwrap();
        name = name.replacen(from, to, 1);
    }
    name
}

/// Anchors that the authors' code stores for an input of this size with levels of stride 16 and 32; those at the border are infinite.
pub(crate) fn anchors(input: (usize, usize)) -> Tensor {
    let mut values = Vec::new();
    for (level, stride) in [16, 32].into_iter().enumerate() {
        let (h, w) = (input.0 / stride, input.1 / stride);
        let extent = 0.05 * f64::from(1u32 << level);
        for (y, x) in (0..h).flat_map(|y| (0..w).map(move |x| (y, x))) {
            let anchor = [
                (x as f64 + 0.5) / w as f64,
                (y as f64 + 0.5) / h as f64,
                extent,
                extent,
            ];
            let inside = anchor.iter().all(|&v| v > 0.01 && v < 0.99);
            values.extend(anchor.map(|v| {
                if inside {
                    (v / (1.0 - v)).ln() as f32
                } else {
                    f32::INFINITY
                }
            }));
        }
    }
    let count = values.len() / 4;
    Tensor::from_vec(values, (1, count, 4), &Device::Cpu).unwrap()
}

/// A state_dict of these tensors with `prefix` before each name.
pub(crate) fn state_dict(tensors: &Tensors, prefix: &str) -> Value {
    let entry = |(name, tensor): (&String, &Tensor)| {
        let values = tensor
            .to_dtype(DType::F32)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        (
            format!("{prefix}{name}").as_str().into(),
            Value::Tensor(tensor.dims().to_vec(), values),
        )
    };
    Value::Dict(tensors.iter().map(entry).collect())
}
