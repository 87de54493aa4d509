//! Stands in for `cuda` in a build without it: no tensor lives on a GPU then, and each function says so.

#![allow(clippy::unnecessary_wraps)]

use super::types::{
    activation::Activation,
    convolution::{Conv2dOptions, LinearPrecision, Padding, Part, Residual},
    masks::SlotRows,
    objects::{ObjectChoice, PromptSlots},
    packed_frame::{ObjectTensors, PackedFrame},
    position_bias::PositionBias,
    resampling::Normalisation,
    result::{KernelTime, Result},
};
use crate::engine::{Surface, Yuv};
use candle_core::{DType, Device, Tensor};

fn disabled<T>() -> Result<T> {
    candle_core::bail!(
        "a tensor on a device that this build has no code for; build with `--features cuda`"
    )
}

/// No kernels, no times.
pub(super) fn kernel_times<E>(
    work: impl FnOnce() -> std::result::Result<(), E>,
) -> std::result::Result<Vec<KernelTime>, E> {
    work().map(|()| Vec::new())
}

/// No results.
pub(super) fn poison_results() {}

/// No tiles.
pub(super) fn with_tile<T>(_: usize, work: impl FnOnce() -> T) -> T {
    work()
}

macro_rules! disabled {
    ($($name:ident($($kind:ty),*) -> $result:ty;)*) => {
        $(pub(super) fn $name($(_: $kind),*) -> Result<$result> {
            disabled()
        })*
    };
}

