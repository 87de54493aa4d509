//! Tables of tensor names: other layouts' to the canonical ones.

/// transformers' names that differ from those it writes: in memory, and heads under both of their names.
/// `*` stands for one part of a name; what follows the pattern is kept. The first match counts.
pub(super) const HUGGING_FACE: &[(&str, &str)] = &[
    ("class_embed", "model.decoder.class_embed"),
    ("bbox_embed", "model.decoder.bbox_embed"),
    (
        "model.encoder.aifi.*.layers.*.self_attn.o_proj",
        "model.encoder.encoder.*.layers.*.self_attn.out_proj",
    ),
    (
        "model.encoder.aifi.*.layers.*.mlp.layers.0",
        "model.encoder.encoder.*.layers.*.fc1",
    ),
    (
        "model.encoder.aifi.*.layers.*.mlp.layers.1",
        "model.encoder.encoder.*.layers.*.fc2",
    ),
    ("model.encoder.aifi", "model.encoder.encoder"),
    (
        "model.decoder.layers.*.self_attn.o_proj",
        "model.decoder.layers.*.self_attn.out_proj",
    ),
    (
        "model.decoder.layers.*.mlp.layers.0",
        "model.decoder.layers.*.fc1",
    ),
    (
        "model.decoder.layers.*.mlp.layers.1",
        "model.decoder.layers.*.fc2",
    ),
];

