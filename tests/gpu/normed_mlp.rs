//! The second half of a transformer's block, which is one kernel for some numbers of channels.

use crate::report::{Outcome, Report, TYPES, random, rounded, text, wanted};
use candle_core::{DType, Tensor};
use ultramotion::{
    engine::Engine,
    ops::{self, Activation, LayerNorm, Linear},
};

/// Rows, channels and hidden numbers: those that the kernel takes, and others.
const CASES: [(usize, usize, usize); 12] = [
    (16384, 128, 512),
    (15361, 128, 512),
    (4096, 160, 640),
    (15500, 160, 640),
    (300, 128, 512),
    (70, 128, 128),
    (65, 160, 256),
    (1, 160, 128),
    (63, 128, 384),
    (100, 160, 192),
    (50, 320, 1280),
    (33, 48, 96),
];

pub(crate) fn same_as_cpu(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let work = |(rows, channels, hidden): &(usize, usize, usize)| rows * channels * hidden;
    for (at, (rows, channels, hidden)) in wanted(CASES, work) {
        let scaled = |shape: &[usize], seed, scale: f64, shift: f64| {
            random(shape, seed).affine(scale, shift).map_err(text)
        };
        let (scale, shift) = (
            scaled(&[channels], 1, 0.4, 1.0)?,
            scaled(&[channels], 2, 0.5, 0.1)?,
        );
        let (expand, project) = (
            scaled(&[hidden, channels], 3, 2.0 / (channels as f64).sqrt(), 0.0)?,
            scaled(&[channels, hidden], 4, 2.0 / (hidden as f64).sqrt(), 0.0)?,
        );
        let biases = (random(&[hidden], 5), random(&[channels], 6));
        for (dtype, tolerance) in TYPES {
            let (expand, project) = (rounded(&expand, dtype), rounded(&project, dtype));
            let x = random(&[1, rows, channels], 7);
            let x = rounded(&x.affine(2.0, at as f64).map_err(text)?, dtype);
            let layers = |up: &dyn Fn(&Tensor) -> Result<Tensor, String>| {
                let norm = LayerNorm::new(&up(&scale)?, &up(&shift)?, 1e-5);
                let linear = |weight, bias, activation| {
                    Linear::new(&up(weight)?, Some(&up(bias)?), activation).map_err(text)
                };
                let first = linear(&expand, &biases.0, Activation::Gelu)?;
                let second = linear(&project, &biases.1, Activation::Identity)?;
                Ok::<_, String>((norm, first, second))
            };
            let cpu = layers(&|x| Ok(x.clone()))?;
            let gpu = layers(&|x| Report::new(engine).up(x, DType::F32))?;
            let expected = ops::normed_mlp(&x, &cpu.0, &cpu.1, &cpu.2).map_err(text)?;
            let found = ops::normed_mlp(&report.up(&x, dtype)?, &gpu.0, &gpu.1, &gpu.2);
            let name = format!("{rows} rows, {channels} by {hidden}, {dtype:?}");
            report.compare(&name, found.map_err(text), &expected, tolerance);
        }
    }
    report.finish()
}
