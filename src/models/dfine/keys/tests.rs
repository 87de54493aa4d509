use super::*;
use candle_core::Device;

fn tensors(names: &[&str]) -> BTreeMap<String, Tensor> {
    let t = |n: &&str| {
        (
            (*n).to_owned(),
            Tensor::arange(0f32, 6.0, &Device::Cpu).unwrap(),
        )
    };
    names.iter().map(t).collect()
}

#[test]
fn patterns_keep_numbers_and_what_follows() {
    let of = |name| renamed(name, AUTHORS).unwrap();
    assert_eq!(
        of("backbone.stages.2.blocks.1.layers.0.conv.weight"),
        "model.backbone.model.encoder.stages.2.blocks.1.layers.0.convolution.weight"
    );
    assert_eq!(
        of("backbone.stages.2.blocks.1.layers.0.conv2.bn.bias"),
        "model.backbone.model.encoder.stages.2.blocks.1.layers.0.conv2.normalization.bias"
    );
    assert_eq!(
        of("encoder.pan_blocks.1.cv3.0.bottlenecks.2.conv1.norm.bias"),
        "model.encoder.pan_blocks.1.csp_rep2.bottlenecks.2.conv1.norm.bias"
    );
    assert_eq!(of("decoder.up"), "model.decoder.up");
    assert_eq!(renamed("decoder.upper", AUTHORS), None);
}

#[test]
fn joined_projections_are_split_in_order() {
    let names = [
        "module.backbone.stem.stem1.conv.weight",
        "module.decoder.decoder.layers.1.self_attn.in_proj_bias",
    ];
    let named = canonical("x.pth", tensors(&names)).unwrap();
    assert_eq!(
        (named.layout, named.prefix.as_str(), named.mask_head),
        (Layout::Authors, "module.", 0)
    );
    let k = named.tensors["model.decoder.layers.1.self_attn.k_proj.bias"]
        .to_vec1::<f32>()
        .unwrap();
    assert_eq!(k, [2.0, 3.0]);
}

#[test]
fn foreign_names_are_refused_by_name() {
    let error = |names: &[&str]| canonical("x.pth", tensors(names)).unwrap_err().to_string();
    assert!(
        error(&["image_encoder.x"])
            .contains("not a D-FINE checkpoint (tensors such as image_encoder.x)")
    );
    assert!(error(&[]).contains("none at all"));
    assert!(
        error(&["backbone.stem.stem1.conv.weight", "decoder.foo"])
            .contains("1 tensor has no place in a D-FINE: decoder.foo")
    );
    assert!(
        error(&["model.backbone.stem.x", "model.decoder.up", "loss.w"])
            .contains("prefix model., as training wrappers write them")
    );
}

#[test]
fn mask_heads_are_counted_and_pixel_heads_refused() {
    let with_masks = [
        "backbone.stem.stem1.conv.weight",
        "decoder.mask_head.layers.0.bias",
        "decoder.mask_decoder.bn.0.weight",
    ];
    let named = canonical("x.pt", tensors(&with_masks)).unwrap();
    assert_eq!((named.tensors.len(), named.mask_head), (1, 2));
    let pixels = canonical(
        "x.pt",
        tensors(&[
            "backbone.stem.stem1.conv.weight",
            "decoder.neck.0.weight",
            "decoder.classifier.weight",
        ]),
    );
    assert!(
        pixels
            .unwrap_err()
            .to_string()
            .contains("x.pt: is a model for semantic segmentation")
    );
}

#[test]
fn a_tensor_under_two_names_must_be_one() {
    let mut twice = tensors(&[
        "model.backbone.model.x",
        "class_embed.0.bias",
        "model.decoder.class_embed.0.bias",
    ]);
    assert_eq!(canonical("x", twice.clone()).unwrap().tensors.len(), 2);
    twice.insert(
        "class_embed.0.bias".into(),
        Tensor::zeros(6, candle_core::DType::F32, &Device::Cpu).unwrap(),
    );
    assert!(matches!(
        canonical("x", twice),
        Err(KeysError::Conflict { .. })
    ));
}

#[test]
fn only_the_last_layers_heads_are_needed() {
    assert!(is_training_only("model.decoder.class_embed.1.weight", 3));
    assert!(!is_training_only("model.decoder.class_embed.2.weight", 3));
    assert!(!is_training_only(
        "model.decoder.bbox_embed.0.layers.0.weight",
        3
    ));
    assert!(is_training_only("model.decoder.layers.3.fc1.weight", 3));
}
