//! What becomes of a mask decoder's tokens: channels of each mask, and estimates of their quality.

use super::{
    activation::concat_channels,
    cuda,
    linear::Linear,
    norm::LayerNorm,
    perceptron::perceptron,
    rows::contiguous,
    types::{activation::Activation, convolution::LinearPrecision, result::Result},
};
use candle_core::Tensor;
use candle_nn::Module;
use std::ops::Range;

/// The layers behind the last attention of a mask decoder's tokens, the first of which is that of quality, and the next ones those of the masks.
#[derive(Debug, Clone, Copy)]
pub struct MaskHeads<'a> {
    /// Follows attention; to its result the queries are added.
    pub projection: &'a Linear,
    /// Of that sum.
    pub norm: &'a LayerNorm,
    /// The perceptron of each mask's token.
    pub hypernetworks: &'a [&'a [Linear]],
    /// That of the token of quality, with an output for each mask.
    pub quality: &'a [Linear],
}

/// The channels of `masks` `[N, M, C]` and their estimated quality `[N, M]` for tokens that attention gave, `attended` `[N, T, inputs]`, and
/// their queries `[N, T, channels]`.
///
/// On a GPU this is one kernel where numbers are of 16 bits, the layers are SAM's and the compute capability is 9.0, for up to three masks.
///
/// # Errors
/// If the shapes do not fit.
pub fn mask_heads(
    heads: &MaskHeads<'_>,
    attended: &Tensor,
    queries: &Tensor,
    masks: Range<usize>,
) -> Result<(Tensor, Tensor)> {
    if let (Some(projection), Some(hypernetworks), Some(quality)) = (
        heads.projection.on_device(),
        heads.hypernetworks.iter().map(|of| on_device(of)).collect(),
        on_device(heads.quality),
    ) {
        let (norm, hypernetworks): (_, Vec<_>) = (heads.norm.device_norm(), hypernetworks);
        let source = (attended, projection, queries);
        let both = cuda::mask_heads(source, &norm, &hypernetworks, &quality, masks.clone())?;
        if let Some(both) = both {
            return Ok(both);
        }
    }
    let tokens = heads.projection.forward_add(attended, queries)?;
    let tokens = heads.norm.forward(&tokens)?;
    let token = |i: usize| tokens.narrow(1, i, 1)?.squeeze(1);
    let Some(hypernetworks) = heads.hypernetworks.get(masks.clone()) else {
        candle_core::bail!("masks {masks:?} of {}", heads.hypernetworks.len())
    };
    let weights = (masks.clone().zip(hypernetworks))
        .map(|(i, layers)| perceptron(layers, &token(1 + i)?, None, None))
        .collect::<Result<Vec<_>>>()?;
    let weights = concat_channels(&weights.iter().collect::<Vec<_>>())?;
    let quality = perceptron(heads.quality, &token(0)?, None, None)?;
    Ok((
        weights.reshape((tokens.dim(0)?, masks.len(), ()))?,
        contiguous(&quality.narrow(1, masks.start, masks.len())?)?,
    ))
}

/// A layer's weights, activation and precision.
type Layer<'a> = (&'a cuda::Linear, Activation, LinearPrecision);

fn on_device(layers: &[Linear]) -> Option<Vec<Layer<'_>>> {
    layers.iter().map(Linear::on_device).collect()
}
