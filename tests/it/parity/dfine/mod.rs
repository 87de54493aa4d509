//! D-FINE against the reference implementation, with seeded weights; `tests/fixtures/dfine` has the expected outputs.

mod weights;

use crate::common::match_queries::match_queries;
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;
use ultramotion::{
    engine::Engine,
    models::dfine::{
        Checkpoint, DFineConfig, DFineOutput, Detector, Labels, PositionOrder, keys::Layout,
    },
};

const TOLERANCE: f64 = 1e-4;
const EXPECTED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/dfine/expected.safetensors"
);
const CONFIGS: &str = include_str!("../../../fixtures/dfine/configs.json");

struct Case {
    name: &'static str,
    config: String,
    seed: u64,
    reg_scale: f32,
    size: (usize, usize),
    classes: usize,
}

impl Case {
    fn new(name: &'static str, classes: usize) -> Self {
        let all: serde_json::Value = serde_json::from_str(CONFIGS).unwrap();
        let case = &all[name];
        let number = |key: &str| case[key].as_u64().unwrap();
        let size = (number("height") as usize, number("width") as usize);
        let reg_scale = case["reg_scale"].as_f64().unwrap() as f32;
        Self {
            name,
            config: case["config"].to_string(),
            seed: number("seed"),
            reg_scale,
            size,
            classes,
        }
    }

    fn parsed(&self) -> DFineConfig {
        DFineConfig::from_json(&self.config, None, Some(self.classes)).unwrap()
    }

    fn tensors(&self) -> BTreeMap<String, Tensor> {
        weights::draw(&self.parsed(), self.seed, self.reg_scale)
    }

    fn detector(&self) -> Detector {
        load(self.tensors(), Some(&self.config), self.classes)
    }

    /// `[1, H, W, C]` with the numbers of the reference's `[1, C, H, W]`.
    fn pixels(&self, channels: usize) -> Tensor {
        let (h, w) = self.size;
        let values = weights::uniform("pixel_values", channels * h * w, self.seed)
            .map(|u| u as f32)
            .collect();
        let pixels = Tensor::from_vec(values, (1, channels, h, w), &Device::Cpu).unwrap();
        pixels.permute((0, 2, 3, 1)).unwrap().contiguous().unwrap()
    }
}

