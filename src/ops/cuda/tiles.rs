//! Kernels for products of 16-bit numbers: which tiles there are, and which of them is fastest for a product.

#![allow(unsafe_code)]

use super::{
    halo_tiles,
    launch::Kernel,
    product_arguments::Product,
    trying::{self, Shape},
};
use crate::ops::types::result::Result;
use candle_core::{
    CudaDevice, DType,
    cuda_backend::{WrapErr, cudarc::driver::sys::CUdevice_attribute_enum},
};
use std::cell::Cell;

/// A tile of the output that a block makes: its kernels for linear layers and convolutions, by the input's type.
#[derive(Debug)]
pub(super) struct Tile {
    file: &'static str,
    rows: usize,
    columns: usize,
    threads: u32,
    /// Bytes of shared memory of a step, the most steps there is memory for, k of a step, and bytes beside them.
    step: usize,
    stages: usize,
    depth: usize,
    beside: usize,
    linear: [&'static str; 2],
    conv: [&'static str; 2],
}

impl Tile {
    const fn new(
        rows: usize,
        columns: usize,
        threads: u32,
        depth: usize,
        stages: usize,
        linear: [&'static str; 2],
        conv: [&'static str; 2],
    ) -> Self {
        let step = (rows + columns) * (depth + 8) * 2;
        Self {
            file: "gemm",
            rows,
            columns,
            threads,
            step,
            stages,
            depth,
            beside: 0,
            linear,
            conv,
        }
    }

    /// Of `gemm_hopper.cu`.
    const fn hopper(
        rows: usize,
        columns: usize,
        stages: usize,
        linear: [&'static str; 2],
        conv: [&'static str; 2],
    ) -> Self {
        let (depth, threads) = (64, 2 * rows as u32);
        let step = (rows + columns) * depth * 2;
        Self {
            file: "gemm_hopper",
            rows,
            columns,
            threads,
            step,
            stages,
            depth,
            beside: 1024,
            linear,
            conv,
        }
    }

    pub(super) fn kernel(
        &self,
        conv: bool,
        dtype: DType,
        rows: usize,
        columns: usize,
        inner: usize,
    ) -> Kernel {
        let names = if conv { &self.conv } else { &self.linear };
        let name = names[usize::from(dtype == DType::BF16)];
        let (down, across) = (rows.div_ceil(self.rows), columns.div_ceil(self.columns));
        if self.beside == 0 {
            return Kernel {
                file: self.file,
                name,
                grid: (down, across, 1),
                block: (self.threads, 1),
                shared: self.stages * self.step,
            };
        }
        let shared = self.beside + self.stages.min(inner.div_ceil(self.depth)) * self.step;
        Kernel {
            file: self.file,
            name,
            grid: (down * across, 1, 1),
            block: (self.threads, 1),
            shared,
        }
    }

    fn blocks(&self, rows: usize, columns: usize) -> usize {
        rows.div_ceil(self.rows) * columns.div_ceil(self.columns)
    }

    /// Whether it is worth trying: not much wider than the output, and neither far too few nor far too many blocks.
    fn may_be_fastest(&self, rows: usize, columns: usize) -> bool {
        let (blocks, area) = (self.blocks(rows, columns), self.rows * self.columns);
        let (smallest, wide) = (area <= 64 * 32, area >= 128 * 64 || self.columns >= columns);
        self.columns < 2 * columns.next_multiple_of(16)
            && (blocks >= 32 || smallest)
            && (blocks <= 2048 || wide)
    }
}

/// A tile's kernels of a kind, by the input's type.
macro_rules! names {
    ($kind:literal, $name:literal) => {
        [
            concat!($kind, $name, "_f16"),
            concat!($kind, $name, "_bf16"),
        ]
    };
}

macro_rules! tile {
    ($name:literal, $rows:literal, $columns:literal, $threads:literal, $depth:literal, $stages:literal) => {
        Tile::new(
            $rows,
            $columns,
            $threads,
            $depth,
            $stages,
            names!("linear_", $name),
            names!("conv_", $name),
        )
    };
}

macro_rules! hopper {
    ($name:literal, $rows:literal, $columns:literal, $stages:literal) => {
        Tile::hopper(
            $rows,
            $columns,
            $stages,
            names!("linear_", $name),
            names!("conv_", $name),
        )
    };
}

/// As in `gemm.cu`, largest first.
const TILES: [Tile; 5] = [
    tile!("128x128", 128, 128, 256, 32, 3),
    tile!("128x64", 128, 64, 256, 32, 4),
    tile!("64x64", 64, 64, 128, 32, 4),
    tile!("32x64", 32, 64, 128, 64, 3),
    tile!("32x32", 32, 32, 128, 64, 4),
];
/// For few columns.
const NARROW: Tile = tile!("128x32", 128, 32, 128, 32, 3);
/// For addresses and channels that are not divisible by eight.
pub(super) const ANY_LINEAR: Tile =
    Tile::new(64, 64, 128, 32, 2, names!("linear_", "any"), [""; 2]);
pub(super) const ANY_CONV: Tile = Tile::new(128, 32, 128, 32, 2, [""; 2], names!("conv_", "any"));
/// For convolutions over channels divisible by four.
pub(super) const FOUR_CONV: Tile = Tile::new(128, 32, 128, 32, 3, [""; 2], names!("conv_", "four"));
/// As in `gemm_hopper.cu`: for compute capability 9.0. Where there is work for two blocks on each multiprocessor, few steps in memory
/// leave room for the second; else many hide the way to memory.
const HOPPER: [Tile; 14] = [
    hopper!("128x256_9_4", 128, 256, 4),
    hopper!("128x160_9_5", 128, 160, 5),
    hopper!("128x160_9_3", 128, 160, 3),
    hopper!("128x128_9_5", 128, 128, 5),
    hopper!("128x128_9_3", 128, 128, 3),
    hopper!("128x96_9_3", 128, 96, 3),
    hopper!("128x64_9_3", 128, 64, 3),
    hopper!("128x32_9_3", 128, 32, 3),
    hopper!("64x128_9_4", 64, 128, 4),
    hopper!("64x80_9_4", 64, 80, 4),
    hopper!("64x64_9_8", 64, 64, 8),
    hopper!("64x64_9_4", 64, 64, 4),
    hopper!("64x32_9_8", 64, 32, 8),
    hopper!("64x16_9_10", 64, 16, 10),
];
/// About the multiprocessors of the chips this is for: a grid of fewer blocks leaves some idle.
pub(super) const ENOUGH_BLOCKS: usize = 120;

/// The largest tile that still gives every multiprocessor work.
pub(super) fn tile_for(rows: usize, columns: usize) -> &'static Tile {
    if columns <= 32 && NARROW.blocks(rows, columns) >= ENOUGH_BLOCKS {
        return &NARROW;
    }
    let fits = |tile: &&Tile| {
        tile.blocks(rows, columns) >= ENOUGH_BLOCKS
            && (tile.columns <= columns.next_multiple_of(32))
    };
    TILES.iter().find(fits).unwrap_or(&TILES[TILES.len() - 1])
}

fn attribute(device: &CudaDevice, which: CUdevice_attribute_enum) -> Result<i32> {
    device.cuda_stream().context().attribute(which).w()
}

/// Whether the kernels of `gemm_hopper.cu` do anything there.
pub(super) fn is_hopper(device: &CudaDevice) -> Result<bool> {
    let part = |which| attribute(device, which);
    let major = part(CUdevice_attribute_enum::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
    Ok((
        major,
        part(CUdevice_attribute_enum::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
    ) == (9, 0))
}

/// Shared memory in bytes that a block may have.
pub(super) fn shared_memory(device: &CudaDevice) -> Result<usize> {
    let most = CUdevice_attribute_enum::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN;
    Ok(usize::try_from(attribute(device, most)?).unwrap_or(0))
}

pub(super) fn multiprocessors(device: &CudaDevice) -> Result<usize> {
    let which = CUdevice_attribute_enum::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;
    Ok(attribute(device, which)?.max(1) as usize)
}

thread_local! {
    /// The candidate that is taken without trying, in tests of all of them.
    static FORCED: Cell<Option<usize>> = const { Cell::new(None) };
}

/// See [`crate::ops::with_tile`].
pub(crate) fn with_tile<T>(at: usize, work: impl FnOnce() -> T) -> T {
    let before = FORCED.replace(Some(at));
    let done = work();
    FORCED.set(before);
    done
}

/// The kernels that may be fastest for a product.
fn candidates(device: &CudaDevice, p: &Product, conv: bool, dtype: DType) -> Result<Vec<Kernel>> {
    let (rows, columns, inner) = (p.rows as usize, p.columns as usize, p.inner as usize);
    let hopper = is_hopper(device)?;
    // Of gemm.cu only the small tiles can be faster than warpgroups.
    let (of_hopper, of_any) = if hopper {
        (&HOPPER[..], &TILES[3..])
    } else {
        (&[][..], &TILES[..])
    };
    let halo = if hopper && conv {
        halo_tiles::kernels(p, dtype)
    } else {
        Vec::new()
    };
    Ok(of_hopper
        .iter()
        .chain(of_any)
        .chain([&NARROW])
        .filter(|tile| tile.may_be_fastest(rows, columns))
        .filter(|tile| (p.second_from as usize).is_multiple_of(tile.columns))
        .map(|tile| tile.kernel(conv, dtype, rows, columns, inner))
        .chain(halo)
        .collect())
}

/// The kernel whose tiles are fastest for a product, found by trying at its first use (in a capture the one given); all of them
/// give the same bits, since each sums in the order of k.
pub(super) fn fastest(
    device: &CudaDevice,
    product: &Product,
    conv: bool,
    dtype: DType,
    given: Kernel,
) -> Result<Kernel> {
    let p = product;
    if let Some(at) = FORCED.get() {
        let all = candidates(device, product, conv, dtype)?;
        return Ok(all.get(at).copied().unwrap_or(given));
    }
    let sizes = [
        p.rows,
        p.columns,
        p.inner,
        p.part_count,
        p.height,
        p.width,
        p.kernel_height,
        p.kernel_width,
        p.stride,
        p.channels,
    ];
    let shape = Shape {
        what: match (conv, p.second_from) {
            (true, _) => "convolution",
            (false, 0) => "product",
            (false, _) => "pair of products",
        },
        dtype,
        sizes,
    };
    // SAFETY: `Product` is the kernel's own type; as in `Weights::run`, and each run writes the same result.
    unsafe {
        trying::fastest(device, shape, given, &[product], || {
            candidates(device, product, conv, dtype)
        })
    }
}
