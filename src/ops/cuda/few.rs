//! Convolutions of maps of one or three channels, see `conv_few.cu`.

use super::{
    launch::{Kernel, THREADS, named},
    product_arguments::Product,
};
use crate::ops::types::result::Result;
use candle_core::DType;

/// Pixels that a block of `conv_few.cu` makes, and height and width of the tile of its kernel for images.
const FEW_PIXELS: usize = 512;
const IMAGE_TILE: (usize, usize) = (8, 64);

/// The kernel for 3×3 convolutions of one or three channels, where it can make this one.
pub(super) fn few_kernel(dtype: DType, p: &Product) -> Result<Option<Kernel>> {
    let (rows, columns) = (p.rows as usize, p.columns as usize);
    if let Some(kernel) = image_kernel(dtype, p)? {
        return Ok(Some(kernel));
    }
    let (name, across) = match (p.channels, columns) {
        (1, ..=16) => (named!("conv_few_1_16", dtype)?, 16),
        (1, _) => (named!("conv_few_1_32", dtype)?, 32),
        (3, ..=16) => (named!("conv_few_3_16", dtype)?, 16),
        (3, _) => (named!("conv_few_3_32", dtype)?, 32),
        _ => return Ok(None),
    };
    if (p.kernel_height, p.kernel_width) != (3, 3) {
        return Ok(None);
    }
    let grid = (rows.div_ceil(FEW_PIXELS), columns.div_ceil(across), 1);
    Ok(Some(Kernel {
        file: "conv_few",
        name,
        grid,
        block: (THREADS, 1),
        shared: 0,
    }))
}

/// The same for images, where it can make this one.
fn image_kernel(dtype: DType, p: &Product) -> Result<Option<Kernel>> {
    let kind = (p.kernel_height, p.kernel_width, p.stride, p.left);
    let image = p.channels == 3
        && p.parts[0].stride == 3
        && p.parts[0].start.is_multiple_of(16)
        && p.width % 8 == 0;
    if kind != (3, 3, 2, 1) || !image || p.out_width % 16 != 0 || p.rows == 0 {
        return Ok(None);
    }
    let (name, columns) = if p.columns <= 16 {
        (named!("conv_image_16", dtype)?, 16)
    } else {
        (named!("conv_image_32", dtype)?, 32)
    };
    let (h, w) = (p.out_height as usize, p.out_width as usize);
    let images = p.rows as usize / (h * w);
    let tiles = images * h.div_ceil(IMAGE_TILE.0) * w.div_ceil(IMAGE_TILE.1);
    Ok(Some(Kernel {
        file: "conv_few",
        name,
        grid: (tiles, (p.columns as usize).div_ceil(columns), 1),
        block: (THREADS, 1),
        shared: 0,
    }))
}