fn load(tensors: BTreeMap<String, Tensor>, config: Option<&str>, classes: usize) -> Detector {
    let checkpoint = Checkpoint {
        origin: "seeded",
        tensors,
        config,
        preprocessor: None,
    };
    let labels = Labels::new((0..classes).map(|i| i.to_string()));
    Detector::load(checkpoint, Some(("labels", labels)), &Engine::cpu()).unwrap()
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// `‖a - b‖ / ‖b‖` (Frobenius).
fn relative_error(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    norm(&mut a.iter().zip(b).map(|(a, b)| f64::from(*a) - f64::from(*b)))
        / norm(&mut b.iter().map(|b| f64::from(*b)))
}

fn check(name: &'static str, classes: usize) {
    let case = Case::new(name, classes);
    let detector = case.detector();
    let DFineOutput { logits, pred_boxes } = detector
        .forward(&case.pixels(detector.config().channels()))
        .unwrap();
    let reference = candle_core::safetensors::load(EXPECTED, &Device::Cpu).unwrap();
    let expected = |part: &str| &reference[&format!("{name}.{part}")];

    let logits = logits.squeeze(0).unwrap();
    let projection = weights::uniform("projection", classes * 8, case.seed)
        .map(|u| (2.0 * u - 1.0) as f32)
        .collect();
    let projected = logits
        .matmul(&Tensor::from_vec(projection, (classes, 8), &Device::Cpu).unwrap())
        .unwrap();
    let first = logits
        .narrow(1, 0, classes.min(4))
        .unwrap()
        .contiguous()
        .unwrap();
    let actual = [pred_boxes.squeeze(0).unwrap(), first, projected];
    let expected = [expected("boxes"), expected("logits"), expected("projected")].map(Clone::clone);

    // Near-equal scores may come in another order: queries are compared as a set.
    let [rows, found] = [&expected, &actual].map(|parts| Tensor::cat(parts, 1).unwrap());
    let width = rows.dim(1).unwrap();
    let order = match_queries(&floats(&rows), &floats(&found), width).unwrap();
    let order = Tensor::from_vec(
        order.iter().map(|&i| i as u32).collect(),
        order.len(),
        &Device::Cpu,
    )
    .unwrap();
    for (part, (expected, actual)) in ["boxes", "logits", "projected logits"]
        .iter()
        .zip(expected.iter().zip(&actual))
    {
        let error = relative_error(
            &floats(&actual.index_select(&order, 0).unwrap()),
            &floats(expected),
        );
        println!("{}: {part}: relative error {error:.2e}", case.name);
        assert!(
            error < TOLERANCE,
            "{name}: {part}: relative error {error:.2e}"
        );
    }
    let norm = floats(&logits.sqr().unwrap().sum_all().unwrap().sqrt().unwrap());
    let error = relative_error(&norm, &floats(&reference[&format!("{name}.norm")]));
    assert!(
        error < TOLERANCE,
        "{name}: norm of all logits: relative error {error:.2e}"
    );
}

#[test]
fn n() {
    check("n", 80);
}

#[test]
fn s() {
    check("s", 80);
}

#[test]
fn m() {
    check("m", 80);
}

#[test]
fn l() {
    check("l", 80);
}

#[test]
fn x() {
    check("x", 80);
}

#[test]
fn s_for_three_classes_on_grey_images_of_512() {
    check("s-grey", 3);
}

#[test]
fn n_on_images_that_are_not_square() {
    check("n-wide", 80);
}

#[test]
fn a_batch_gives_what_its_images_give_alone() {
    let case = Case {
        size: (256, 256),
        ..Case::new("s-grey", 3)
    };
    let detector = case.detector();
    let first = case.pixels(1);
    let second = first.affine(-0.5, 1.0).unwrap();
    let both = detector
        .forward(&Tensor::cat(&[&first, &second], 0).unwrap())
        .unwrap();
    for (i, alone) in [first, second].iter().enumerate() {
        let alone = detector.forward(alone).unwrap();
        for (both, alone) in [
            (&both.logits, &alone.logits),
            (&both.pred_boxes, &alone.pred_boxes),
        ] {
            let error = relative_error(&floats(&both.get(i).unwrap()), &floats(alone));
            assert!(error < 1e-5, "image {i}: {error:.2e}");
        }
    }
}

/// The authors' name of a canonical one.
fn authors_name(name: &str) -> String {
    let name = name.strip_prefix("model.").unwrap();
    if let Some(rest) = name.strip_prefix("backbone.model.") {
        let rest = rest
            .replace("embedder.", "stem.")
            .replace("encoder.stages.", "stages.");
        return format!(
            "backbone.{}",
            rest.replace(".convolution.", ".conv.")
                .replace(".normalization.", ".bn.")
        );
    }
    let layer = |name: String| {
        let pairs = [
            (".fc1.", ".linear1."),
            (".fc2.", ".linear2."),
            (".self_attn_layer_norm.", ".norm1."),
            (".encoder_attn.", ".cross_attn."),
        ];
        pairs
            .iter()
            .fold(name, |name, (from, to)| name.replace(from, to))
    };
    for (own, authors) in [
        ("encoder_input_proj.", "encoder.input_proj."),
        ("decoder_input_proj.", "decoder.input_proj."),
    ] {
        if let Some(rest) = name.strip_prefix(own) {
            return format!(
                "{authors}{}",
                rest.replacen(".0.", ".conv.", 1)
                    .replacen(".1.", ".norm.", 1)
            );
        }
    }
    if name.starts_with("encoder.encoder.") {
        return layer(name.replace(".final_layer_norm.", ".norm2."));
    }
    if name.starts_with("encoder.downsample_convs.") {
        return name
            .replacen(".conv1.", ".0.cv1.", 1)
            .replacen(".conv2.", ".0.cv2.", 1);
    }
    if name.contains("_blocks.") {
        let (head, rest) = name.split_at(name.match_indices('.').nth(2).unwrap().0 + 1);
        let pairs = [
            ("csp_rep1.", "cv2.0."),
            ("csp_rep2.", "cv3.0."),
            ("conv1.", "cv1."),
            ("conv2.", "cv2.1."),
            ("conv3.", "cv3.1."),
            ("conv4.", "cv4."),
        ];
        let (from, to) = pairs
            .iter()
            .find(|(from, _)| rest.starts_with(from))
            .unwrap();
        return format!("{head}{to}{}", &rest[from.len()..]);
    }
    if let Some(rest) = name.strip_prefix("decoder.") {
        let heads = [
            ("class_embed.", "dec_score_head."),
            ("bbox_embed.", "dec_bbox_head."),
        ];
        if let Some((from, to)) = heads.iter().find(|(from, _)| rest.starts_with(from)) {
            return format!("decoder.{to}{}", &rest[from.len()..]);
        }
        let inner = rest.starts_with("layers.") || rest.starts_with("lqe_layers.");
        return if inner {
            layer(format!(
                "decoder.decoder.{}",
                rest.replace(".final_layer_norm.", ".norm3.")
            ))
        } else {
            name.to_owned()
        };
    }
    match name.strip_prefix("enc_output.") {
        Some(rest) => format!(
            "decoder.enc_output.{}",
            rest.replacen("0.", "proj.", 1).replacen("1.", "norm.", 1)
        ),
        None if name.starts_with("encoder.") => name.to_owned(),
        None => format!("decoder.{name}"),
    }
}

/// The same checkpoint as the authors' code would write it, with stored anchors for `side`².
fn as_the_authors_write(
    tensors: &BTreeMap<String, Tensor>,
    strides: &[usize],
    side: usize,
) -> BTreeMap<String, Tensor> {
    let mut authors = BTreeMap::new();
    for (name, tensor) in tensors {
        if name.contains("_attn.k_proj.") || name.contains("_attn.v_proj.") {
            continue;
        }
        if name.contains("_attn.q_proj.") {
            let parts =
                ["q_proj", "k_proj", "v_proj"].map(|part| &tensors[&name.replace("q_proj", part)]);
            let name = authors_name(name).replace("q_proj.", "in_proj_");
            authors.insert(name, Tensor::cat(&parts, 0).unwrap());
        } else {
            authors.insert(authors_name(name), tensor.clone());
        }
    }
    authors.insert(
        "decoder.decoder.up".into(),
        tensors["model.decoder.up"].clone(),
    );
    let mut anchors = Vec::new();
    for (level, stride) in strides.iter().enumerate() {
        let n = side / stride;
        for (y, x) in (0..n).flat_map(|y| (0..n).map(move |x| (y, x))) {
            let extent = 0.05 * 2f32.powi(level as i32);
            let anchor = [
                (x as f32 + 0.5) / n as f32,
                (y as f32 + 0.5) / n as f32,
                extent,
                extent,
            ];
            let valid = anchor.iter().all(|&v| v > 0.01 && v < 0.99);
            anchors.extend(anchor.map(|v| {
                if valid {
                    (v / (1.0 - v)).ln()
                } else {
                    f32::INFINITY
                }
            }));
        }
    }
    let count = anchors.len() / 4;
    authors.insert(
        "decoder.anchors".into(),
        Tensor::from_vec(anchors, (1, count, 4), &Device::Cpu).unwrap(),
    );
    authors.insert(
        "decoder.valid_mask".into(),
        Tensor::ones((1, count, 1), candle_core::DType::U8, &Device::Cpu).unwrap(),
    );
    authors
}

#[test]
fn the_authors_names_and_no_configuration_give_the_same_model() {
    for (name, classes, strides, side) in [
        ("n", 80, &[16, 32][..], 640),
        ("s-grey", 3, &[8, 16, 32], 512),
        ("x", 80, &[8, 16, 32], 256),
    ] {
        let case = Case {
            size: (256, 256),
            ..Case::new(name, classes)
        };
        let tensors = case.tensors();
        let authors = as_the_authors_write(&tensors, strides, side);
        assert!(authors.contains_key("decoder.decoder.layers.0.self_attn.in_proj_weight"));
        assert!(authors.keys().all(|name| !name.starts_with("model.")));
        let (own, theirs) = (
            load(tensors, Some(&case.config), classes),
            load(authors, None, classes),
        );
        assert_eq!(
            (own.layout(), theirs.layout()),
            (Layout::HuggingFace, Layout::Authors)
        );

        let mut inferred = theirs.config().clone();
        assert_eq!(
            (
                inferred.input_size.width as usize,
                inferred.input_size.height as usize
            ),
            (side, side)
        );
        assert_eq!(inferred.encoder.position_order, PositionOrder::Authors);
        inferred.encoder.position_order = PositionOrder::RowMajor;
        inferred.input_size = own.config().input_size;
        inferred.input_size_source = own.config().input_size_source;
        assert_eq!(&inferred, own.config(), "{name}");

        let pixels = case.pixels(own.config().channels());
        let (own, theirs) = (
            own.forward(&pixels).unwrap(),
            theirs.forward(&pixels).unwrap(),
        );
        assert_eq!(floats(&own.logits), floats(&theirs.logits), "{name}");
        assert_eq!(
            floats(&own.pred_boxes),
            floats(&theirs.pred_boxes),
            "{name}"
        );
    }
}

#[test]
fn a_checkpoint_that_lacks_or_has_a_tensor_too_many_is_refused() {
    let case = Case::new("n", 80);
    let tensors = case.tensors();
    let error = |tensors: &BTreeMap<String, Tensor>| {
        let checkpoint = Checkpoint {
            origin: "some.safetensors",
            tensors: tensors.clone(),
            config: Some(&case.config),
            preprocessor: None,
        };
        Detector::load(checkpoint, None, &Engine::cpu())
            .unwrap_err()
            .to_string()
    };
    let mut changed = tensors.clone();
    let gone = changed
        .remove("model.decoder.layers.1.gateway.gate.bias")
        .unwrap();
    assert_eq!(
        error(&changed),
        "some.safetensors: tensor model.decoder.layers.1.gateway.gate.bias of shape [256] is missing; the checkpoint is of another model or incomplete"
    );
    changed.insert(
        "model.decoder.layers.1.gateway.gate.bias".into(),
        gone.narrow(0, 0, 7).unwrap(),
    );
    assert!(error(&changed).contains("has shape [7], the model needs [256]"));
    let mut changed = tensors;
    changed.insert("model.surplus".into(), gone);
    assert!(error(&changed).contains("1 tensor is not part of the model: model.surplus"));
}

#[test]
fn inputs_of_another_shape_are_refused() {
    let detector = Case::new("s-grey", 3).detector();
    let error = |shape: &[usize]| {
        detector
            .forward(&Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu).unwrap())
            .unwrap_err()
            .to_string()
    };
    assert!(error(&[1, 512, 512, 3]).contains("of 1 channel in the last"));
    assert!(error(&[1, 500, 512, 1]).contains("multiples of 32"));
    assert!(error(&[512, 512, 1]).contains("[batch, height, width, channels]"));
    assert!(error(&[1, 64, 64, 1]).contains("gives 84 tokens, the model takes 300 queries"));
}

#[test]
fn swapped_rows_are_found() {
    let expected = [1.0, 0.0, 2.0, 0.0, 3.0, 0.0, 4.0, 0.0];
    let actual = [1.0, 0.0, 3.0, 0.0001, 2.0, 0.0, 4.5, 0.0];
    assert_eq!(match_queries(&expected, &actual, 2).unwrap(), [0, 2, 1, 3]);
    assert!(match_queries(&expected, &actual[..6], 2).is_none());
    assert!(match_queries(&expected, &[f32::NAN; 8], 2).is_none());
}

#[test]
fn the_nearest_is_given_up_where_all_together_lie_nearer() {
    // The first is nearest to the second's only near one.
    assert_eq!(match_queries(&[1.0, 2.0], &[2.1, 4.5], 1).unwrap(), [0, 1]);
    assert_eq!(
        match_queries(&[1.0, 2.0, 6.0], &[2.2, 0.5, 5.0], 1).unwrap(),
        [1, 0, 2]
    );
}
