//! MobileSAM against its authors' implementation, with weights from a seeded generator: `fixtures/mobile_sam/README.md`.

use crate::common::seeded;
use candle_core::{DType, Device, Tensor};
use candle_nn::{Module, VarBuilder};
use candle_transformers::models::segment_anything::{sam::Sam, tiny_vit::tiny_vit_5m};
use std::{collections::BTreeMap, path::PathBuf, sync::OnceLock};
use ultramotion::{
    engine::Engine,
    geometry::BoxXyxy,
    models::mobile_sam::{
        MaskOutput, MobileSam, ObjectPrompt, PackedPrompts, PointLabel, PointPrompt, Prompts,
    },
    ops::{Params, masks_to_runs},
};

const TOLERANCE: f64 = 1e-4;

fn fixture(name: &str) -> PathBuf {
    [
        env!("CARGO_MANIFEST_DIR"),
        "tests",
        "fixtures",
        "mobile_sam",
        name,
    ]
    .iter()
    .collect()
}

/// Where the values of a tensor lie: centre ± scale. `generate.py` has the same rules.
fn centre_and_scale(name: &str, shape: &[usize]) -> (f64, f64) {
    let token = ["iou_token.weight", "mask_tokens.weight"]
        .iter()
        .any(|t| name.ends_with(t));
    match name.rsplit('.').next().unwrap() {
        "running_var" => (1.0, 0.5),
        "running_mean" | "bias" => (0.0, 0.1),
        "attention_biases" => (0.0, 1.0),
        "positional_encoding_gaussian_matrix" => (0.0, 1.7),
        _ if token || (name.contains("_embed") && shape[0] == 1) => (0.0, 1.0),
        _ if shape.len() == 1 => (1.0, 0.2),
        _ => {
            let transposed = name.contains("output_upscaling");
            let fan_in = if transposed {
                shape[0]
            } else {
                shape[1..].iter().product()
            };
            (0.0, (3.0 / fan_in as f64).sqrt() * 1.25)
        }
    }
}

fn weights() -> BTreeMap<String, Tensor> {
    let manifest = std::fs::read_to_string(fixture("manifest.json")).unwrap();
    let manifest: BTreeMap<String, Vec<usize>> = serde_json::from_str(&manifest).unwrap();
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let (centre, scale) = centre_and_scale(&name, &shape);
        let values = seeded::values(&name, shape.iter().product(), centre, scale);
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        (name, tensor)
    };
    manifest.into_iter().map(tensor).collect()
}

fn load(weights: BTreeMap<String, Tensor>) -> MobileSam {
    MobileSam::load(&Params::new("seeded weights", weights, &Engine::cpu())).unwrap()
}

/// `[1, channels, side, side]`: a value per block×block square plus one per pixel.
fn blocky(
    name: &str,
    channels: usize,
    side: usize,
    block: usize,
    coarse: f64,
    fine: f64,
) -> Tensor {
    let n = side / block;
    let squares: Vec<f64> = seeded::uniform(&format!("{name}.coarse"))
        .take(channels * n * n)
        .collect();
    let square = |i: usize| {
        squares[(i / (side * side) * n + i / side % side / block) * n + i % side / block]
    };
    let pixels = seeded::uniform(name)
        .take(channels * side * side)
        .enumerate();
    let values: Vec<f32> = pixels
        .map(|(i, pixel)| (coarse * square(i) + fine * pixel) as f32)
        .collect();
    Tensor::from_vec(values, (1, channels, side, side), &Device::Cpu).unwrap()
}

/// `[1, 3, 1024, 1024]`, the lower quarter padding.
fn pixel_values() -> Tensor {
    let x = blocky("pixel_values", 3, 1024, 64, 1.5, 0.5)
        .narrow(2, 0, 768)
        .unwrap();
    x.pad_with_zeros(2, 0, 256).unwrap()
}

fn nhwc(x: &Tensor) -> Tensor {
    x.permute((0, 2, 3, 1)).unwrap().contiguous().unwrap()
}

/// The model and the embedding of the test's image, made once for all tests.
fn encoded() -> &'static (MobileSam, Tensor) {
    static ENCODED: OnceLock<(MobileSam, Tensor)> = OnceLock::new();
    ENCODED.get_or_init(|| {
        let model = load(weights());
        let embedding = model.encode(&nhwc(&pixel_values())).unwrap();
        (model, embedding)
    })
}

fn expected() -> &'static BTreeMap<String, Tensor> {
    static EXPECTED: OnceLock<BTreeMap<String, Tensor>> = OnceLock::new();
    EXPECTED.get_or_init(|| {
        candle_core::safetensors::load(fixture("expected.safetensors"), &Device::Cpu)
            .unwrap()
            .into_iter()
            .collect()
    })
}

