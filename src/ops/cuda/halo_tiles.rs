//! Kernels of `conv_halo.cu`: 3×3 convolutions at stride 1 whose pixels lie in shared memory once for all taps.

use super::{launch::Kernel, product_arguments::Product};
use candle_core::DType;

/// As in `conv_halo.cu`: pixels and columns of a block, tiles of weights in shared memory, names by the input's type.
const TILES: [(usize, usize, usize, [&str; 2]); 6] = [
    (
        128,
        128,
        4,
        ["conv_3x3_128x128_f16", "conv_3x3_128x128_bf16"],
    ),
    (128, 64, 5, ["conv_3x3_128x64_f16", "conv_3x3_128x64_bf16"]),
    (64, 128, 4, ["conv_3x3_64x128_f16", "conv_3x3_64x128_bf16"]),
    (64, 64, 6, ["conv_3x3_64x64_f16", "conv_3x3_64x64_bf16"]),
    (64, 32, 8, ["conv_3x3_64x32_f16", "conv_3x3_64x32_bf16"]),
    (64, 16, 8, ["conv_3x3_64x16_f16", "conv_3x3_64x16_bf16"]),
];
/// Pixels of a line of a block's tile.
const ACROSS: usize = 8;
/// Numbers of k of a tile of weights.
const DEPTH: usize = 64;
/// Shared memory in bytes that a block may have on compute capability 9.0, less what kernels declare.
const SHARED: usize = (227 << 10) - 1024;

/// The kernels that can make the convolution on compute capability 9.0.
pub(super) fn kernels(p: &Product, dtype: DType) -> Vec<Kernel> {
    let (channels, columns) = (p.channels as usize, p.columns as usize);
    let suits = (p.kernel_height, p.kernel_width, p.stride) == (3, 3, 1)
        && channels.is_multiple_of(16)
        && dtype != DType::F32;
    if !suits {
        return Vec::new();
    }
    let (height, width) = (p.out_height as usize, p.out_width as usize);
    let images = p.rows as usize / (height * width).max(1);
    let kernel = |&(pixels, wide, stages, names): &(usize, usize, usize, [&'static str; 2])| {
        let down = pixels / ACROSS;
        let map = (ACROSS + 2) * (down + 2) * channels * 2;
        let shared = 1024 + stages * wide * DEPTH * 2 + map;
        let tiles = images * height.div_ceil(down) * width.div_ceil(ACROSS);
        let kernel = Kernel {
            file: "conv_halo",
            name: names[usize::from(dtype == DType::BF16)],
            grid: (tiles * columns.div_ceil(wide), 1, 1),
            block: (2 * pixels as u32, 1),
            shared,
        };
        let is_narrow = wide < 2 * columns.next_multiple_of(16);
        (shared <= SHARED && is_narrow).then_some(kernel)
    };
    TILES.iter().filter_map(kernel).collect()
}
