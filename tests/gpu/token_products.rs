//! Products of tokens between attentions on the device against the CPU's.

use crate::report::{Outcome, Report, TYPES, random, rounded, small, text, wanted, with_tiles};
use candle_core::{DType, Tensor};
use ultramotion::{
    engine::Engine,
    ops::{self, Activation, LayerNorm, Linear},
};

/// Columns of a product, and whether it is of the sum.
type Product = (usize, bool);

type Case = (usize, usize, usize, bool, &'static [Product]);

/// Objects and tokens of each, channels, whether they are normalised, and the products: those that the kernel takes, and others.
const CASES: [Case; 9] = [
    (
        1,
        7,
        256,
        false,
        &[(256, false), (256, false), (256, false)],
    ),
    (1, 8, 256, true, &[(128, true)]),
    (3, 7, 256, true, &[(2048, false)]),
    (
        8,
        9,
        256,
        true,
        &[
            (128, true),
            (128, false),
            (256, true),
            (256, true),
            (256, false),
        ],
    ),
    (1, 1, 256, true, &[(64, true), (128, false), (64, true)]),
    (5, 5, 256, false, &[(192, true), (64, false)]),
    (2, 3, 256, true, &[(100, true), (128, false)]),
    (2, 3, 128, true, &[(128, true)]),
    (150, 7, 256, true, &[(128, true), (128, false)]),
];

/// A normalisation and layers where `up` brings their weights; those of a sum end in ReLU.
fn layers(
    channels: usize,
    products: &[Product],
    up: &dyn Fn(&Tensor) -> Result<Tensor, String>,
) -> Result<(LayerNorm, Vec<Linear>), String> {
    let scale = random(&[channels], 1).affine(0.5, 1.0).map_err(text)?;
    let norm = LayerNorm::new(&up(&scale)?, &up(&random(&[channels], 2))?, 1e-5);
    let layer = |(at, &(columns, of_sum)): (usize, &Product)| {
        let weight = random(&[columns, channels], 10 + at as u64) / (channels as f64).sqrt();
        let bias = up(&random(&[columns], 20 + at as u64))?;
        let activation = if of_sum {
            Activation::Relu
        } else {
            Activation::Identity
        };
        Linear::new(&up(&weight.map_err(text)?)?, Some(&bias), activation).map_err(text)
    };
    let layers = products.iter().enumerate().map(layer);
    Ok((norm, layers.collect::<Result<_, String>>()?))
}

pub(crate) fn same_as_cpu(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let work = |(n, tokens, channels, _, products): &Case| {
        let columns: usize = products.iter().map(|(columns, _)| columns).sum();
        4 * n * tokens * channels * columns
    };
    for (_, (n, tokens, channels, normalised, products)) in wanted(CASES, work) {
        let cpu = layers(channels, products, &|x| Ok(x.clone()))?;
        let gpu = layers(channels, products, &|x| {
            Report::new(engine).up(x, DType::F32)
        })?;
        let run = |(norm, layers): &(LayerNorm, Vec<Linear>), x: &Tensor, added: &Tensor| {
            let of: Vec<_> = layers
                .iter()
                .zip(products)
                .map(|(layer, &(_, of_sum))| (layer, of_sum))
                .collect();
            let norm = normalised.then_some(norm);
            let (y, made) = ops::token_products(x, norm, Some(added), &of).map_err(text)?;
            Ok::<Vec<Tensor>, String>([vec![y], made].concat())
        };
        // In f32 there is no kernel of its own.
        let types = TYPES.into_iter();
        for (dtype, tolerance) in types.filter(|(dtype, _)| !small() || *dtype != DType::F32) {
            let x = random(&[n, tokens, channels], 3)
                .affine(2.0, 0.5)
                .map_err(text)?;
            let x = rounded(&x, dtype);
            let added = rounded(&random(&[n, tokens, channels], 4), dtype);
            let expected = run(&cpu, &x, &added)?;
            let (gx, gadded) = (report.up(&x, dtype)?, report.up(&added, dtype)?);
            let found = with_tiles(0, || run(&gpu, &gx, &gadded));
            let name = format!("{n} objects, {tokens} tokens, {products:?}, {dtype:?}");
            for (at, expected) in expected.iter().enumerate() {
                let found = found.as_ref().map_err(Clone::clone);
                let found = found.and_then(|all| all.get(at).cloned().ok_or("too few".to_owned()));
                report.compare(&format!("{name}: {at}"), found, expected, tolerance);
            }
        }
    }
    report.finish()
}