/// The authors' names, as in [`HUGGING_FACE`]'s form.
pub(super) const AUTHORS: &[(&str, &str)] = &[
    (
        "backbone.stem.*.conv",
        "model.backbone.model.embedder.*.convolution",
    ),
    (
        "backbone.stem.*.bn",
        "model.backbone.model.embedder.*.normalization",
    ),
    ("backbone.stem.*.lab", "model.backbone.model.embedder.*.lab"),
    (
        "backbone.stages.*.downsample.conv",
        "model.backbone.model.encoder.stages.*.downsample.convolution",
    ),
    (
        "backbone.stages.*.downsample.bn",
        "model.backbone.model.encoder.stages.*.downsample.normalization",
    ),
    (
        "backbone.stages.*.blocks.*.aggregation.*.conv",
        "model.backbone.model.encoder.stages.*.blocks.*.aggregation.*.convolution",
    ),
    (
        "backbone.stages.*.blocks.*.aggregation.*.bn",
        "model.backbone.model.encoder.stages.*.blocks.*.aggregation.*.normalization",
    ),
    (
        "backbone.stages.*.blocks.*.aggregation.*.lab",
        "model.backbone.model.encoder.stages.*.blocks.*.aggregation.*.lab",
    ),
    (
        "backbone.stages.*.blocks.*.layers.*.conv",
        "model.backbone.model.encoder.stages.*.blocks.*.layers.*.convolution",
    ),
    (
        "backbone.stages.*.blocks.*.layers.*.bn",
        "model.backbone.model.encoder.stages.*.blocks.*.layers.*.normalization",
    ),
    (
        "backbone.stages.*.blocks.*.layers.*.lab",
        "model.backbone.model.encoder.stages.*.blocks.*.layers.*.lab",
    ),
    (
        "backbone.stages.*.blocks.*.layers.*.*.conv",
        "model.backbone.model.encoder.stages.*.blocks.*.layers.*.*.convolution",
    ),
    (
        "backbone.stages.*.blocks.*.layers.*.*.bn",
        "model.backbone.model.encoder.stages.*.blocks.*.layers.*.*.normalization",
    ),
    (
        "backbone.stages.*.blocks.*.layers.*.*.lab",
        "model.backbone.model.encoder.stages.*.blocks.*.layers.*.*.lab",
    ),
    ("encoder.input_proj.*.conv", "model.encoder_input_proj.*.0"),
    ("encoder.input_proj.*.norm", "model.encoder_input_proj.*.1"),
    (
        "encoder.encoder.*.layers.*.self_attn",
        "model.encoder.encoder.*.layers.*.self_attn",
    ),
    (
        "encoder.encoder.*.layers.*.linear1",
        "model.encoder.encoder.*.layers.*.fc1",
    ),
    (
        "encoder.encoder.*.layers.*.linear2",
        "model.encoder.encoder.*.layers.*.fc2",
    ),
    (
        "encoder.encoder.*.layers.*.norm1",
        "model.encoder.encoder.*.layers.*.self_attn_layer_norm",
    ),
    (
        "encoder.encoder.*.layers.*.norm2",
        "model.encoder.encoder.*.layers.*.final_layer_norm",
    ),
    ("encoder.lateral_convs", "model.encoder.lateral_convs"),
    (
        "encoder.downsample_convs.*.0.cv1",
        "model.encoder.downsample_convs.*.conv1",
    ),
    (
        "encoder.downsample_convs.*.0.cv2",
        "model.encoder.downsample_convs.*.conv2",
    ),
    (
        "encoder.fpn_blocks.*.cv1",
        "model.encoder.fpn_blocks.*.conv1",
    ),
    (
        "encoder.fpn_blocks.*.cv2.0",
        "model.encoder.fpn_blocks.*.csp_rep1",
    ),
    (
        "encoder.fpn_blocks.*.cv2.1",
        "model.encoder.fpn_blocks.*.conv2",
    ),
    (
        "encoder.fpn_blocks.*.cv3.0",
        "model.encoder.fpn_blocks.*.csp_rep2",
    ),
    (
        "encoder.fpn_blocks.*.cv3.1",
        "model.encoder.fpn_blocks.*.conv3",
    ),
    (
        "encoder.fpn_blocks.*.cv4",
        "model.encoder.fpn_blocks.*.conv4",
    ),
    (
        "encoder.pan_blocks.*.cv1",
        "model.encoder.pan_blocks.*.conv1",
    ),
    (
        "encoder.pan_blocks.*.cv2.0",
        "model.encoder.pan_blocks.*.csp_rep1",
    ),
    (
        "encoder.pan_blocks.*.cv2.1",
        "model.encoder.pan_blocks.*.conv2",
    ),
    (
        "encoder.pan_blocks.*.cv3.0",
        "model.encoder.pan_blocks.*.csp_rep2",
    ),
    (
        "encoder.pan_blocks.*.cv3.1",
        "model.encoder.pan_blocks.*.conv3",
    ),
    (
        "encoder.pan_blocks.*.cv4",
        "model.encoder.pan_blocks.*.conv4",
    ),
    ("decoder.input_proj.*.conv", "model.decoder_input_proj.*.0"),
    ("decoder.input_proj.*.norm", "model.decoder_input_proj.*.1"),
    (
        "decoder.decoder.layers.*.self_attn",
        "model.decoder.layers.*.self_attn",
    ),
    (
        "decoder.decoder.layers.*.cross_attn",
        "model.decoder.layers.*.encoder_attn",
    ),
    (
        "decoder.decoder.layers.*.gateway",
        "model.decoder.layers.*.gateway",
    ),
    (
        "decoder.decoder.layers.*.linear1",
        "model.decoder.layers.*.fc1",
    ),
    (
        "decoder.decoder.layers.*.linear2",
        "model.decoder.layers.*.fc2",
    ),
    (
        "decoder.decoder.layers.*.norm1",
        "model.decoder.layers.*.self_attn_layer_norm",
    ),
    (
        "decoder.decoder.layers.*.norm3",
        "model.decoder.layers.*.final_layer_norm",
    ),
    ("decoder.decoder.lqe_layers", "model.decoder.lqe_layers"),
    ("decoder.decoder.up", "model.decoder.up"),
    ("decoder.decoder.reg_scale", "model.decoder.reg_scale"),
    ("decoder.up", "model.decoder.up"),
    ("decoder.reg_scale", "model.decoder.reg_scale"),
    ("decoder.anchors", "model.decoder.anchors"),
    ("decoder.valid_mask", "model.decoder.valid_mask"),
    ("decoder.dec_score_head", "model.decoder.class_embed"),
    ("decoder.dec_bbox_head", "model.decoder.bbox_embed"),
    ("decoder.pre_bbox_head", "model.decoder.pre_bbox_head"),
    ("decoder.query_pos_head", "model.decoder.query_pos_head"),
    ("decoder.enc_output.proj", "model.enc_output.0"),
    ("decoder.enc_output.norm", "model.enc_output.1"),
    ("decoder.enc_score_head", "model.enc_score_head"),
    ("decoder.enc_bbox_head", "model.enc_bbox_head"),
    (
        "decoder.denoising_class_embed",
        "model.denoising_class_embed",
    ),
];

/// Names of a mask head that D-FINE-seg adds to the authors' detector. Boxes and scores do not depend on it.
pub(super) const MASK_HEAD: &[&str] = &["decoder.mask_decoder.", "decoder.mask_head."];
/// Name of a head that classifies pixels, which D-FINE-seg puts in the place of the detector's decoder.
pub(super) const PIXEL_HEAD: &str = "decoder.classifier.";

/// Query, key and value projections that PyTorch keeps as one, in this order.
pub(super) const JOINED: &[(&str, &str)] =
    &[(".in_proj_weight", "weight"), (".in_proj_bias", "bias")];

/// Tensors of training alone: denoising queries, and anchors stored for one input size.
pub(super) const TRAINING_ONLY: &[&str] = &[
    "model.denoising_class_embed.weight",
    "model.decoder.anchors",
    "model.decoder.valid_mask",
    "model.anchors",
    "model.valid_mask",
];
