//! Seeded weights under the names of the checkpoints on the hub; `tests/fixtures/dfine/README.md` says how they are drawn.

use candle_core::{Device, Tensor};
use std::collections::BTreeMap;
use ultramotion::models::dfine::{DFineConfig, StageConfig};

/// The tensors of a checkpoint of one seed, filled by name.
struct Weights {
    seed: u64,
    reg_scale: f32,
    points: Vec<usize>,
    tensors: BTreeMap<String, Tensor>,
}

/// `count` numbers in [0, 1) of the stream `name`.
pub(crate) fn uniform(name: &str, count: usize, seed: u64) -> impl Iterator<Item = f64> {
    let start = name.bytes().fold(0xCBF2_9CE4_8422_2325u64, |h, byte| {
        (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    }) ^ seed;
    (1..=count as u64).map(move |i| {
        let mut z = start.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1 << 24)
    })
}

/// All tensors of a model, those of training included.
pub(crate) fn draw(config: &DFineConfig, seed: u64, reg_scale: f32) -> BTreeMap<String, Tensor> {
    let points = config.decoder.points.clone();
    let mut weights = Weights {
        seed,
        reg_scale,
        points,
        tensors: BTreeMap::new(),
    };
    weights.backbone(config);
    weights.encoder(config);
    weights.decoder(config);
    weights.tensors
}

impl Weights {
    fn backbone(&mut self, config: &DFineConfig) {
        let [image, mid, out] = config.backbone.stem_channels;
        let affine = config.backbone.learnable_affine;
        let stem = [
            ("stem1", image, mid, 3),
            ("stem2a", mid, mid / 2, 2),
            ("stem2b", mid / 2, mid, 2),
            ("stem3", 2 * mid, mid, 3),
            ("stem4", mid, out, 1),
        ];
        for (name, inputs, outputs, kernel) in stem {
            self.hg_conv(
                &format!("model.backbone.model.embedder.{name}"),
                [outputs, inputs, kernel, kernel],
                affine,
            );
        }
        for (i, stage) in config.backbone.stages.iter().enumerate() {
            self.stage(
                &format!("model.backbone.model.encoder.stages.{i}"),
                stage,
                affine,
            );
        }
    }

    fn stage(&mut self, name: &str, stage: &StageConfig, affine: bool) {
        let &StageConfig {
            in_channels,
            mid_channels: mid,
            out_channels: out,
            kernel_size: k,
            ..
        } = stage;
        if stage.downsample {
            self.hg_conv(&format!("{name}.downsample"), [in_channels, 1, 3, 3], false);
        }
        for block in 0..stage.blocks {
            let inputs = if block == 0 { in_channels } else { out };
            let name = format!("{name}.blocks.{block}");
            for layer in 0..stage.layers {
                let inputs = if layer == 0 { inputs } else { mid };
                let name = format!("{name}.layers.{layer}");
                if stage.light {
                    self.hg_conv(&format!("{name}.conv1"), [mid, inputs, 1, 1], false);
                    self.hg_conv(&format!("{name}.conv2"), [mid, 1, k, k], affine);
                } else {
                    self.hg_conv(&name, [mid, inputs, k, k], affine);
                }
            }
            self.hg_conv(
                &format!("{name}.aggregation.0"),
                [out / 2, inputs + stage.layers * mid, 1, 1],
                affine,
            );
            self.hg_conv(
                &format!("{name}.aggregation.1"),
                [out, out / 2, 1, 1],
                affine,
            );
        }
    }

