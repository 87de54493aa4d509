//! The last steps of a mask decoder on the device against the CPU's.

use crate::report::{Outcome, Report, TYPES, random, rounded, text};
use candle_core::{DType, Tensor};
use ultramotion::{
    engine::Engine,
    ops::{self, Activation, LayerNorm, Linear},
};

/// Images, masks and side: those that the kernel takes, and others.
const CASES: [(usize, usize, usize); 8] = [
    (1, 1, 64),
    (8, 1, 64),
    (3, 3, 64),
    (1, 4, 8),
    (3, 2, 24),
    (8, 3, 16),
    (2, 1, 5),
    (1, 5, 8),
];

pub(crate) fn same_as_cpu(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let (scale, shift) = (
        random(&[64], 1).affine(0.5, 1.0).map_err(text)?,
        random(&[64], 2),
    );
    let weight = random(&[128, 64], 3).affine(0.2, 0.0).map_err(text)?;
    let bias = random(&[128], 4);
    type Up<'a> = &'a dyn Fn(&Tensor) -> Result<Tensor, String>;
    let layers = |up: Up<'_>| -> Result<(LayerNorm, Linear), String> {
        let norm = LayerNorm::new(&up(&scale)?, &up(&shift)?, 1e-6);
        let linear = Linear::new(&up(&weight)?, Some(&up(&bias)?), Activation::Gelu);
        Ok((norm, linear.map_err(text)?))
    };
    let cpu = layers(&|x| Ok(x.clone()))?;
    let gpu = layers(&|x| Report::new(engine).up(x, DType::F32))?;
    for (n, masks, side) in CASES {
        for (dtype, tolerance) in TYPES {
            let x = random(&[n, 4 * side * side, 64], 5);
            let x = rounded(&x.affine(3.0, 0.5).map_err(text)?, dtype);
            // Of very different sizes.
            for size in [1.0, 3e5, 1e-7] {
                let weights = random(&[n, masks, 32], 6).affine(size, 0.0).map_err(text)?;
                let expected =
                    ops::upscale_to_masks(&x, &cpu.0, &cpu.1, &weights, side).map_err(text)?;
                let (gx, gw) = (report.up(&x, dtype)?, report.up(&weights, DType::F32)?);
                let found = ops::upscale_to_masks(&gx, &gpu.0, &gpu.1, &gw, side).map_err(text);
                let name = format!("{n} images, {masks} masks by {size}, side {side}, {dtype:?}");
                report.compare(&name, found, &expected, tolerance);
            }
        }
    }
    report.finish()
}
