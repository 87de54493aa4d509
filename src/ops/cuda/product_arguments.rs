//! What the kernels of matrix products take, see `gemm.cuh`.

#![allow(unsafe_code)]

use super::launch::Parameter;
use crate::ops::types::activation::Activation;
use candle_core::cuda_backend::cudarc::driver::DeviceRepr;
use std::mem::offset_of;

/// Tensors that a product can take side by side (as in `gemm.cuh`).
pub(super) const MAX_PARTS: usize = 8;

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Source {
    pub(super) start: u64,
    pub(super) stride: i64,
    pub(super) channels: i32,
    pub(super) doubled: i32,
}

/// `Product` of `gemm.cuh`, field by field.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Product {
    pub(super) parts: [Source; MAX_PARTS],
    pub(super) weight: u64,
    pub(super) bias: u64,
    pub(super) residual: u64,
    pub(super) out: u64,
    pub(super) part_count: i32,
    pub(super) rows: i32,
    pub(super) columns: i32,
    pub(super) inner: i32,
    pub(super) residual_rows: i32,
    pub(super) residual_stride: i32,
    pub(super) residual_last: i32,
    pub(super) out_height: i32,
    pub(super) out_width: i32,
    pub(super) height: i32,
    pub(super) width: i32,
    pub(super) kernel_height: i32,
    pub(super) kernel_width: i32,
    pub(super) stride: i32,
    pub(super) top: i32,
    pub(super) left: i32,
    pub(super) channels: i32,
    pub(super) padded: i32,
    pub(super) activation: i32,
    pub(super) limit: f32,
    pub(super) scale: f32,
    pub(super) shift: f32,
    pub(super) out_f32: i32,
    pub(super) second_from: i32,
}

// SAFETY: plain numbers, laid out as the kernel's own type.
unsafe impl DeviceRepr for Product {}
// SAFETY: as above; the other fields are numbers.
unsafe impl Parameter for Product {
    const ADDRESSES: &'static [usize] = &{
        let mut all = [0; MAX_PARTS + 4];
        let mut part = 0;
        while part < MAX_PARTS {
            all[part] =
                offset_of!(Product, parts) + part * size_of::<Source>() + offset_of!(Source, start);
            part += 1;
        }
        all[MAX_PARTS] = offset_of!(Product, weight);
        all[MAX_PARTS + 1] = offset_of!(Product, bias);
        all[MAX_PARTS + 2] = offset_of!(Product, residual);
        all[MAX_PARTS + 3] = offset_of!(Product, out);
        all
    };
}

/// The code of an activation in `common.cuh`, and the limit of [`Activation::Clamp`].
pub(super) fn code(activation: Activation) -> (i32, f32) {
    match activation {
        Activation::Identity => (0, 0.0),
        Activation::Relu => (1, 0.0),
        Activation::Gelu => (2, 0.0),
        Activation::Silu => (3, 0.0),
        Activation::Sigmoid => (4, 0.0),
        Activation::Clamp(limit) => (5, limit),
    }
}