    fn encoder(&mut self, config: &DFineConfig) {
        let (hidden, ffn) = (config.encoder.hidden_dim, config.encoder.ffn_dim);
        for (i, &stage) in config.backbone.outputs.iter().enumerate() {
            let name = format!("model.encoder_input_proj.{i}");
            self.conv(
                &format!("{name}.0"),
                &format!("{name}.1"),
                [hidden, config.backbone.stages[stage].out_channels, 1, 1],
            );
        }
        for i in 0..config.encoder.attention_levels.len() {
            for layer in 0..config.encoder.attention_layers {
                self.attention_layer(
                    &format!("model.encoder.encoder.{i}.layers.{layer}"),
                    hidden,
                    ffn,
                );
            }
        }
        for i in 0..config.levels() - 1 {
            self.encoder_conv(
                &format!("model.encoder.lateral_convs.{i}"),
                [hidden, hidden, 1, 1],
            );
            self.encoder_conv(
                &format!("model.encoder.downsample_convs.{i}.conv1"),
                [hidden, hidden, 1, 1],
            );
            self.encoder_conv(
                &format!("model.encoder.downsample_convs.{i}.conv2"),
                [hidden, 1, 3, 3],
            );
            for blocks in ["fpn_blocks", "pan_blocks"] {
                self.fusion_block(
                    &format!("model.encoder.{blocks}.{i}"),
                    hidden,
                    config.encoder.block_channels,
                    config.encoder.block_depth,
                );
            }
        }
    }

    fn fusion_block(&mut self, name: &str, hidden: usize, inner: usize, depth: usize) {
        self.encoder_conv(&format!("{name}.conv1"), [2 * hidden, 2 * hidden, 1, 1]);
        self.encoder_conv(&format!("{name}.conv2"), [inner, inner, 3, 3]);
        self.encoder_conv(&format!("{name}.conv3"), [inner, inner, 3, 3]);
        self.encoder_conv(
            &format!("{name}.conv4"),
            [hidden, 2 * (hidden + inner), 1, 1],
        );
        for (csp, inputs) in [("csp_rep1", hidden), ("csp_rep2", inner)] {
            self.encoder_conv(&format!("{name}.{csp}.conv1"), [inner, inputs, 1, 1]);
            self.encoder_conv(&format!("{name}.{csp}.conv2"), [inner, inputs, 1, 1]);
            for i in 0..depth {
                self.encoder_conv(
                    &format!("{name}.{csp}.bottlenecks.{i}.conv1"),
                    [inner, inner, 3, 3],
                );
                self.encoder_conv(
                    &format!("{name}.{csp}.bottlenecks.{i}.conv2"),
                    [inner, inner, 1, 1],
                );
            }
        }
    }

    fn decoder(&mut self, config: &DFineConfig) {
        let (decoder, classes, hidden) = (
            &config.decoder,
            config.num_labels,
            config.encoder.hidden_dim,
        );
        let (d, edges) = (decoder.d_model, 4 * (decoder.max_num_bins + 1));
        for i in (0..config.levels()).filter(|_| hidden != d) {
            let name = format!("model.decoder_input_proj.{i}");
            self.conv(
                &format!("{name}.0"),
                &format!("{name}.1"),
                [d, hidden, 1, 1],
            );
        }
        self.tensor("model.denoising_class_embed.weight", &[classes + 1, d]);
        self.linear("model.enc_output.0", d, d);
        self.norm("model.enc_output.1", d);
        self.linear("model.enc_score_head", d, classes);
        self.mlp("model.enc_bbox_head", &[d, d, d, 4]);
        self.mlp("model.decoder.query_pos_head", &[4, 2 * d, d]);
        self.mlp("model.decoder.pre_bbox_head", &[d, d, d, 4]);
        self.tensor("model.decoder.up", &[1]);
        self.tensor("model.decoder.reg_scale", &[1]);
        let total = decoder.points.iter().sum::<usize>();
        for i in 0..decoder.layers {
            let name = format!("model.decoder.layers.{i}");
            self.attention_layer(&name, d, decoder.ffn_dim);
            self.linear(
                &format!("{name}.encoder_attn.sampling_offsets"),
                d,
                decoder.heads * total * 2,
            );
            self.linear(
                &format!("{name}.encoder_attn.attention_weights"),
                d,
                decoder.heads * total,
            );
            self.tensor(&format!("{name}.encoder_attn.num_points_scale"), &[total]);
            self.linear(&format!("{name}.gateway.gate"), 2 * d, 2 * d);
            self.norm(&format!("{name}.gateway.norm"), d);
            self.linear(&format!("model.decoder.class_embed.{i}"), d, classes);
            self.mlp(&format!("model.decoder.bbox_embed.{i}"), &[d, d, d, edges]);
            self.mlp(
                &format!("model.decoder.lqe_layers.{i}.reg_conf"),
                &[4 * (decoder.top_prob_values + 1), decoder.lqe_hidden_dim, 1],
            );
        }
    }