disabled! {
    activate(&Tensor, Activation) -> Tensor;
    add(&Tensor, &Tensor) -> Tensor;
    attention(&Tensor, &Tensor, &Tensor, usize, f32, Option<&Tensor>) -> Tensor;
    best_scores(&Tensor, &Tensor, &Tensor) -> Tensor;
    choose_objects(&Tensor, &Tensor, &ObjectChoice<'_>, &Tensor, Option<&PromptSlots<'_>>) -> ();
    collect_objects(&Tensor, &PackedFrame, &Device) -> ObjectTensors;
    concat_channels(&[&Tensor]) -> Tensor;
    contiguous(&Tensor) -> Tensor;
    converted(&Tensor, DType) -> Tensor;
    copy_packed(&Tensor, &PackedFrame, &Device) -> Tensor;
    deformable_attention(&Tensor, &[(usize, usize)], &[usize], &Tensor, &Tensor) -> Tensor;
    deformable_attention_around(&Tensor, &[(usize, usize)], &[usize], usize, &Tensor, &Tensor) -> Tensor;
    floats_of_bytes(&Tensor, &Tensor) -> ();
    fourier_features(&Tensor, (f32, f32), &Tensor, Option<&Tensor>) -> Tensor;
    token_features(&Tensor, (f32, f32), &Tensor, &Tensor) -> Tensor;
    gated_norm(&Tensor, &Tensor, &Tensor, &Norm<'_>) -> Tensor;
    gather_queries(&Tensor, &Tensor, &Tensor, &Tensor, &Tensor) -> (Tensor, Tensor);
    inverse_sigmoid(&Tensor) -> Tensor;
    image_pair(&Tensor, Layer<'_>, Layer<'_>) -> Option<Tensor>;
    inverted_residual(&Tensor, Layer<'_>, Layer<'_>, Layer<'_>, Option<&Tensor>) -> Option<Tensor>;
    layer_norm(&Tensor, &Norm<'_>, f32, Activation) -> Tensor;
    mask_heads((&Tensor, LinearLayer<'_>, &Tensor), &Norm<'_>, &[Vec<LinearLayer<'_>>], &[LinearLayer<'_>], std::ops::Range<usize>) -> Option<(Tensor, Tensor)>;
    mask_logits(&Tensor, &Tensor, usize) -> Tensor;
    masks_to_bits((&Tensor, Option<&Tensor>), usize, (usize, usize), (usize, usize), Option<&SlotRows<'_>>, &Tensor) -> ();
    max_pool2d(&Tensor, usize, usize, Padding) -> Tensor;
    pack_masks(&Tensor, Option<&Tensor>, &Tensor) -> ();
    refine_boxes(&Tensor, &Tensor, &Tensor, f32) -> Tensor;
    normed_mlp(&Tensor, &Norm<'_>, (&Linear, Activation, LinearPrecision), (&Linear, Activation, LinearPrecision)) -> Option<Tensor>;
    perceptron(&[(&Linear, Activation)], &Tensor, (Option<&Tensor>, Option<&Tensor>), Option<&Tensor>) -> Option<(Tensor, Option<Tensor>)>;
    resize_normalise(&Tensor, (usize, usize), (usize, usize), usize, &Normalisation, DType) -> Tensor;
    resize_normalise_yuv_to(&Yuv<&Tensor>, (usize, usize), &Normalisation, &Tensor) -> ();
    resize_normalise_surface_to(&Surface, &Device, (usize, usize), &Normalisation, &Tensor) -> ();
    resize_normalise_surface(&Surface, &Device, (usize, usize), (usize, usize), usize, &Normalisation, DType) -> Tensor;
    resize_normalise_to(&Tensor, (usize, usize), &Normalisation, &Tensor) -> ();
    softmax(&Tensor) -> Tensor;
    stem(&Tensor, [Layer<'_>; 4], usize, Padding) -> Option<Tensor>;
    surface_to_rgb(&Surface, &Device) -> Tensor;
    take_images(&Tensor, &Tensor) -> Tensor;
    token_products(&Tensor, Option<&Norm<'_>>, Option<&Tensor>, &[(&Linear, Activation, LinearPrecision, bool)]) -> Option<(Tensor, Vec<Tensor>)>;
    top_k(&Tensor, usize) -> Tensor;
    top_probabilities(&Tensor, usize, usize) -> Tensor;
    unpack_masks(&Tensor, &PackedFrame, (&Tensor, &Tensor), std::ops::Range<usize>) -> Tensor;
    upsample_nearest2x(&Tensor) -> Tensor;
    upscale_to_masks(&Tensor, &Norm<'_>, (&Linear, Activation, LinearPrecision), &Tensor, usize) -> Option<Tensor>;
}

/// A fully connected layer, its activation and precision.
type LinearLayer<'a> = (&'a Linear, Activation, LinearPrecision);

/// A layer and its options.
type Layer<'a> = (&'a Conv2d, &'a Conv2dOptions);

/// A normalisation's parameters.
#[derive(Debug, Clone, Copy)]
#[allow(dead_code)] // read by the device's code only
pub(super) struct Norm<'a> {
    pub(super) weight: &'a Tensor,
    pub(super) bias: &'a Tensor,
    pub(super) eps: f32,
}

/// No layer can be built, and so none can run.
#[derive(Debug)]
pub(super) enum Linear {}

impl Linear {
    pub(super) fn new(_: &Tensor, _: Option<&Tensor>) -> Result<Self> {
        disabled()
    }

    pub(super) fn forward(
        &self,
        _: &Tensor,
        _: Option<Residual<'_>>,
        _: Activation,
        _: LinearPrecision,
    ) -> Result<Tensor> {
        match *self {}
    }

    pub(super) fn forward_pair(
        &self,
        _: [&Tensor; 2],
        _: usize,
        _: Activation,
    ) -> Result<Option<Tensor>> {
        match *self {}
    }

    pub(super) fn forward_tokens(
        &self,
        _: &[&Tensor],
        _: Activation,
        _: LinearPrecision,
    ) -> Result<Tensor> {
        match *self {}
    }
}

/// As [`Linear`].
#[derive(Debug)]
pub(super) enum Conv2d {}

impl Conv2d {
    pub(super) fn new(_: &Tensor, _: Option<&Tensor>, _: &Conv2dOptions) -> Result<Self> {
        disabled()
    }

    pub(super) fn forward(
        &self,
        _: &Tensor,
        _: Option<Residual<'_>>,
        _: &Conv2dOptions,
    ) -> Result<Tensor> {
        match *self {}
    }

    pub(super) fn forward_parts(
        &self,
        _: &[Part<'_>],
        _: &Conv2dOptions,
    ) -> Result<Option<Tensor>> {
        match *self {}
    }
}

/// As [`Linear`].
#[derive(Debug)]
pub(super) enum WindowAttention {}

impl WindowAttention {
    pub(super) fn new(
        _: &Tensor,
        _: usize,
        _: usize,
        _: f32,
        _: Option<&PositionBias>,
    ) -> Result<Self> {
        disabled()
    }

    pub(super) fn forward(&self, _: &Tensor) -> Result<Tensor> {
        match *self {}
    }
}
