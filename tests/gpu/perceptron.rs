//! Perceptrons in f32, which are one kernel where there are few rows.

use crate::report::{Outcome, Report, TYPES, random, rounded, text, wanted};
use candle_core::{DType, Tensor};
use ultramotion::{
    engine::Engine,
    ops::{self, Activation, Linear, LinearPrecision, Products},
};

/// Rows, and the channels of input, hidden layers and output.
const CASES: [(usize, &[usize]); 19] = [
    (300, &[256, 256, 256, 132]),
    (300, &[256, 256, 256, 4]),
    (528, &[128, 128, 128, 132]),
    (1, &[36, 512, 32, 7]),
    (23, &[64, 224, 512]),
    (300, &[256, 288]),
    (300, &[128, 1]),
    (19, &[128, 128, 128, 132]),
    (600, &[16, 16, 16]),
    (2120, &[12, 16, 4]),
    (2400, &[256, 256, 256, 132]),
    (2400, &[128, 128, 128, 4]),
    (300, &[4, 512, 256]),
    (301, &[20, 64, 80]),
    (50, &[20, 64, 365]),
    (33, &[256, 288]),
    (1, &[128, 1]),
    (17, &[13, 48, 5]),
    (5000, &[64, 32, 16]),
];

pub(crate) fn same_as_cpu(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    // Each is run five times by each type.
    let work = |(rows, dims): &(usize, &[usize])| {
        4 * rows * dims.windows(2).map(|two| two[0] * two[1]).sum::<usize>()
    };
    for (_, (rows, dims)) in wanted(CASES, work) {
        let weights = dims
            .windows(2)
            .map(|pair| {
                let weight = random(&[pair[1], pair[0]], 7) / (pair[0] as f64).sqrt();
                Ok((weight?, random(&[pair[1]], 8)))
            })
            .collect::<Result<Vec<_>, candle_core::Error>>()
            .map_err(text)?;
        let layers = |up: &dyn Fn(&Tensor) -> Result<Tensor, String>| {
            let last = weights.len() - 1;
            let layer = |(at, (weight, bias)): (usize, &(Tensor, Tensor))| {
                let activation = match (at < last, rows % 2 == 0) {
                    (true, _) => Activation::Relu,
                    (false, true) => Activation::Identity,
                    (false, false) => Activation::Sigmoid,
                };
                Linear::new_in(
                    &up(weight)?,
                    Some(&up(bias)?),
                    activation,
                    LinearPrecision::F32,
                    Products::F32,
                )
                .map_err(text)
            };
            weights
                .iter()
                .enumerate()
                .map(layer)
                .collect::<Result<Vec<_>, String>>()
        };
        let cpu = layers(&|x| Ok(x.clone()))?;
        let gpu = layers(&|x| Report::new(engine).up(x, DType::F32))?;
        for (dtype, _) in TYPES {
            let x = rounded(&random(&[1, rows, dims[0]], 1), dtype);
            let residual = random(&[1, rows, dims[dims.len() - 1]], 2);
            // Eighths, so that sums of both are numbers of 16 bits too.
            let added = ((random(&[1, rows, dims[0]], 3) * 8.0).and_then(|x| x.round()))
                .and_then(|x| x / 8.0)
                .map_err(text)?;
            let exact = rounded(&(&x * 0.0).and_then(|x| x + 0.25).map_err(text)?, dtype);
            let gx = report.up(&x, dtype)?;
            let name = format!("{rows} rows, {dims:?}, {dtype:?}");
            let expected = ops::perceptron(&cpu, &x, None, Some(&residual)).map_err(text)?;
            let up = report.up(&residual, DType::F32)?;
            let found = ops::perceptron(&gpu, &gx, None, Some(&up)).map_err(text);
            report.compare(&name, found, &expected, 2e-5);
            let of = report.up(&residual, dtype)?;
            let found = ops::perceptron_beside(&gpu, &gx, &of).map_err(text)?;
            let (expected, sum) =
                ops::perceptron_beside(&cpu, &x, &rounded(&residual, dtype)).map_err(text)?;
            report.compare(&format!("{name}, beside"), Ok(found.0), &expected, 2e-5);
            let bound = if dtype == DType::F32 { 2e-5 } else { 8e-3 };
            report.compare(&format!("{name}, sum"), Ok(found.1), &sum, bound);
            for of in [dtype, DType::F32] {
                let expected = ops::perceptron(&cpu, &exact, Some(&added), None).map_err(text)?;
                let (gx, gadded) = (report.up(&exact, dtype)?, report.up(&added, of)?);
                let found = ops::perceptron(&gpu, &gx, Some(&gadded), None).map_err(text);
                report.compare(&format!("{name} + {of:?}"), found, &expected, 2e-5);
            }
        }
    }
    report.finish()
}