/// ‖a - b‖ / ‖b‖, NaN included.
fn relative_error(found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.dims(), expected.dims());
    let values = |t: &Tensor| {
        t.to_dtype(DType::F64)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f64>()
            .unwrap()
    };
    let (found, expected) = (values(found), values(expected));
    let difference: f64 = found
        .iter()
        .zip(&expected)
        .map(|(f, e)| (f - e).powi(2))
        .sum();
    (difference / expected.iter().map(|e| e * e).sum::<f64>()).sqrt()
}

#[track_caller]
fn assert_close(what: &str, found: &Tensor, expected: &Tensor) {
    let error = relative_error(found, expected);
    println!("{what}: relative error {error:.2e}");
    assert!(error < TOLERANCE, "{what}: relative error {error:e}");
}

/// Every `step`-th index of `dim` from `first` on.
fn every(x: &Tensor, dim: usize, first: usize, step: usize) -> Tensor {
    let index: Vec<u32> = (first as u32..x.dim(dim).unwrap() as u32)
        .step_by(step)
        .collect();
    x.contiguous()
        .unwrap()
        .index_select(&Tensor::new(index, &Device::Cpu).unwrap(), dim)
        .unwrap()
}

/// Euclidean norms over `dims`.
fn norms<D: candle_core::shape::Dims>(x: &Tensor, dims: D) -> Tensor {
    x.to_dtype(DType::F64)
        .unwrap()
        .sqr()
        .unwrap()
        .sum(dims)
        .unwrap()
        .sqrt()
        .unwrap()
}

#[test]
fn embedding_equals_the_authors() {
    let embedding = encoded().1.permute((0, 3, 1, 2)).unwrap();
    let samples = every(&every(&every(&embedding, 1, 0, 8), 2, 1, 4), 3, 2, 4);
    assert_close("embedding", &samples, &expected()["embedding.samples"]);
    assert_close(
        "norms of channels",
        &norms(&embedding, (0, 2, 3)),
        &expected()["embedding.channel_norms"],
    );
    assert_close(
        "norms of rows",
        &norms(&embedding, (0, 1, 3)),
        &expected()["embedding.row_norms"],
    );
    assert_close(
        "norms of columns",
        &norms(&embedding, (0, 1, 2)),
        &expected()["embedding.column_norms"],
    );
}

/// Prompts of a case as the host has them, one an object.
fn object_prompts(case: &str) -> Vec<ObjectPrompt> {
    let input = |name: &str| expected().get(&format!("{case}.{name}"));
    let boxes = input("boxes").map(|t| t.to_vec2::<f32>().unwrap());
    let points = input("points").map(|t| t.to_vec3::<f32>().unwrap());
    let labels = input("labels").map(|t| t.to_vec2::<f32>().unwrap());
    let n = boxes
        .as_ref()
        .map(Vec::len)
        .or(points.as_ref().map(Vec::len))
        .unwrap_or_default();
    let point = |(xy, label): (&Vec<f32>, &f32)| PointPrompt {
        x: xy[0],
        y: xy[1],
        label: PointLabel::try_from(*label as i64).unwrap(),
    };
    let points_of = |i: usize| match (&points, &labels) {
        (Some(points), Some(labels)) => points[i].iter().zip(&labels[i]).map(point).collect(),
        _ => Vec::new(),
    };
    let bounds = |i: usize| {
        boxes
            .as_ref()
            .map(|b| BoxXyxy::new(b[i][0], b[i][1], b[i][2], b[i][3]))
    };
    (0..n)
        .map(|i| ObjectPrompt {
            bounds: bounds(i),
            points: points_of(i),
        })
        .collect()
}

fn upload(packed: &PackedPrompts) -> Prompts {
    let (values, shape) = packed.values();
    Prompts::from_packed(&Tensor::from_slice(values, &shape, &Device::Cpu).unwrap()).unwrap()
}

fn masks(n: usize) -> Option<Tensor> {
    let masks: Vec<Tensor> = (0..n)
        .map(|i| blocky(&format!("mask_input.{i}"), 1, 256, 32, 6.0, 2.0))
        .collect();
    (n > 0).then(|| Tensor::cat(&masks, 0).unwrap())
}

