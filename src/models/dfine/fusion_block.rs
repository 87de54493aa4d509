//! The fusion block of the hybrid encoder.

use super::{config::HybridEncoderConfig, error::DFineError, layers::encoder_conv};
use crate::{
    models::nn::{Folded, build_conv},
    ops::{self, Activation, Conv2d, Conv2dOptions, Padding, Params, Part, add},
};
use candle_core::Tensor;
use candle_nn::Module;

/// A fusion block: two branches in a row, all intermediate maps concatenated (RepNCSPELAN4).
#[derive(Debug)]
pub(super) struct RepNcspElan4 {
    /// Of its two halves of channels the second feeds the branches.
    first: Conv2d,
    branches: [(CspRepLayer, Conv2d); 2],
    merge: Conv2d,
}

impl RepNcspElan4 {
    pub(super) fn load(
        params: &Params,
        config: &HybridEncoderConfig,
        eps: f64,
    ) -> Result<Self, DFineError> {
        let (hidden, inner) = (config.hidden_dim, config.block_channels);
        let wide = rounded_up(inner);
        let first = encoder_conv(2 * hidden, 2 * hidden, 1, eps, Activation::Silu);
        let branch = |csp: &str, conv: &str, inputs: Width| -> Result<_, DFineError> {
            let csp = CspRepLayer::load(&params.scope(csp), inputs, config, eps)?;
            let conv = params.scope(conv);
            let spec = encoder_conv(inner, inner, 3, eps, Activation::Silu);
            let folded = widened(spec.fold(&conv)?, &[wide], wide)?;
            Ok((csp, build(&conv, &folded, spec.options)?))
        };
        let merge = params.scope("conv4");
        let spec = encoder_conv(2 * (hidden + inner), hidden, 1, eps, Activation::Silu);
        let inputs = [as_they_are(2 * hidden), wide, wide];
        let folded = widened(spec.fold(&merge)?, &inputs, as_they_are(hidden))?;
        Ok(Self {
            first: first.load(&params.scope("conv1"))?,
            branches: [
                branch("csp_rep1", "conv2", as_they_are(hidden))?,
                branch("csp_rep2", "conv3", wide)?,
            ],
            merge: build(&merge, &folded, spec.options)?,
        })
    }

    /// x as maps side by side.
    pub(super) fn forward(&self, x: &[Part<'_>]) -> ops::Result<Tensor> {
        // What follows each of these maps are products alone.
        let mut parts = vec![self.first.forward_parts_to_products(x)?];
        let half = parts[0].dim(3)? / 2;
        let mut last = parts[0].narrow(3, half, half)?;
        for (csp, conv) in &self.branches {
            last = conv.forward_to_products(&csp.forward(&last)?)?;
            parts.push(last.clone());
        }
        self.merge
            .forward_parts(&parts.iter().map(Part::from).collect::<Vec<_>>())
    }
}

/// Two parallel 1×1 convolutions, one followed by re-parameterised ones, added.
#[derive(Debug)]
struct CspRepLayer {
    /// Both in one, the channels of the first before those of the second.
    both: Conv2d,
    bottlenecks: Vec<Conv2d>,
}

impl CspRepLayer {
    fn load(
        params: &Params,
        inputs: Width,
        config: &HybridEncoderConfig,
        eps: f64,
    ) -> Result<Self, DFineError> {
        let (channels, activation) = (config.block_channels, config.block_activation);
        let spec = encoder_conv(inputs.0, channels, 1, eps, activation);
        let [first, second] = ["conv1", "conv2"].map(|name| -> Result<_, DFineError> {
            widened(
                spec.fold(&params.scope(name))?,
                &[inputs],
                rounded_up(channels),
            )
        });
        let (first, second) = (first?, second?);
        let (weight, bias) = (
            Tensor::cat(&[first.weight, second.weight], 0)?,
            Tensor::cat(&[first.bias, second.bias], 0)?,
        );
        let both = build_conv(params, &weight, &bias, spec.options)?;
        let bottleneck = |i| {
            rep_vgg(
                &params.scope("bottlenecks").scope(i),
                channels,
                eps,
                activation,
            )
        };
        let bottlenecks = (0..config.block_depth)
            .map(bottleneck)
            .collect::<Result<_, _>>()?;
        Ok(Self { both, bottlenecks })
    }
}

impl Module for CspRepLayer {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let both = self.both.forward(x)?;
        let channels = both.dim(3)? / 2;
        let (deep, short) = (
            both.narrow(3, 0, channels)?,
            both.narrow(3, channels, channels)?,
        );
        match self.bottlenecks.split_last() {
            None => add(&deep, &short),
            Some((last, others)) => last.forward_then_add(
                &others.iter().try_fold(deep, |x, conv| conv.forward(&x))?,
                &short,
            ),
        }
    }
}

/// A RepVGG block in its deploy form: the 3×3 and the 1×1 convolution as one.
fn rep_vgg(
    params: &Params,
    channels: usize,
    eps: f64,
    activation: Activation,
) -> Result<Conv2d, DFineError> {
    let spec = |kernel| encoder_conv(channels, channels, kernel, eps, Activation::Identity);
    let Folded { weight, bias } = spec(3).fold(&params.scope("conv1"))?;
    let point = spec(1).fold(&params.scope("conv2"))?;
    let point_weight = point
        .weight
        .pad_with_zeros(2, 1, 1)?
        .pad_with_zeros(3, 1, 1)?;
    let options = Conv2dOptions {
        padding: Padding::all(1),
        activation,
        ..Conv2dOptions::default()
    };
    let both = Folded {
        weight: (weight + point_weight)?,
        bias: (bias + point.bias)?,
    };
    build(
        params,
        &widened(both, &[rounded_up(channels)], rounded_up(channels))?,
        options,
    )
}

fn build(params: &Params, folded: &Folded, options: Conv2dOptions) -> Result<Conv2d, DFineError> {
    Ok(build_conv(params, &folded.weight, &folded.bias, options)?)
}

/// What counts of channels are rounded up to within a block, so that kernels read and write whole pieces of 16 bytes; those of D-FINE-N are 43.
const PIECE: usize = 8;

/// Channels of a map, and how many it has here.
type Width = (usize, usize);

fn rounded_up(channels: usize) -> Width {
    (channels, channels.next_multiple_of(PIECE))
}

fn as_they_are(channels: usize) -> Width {
    (channels, channels)
}

/// Zeros behind each of the maps' channels in weight `[out, in, kh, kw]` and bias. What maps have beyond their channels no weight reads.
fn widened(folded: Folded, inputs: &[Width], outputs: Width) -> Result<Folded, DFineError> {
    let widen = |x: &Tensor, dim: usize, widths: &[Width]| -> candle_core::Result<Tensor> {
        let mut start = 0;
        let map = |&(channels, width): &Width| {
            let own = x.narrow(dim, start, channels)?;
            start += channels;
            own.pad_with_zeros(dim, 0, width - channels)
        };
        let all = widths.iter().map(map).collect::<Result<Vec<_>, _>>()?;
        Tensor::cat(&all, dim)
    };
    Ok(Folded {
        weight: widen(&widen(&folded.weight, 0, &[outputs])?, 1, inputs)?,
        bias: widen(&folded.bias, 0, &[outputs])?,
    })
}
