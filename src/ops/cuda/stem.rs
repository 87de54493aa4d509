//! HGNetv2's stem as one kernel.

#![allow(unsafe_code)]

use super::{
    conv2d::Conv2d,
    launch::{self, Kernel, empty, int, structure},
    layout::contiguous,
    tiles::ENOUGH_BLOCKS,
};
use crate::ops::types::{
    activation::Activation,
    convolution::{Conv2dOptions, Padding},
    result::Result,
};
use candle_core::{DType, Tensor};

/// `Stem` of `stem.cu`, field by field; of four layers `scale` and `shift` follow.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Arguments {
    image: u64,
    out: u64,
    first: u64,
    second_a: u64,
    second_b: u64,
    third: u64,
    first_bias: u64,
    second_a_bias: u64,
    second_b_bias: u64,
    third_bias: u64,
    scale: [f32; 4],
    shift: [f32; 4],
    height: i32,
    width: i32,
    mid_height: i32,
    mid_width: i32,
    out_height: i32,
    out_width: i32,
}

structure!(
    Arguments: image, out, first, second_a, second_b, third, first_bias, second_a_bias, second_b_bias,
    third_bias
);

/// A layer and its options.
type Layer<'a> = (&'a Conv2d, &'a Conv2dOptions);

/// Kernel, stride and padding of the four layers: what the kernel makes.
const CORNER: Padding = Padding {
    top: 0,
    bottom: 1,
    left: 0,
    right: 1,
};
const KINDS: [(usize, usize, Padding); 4] = [
    (3, 2, Padding::all(1)),
    (2, 1, CORNER),
    (2, 1, CORNER),
    (3, 2, Padding::all(1)),
];
const WINDOW: (usize, Padding) = (2, CORNER);

/// Kernels by channels of the image (1, 3) and type (f16, bf16).
type Names = [[&'static str; 2]; 2];

/// A tile of the output that a block makes, and its shared memory in bytes, as in `stem.cu`.
struct Tile {
    height: usize,
    width: usize,
    shared: usize,
    names: Names,
}

macro_rules! names {
    ($channels:literal, $mid:literal, $height:literal, $width:literal) => {
        [
            concat!(
                "stem_", $channels, "_", $mid, "_", $height, "x", $width, "_f16"
            ),
            concat!(
                "stem_", $channels, "_", $mid, "_", $height, "x", $width, "_bf16"
            ),
        ]
    };
}

macro_rules! tile {
    ($mid:literal, $height:literal, $width:literal, $shared:literal) => {
        Tile {
            height: $height,
            width: $width,
            shared: $shared,
            names: [
                names!(1, $mid, $height, $width),
                names!(3, $mid, $height, $width),
            ],
        }
    };
}

static SMALL_16: Tile = tile!(16, 8, 8, 40160);
static LARGE_16: Tile = tile!(16, 8, 16, 63200);
static TILE_24: Tile = tile!(24, 8, 8, 72944);
static TILE_32: Tile = tile!(32, 8, 8, 99584);

impl Tile {
    /// The tile for maps of `mid` channels and an output of `(batch, height, width)`; none where there are no kernels for such maps.
    fn of(mid: usize, out: (usize, usize, usize)) -> Option<&'static Self> {
        match mid {
            // Large ones compute less twice, but three of them fill a multiprocessor: some rounds of them must follow each other.
            16 if LARGE_16.blocks(out) >= 12 * ENOUGH_BLOCKS => Some(&LARGE_16),
            16 => Some(&SMALL_16),
            24 => Some(&TILE_24),
            32 => Some(&TILE_32),
            _ => None,
        }
    }

    fn blocks(&self, (b, h, w): (usize, usize, usize)) -> usize {
        b * h.div_ceil(self.height) * w.div_ceil(self.width)
    }

    fn kernel(&self, channels: usize, dtype: DType, (b, h, w): (usize, usize, usize)) -> Kernel {
        let names = &self.names[usize::from(channels == 3)];
        Kernel {
            file: "stem",
            name: names[usize::from(dtype == DType::BF16)],
            grid: (w.div_ceil(self.width), h.div_ceil(self.height), b),
            block: (256, 1),
            shared: self.shared,
        }
    }
}

/// Whether the layers are those of the kernel, for an image of `channels` and maps of `mid`.
fn suits(layers: &[Layer<'_>; 4], channels: usize, mid: usize) -> bool {
    let sizes = [
        (channels, mid),
        (mid, mid / 2),
        (mid / 2, mid),
        (2 * mid, mid),
    ];
    let each = layers.iter().zip(KINDS).zip(sizes);
    each.into_iter().all(
        |(((layer, o), (side, stride, padding)), (inputs, outputs))| {
            layer.dense().is_some_and(|dense| {
                dense.size() == (inputs, outputs) && dense.kernel() == (side, side)
            }) && (o.stride, o.padding, o.activation) == (stride, padding, Activation::Relu)
        },
    )
}

/// See [`crate::ops::stem`]; none where the layers or the image are not of the kind that this is for.
pub(crate) fn stem(
    x: &Tensor,
    layers: [Layer<'_>; 4],
    window: usize,
    padding: Padding,
) -> Result<Option<Tensor>> {
    let (dtype, (b, h, w, c)) = (x.dtype(), x.dims4()?);
    let mid = match layers[0].0.dense() {
        Some(dense) => dense.size().1,
        None => return Ok(None),
    };
    let half = |n: usize| n.div_ceil(2);
    let (middle, out) = ((half(h), half(w)), (b, half(half(h)), half(half(w))));
    let Some(tile) = Tile::of(mid, out) else {
        return Ok(None);
    };
    if !suits(&layers, c, mid)
        || !matches!(c, 1 | 3)
        || (window, padding) != WINDOW
        || !matches!(dtype, DType::F16 | DType::BF16)
        || h * w == 0
        || int(h * w * c).is_err()
    {
        return Ok(None);
    }
    let (device, x, op) = (launch::device(x)?, contiguous(x)?, "stem");
    let (y, address) = empty(device, (out.0, out.1, out.2, mid), dtype)?;
    let mut arguments = Arguments {
        image: launch::address(&x)?,
        out: address,
        height: int(h)?,
        width: int(w)?,
        mid_height: int(middle.0)?,
        mid_width: int(middle.1)?,
        out_height: int(out.1)?,
        out_width: int(out.2)?,
        ..Arguments::default()
    };
    let places = [
        (&mut arguments.first, &mut arguments.first_bias),
        (&mut arguments.second_a, &mut arguments.second_a_bias),
        (&mut arguments.second_b, &mut arguments.second_b_bias),
        (&mut arguments.third, &mut arguments.third_bias),
    ];
    for (i, ((layer, o), (weight, bias))) in layers.into_iter().zip(places).enumerate() {
        (arguments.scale[i], arguments.shift[i]) = o.affine.unwrap_or((1.0, 0.0));
        if let Some((own, own_bias)) = layer.dense().map(|dense| dense.parameters()) {
            *weight = launch::contiguous(own.get(dtype)?, dtype, op)?;
            *bias = launch::optional(own_bias, DType::F32, op)?;
        }
    }
    let kernel = tile.kernel(c, dtype, out);
    // SAFETY: `Arguments` is the kernel's own type; addresses and sizes are those of the tensors above and of the layers, whose sizes suit.
    unsafe { kernel.launch(device, &[&arguments]) }?;
    Ok(Some(y))
}
