//! Two-dimensional convolution with folded weights, bias and activation.

use super::{
    activation::concat_channels,
    cpu, cuda,
    linear::Linear,
    pool::{max_pool2d, upsample_nearest2x},
    types::{
        convolution::{Conv2dOptions, Padding, Part, Products, Residual},
        result::Result,
    },
};
use candle_core::Tensor;
use candle_nn::Module;
use std::sync::Arc;

/// A convolution ready to run.
#[derive(Debug, Clone)]
pub struct Conv2d {
    weights: Weights,
    options: Conv2dOptions,
}

/// Weights as the device's code takes them.
#[derive(Debug, Clone)]
enum Weights {
    Cpu(Arc<cpu::Conv2d>),
    Cuda(Arc<cuda::Conv2d>),
}

impl Conv2d {
    /// A convolution by `weight` `[out, in/groups, kernel_h, kernel_w]` and `bias` `[out]`, both f32.
    ///
    /// # Errors
    /// If the shapes do not fit each other and `options.groups`.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>, options: Conv2dOptions) -> Result<Self> {
        Self::new_in(weight, bias, options, Products::F32)
    }

    /// [`Conv2d::new`] with another type of products on the CPU; a GPU goes by the type of its input.
    ///
    /// # Errors
    /// As [`Conv2d::new`].
    pub fn new_in(
        weight: &Tensor,
        bias: Option<&Tensor>,
        options: Conv2dOptions,
        products: Products,
    ) -> Result<Self> {
        let (out, _, _, _) = weight.dims4()?;
        if options.groups == 0 || out % options.groups != 0 {
            candle_core::bail!(
                "conv2d: {out} output channels do not divide into {} groups",
                options.groups
            );
        }
        if let Some(bias) = bias
            && bias.dims() != [out]
        {
            candle_core::bail!(
                "conv2d: bias of shape {:?} for {out} output channels",
                bias.dims()
            );
        }
        let weights = if cpu::is_cpu(weight) {
            Weights::Cpu(Arc::new(cpu::Conv2d::new(
                weight, bias, &options, products,
            )?))
        } else {
            Weights::Cuda(Arc::new(cuda::Conv2d::new(weight, bias, &options)?))
        };
        Ok(Self { weights, options })
    }

    /// `affine(activation(conv(x) + bias + residual))`, `residual` having the output's shape.
    ///
    /// # Errors
    /// As [`Conv2d::forward`], or if the residual has another shape than the output.
    pub fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        self.run(
            x,
            Some(Residual {
                map: residual,
                last: false,
            }),
            Products::F32,
        )
    }

    /// `affine(activation(conv(x) + bias)) + residual`, `residual` having the output's shape.
    ///
    /// # Errors
    /// As [`Conv2d::forward_add`].
    pub fn forward_then_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        self.run(
            x,
            Some(Residual {
                map: residual,
                last: true,
            }),
            Products::F32,
        )
    }

    /// [`Conv2d::forward`] for maps laid side by side in the channels, which 1×1 convolutions read where they lie.
    ///
    /// # Errors
    /// As [`Conv2d::forward`], or if the maps have different sizes.
    pub fn forward_parts(&self, parts: &[Part<'_>]) -> Result<Tensor> {
        self.run_parts(parts, Products::F32)
    }

    /// [`Conv2d::forward`] for an output that only 1×1 convolutions with products of the same type read. On the CPU, where that is bf16, it
    /// is rounded once, instead of by each of them: they give the same numbers.
    pub(crate) fn forward_to_products(&self, x: &Tensor) -> Result<Tensor> {
        self.run(x, None, Products::Bf16)
    }

    /// [`Conv2d::forward_parts`] for such an output.
    pub(crate) fn forward_parts_to_products(&self, parts: &[Part<'_>]) -> Result<Tensor> {
        self.run_parts(parts, Products::Bf16)
    }

    fn run_parts(&self, parts: &[Part<'_>], kept: Products) -> Result<Tensor> {
        let direct = match &self.weights {
            Weights::Cpu(weights) => weights.forward_parts(parts, &self.options, kept)?,
            Weights::Cuda(weights) => weights.forward_parts(parts, &self.options)?,
        };
        if let Some(y) = direct {
            return Ok(y);
        }
        let map = |part: &Part<'_>| {
            if part.doubled {
                upsample_nearest2x(part.map)
            } else {
                Ok(part.map.clone())
            }
        };
        let maps = parts.iter().map(map).collect::<Result<Vec<_>>>()?;
        self.forward(&concat_channels(&maps.iter().collect::<Vec<_>>())?)
    }

    /// The layer's weights on the CPU and its options.
    pub(super) fn on_host(&self) -> Option<(&cpu::Conv2d, &Conv2dOptions)> {
        match &self.weights {
            Weights::Cpu(weights) => Some((weights, &self.options)),
            Weights::Cuda(_) => None,
        }
    }

    fn run(&self, x: &Tensor, residual: Option<Residual<'_>>, kept: Products) -> Result<Tensor> {
        match &self.weights {
            Weights::Cpu(weights) => weights.forward(x, residual, &self.options, kept),
            Weights::Cuda(weights) => weights.forward(x, residual, &self.options),
        }
    }
}

impl Module for Conv2d {
    /// `affine(activation(conv(x) + bias))` for x `[B, H, W, in]`: `[B, H', W', out]`.
    ///
    /// # Errors
    /// If x has another number of channels or is smaller than the kernel.
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        self.run(x, None, Products::F32)
    }
}

