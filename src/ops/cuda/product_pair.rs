//! Two linear layers, of a tensor each, as one product: the columns of the second are made of the second tensor, see `gemm.cuh`.

use super::{
    launch::{self, int},
    layout::even,
    product::{Job, Linear, alignment},
    product_arguments::{Product, Source},
};
use crate::ops::types::{
    activation::Activation, convolution::LinearPrecision, result::Result, strides::row_stride,
};
use candle_core::{DType, Tensor};

/// The first columns are whole tiles of every kernel, and k is whole steps of it.
const WHOLE_COLUMNS: usize = 128;
const WHOLE_STEPS: usize = 64;

impl Linear {
    /// The layer's first `split` columns of `first`, the others of `second`, of the same shape: `[…, columns]`; none where no kernel can make it.
    pub(crate) fn forward_pair(
        &self,
        [first, second]: [&Tensor; 2],
        split: usize,
        activation: Activation,
    ) -> Result<Option<Tensor>> {
        let (inputs, columns) = self.size();
        let sixteen_bits = matches!(first.dtype(), DType::F16 | DType::BF16);
        let fits = sixteen_bits
            && first.dtype() == second.dtype()
            && first.dims() == second.dims()
            && first.dims().last() == Some(&inputs)
            && inputs.is_multiple_of(WHOLE_STEPS)
            && split.is_multiple_of(WHOLE_COLUMNS)
            && (1..columns).contains(&split);
        if !fits {
            return Ok(None);
        }
        let mut product = Product {
            part_count: 2,
            second_from: int(split)?,
            ..Product::default()
        };
        // They live until the product was launched.
        let maps = [even(first)?, even(second)?];
        for (source, map) in product.parts.iter_mut().zip(&maps) {
            let (start, stride) = (launch::address(map)?, row_stride(map).unwrap_or(inputs));
            if alignment(start, stride, inputs, map.dtype()) < 8 {
                return Ok(None);
            }
            *source = Source {
                start,
                stride: stride as i64,
                channels: int(inputs)?,
                doubled: 0,
            };
        }
        let job = Job {
            conv: false,
            alignment: 8,
            precision: LinearPrecision::Input,
            residual: None,
            activation,
            affine: None,
        };
        let mut shape = first.dims().to_vec();
        if let Some(last) = shape.last_mut() {
            *last = columns;
        }
        let y = self.weights().run(&maps[0], product, &job, &shape)?;
        Ok(Some(y))
    }
}
