//! What is made of tokens between two attentions.

use super::{activation::add, cuda, linear::Linear, norm::LayerNorm, types::result::Result};
use candle_core::Tensor;
use candle_nn::Module;

/// x `[…, channels]` normalised, or x itself without `norm`; and of that each of `layers`, or where it says so of the sum with `added` (of x's shape).
///
/// On a GPU this is one kernel where numbers are of 16 bits, channels are SAM's and there are few rows.
///
/// # Errors
/// If the shapes do not fit, or a layer is of the sum and there is nothing to add.
pub fn token_products(
    x: &Tensor,
    norm: Option<&LayerNorm>,
    added: Option<&Tensor>,
    layers: &[(&Linear, bool)],
) -> Result<(Tensor, Vec<Tensor>)> {
    let on_device: Option<Vec<_>> = (layers.iter())
        .map(|(layer, of_sum)| {
            let (weights, activation, precision) = layer.on_device()?;
            Some((weights, activation, precision, *of_sum))
        })
        .collect();
    if let Some(layers) = on_device {
        let norm = norm.map(LayerNorm::device_norm);
        if let Some(made) = cuda::token_products(x, norm.as_ref(), added, &layers)? {
            return Ok(made);
        }
    }
    let x = norm.map_or_else(|| Ok(x.clone()), |norm| norm.forward(x))?;
    let mut sum = None;
    if layers.iter().any(|(_, of_sum)| *of_sum) {
        let Some(added) = added else {
            candle_core::bail!("token_products: layers of a sum without anything to add")
        };
        sum = Some(add(&x, added)?);
    }
    let of = |(layer, of_sum): &(&Linear, bool)| match &sum {
        Some(sum) if *of_sum => layer.forward(sum),
        _ => layer.forward(&x),
    };
    let made = layers.iter().map(of).collect::<Result<_>>()?;
    Ok((x, made))
}