fn assert_case(case: &str, prompts: &Prompts, multimask: bool) -> MaskOutput {
    let (model, embedding) = encoded();
    let output = model.decode(embedding, prompts, multimask).unwrap();
    let found = &output.low_res_masks;
    let samples = every(&every(found, 2, 3, 8), 3, 5, 8);
    assert_close(
        &format!("{case}: masks"),
        &samples,
        &expected()[&format!("{case}.masks.samples")],
    );
    assert_close(
        &format!("{case}: norms of rows"),
        &norms(found, 3),
        &expected()[&format!("{case}.masks.row_norms")],
    );
    assert_close(
        &format!("{case}: norms of columns"),
        &norms(found, 2),
        &expected()[&format!("{case}.masks.column_norms")],
    );
    assert_close(
        &format!("{case}: iou"),
        &output.iou_predictions,
        &expected()[&format!("{case}.iou")],
    );
    output
}

#[test]
fn masks_and_their_quality_equal_the_authors() {
    let cases = [
        ("one_box", 0, false),
        ("three_boxes", 0, false),
        ("three_boxes_multimask", 0, true),
        ("points", 0, false),
        ("point_multimask", 0, true),
        ("boxes_and_points", 0, false),
        ("boxes_and_masks", 2, false),
        ("all_multimask", 2, true),
    ];
    for (case, with_masks, multimask) in cases {
        let packed = PackedPrompts::pack(&object_prompts(case)).unwrap();
        let prompts = match (&packed[..], masks(with_masks)) {
            ([packed], Some(masks)) => upload(packed).with_masks(&masks).unwrap(),
            ([packed], None) => upload(packed),
            _ => panic!("{case}: objects of a case have the same number of prompts"),
        };
        assert_case(case, &prompts, multimask);
    }
}

#[test]
fn boxes_on_the_device_and_from_the_host_give_the_same_masks() {
    let boxes = &expected()["three_boxes.boxes"];
    assert_case("three_boxes", &Prompts::from_boxes(boxes).unwrap(), false);
}

#[test]
fn masks_at_the_frames_resolution_equal_the_authors() {
    let (model, embedding) = encoded();
    let prompts = Prompts::from_boxes(&expected()["three_boxes.boxes"]).unwrap();
    let logits = model
        .decode(embedding, &prompts, false)
        .unwrap()
        .low_res_masks
        .squeeze(1)
        .unwrap();
    let (height, width) = (417, 556);
    let masks = masks_to_runs(&logits, 1024, (768, 1024), (height, width)).unwrap();
    let samples = expected()["three_boxes.inside.samples"]
        .to_vec3::<u8>()
        .unwrap();
    let areas = expected()["three_boxes.inside.areas"]
        .to_vec1::<f32>()
        .unwrap();
    for ((mask, samples), area) in masks.iter().zip(samples).zip(areas) {
        let run = |(i, &n): (usize, &u32)| std::iter::repeat_n((i % 2) as u8, n as usize);
        let inside: Vec<u8> = mask.counts.iter().enumerate().flat_map(run).collect();
        assert_eq!(inside.len(), height * width);
        // A pixel on the edge may fall to either side by rounding.
        assert!(
            (mask.area as f32 - area).abs() <= 3.0,
            "{} {area}",
            mask.area
        );
        let at = |row: usize, column: usize| inside[(2 + 4 * column) * height + 1 + 4 * row];
        let rows = samples.iter().enumerate();
        let wrong = rows.map(|(y, row)| {
            row.iter()
                .enumerate()
                .filter(|&(x, &expected)| at(y, x) != expected)
                .count()
        });
        assert!(wrong.sum::<usize>() <= 1);
    }
}

#[test]
fn loading_is_strict_but_for_what_has_no_part_in_the_computation() {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let shapes: BTreeMap<String, Vec<usize>> =
        serde_json::from_reader(std::fs::File::open(fixture("manifest.json")).unwrap()).unwrap();
    let all: BTreeMap<String, Tensor> = shapes
        .into_iter()
        .map(|(name, shape)| (name, zeros(&shape)))
        .collect();
    // candle-sam's file is read by names and shapes alone, with nothing renamed: those are the authors' too.
    Sam::new_tiny(VarBuilder::from_tensors(
        all.clone().into_iter().collect(),
        DType::F32,
        &Device::Cpu,
    ))
    .unwrap();
    let load = |change: &dyn Fn(&mut BTreeMap<String, Tensor>)| {
        let mut tensors = all.clone();
        change(&mut tensors);
        MobileSam::load(&Params::new("some.pt", tensors, &Engine::cpu()))
            .map(drop)
            .map_err(|e| e.to_string())
    };
    load(&|tensors| {
        tensors.retain(|name, _| {
            !name.starts_with("image_encoder.head.")
                && !name.starts_with("image_encoder.norm_head.")
        });
        let buffers = [
            "pixel_mean",
            "image_encoder.layers.1.blocks.0.attn.attention_bias_idxs",
        ];
        let counter = "image_encoder.patch_embed.seq.0.bn.num_batches_tracked";
        tensors.extend(
            buffers
                .iter()
                .chain([&counter])
                .map(|name| ((*name).to_owned(), zeros(&[1]))),
        );
    })
    .unwrap();
    let missing =
        load(&|tensors| drop(tensors.remove("prompt_encoder.no_mask_embed.weight"))).unwrap_err();
    assert!(
        missing.starts_with(
            "some.pt: tensor prompt_encoder.no_mask_embed.weight of shape [1, 256] is missing"
        ),
        "{missing}"
    );
    let unknown =
        load(&|tensors| drop(tensors.insert("image_encoder.pos_embed".to_owned(), zeros(&[1]))))
            .unwrap_err();
    assert!(
        unknown.contains("1 tensor is not part of the model: image_encoder.pos_embed"),
        "{unknown}"
    );
    let biases = "image_encoder.layers.2.blocks.3.attn.attention_biases";
    let misshapen =
        load(&|tensors| drop(tensors.insert(biases.to_owned(), zeros(&[5, 49])))).unwrap_err();
    assert!(
        misshapen.contains("has shape [5, 49], the model needs [5, 196]"),
        "{misshapen}"
    );
}

