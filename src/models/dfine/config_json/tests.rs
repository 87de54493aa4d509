use super::*;

const S: &str = r#"{"model_type": "d_fine", "unknown": 1, "decoder_layers": 3, "hidden_expansion": 0.5, "depth_mult": 0.34,
    "decoder_n_points": [3, 6, 3], "id2label": {"0": "a", "1": "b", "2": "c"},
    "backbone_config": {"model_type": "hgnet_v2", "stem_channels": [1, 16, 16], "num_channels": 1,
    "stage_in_channels": [16, 64, 256, 512], "stage_mid_channels": [16, 32, 64, 128], "stage_out_channels": [64, 256, 512, 1024],
    "stage_num_blocks": [1, 1, 2, 1], "stage_numb_of_layers": [3, 3, 3, 3], "use_learnable_affine_block": true,
    "out_features": ["stage2", "stage3", "stage4"]}}"#;

#[test]
fn sizes_are_read_and_defaults_filled_in() {
    let preprocessor = r#"{"size": {"height": 512, "width": 768}, "do_normalize": false, "rescale_factor": 0.00392156862745098}"#;
    let config = DFineConfig::from_json(S, Some(preprocessor), Some(3)).unwrap();
    assert_eq!(config.input_size, Size::new(768, 512));
    assert_eq!(
        (config.encoder.block_channels, config.encoder.block_depth),
        (64, 1)
    );
    assert_eq!(
        (
            config.decoder.layers,
            config.decoder.d_model,
            config.channels()
        ),
        (3, 256, 1)
    );
    assert_eq!(config.backbone.outputs, [1, 2, 3]);
    assert_eq!(config.label_names.unwrap(), ["a", "b", "c"]);
}

#[test]
fn impossible_settings_are_named() {
    let error = |text: &str| {
        DFineConfig::from_json(text, None, Some(3))
            .unwrap_err()
            .to_string()
    };
    assert!(error("{").starts_with("config.json: "));
    assert!(error(r#"{"d_model": "x"}"#).starts_with("config.json: "));
    assert!(error(r#"{"decoder_attention_heads": 7}"#).contains("decoder_attention_heads: 7"));
    assert!(error(r#"{"decoder_n_points": [3, 6]}"#).contains("decoder_n_points: [3, 6]"));
    assert!(error(r#"{"eval_idx": 6}"#).contains("eval_idx: 6"));
    assert!(error(r#"{"model_type": "rt_detr"}"#).contains("model_type"));
    assert!(error(r#"{"id2label": {"0": "a"}}"#).contains("the class head has 3 classes"));
    let size = DFineConfig::from_json(
        S,
        Some(r#"{"size": {"height": 500, "width": 500}}"#),
        Some(3),
    )
    .unwrap_err();
    assert!(
        size.to_string()
            .starts_with("preprocessor_config.json: input size: 500×500 is not supported"),
        "{size}"
    );
    let channels = error(&S.replace(r#""num_channels": 1"#, r#""num_channels": 3"#));
    assert_eq!(
        channels,
        "config.json: num_channels: 3 is not supported: the stem takes 1"
    );
}

#[test]
fn made_up_labels_are_none() {
    let config = DFineConfig::from_json(
        r#"{"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}"#,
        None,
        Some(2),
    )
    .unwrap();
    assert_eq!(config.label_names, None);
}
