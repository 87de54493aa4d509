//! A constant of a layer in each type that inputs come in.

use super::layout;
use crate::ops::types::result::Result;
use candle_core::{DType, Tensor};
use std::sync::OnceLock;

/// Numbers in f32, and what they are in the types that were asked for so far.
#[derive(Debug)]
pub(super) struct Typed {
    f32: Tensor,
    f16: OnceLock<Tensor>,
    bf16: OnceLock<Tensor>,
    parts: OnceLock<Tensor>,
    halves: OnceLock<[Tensor; 2]>,
}

impl Typed {
    /// Of contiguous f32 numbers.
    pub(super) fn new(f32: Tensor) -> Self {
        Self {
            f32,
            f16: OnceLock::new(),
            bf16: OnceLock::new(),
            parts: OnceLock::new(),
            halves: OnceLock::new(),
        }
    }

    /// The numbers in `dtype`. They are converted at the first call, which must come before a graph capture.
    pub(super) fn get(&self, dtype: DType) -> Result<&Tensor> {
        match dtype {
            DType::F32 => Ok(&self.f32),
            DType::F16 => made(&self.f16, || layout::converted(&self.f32, dtype)),
            DType::BF16 => made(&self.bf16, || layout::converted(&self.f32, dtype)),
            _ => candle_core::bail!("no constants of {dtype:?}"),
        }
    }

    /// Each number as three of bf16 that add up to it, the greatest first: a new first dimension of 3.
    pub(super) fn parts(&self) -> Result<&Tensor> {
        made(&self.parts, || layout::split_in_three(&self.f32))
    }

    /// What `make` makes of the numbers at the first call.
    pub(super) fn halves(
        &self,
        make: impl FnOnce(&Tensor) -> Result<[Tensor; 2]>,
    ) -> Result<&[Tensor; 2]> {
        made(&self.halves, || make(&self.f32))
    }
}

fn made<T>(cell: &OnceLock<T>, make: impl FnOnce() -> Result<T>) -> Result<&T> {
    if cell.get().is_none() {
        let _ = cell.set(make()?);
    }
    cell.get()
        .ok_or_else(|| candle_core::Error::Msg("a constant that was set is not there".to_owned()))
}