    fn attention_layer(&mut self, name: &str, channels: usize, ffn: usize) {
        for projection in ["q_proj", "k_proj", "v_proj", "out_proj"] {
            self.linear(
                &format!("{name}.self_attn.{projection}"),
                channels,
                channels,
            );
        }
        self.linear(&format!("{name}.fc1"), channels, ffn);
        self.linear(&format!("{name}.fc2"), ffn, channels);
        self.norm(&format!("{name}.self_attn_layer_norm"), channels);
        self.norm(&format!("{name}.final_layer_norm"), channels);
    }

    fn hg_conv(&mut self, name: &str, shape: [usize; 4], affine: bool) {
        self.conv(
            &format!("{name}.convolution"),
            &format!("{name}.normalization"),
            shape,
        );
        if affine {
            self.tensor(&format!("{name}.lab.scale"), &[1]);
            self.tensor(&format!("{name}.lab.bias"), &[1]);
        }
    }

    fn encoder_conv(&mut self, name: &str, shape: [usize; 4]) {
        self.conv(&format!("{name}.conv"), &format!("{name}.norm"), shape);
    }

    fn conv(&mut self, conv: &str, norm: &str, shape: [usize; 4]) {
        self.tensor(&format!("{conv}.weight"), &shape);
        self.norm(norm, shape[0]);
        self.tensor(&format!("{norm}.running_mean"), &[shape[0]]);
        self.tensor(&format!("{norm}.running_var"), &[shape[0]]);
        self.tensor(&format!("{norm}.num_batches_tracked"), &[]);
    }

    fn norm(&mut self, name: &str, channels: usize) {
        self.tensor(&format!("{name}.weight"), &[channels]);
        self.tensor(&format!("{name}.bias"), &[channels]);
    }

    fn linear(&mut self, name: &str, inputs: usize, outputs: usize) {
        self.tensor(&format!("{name}.weight"), &[outputs, inputs]);
        self.tensor(&format!("{name}.bias"), &[outputs]);
    }

    fn mlp(&mut self, name: &str, dims: &[usize]) {
        for (i, pair) in dims.windows(2).enumerate() {
            self.linear(&format!("{name}.layers.{i}"), pair[0], pair[1]);
        }
    }

    fn tensor(&mut self, name: &str, shape: &[usize]) {
        let count = shape.iter().product();
        let values: Vec<f32> = match name {
            _ if name.ends_with(".num_batches_tracked") => vec![0.0; count],
            _ if name.ends_with(".num_points_scale") => self
                .points
                .iter()
                .flat_map(|&n| std::iter::repeat_n(1.0 / n as f32, n))
                .collect(),
            "model.decoder.up" => vec![0.5],
            "model.decoder.reg_scale" => vec![self.reg_scale],
            _ => {
                let (base, spread) = range(name, shape);
                uniform(name, count, self.seed)
                    .map(|u| (base + (2.0 * u - 1.0) * spread) as f32)
                    .collect()
            }
        };
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        assert!(
            self.tensors.insert(name.to_owned(), tensor).is_none(),
            "{name} twice"
        );
    }
}

/// An element is `base + s·spread` with s in [-1, 1).
fn range(name: &str, shape: &[usize]) -> (f64, f64) {
    let ends = |suffix| name.ends_with(suffix);
    if ends(".running_var") || ends(".lab.scale") || (ends(".weight") && shape.len() == 1) {
        (1.0, 0.2)
    } else if ends("sampling_offsets.bias") {
        (0.0, 2.0)
    } else if ends(".running_mean") || ends(".bias") {
        (0.0, 0.1)
    } else {
        (
            0.0,
            gain(name) * (3.0 / shape[1..].iter().product::<usize>() as f64).sqrt(),
        )
    }
}

fn gain(name: &str) -> f64 {
    let has = |part| name.contains(part);
    if has("class_embed")
        || has("enc_score_head")
        || has("query_pos_head")
        || (has(".bbox_embed.") && has(".layers.2."))
    {
        4.0
    } else if has("attention_weights") || has("lqe_layers") {
        2.0
    } else if has(".backbone.") {
        1.3
    } else {
        1.0
    }
}