#[test]
fn tensors_of_other_shapes_are_refused() {
    let (model, _) = encoded();
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let error = model
        .encode(&zeros(&[1, 3, 1024, 1024]))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "pixel values: has shape [1, 3, 1024, 1024], MobileSAM takes [B, 1024, 1024, 3]"
    );
    let prompts = Prompts::from_boxes(&zeros(&[1, 4])).unwrap();
    assert!(
        model
            .decode(&zeros(&[1, 256, 64, 64]), &prompts, false)
            .is_err()
    );
}

#[test]
fn no_objects_give_no_masks() {
    let (model, embedding) = encoded();
    let boxes = Tensor::zeros((0, 4), DType::F32, &Device::Cpu).unwrap();
    let output = model
        .decode(embedding, &Prompts::from_boxes(&boxes).unwrap(), true)
        .unwrap();
    assert_eq!(
        (output.low_res_masks.dims(), output.iou_predictions.dims()),
        (&[0, 3, 256, 256][..], &[0, 3][..])
    );
}

#[test]
fn an_object_has_the_same_mask_in_any_company() {
    let (model, embedding) = encoded();
    let boxes: Vec<Tensor> = (0..6)
        .map(|_| expected()["three_boxes.boxes"].clone())
        .collect();
    // 18 objects are decoded in more than one pass.
    let many = model
        .decode(
            embedding,
            &Prompts::from_boxes(&Tensor::cat(&boxes, 0).unwrap()).unwrap(),
            false,
        )
        .unwrap();
    assert_eq!(many.low_res_masks.dims(), [18, 1, 256, 256]);
    let one = model
        .decode(
            embedding,
            &Prompts::from_boxes(&boxes[0].narrow(0, 1, 1).unwrap()).unwrap(),
            false,
        )
        .unwrap();
    for i in [1, 16] {
        assert!(
            relative_error(
                &many.low_res_masks.narrow(0, i, 1).unwrap(),
                &one.low_res_masks
            ) < 1e-5
        );
        assert!(
            relative_error(
                &many.iou_predictions.narrow(0, i, 1).unwrap(),
                &one.iou_predictions
            ) < 1e-5
        );
    }
}

/// candle-transformers' TinyViT differs from the authors' in one thing: its GELU is the tanh approximation. With inputs of every GELU
/// above 6, where the two agree to the last bit, it is a second opinion on all the rest.
#[test]
fn encoder_agrees_with_candle_transformers_where_its_gelu_is_exact() {
    let mut weights = weights();
    for (name, tensor) in &mut weights {
        let before_gelu = [
            "conv1.bn.bias",
            "conv2.bn.bias",
            "seq.0.bn.bias",
            "0.blocks.0.conv3.bn.bias",
            "0.blocks.1.conv3.bn.bias",
        ];
        if before_gelu.iter().any(|end| name.ends_with(end)) || name.ends_with("mlp.fc1.bias") {
            *tensor = (&*tensor + 20.0).unwrap();
        }
    }
    let x = pixel_values();
    let vb = VarBuilder::from_tensors(
        weights.clone().into_iter().collect(),
        DType::F32,
        &Device::Cpu,
    );
    let reference = tiny_vit_5m(vb.pp("image_encoder"))
        .unwrap()
        .forward(&x)
        .unwrap();
    let found = load(weights).encode(&nhwc(&x)).unwrap();
    assert_close("candle-transformers", &found, &nhwc(&reference));
}
