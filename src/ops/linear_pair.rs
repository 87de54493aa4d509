//! Two fully connected layers, of a tensor each.

use super::{
    cpu,
    linear::Linear,
    types::{
        activation::Activation,
        convolution::{LinearPrecision, Products},
        result::Result,
    },
};
use candle_core::Tensor;
use candle_nn::Module;

/// Two fully connected layers of as many inputs, each for a tensor of its own; on a GPU one product where the inputs are of 16 bits.
#[derive(Debug, Clone)]
pub struct LinearPair {
    layers: Layers,
    /// Outputs of the first.
    split: usize,
}

#[derive(Debug, Clone)]
enum Layers {
    Apart([Linear; 2]),
    /// Both, one's outputs after the other's.
    Stacked(Linear),
}

impl LinearPair {
    /// Layers by `weight` `[out, in]` and `bias` `[out]` of both, one's outputs after the other's, of which the first has `split`; all f32, `products`
    /// as for [`Linear::new_in`].
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn new(
        weight: &Tensor,
        bias: &Tensor,
        split: usize,
        activation: Activation,
        products: Products,
    ) -> Result<Self> {
        let outputs = weight.dim(0)?;
        if split == 0 || split >= outputs {
            candle_core::bail!("a pair of layers: {split} of {outputs} outputs for the first");
        }
        let layer = |weight: &Tensor, bias: &Tensor| {
            let precision = LinearPrecision::Input;
            Linear::new_in(weight, Some(bias), activation, precision, products)
        };
        let part = |from: usize, to: usize| -> Result<Linear> {
            let (weight, bias) = (
                weight.narrow(0, from, to - from)?,
                bias.narrow(0, from, to - from)?,
            );
            layer(&weight.contiguous()?, &bias.contiguous()?)
        };
        let layers = if cpu::is_cpu(weight) {
            Layers::Apart([part(0, split)?, part(split, outputs)?])
        } else {
            Layers::Stacked(layer(weight, bias)?)
        };
        Ok(Self { layers, split })
    }

    /// The first layer of `first` and the second of `second`, both `[…, in]`; on a GPU views of one tensor.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward(&self, first: &Tensor, second: &Tensor) -> Result<(Tensor, Tensor)> {
        let stacked = match &self.layers {
            Layers::Apart([a, b]) => return Ok((a.forward(first)?, b.forward(second)?)),
            Layers::Stacked(stacked) => stacked,
        };
        let of = |y: &Tensor, from: usize| -> Result<Tensor> {
            let last = y.rank() - 1;
            let columns = if from == 0 {
                self.split
            } else {
                y.dim(last)? - from
            };
            y.narrow(last, from, columns)
        };
        if let Some(both) = stacked.forward_pair([first, second], self.split)? {
            return Ok((of(&both, 0)?, of(&both, self.split)?));
        }
        let (a, b) = (stacked.forward(first)?, stacked.forward(second)?);
        Ok((of(&a, 0)?, of(&b, self.split)?))
    }
}