/// `project(depthwise(expand(x)))`, `residual` being added before `project`'s activation: an inverted residual block, of
/// which the wide maps in between need not be kept whole.
///
/// # Errors
/// As each layer's `forward`.
pub fn inverted_residual(
    x: &Tensor,
    expand: &Conv2d,
    depthwise: &Conv2d,
    project: &Conv2d,
    residual: Option<&Tensor>,
) -> Result<Tensor> {
    if let (Weights::Cpu(first), Weights::Cpu(middle), Weights::Cpu(last)) =
        (&expand.weights, &depthwise.weights, &project.weights)
    {
        let layers = (
            (&**first, &expand.options),
            (&**middle, &depthwise.options),
            (&**last, &project.options),
        );
        if let Some(y) = cpu::inverted_residual(x, layers.0, layers.1, layers.2, residual)? {
            return Ok(y);
        }
    }
    if let (Weights::Cuda(first), Weights::Cuda(middle), Weights::Cuda(last)) =
        (&expand.weights, &depthwise.weights, &project.weights)
    {
        let layers = (
            (&**first, &expand.options),
            (&**middle, &depthwise.options),
            (&**last, &project.options),
        );
        if let Some(y) = cuda::inverted_residual(x, layers.0, layers.1, layers.2, residual)? {
            return Ok(y);
        }
    }
    let residual = residual.map(|map| Residual { map, last: false });
    project.run(
        &depthwise.forward(&expand.forward(x)?)?,
        residual,
        Products::F32,
    )
}

/// `project(depthwise(expand(x)))` of linear layers and a depthwise convolution, of which the wide maps in between need not be kept whole.
///
/// # Errors
/// As each layer's `forward`.
pub fn linear_depthwise(
    x: &Tensor,
    expand: &Linear,
    depthwise: &Conv2d,
    project: &Linear,
) -> Result<Tensor> {
    if let (Some(first), Some(middle), Some(last)) =
        (expand.on_host(), depthwise.on_host(), project.on_host())
        && let Some(y) = cpu::linear_depthwise(x, first, middle, last)?
    {
        return Ok(y);
    }
    project.forward(&depthwise.forward(&expand.forward(x)?)?)
}

/// `second(first(x))`: the convolutions that an image encoder begins with, between which the map need not be kept whole.
///
/// # Errors
/// As each layer's `forward`.
pub fn image_pair(x: &Tensor, first: &Conv2d, second: &Conv2d) -> Result<Tensor> {
    if let (Weights::Cpu(one), Weights::Cpu(two)) = (&first.weights, &second.weights) {
        let layers = ((&**one, &first.options), (&**two, &second.options));
        if let Some(y) = cpu::image_pair(x, layers.0, layers.1)? {
            return Ok(y);
        }
    }
    if let (Weights::Cuda(one), Weights::Cuda(two)) = (&first.weights, &second.weights) {
        let layers = ((&**one, &first.options), (&**two, &second.options));
        if let Some(y) = cuda::image_pair(x, layers.0, layers.1)? {
            return Ok(y);
        }
    }
    second.forward(&first.forward(x)?)
}

/// `third` of two maps side by side in the channels, made of y = `first(x)`: the maximum of y over `window`×`window` pixels at stride 1, `padding`
/// counting as 0, and `second[1](second[0](y))`. The maps in between are not kept whole on the CPU, nor on a GPU where the layers are HGNetv2's
/// and the numbers of 16 bits.
///
/// # Errors
/// As each layer's `forward`, or if both maps are not of one size.
pub fn stem(
    x: &Tensor,
    first: &Conv2d,
    second: [&Conv2d; 2],
    (window, padding): (usize, Padding),
    third: &Conv2d,
) -> Result<Tensor> {
    let all = [first, second[0], second[1], third];
    let on_cpu = all.map(|layer| match &layer.weights {
        Weights::Cpu(weights) => Some((&**weights, &layer.options)),
        Weights::Cuda(_) => None,
    });
    if let [Some(a), Some(b), Some(c), Some(d)] = on_cpu
        && let Some(y) = cpu::stem(x, [a, b, c, d], window, padding)?
    {
        return Ok(y);
    }
    let on_gpu = all.map(|layer| match &layer.weights {
        Weights::Cuda(weights) => Some((&**weights, &layer.options)),
        Weights::Cpu(_) => None,
    });
    if let [Some(a), Some(b), Some(c), Some(d)] = on_gpu
        && let Some(y) = cuda::stem(x, [a, b, c, d], window, padding)?
    {
        return Ok(y);
    }
    let y = first.forward(x)?;
    let convolved = second[1].forward(&second[0].forward(&y)?)?;
    let pooled = max_pool2d(&y, window, 1, padding)?;
    third.forward(&concat_channels(&[&pooled, &convolved])?)
}
