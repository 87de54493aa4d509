//! Products of the same few rows with several layers' weights as one kernel, see `token_products.cu`.

#![allow(unsafe_code)]

use super::{
    launch::{self, Kernel, Parameter, empty, int, named},
    layout::contiguous,
    norm::Norm,
    product::Linear,
    product_arguments::code,
};
use crate::ops::types::{activation::Activation, convolution::LinearPrecision, result::Result};
use candle_core::{CudaDevice, DType, Tensor, cuda_backend::cudarc::driver::DeviceRepr};
use std::mem::offset_of;

/// As in `token_products.cu` and `token_rows.cuh`: products, columns and rows of a block, its threads.
const MOST_PRODUCTS: usize = 6;
const COLUMNS: usize = 64;
const ROWS: usize = 8;
const THREADS: u32 = 128;
/// Channels of a row.
const CHANNELS: usize = 256;
/// Rows up to which it pays to read the weights anew for every eight.
const MOST_ROWS: usize = 1024;

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct TokenProduct {
    weight: u64,
    bias: u64,
    out: u64,
    columns: i32,
    of_sum: i32,
    activation: i32,
    /// Structures are as long as a multiple of eight bytes.
    unused: i32,
}

/// `TokenProducts` of `token_products.cu`, field by field.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Arguments {
    products: [TokenProduct; MOST_PRODUCTS],
    x: u64,
    added: u64,
    normalised: u64,
    scale: u64,
    shift: u64,
    rows: i32,
    eps: f32,
}

const OTHERS: [usize; 5] = [
    offset_of!(Arguments, x),
    offset_of!(Arguments, added),
    offset_of!(Arguments, normalised),
    offset_of!(Arguments, scale),
    offset_of!(Arguments, shift),
];

// SAFETY: plain numbers, laid out as the kernel's own type.
unsafe impl DeviceRepr for Arguments {}
// SAFETY: as above; the other fields are numbers.
unsafe impl Parameter for Arguments {
    const ADDRESSES: &'static [usize] = &{
        let mut all = [0; 3 * MOST_PRODUCTS + OTHERS.len()];
        let mut product = 0;
        while product < MOST_PRODUCTS {
            let start = offset_of!(Arguments, products) + product * size_of::<TokenProduct>();
            all[3 * product] = start + offset_of!(TokenProduct, weight);
            all[3 * product + 1] = start + offset_of!(TokenProduct, bias);
            all[3 * product + 2] = start + offset_of!(TokenProduct, out);
            product += 1;
        }
        let mut other = 0;
        while other < OTHERS.len() {
            all[3 * MOST_PRODUCTS + other] = OTHERS[other];
            other += 1;
        }
        all
    };
}

/// A layer, its activation and precision, and whether it is of the sum.
type Product<'a> = (&'a Linear, Activation, LinearPrecision, bool);

fn is_fit((linear, activation, precision, _): &Product<'_>) -> bool {
    let (inputs, outputs) = linear.size();
    inputs == CHANNELS
        && outputs.is_multiple_of(COLUMNS)
        && outputs > 0
        && *precision == LinearPrecision::Input
        && matches!(activation, Activation::Identity | Activation::Relu)
}

/// The product's arguments, and its result of x's shape but for the columns.
fn product(
    device: &CudaDevice,
    x: &Tensor,
    (linear, activation, _, of_sum): Product<'_>,
) -> Result<(TokenProduct, Tensor)> {
    let (dtype, columns) = (x.dtype(), linear.size().1);
    let mut shape = x.dims().to_vec();
    if let Some(channels) = shape.last_mut() {
        *channels = columns;
    }
    let (y, out) = empty(device, shape, dtype)?;
    let (weight, bias) = linear.parameters();
    let product = TokenProduct {
        weight: launch::contiguous(weight.get(dtype)?, dtype, "token_products")?,
        bias: launch::optional(bias, DType::F32, "token_products")?,
        out,
        columns: int(columns)?,
        of_sum: i32::from(of_sum),
        activation: code(activation).0,
        unused: 0,
    };
    Ok((product, y))
}

/// See [`crate::ops::token_products`]; none where the rows or layers are not of the kind that this is for.
pub(crate) fn token_products(
    x: &Tensor,
    norm: Option<&Norm<'_>>,
    added: Option<&Tensor>,
    layers: &[Product<'_>],
) -> Result<Option<(Tensor, Vec<Tensor>)>> {
    let (device, dtype, op) = (launch::device(x)?, x.dtype(), "token_products");
    let rows = x.elem_count() / CHANNELS;
    let sums = layers.iter().any(|(.., of_sum)| *of_sum);
    let same = added.map_or(!sums, |a| a.dims() == x.dims() && a.dtype() == dtype);
    let normal = norm.is_none_or(|norm| {
        [norm.weight, norm.bias]
            .iter()
            .all(|t| t.dims() == [CHANNELS])
    });
    let fits = x.dims().last() == Some(&CHANNELS)
        && (1..=MOST_ROWS).contains(&rows)
        && (1..=MOST_PRODUCTS).contains(&layers.len())
        && layers.iter().all(is_fit);
    if !fits || !same || !normal || !matches!(dtype, DType::F16 | DType::BF16) {
        return Ok(None);
    }
    let (x, added) = (contiguous(x)?, added.map(contiguous).transpose()?);
    let mut arguments = Arguments {
        x: launch::address(&x)?,
        added: added.as_ref().map_or(Ok(0), launch::address)?,
        rows: int(rows)?,
        ..Arguments::default()
    };
    let mut normalised = x.clone();
    if let Some(norm) = norm {
        (normalised, arguments.normalised) = empty(device, x.shape(), dtype)?;
        arguments.scale = launch::contiguous(norm.weight, DType::F32, op)?;
        arguments.shift = launch::contiguous(norm.bias, DType::F32, op)?;
        arguments.eps = norm.eps;
    }
    let vectors = [
        arguments.x,
        arguments.added,
        arguments.scale,
        arguments.shift,
    ];
    if !vectors.iter().all(|at| at.is_multiple_of(16)) {
        return Ok(None);
    }
    let mut results = Vec::with_capacity(layers.len());
    for (to, &layer) in arguments.products.iter_mut().zip(layers) {
        let (product, y) = product(device, &x, layer)?;
        *to = product;
        results.push(y);
    }
    let columns: usize = layers.iter().map(|(linear, ..)| linear.size().1).sum();
    let kernel = Kernel {
        file: "token_products",
        name: named!("token_products", dtype)?,
        grid: (columns / COLUMNS, rows.div_ceil(ROWS), 1),
        block: (THREADS, 1),
        shared: 0,
    };
    // SAFETY: `Arguments` is the kernel's own type; addresses and sizes are those of the tensors above.
    unsafe { kernel.launch(device, &[&arguments]) }?;
    Ok(Some((normalised, results)))
}
