//! The end of a mask decoder's tokens on the device against the CPU's.

use crate::report::{Outcome, Report, TYPES, random, rounded, small, text, wanted, with_tiles};
use candle_core::{DType, Tensor};
use std::ops::Range;
use ultramotion::{
    engine::Engine,
    ops::{self, Activation, LayerNorm, Linear, LinearPrecision, MaskHeads, Products},
};

/// Objects, tokens of each, masks and their channels: those that the kernel takes, and others.
const CASES: [(usize, usize, Range<usize>, usize); 8] = [
    (1, 7, 0..1, 32),
    (3, 8, 1..4, 32),
    (8, 9, 0..1, 32),
    (11, 7, 1..4, 32),
    (17, 5, 2..4, 12),
    (2, 5, 3..4, 1),
    (2, 6, 0..4, 32),
    (3, 7, 0..1, 48),
];

/// Weight and bias of a layer, and whether it is a perceptron's last.
type Weights = (Tensor, Tensor, bool);

fn weights((inputs, outputs): (usize, usize), seed: u64, last: bool) -> Result<Weights, String> {
    let weight = random(&[outputs, inputs], seed) / (inputs as f64 / 3.0).sqrt();
    Ok((weight.map_err(text)?, random(&[outputs], seed + 1), last))
}

fn perceptron(outputs: usize, seed: u64) -> Result<Vec<Weights>, String> {
    let sizes = [(256, 256), (256, 256), (256, outputs)];
    let layer = |(at, size)| weights(size, seed + 2 * at as u64, at == 2);
    sizes.into_iter().enumerate().map(layer).collect()
}

/// The layers where `up` brings their weights.
struct Layers {
    projection: Linear,
    norm: LayerNorm,
    perceptrons: Vec<Vec<Linear>>,
}

impl Layers {
    fn new(
        channels: usize,
        up: &dyn Fn(&Tensor) -> Result<Tensor, String>,
    ) -> Result<Self, String> {
        let linear = |(weight, bias, last): &Weights, activation| {
            let precision = if *last {
                LinearPrecision::F32Result
            } else {
                LinearPrecision::Input
            };
            let (weight, bias) = (up(weight)?, up(bias)?);
            Linear::new_in(&weight, Some(&bias), activation, precision, Products::F32).map_err(text)
        };
        let layers = |all: Vec<Weights>| -> Result<Vec<Linear>, String> {
            let activation = |last| {
                if last {
                    Activation::Identity
                } else {
                    Activation::Relu
                }
            };
            all.iter().map(|of| linear(of, activation(of.2))).collect()
        };
        let scale = random(&[256], 50).affine(0.5, 1.0).map_err(text)?;
        // The last one is that of quality.
        let outputs = [channels, channels, channels, channels, 4];
        let perceptrons = outputs.into_iter().enumerate();
        Ok(Self {
            projection: linear(&weights((128, 256), 60, false)?, Activation::Identity)?,
            norm: LayerNorm::new(&up(&scale)?, &up(&random(&[256], 51))?, 1e-5),
            perceptrons: perceptrons
                .map(|(at, outputs)| layers(perceptron(outputs, 10 * at as u64)?))
                .collect::<Result<_, String>>()?,
        })
    }

    fn run(
        &self,
        attended: &Tensor,
        queries: &Tensor,
        masks: Range<usize>,
    ) -> Result<(Tensor, Tensor), String> {
        let of: Vec<&[Linear]> = self.perceptrons.iter().map(Vec::as_slice).collect();
        let (quality, hypernetworks) = of.split_last().ok_or("no perceptrons")?;
        let heads = MaskHeads {
            projection: &self.projection,
            norm: &self.norm,
            hypernetworks,
            quality,
        };
        ops::mask_heads(&heads, attended, queries, masks).map_err(text)
    }
}

pub(crate) fn same_as_cpu(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let work = |(n, _, masks, _): &(usize, usize, Range<usize>, usize)| n * masks.len() * 400_000;
    for (_, (n, tokens, masks, channels)) in wanted(CASES, work) {
        let cpu = Layers::new(channels, &|x| Ok(x.clone()))?;
        let gpu = Layers::new(channels, &|x| Report::new(engine).up(x, DType::F32))?;
        // In f32 there is no kernel of its own.
        let types = TYPES.into_iter();
        for (dtype, tolerance) in types.filter(|(dtype, _)| !small() || *dtype != DType::F32) {
            let attended = rounded(&random(&[n, tokens, 128], 70), dtype);
            let queries = rounded(&random(&[n, tokens, 256], 71), dtype);
            let expected = cpu.run(&attended, &queries, masks.clone())?;
            let (attended, queries) = (report.up(&attended, dtype)?, report.up(&queries, dtype)?);
            let (found, quality) =
                match with_tiles(0, || gpu.run(&attended, &queries, masks.clone())) {
                    Ok((found, quality)) => (Ok(found), Ok(quality)),
                    Err(message) => (Err(message.clone()), Err(message)),
                };
            let name = format!(
                "{n} objects, {tokens} tokens, masks {masks:?} of {channels} channels, {dtype:?}"
            );
            report.compare(&name, found, &expected.0, tolerance);
            report.compare(&format!("{name}: quality"), quality, &expected.1, tolerance);
        }
    }
    report.finish()
}
